# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lane opens its own cursor: queue_job needs to open none for it."""


def migrate(cr, version):
    # The record is `noupdate`, since people choose its channel.
    cr.execute(
        """UPDATE queue_job_function SET allow_commit = false
        WHERE id IN (
            SELECT res_id FROM ir_model_data
            WHERE module = 'bwt_webhooks_outbound'
            AND name = 'job_function_endpoint_run_lane'
        ) AND allow_commit"""
    )
