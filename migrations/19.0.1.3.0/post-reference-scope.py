# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Each endpoint gets the reference scope that a new one has: its code."""


def migrate(cr, version):
    cr.execute(
        "UPDATE bwt_webhook_outbound_endpoint SET reference_scope = code "
        "WHERE reference_scope IS NULL"
    )
