# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""pytest plugin: what helps the tests (tests/receiver.py ...) is imported by its name.

Not as `tests.receiver`: the package `tests` imports Odoo. Last on the path: ahead of
the standard library, tests/http would hide its `http`.
"""

import sys

from tools.workspace import REPOSITORY

sys.path.append(str(REPOSITORY / "tests"))
