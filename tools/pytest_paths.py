# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""pytest plugin: helpers of the tests (tests/receiver.py ...) are top-level modules.

Not as `tests.receiver`: the package `tests` imports Odoo. Last on the path: ahead of
the standard library, tests/http would hide its `http`.
"""

import sys

from tools.workspace import REPOSITORY

sys.path.append(str(REPOSITORY / "tests"))
