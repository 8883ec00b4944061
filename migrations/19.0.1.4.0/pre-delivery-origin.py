# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Earlier deliveries read as live, and none of them is rewritten.

The ORM would add the column without a default and then update every row; a column
that is added with a constant one stores it once.
"""


def migrate(cr, version):
    cr.execute(
        "ALTER TABLE bwt_webhook_outbound_delivery "
        "ADD COLUMN IF NOT EXISTS origin varchar DEFAULT 'live'"
    )
