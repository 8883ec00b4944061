# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import fields


class CopiedRelation(fields.Many2one):
    """A stored copy of a relation that the row's parent has, without a foreign key.

    The parent's own key guards it, and the row goes with its parent. A key here would
    be checked once more for each row that a lane or a queue writes, and would lock the
    same company and endpoint for every one of them: most of what an insert costs.
    """

    def update_db_foreign_key(self, model, column):
        """Make none."""
