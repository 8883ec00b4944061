# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import datetime, timezone


def utcnow() -> datetime:
    """Now as Odoo stores it: naive UTC, with its microseconds."""
    return datetime.now(timezone.utc).replace(tzinfo=None)
