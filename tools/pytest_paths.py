"""pytest plugin: what helps the tests (tests/receiver.py ...) is imported by its name.

Not as `tests.receiver`: the package `tests` imports Odoo. Last on the path: ahead of
the standard library, tests/http would hide its `http`.
"""

import sys

from tools.workspace import REPOSITORY

sys.path.append(str(REPOSITORY / "tests"))
