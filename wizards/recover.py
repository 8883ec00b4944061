# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.const import DELIVERY, ENDPOINT, FAILURE_REASONS
from ..models.delivery_access import check_relations
from ..models.delivery_failures import AT_ONCE
from ..models.endpoint_summary import waiting_message


class BwtWebhookOutboundRecover(models.TransientModel):
    """Shows how many deliveries failed since a date, and queues them again."""

    _name = "bwt.webhook.outbound.recover"
    _description = "Outbound Webhook: Recover"

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT, required=True, ondelete="cascade", readonly=True
    )
    since = fields.Datetime(
        string="Failed Since",
        required=True,
        default=lambda self: fields.Datetime.now() - timedelta(hours=24),
        help="When the delivery was dead-lettered, or its last attempt was recorded.",
    )
    failure_reason = fields.Selection(
        selection=FAILURE_REASONS,
        help="Empty: any reason.",
    )
    with_dead_letters = fields.Boolean(string="Dead Letters", default=True)
    with_errors = fields.Boolean(
        string="Errors",
        default=True,
        help="Errors that need attention, and errors that wait for their next attempt.",
    )
    delivery_count = fields.Integer(
        string="Deliveries", compute="_compute_delivery_count"
    )
    summary = fields.Text(compute="_compute_delivery_count")
    waits = fields.Text(
        string="Waiting Reason",
        compute="_compute_waits",
        help="Why queued deliveries aren't sent at once. Empty when they are.",
    )

    @api.depends("endpoint_id")
    def _compute_waits(self):
        for recover in self:
            recover.waits = waiting_message(recover.endpoint_id)

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        check_relations(self, ("endpoint_id",), values)
        return values

    def onchange(self, values, field_names, fields_spec):
        check_relations(self, ("endpoint_id",), values)
        return super().onchange(values, field_names, fields_spec)

    @api.depends("since", "failure_reason", "with_dead_letters", "with_errors")
    def _compute_delivery_count(self):
        labels = dict(self._fields["failure_reason"]._description_selection(self.env))
        for recover in self:
            groups = self.env[DELIVERY]._read_group(
                recover._domain(), ["failure_reason"], ["__count"], order="__count DESC"
            )
            recover.delivery_count = sum(count for _reason, count in groups)
            recover.summary = "\n".join(
                f"{count} · {labels.get(reason) or self.env._('by hand')}"
                for reason, count in groups
            )

    def _domain(self):
        """Failed deliveries of the endpoint in the given span."""
        dead = [("state", "=", "dead_letter"), ("processed_at", ">=", self.since)]
        error = [("state", "=", "error"), ("write_date", ">=", self.since)]
        states = [
            fields.Domain(domain)
            for domain, wanted in (
                (dead, self.with_dead_letters),
                (error, self.with_errors),
            )
            if wanted
        ]
        domain = fields.Domain("endpoint_id", "=", self.endpoint_id.id)
        domain &= fields.Domain.OR(states) if self.since else fields.Domain.FALSE
        if self.failure_reason:
            domain &= fields.Domain("failure_reason", "=", self.failure_reason)
        return list(domain)

    def action_recover(self):
        """Queue them, oldest first; says what was done and what was not, and why."""
        self.ensure_one()
        self.endpoint_id.sudo()._check_queueable()
        deliveries = self.env[DELIVERY].search(
            self._domain(), order="queue_number, id", limit=AT_ONCE + 1
        )
        if not deliveries:
            raise UserError(
                self.env._("No delivery failed in this period. Enter an earlier date.")
            )
        # One note on the endpoint instead of one on each of thousands.
        batch = deliveries[:AT_ONCE].with_context(tracking_disable=True)
        result = batch._bulk("retry_now")
        since = self.env._("Failed since %s (UTC).", self.since)
        result.post_notes(self.env._("Recover:"), since)
        action = result.notification()
        params = action["params"]
        if len(deliveries) > AT_ONCE:
            more = self.env._("There are more: press Recover again.")
            params["message"] += f"\n{more}"
            params["sticky"] = True
        return action
