# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from ast import literal_eval
from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.const import ACTION_STATE, DELIVERY, ENDPOINT, FAILURE_REASONS, PACE, RUN
from ..models.delivery_access import check_relations
from ..models.delivery_failures import AT_ONCE
from ..models.endpoint_summary import waiting_message
from ..models.run import PACE_MAX

NOT_REPLAYED = ("draft", "queued", "processing")


# A copy takes longer than a record that a server action queues; batches grow.
FIRST_BATCH = 50


class BwtWebhookOutboundRecover(models.TransientModel):
    """Counts the deliveries of a span and queues them again, at once or by a run."""

    _name = "bwt.webhook.outbound.recover"
    _description = "Outbound Webhook: Recover"

    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT, required=True, ondelete="cascade", readonly=True
    )
    since = fields.Datetime(
        required=True,
        default=lambda self: fields.Datetime.now() - timedelta(hours=24),
        help="The beginning of the span, by the date that Span Of names.",
    )
    until = fields.Datetime(help="The end of the span. Empty: until now.")
    span_by = fields.Selection(
        selection=[("ended", "End"), ("queued", "Queued At")],
        string="Span Of",
        required=True,
        default="ended",
        help="End: when the delivery was done, canceled or dead-lettered, or the last "
        "attempt of an error was recorded. Queued At: when it was last queued.",
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
    with_done = fields.Boolean(
        string="Done", help="Deliveries that the receiver has accepted."
    )
    with_canceled = fields.Boolean(string="Canceled")
    replay_with = fields.Selection(
        selection=[("same", "The Same Message ID"), ("new", "A New Message ID")],
        required=True,
        default="same",
        help="The same: the deliveries themselves are queued again, and a receiver "
        "that knows the message ID drops them. A new one: copies are queued, which the "
        "receiver takes for new messages.",
    )
    action_choice = fields.Selection(
        selection="_selection_actions",
        string="Queued by",
        help="Only the deliveries of this server action. Empty: all.",
    )
    domain = fields.Char(
        string="Deliveries to Replay",
        default="[]",
        help="Only the deliveries that match this filter, such as one model.",
    )
    pace = fields.Integer(
        string="Pace (per Minute)",
        required=True,
        default=PACE,
        help="Deliveries that the run queues per minute, at most. Can be changed while "
        "it runs.",
    )
    is_at_once = fields.Boolean(
        compute="_compute_is_at_once",
        help="Only failed deliveries with the same message ID are queued at once.",
    )
    not_replayed = fields.Text(
        compute="_compute_delivery_count",
        help="Deliveries of the span that can't be replayed, by state.",
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
    @api.depends_context("lang")
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

    @api.model
    def _selection_actions(self):
        """Server actions that queue deliveries of endpoints that the user may read."""
        endpoints = self.env[ENDPOINT].search([])
        actions = self.env["ir.actions.server"].sudo()
        found = actions.search(
            [
                ("state", "=", ACTION_STATE),
                ("bwt_webhook_endpoint_id", "in", endpoints.ids),
            ]
        )
        return [(str(each.id), each.name) for each in found]

    @api.depends("with_done", "with_canceled", "replay_with")
    def _compute_is_at_once(self):
        for recover in self:
            recover.is_at_once = recover.replay_with == "same" and not (
                recover.with_done or recover.with_canceled
            )

    @api.depends(
        "since",
        "until",
        "span_by",
        "failure_reason",
        "with_dead_letters",
        "with_errors",
        "with_done",
        "with_canceled",
        "action_choice",
        "domain",
    )
    @api.depends_context("lang")
    def _compute_delivery_count(self):
        deliveries = self.env[DELIVERY]
        labels = dict(self._fields["failure_reason"]._description_selection(self.env))
        states = dict(deliveries._fields["state"]._description_selection(self.env))
        for recover in self:
            groups = deliveries._read_group(
                recover._domain(),
                ["state", "failure_reason"],
                ["__count"],
                order="__count DESC",
            )
            recover.delivery_count = sum(count for *_group, count in groups)
            lines = defaultdict(int)
            for state, reason, count in groups:
                if state in ("done", "canceled"):
                    label = states[state]
                else:
                    label = labels.get(reason) or self.env._("by hand")
                lines[label] += count
            recover.summary = "\n".join(
                f"{count} · {label}" for label, count in lines.items()
            )
            left = deliveries._read_group(
                recover._domain_of_others(), ["state"], ["__count"]
            )
            recover.not_replayed = "\n".join(
                f"{count} · {states[state]}" for state, count in left
            )

    def _states(self):
        wanted = {
            "done": self.with_done,
            "error": self.with_errors,
            "dead_letter": self.with_dead_letters,
            "canceled": self.with_canceled,
        }
        return [state for state, is_wanted in wanted.items() if is_wanted]

    def _domain(self):
        """Deliveries of the endpoint in the span, in the states that were chosen."""
        if not self.since:
            return list(fields.Domain.FALSE)
        states = [
            fields.Domain("state", "=", state) & self._span(self._date_of(state))
            for state in self._states()
        ]
        domain = fields.Domain.OR(states) & self._narrowed()
        if self.failure_reason:
            domain &= fields.Domain("failure_reason", "=", self.failure_reason)
        return list(domain)

    def _domain_of_others(self):
        """Deliveries of the span that can't be replayed; drafts have no other date."""
        if not self.since:
            return list(fields.Domain.FALSE)
        others = fields.Domain("state", "in", NOT_REPLAYED)
        return list(others & self._span("create_date") & self._narrowed())

    def _date_of(self, state):
        if self.span_by == "queued":
            return "queued_at"
        return "write_date" if state == "error" else "processed_at"

    def _span(self, name):
        domain = fields.Domain(name, ">=", self.since)
        if self.until:
            domain &= fields.Domain(name, "<=", self.until)
        return domain

    def _narrowed(self):
        domain = fields.Domain("endpoint_id", "=", self.endpoint_id.id)
        if self.action_choice:
            domain &= fields.Domain("server_action_id", "=", int(self.action_choice))
        return domain & self._filter()

    def _filter(self):
        try:
            domain = fields.Domain(literal_eval(self.domain or "[]"))
            domain.validate(self.env[DELIVERY])
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as e:
            raise UserError(
                self.env._(
                    "The filter of the deliveries to replay is not valid: %s. Correct "
                    "it, or remove it.",
                    e,
                )
            ) from e
        return domain

    def _check_settings(self):
        """Refuse a span or a pace with which nothing, or anything, could happen."""
        if self.until and self.until < self.since:
            raise UserError(
                self.env._(
                    "The span ends before it starts. Enter a later date as Until, or "
                    "an earlier one as Since."
                )
            )
        if self.since > fields.Datetime.now():
            raise UserError(
                self.env._(
                    "The span starts in the future. Enter a date that has passed as "
                    "Since."
                )
            )
        if not 1 <= self.pace <= PACE_MAX:
            raise UserError(
                self.env._(
                    "The pace is %(pace)s deliveries per minute. Enter 1 to %(most)s.",
                    pace=self.pace,
                    most=PACE_MAX,
                )
            )

    def action_start_replay(self):
        """Start a run that queues them again at a pace, and open it."""
        self.ensure_one()
        deliveries = self.env[DELIVERY]
        deliveries._check_operator()
        self.endpoint_id.check_access("read")
        self._check_settings()
        domain = self._domain()
        if not deliveries.search_count(domain, limit=1):
            raise UserError(
                self.env._(
                    "No delivery matches. Enter another span, or choose other states."
                )
            )
        run = (
            self.env[RUN]
            .sudo()
            .create(
                {
                    "name": self.env._("Replay: %s", self.endpoint_id.sudo().name),
                    "origin": "replay",
                    "replay_with": self.replay_with,
                    "batch_limit": FIRST_BATCH,
                    "replay_states": ",".join(self._states()),
                    "replay_summary": f"{self._span_text()}\n{self.summary or ''}",
                    "pace": self.pace,
                }
            )
        )
        run.write({"endpoint_id": self.endpoint_id.id, "res_model": DELIVERY})
        run._start_replay(deliveries, domain)
        self.endpoint_id.sudo().message_post(
            body=self.env._(
                "Recover: a run replays %(count)s deliveries. %(span)s",
                count=run.total_count,
                span=self._span_text(),
            ),
            author_id=self.env.user.partner_id.id,
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": RUN,
            "res_id": run.id,
            "views": [(False, "form")],
        }

    def _span_text(self):
        labels = dict(self._fields["span_by"]._description_selection(self.env))
        return self.env._(
            "%(date)s from %(since)s to %(until)s (UTC).",
            date=labels[self.span_by],
            since=self.since,
            until=self.until or fields.Datetime.now(),
        )

    def action_recover(self):
        """Queue them, oldest first; says what was done and what was not, and why."""
        self.ensure_one()
        self.endpoint_id.sudo()._check_queueable()
        if not self.is_at_once:
            raise UserError(
                self.env._(
                    "Only failed deliveries with the same message ID are queued at "
                    "once. Press Start Run for these."
                )
            )
        self._check_settings()
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
