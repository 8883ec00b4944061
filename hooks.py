# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an uninstall must take along beside the tables."""


def uninstall_hook(env):
    """Cancel every unfinished job of ours; drop what stands outside our tables.

    queue_job can't load a job whose model is gone and would requeue it for ever.
    """
    env.cr.execute(
        """UPDATE queue_job SET state = 'cancelled', date_cancelled = now() at time zone
        'UTC', result = 'Cancelled: the webhooks addon was uninstalled'
        WHERE model_name = 'bwt.webhook.outbound.endpoint'
        AND state NOT IN ('done', 'cancelled', 'failed')"""
    )
    env.cr.execute("DROP INDEX IF EXISTS bwt_webhook_outbound_wake_index")
    env.cr.execute("DROP SEQUENCE IF EXISTS bwt_webhook_outbound_queue_number")
