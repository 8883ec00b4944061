# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Field classes of this addon."""

from odoo import fields
from odoo.tools import SQL

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


class SharedText(fields.Text):
    """A text of a delivery's attempt that the delivery has, too: stored once.

    An empty column means that it is as the delivery has it. Reading, searching and
    exporting find the delivery's text then; writing stores the attempt's own. Before
    the delivery's text is changed, its attempts are completed
    (`lane.sql.complete_attempts`).

    shared_if: field of the attempt without which there is no such text
    """

    shared_if = None

    def to_sql(self, model, alias):
        parent = model._fields["delivery_id"]
        deliveries = model.env[parent.comodel_name]
        text = SQL(
            "(SELECT shared.%s FROM %s AS shared WHERE shared.id = %s)",
            SQL.identifier(self.name, to_flush=deliveries._fields[self.name]),
            SQL.identifier(deliveries._table),
            parent.to_sql(model, alias),
        )
        if self.shared_if:
            condition = model._fields[self.shared_if].to_sql(model, alias)
            text = SQL("CASE WHEN %s IS NOT NULL THEN %s END", condition, text)
        return SQL("COALESCE(%s, %s)", super().to_sql(model, alias), text)


def store_beside_rows(model, *names):
    """Store these texts of rows of over 2 KB beside the rows of a table.

    PostgreSQL keeps what it can compress to less than 2 KB in the row, and copies it
    with each update; deliveries and attempts are updated in their first second. With
    LZ4, where this PostgreSQL has it, a search is as fast as if the texts were in the
    rows. Rows that exist stay as they are.
    """
    cr, table = model.env.cr, SQL.identifier(model._table)
    cr.execute(SQL("ALTER TABLE %s SET (toast_tuple_target = 512)", table))
    cr.execute(
        "SELECT 1 FROM pg_settings "
        "WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
    )
    if cr.fetchone():
        for name in names:
            column = SQL.identifier(name)
            cr.execute(
                SQL("ALTER TABLE %s ALTER %s SET COMPRESSION lz4", table, column)
            )
