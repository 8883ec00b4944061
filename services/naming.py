# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Technical names."""

import re


def slugify_identifier(value):
    """Lower case, runs of anything but a-z and 0-9 as `-`, none at the ends.

    None and False return empty text.
    """
    if value is None or value is False:
        return ""
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")


def slugify_prefix(value):
    """As `slugify_identifier`, with `.` and `_` inside kept: they occur in model names.

    `My Shop` becomes `my-shop`, `shop.backend-1` stays.
    """
    if value is None or value is False:
        return ""
    return re.sub(r"[^a-z0-9._]+", "-", str(value).lower()).strip("-._")
