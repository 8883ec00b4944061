# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What `make pot` does beside Odoo's export."""

import re

_DATES = re.compile(r'^"(POT-Creation|PO-Revision)-Date: .*\n', re.MULTILINE)


def only_dates_differ(before, after) -> bool:
    """Whether two exports have the same texts: nothing has to be committed then."""
    return _DATES.sub("", before) == _DATES.sub("", after)
