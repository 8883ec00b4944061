# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields


class CopiedRelation(fields.Many2one):
    """A stored copy of a relation that the row's parent has, without a foreign key.

    The parent's key protects it, and the row is deleted with its parent. A key here
    would be checked again for each row that a lane or the queue writes, and would lock
    the same company and endpoint for each: most of the cost of an insert.
    """

    def update_db_foreign_key(self, model, column):
        """Create none."""
