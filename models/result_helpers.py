# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What gates, callbacks and backends may return, as methods beside them."""

from odoo import api, models

from ..services import result_types


class WebhookResultHelpers(models.AbstractModel):
    """Result dicts of a decision; part of the delivery and of connector backends."""

    _name = "bwt.webhook.outbound.result.helpers"
    _description = "Outbound Webhook Result Helpers"

    @api.private
    def webhook_done(self, note=None):
        """Result: done, nothing is sent."""
        return result_types.webhook_done(note)

    @api.private
    def webhook_dead_letter(self, note=None):
        """Result: failed for good, nothing is sent."""
        return result_types.webhook_dead_letter(note)

    @api.private
    def webhook_retry(self, note=None, seconds=60):
        """Result: ask again in `seconds`; counts as a retry."""
        return result_types.webhook_retry(note, seconds)

    @api.private
    def webhook_cancel(self, note=None):
        """Result: canceled, nothing is sent."""
        return result_types.webhook_cancel(note)

    def _build_outbound_delivery_result(self, outcome="send", note=None, **changes):
        """A result dict: status, note and request keys (headers, payload, ...)."""
        result = {"status": outcome, **changes}
        if note:
            result["note"] = note
        return result
