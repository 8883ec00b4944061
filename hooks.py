# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an uninstall must take along beside the tables."""

from .lane import jobs


def uninstall_hook(env):
    """Cancel every unfinished job of ours; drop what is stored outside our tables."""
    jobs.uninstall(env.cr)
    env.cr.execute("DROP SEQUENCE IF EXISTS bwt_webhook_outbound_queue_number")
