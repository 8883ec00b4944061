# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The activity types have other XML ids: the records stay, with their activities."""

RENAMED = {
    "mail_activity_type_given_up": "mail_activity_type_dead_letter",
    "mail_activity_type_resting": "mail_activity_type_circuit_open",
}


def migrate(cr, version):
    # Before the data is loaded, which would create types of these names.
    for old, new in RENAMED.items():
        cr.execute(
            """UPDATE ir_model_data SET name = %s
            WHERE module = 'bwt_webhooks_outbound' AND name = %s""",
            (new, old),
        )
