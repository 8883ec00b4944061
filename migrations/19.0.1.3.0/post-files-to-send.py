# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files that deliveries send are marked; files of messages are not.

Until now, what had a description was sent, and Odoo gives one to files of messages.
"""


def migrate(cr, version):
    cr.execute(
        """UPDATE ir_attachment a SET bwt_webhook_part = '{}'
        WHERE a.res_model = 'bwt.webhook.outbound.delivery'
        AND a.description IS NOT NULL AND a.bwt_webhook_part IS NULL
        AND NOT EXISTS (
            SELECT FROM message_attachment_rel m WHERE m.attachment_id = a.id
        )"""
    )
