# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import UTC, datetime


def utcnow() -> datetime:
    """Now as Odoo stores it: naive UTC, with its microseconds."""
    return datetime.now(UTC).replace(tzinfo=None)
