# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Field classes of this addon."""

from odoo import fields

from ..services.masking import MASK


class CopiedRelation(fields.Many2one):
    """A stored copy of a relation that the row's parent has, without a foreign key.

    The parent's key protects it, and the row is deleted with its parent. A key here
    would be checked again for each row that a lane or the queue writes, and would lock
    the same company and endpoint for each: most of the cost of an insert.
    """

    def update_db_foreign_key(self, model, column):
        """Create none."""


class _Secret:
    """A stored secret that reads as ``***``, for the superuser too.

    Addons read all stored fields as superuser, to log or to compare them. Our own code
    takes the value from the record, which is as stored.
    """

    def convert_to_read(self, value, record, use_display_name=True):
        return MASK if value else False


class SecretChar(_Secret, fields.Char):
    """A secret of one line."""


class SecretText(_Secret, fields.Text):
    """A secret of several lines."""
