# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from odoo import Command, api, fields, models
from odoo.tools import SQL

from ..lane.clock import utcnow
from ..services.indented import indented
from .const import (
    DELIVERY,
    DELIVERY_STATES,
    FAILURE_REASONS,
    GROUP_OPERATOR,
    UNFINISHED,
)
from .delivery_access import check_relations, check_to_write, checked_to_create
from .delivery_transitions import TAKEN
from .errors import refused
from .fields import CopiedRelation
from .queue_request import check_ordering_key, new_message_uid

MODULE = "bwt_webhooks_outbound"


class BwtWebhookOutboundDeliveryOfRecord(models.AbstractModel):
    """Opens the deliveries of any record."""

    _name = "bwt.webhook.outbound.delivery.of_record"
    _description = "Outbound Webhook Delivery: Of a Record"

    @api.model
    def _bind_to_model(self, model_name):
        """Put "Webhook Deliveries" into a model's Action menu, once.

        The action has an XML id of this addon, so that uninstalling removes it.
        :return: the window action
        """
        name = f"record_deliveries_{model_name.replace('.', '_')}"
        found = self.env.ref(f"{MODULE}.{name}", raise_if_not_found=False)
        if found:
            return found
        action = (
            self.env["ir.actions.act_window"]
            .sudo()
            ._load_records(
                [
                    {
                        "xml_id": f"{MODULE}.{name}",
                        "noupdate": True,
                        "values": {
                            "name": self.env._("Webhook Deliveries"),
                            "res_model": DELIVERY,
                            "view_mode": "list,kanban,form",
                            "domain": "[('res_model', '=', active_model), "
                            "('res_id', 'in', active_ids)]",
                            "context": "{}",
                            "binding_model_id": self.env["ir.model"]._get_id(
                                model_name
                            ),
                            "binding_view_types": "list,kanban,form",
                            "group_ids": [
                                Command.link(self.env.ref(GROUP_OPERATOR).id)
                            ],
                        },
                    }
                ]
            )
        )
        return action


STORED = {
    "request_headers_pretty": "request_headers_json",
    "payload_pretty": "payload_json",
    "response_headers_pretty": "response_headers_json",
    "response_body_pretty": "response_body",
}


class BwtWebhookOutboundExchangeDisplay(models.AbstractModel):
    """Request and response formatted for display; stored values stay unchanged."""

    _name = "bwt.webhook.outbound.exchange.display"
    _description = "Outbound Webhook: Formatted Request and Response"

    request_headers_pretty = fields.Text(
        string="Headers (formatted)", compute="_compute_pretty"
    )
    payload_pretty = fields.Text(
        string=("Payload (formatted)"), compute="_compute_pretty"
    )
    response_headers_pretty = fields.Text(
        string="Response Headers (formatted)", compute="_compute_pretty"
    )
    response_body_pretty = fields.Text(
        string="Response Body (formatted)", compute="_compute_pretty"
    )

    @api.depends(*STORED.values())
    def _compute_pretty(self):
        for record in self:
            for shown, stored in STORED.items():
                record[shown] = indented(record[stored])


_logger = logging.getLogger(__name__)

BATCH = 1000


class BwtWebhookOutboundDeliveryRetention(models.AbstractModel):
    """Deletes done and canceled deliveries after the retention; keeps failed ones."""

    _name = "bwt.webhook.outbound.delivery.retention"
    _description = "Outbound Webhook Delivery: Retention"

    @api.autovacuum
    def _gc_ended_deliveries(self):
        """Delete done and canceled deliveries older than `retention_days`, one batch.

        Attempts, context lines, files and messages are deleted with them.
        :return: how many were deleted and whether more are left: the vacuum commits
            and calls again for those
        """
        if self._name != DELIVERY:  # the vacuum calls every model, including this part
            return 0, 0
        try:
            with self.env.cr.savepoint():
                found = self._lock_expired(BATCH)
                self.browse(found).unlink()
        except TAKEN:  # one of them is in use: retry with a new transaction
            self.env.invalidate_all(flush=False)
            return 0, 1
        if found:
            _logger.info("retention deleted=%s", len(found))
        return len(found), int(len(found) == BATCH)

    @api.model
    def _lock_expired(self, limit):
        """Ids of up to `limit` deliveries past their retention, oldest first."""
        # By endpoint, so that each reads its own range of the partial index.
        self.env.cr.execute(
            SQL(
                """SELECT d.id FROM bwt_webhook_outbound_endpoint e CROSS JOIN LATERAL (
                    SELECT id FROM bwt_webhook_outbound_delivery
                    WHERE endpoint_id = e.id AND state IN ('done', 'canceled')
                    AND processed_at < %(now)s - e.retention_days * interval '1 day'
                    ORDER BY processed_at LIMIT %(limit)s
                ) d WHERE e.retention_days > 0 LIMIT %(limit)s""",
                now=utcnow(),
                limit=limit,
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        self.env.cr.execute(
            SQL(
                "SELECT id FROM bwt_webhook_outbound_delivery WHERE id = ANY(%s) "
                "FOR UPDATE SKIP LOCKED",
                ids,
            ),
            log_exceptions=False,  # the next run deletes them
        )
        return [row[0] for row in self.env.cr.fetchall()]


class BwtWebhookOutboundDelivery(models.Model):
    """One delivery: what was requested, its state, its result."""

    _name = "bwt.webhook.outbound.delivery"
    _description = "Outbound Webhook Delivery"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
        "bwt.webhook.outbound.delivery.transitions",
        "bwt.webhook.outbound.delivery.intake",
        "bwt.webhook.outbound.delivery.by.action",
        "bwt.webhook.outbound.delivery.retention",
        "bwt.webhook.outbound.delivery.request",
        "bwt.webhook.outbound.delivery.advice",
        "bwt.webhook.outbound.delivery.draft",
        "bwt.webhook.outbound.delivery.held",
        "bwt.webhook.outbound.delivery.message",
        "bwt.webhook.outbound.exchange.display",
        "bwt.webhook.outbound.delivery.of_record",
    ]
    _order = "create_date desc, id desc"
    _check_company_auto = True

    name = fields.Char(
        required=True, help="Set when queueing. Default: endpoint and time."
    )
    endpoint_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.endpoint",
        required=True,
        ondelete="cascade",
    )
    # That of the endpoint: nothing to check per record.
    company_id = CopiedRelation(
        related="endpoint_id.company_id", store=True, readonly=True, precompute=True
    )
    # Not stored: an edited endpoint applies to waiting deliveries without a rewrite.
    # Without sudo: an unsaved form must not show another company's endpoint.
    handler_id = fields.Many2one(related="endpoint_id.handler_id", related_sudo=False)
    request_body_mode = fields.Selection(
        related="endpoint_id.request_body_mode", related_sudo=False
    )
    http_method = fields.Selection(
        related="endpoint_id.http_method", related_sudo=False
    )
    target_url = fields.Char(related="endpoint_id.target_url", related_sudo=False)
    timeout_seconds = fields.Integer(
        related="endpoint_id.timeout_seconds", related_sudo=False
    )

    message_uid = fields.Char(
        string="Message ID",
        required=True,
        readonly=True,
        copy=False,
        default=lambda self: new_message_uid(),
        help="Sent as header webhook-id with every attempt, so that the receiver "
        "can ignore duplicates.",
    )
    state = fields.Selection(
        selection=DELIVERY_STATES,
        default="draft",
        required=True,
        readonly=True,
        tracking=True,
        copy=False,
    )
    failure_reason = fields.Selection(
        selection=FAILURE_REASONS,
        readonly=True,
        copy=False,
        help="Why the last attempt failed.",
    )
    queued_at = fields.Datetime(readonly=True, copy=False)
    processed_at = fields.Datetime(readonly=True, copy=False)
    next_attempt_at = fields.Datetime(
        string="Next Attempt",
        readonly=True,
        copy=False,
        help="When the next attempt is due. Empty on an error that needs attention.",
    )
    retry_number = fields.Integer(
        readonly=True,
        copy=False,
        default=0,
        help="Number of retry schedule delays already used.",
    )
    queue_to_done_seconds = fields.Float(
        compute="_compute_durations", store=True, aggregator="avg"
    )
    end_to_end_seconds = fields.Float(
        compute="_compute_durations", store=True, aggregator="avg"
    )
    request_headers_json = fields.Text(
        string="Headers",
        required=True,
        default="{}",
        help="Headers given when queueing, as a JSON object.",
    )
    payload_json = fields.Text(
        string="Payload",
        required=True,
        default="{}",
        help="Payload given when queueing. The attempts show what was sent.",
    )
    response_status_code = fields.Integer(
        string="HTTP Status", readonly=True, copy=False, aggregator=False
    )
    response_headers_json = fields.Text(
        string="Response Headers", readonly=True, copy=False
    )
    response_body = fields.Text(readonly=True, copy=False)
    processing_note = fields.Text(string="Note", readonly=True, copy=False)
    processing_error = fields.Text(string="Error", readonly=True, copy=False)
    matched_outbound_rule_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.handler.rule",
        string="Matched Rule",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="The handler's rule that applied.",
    )
    replayed_from_delivery_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.delivery",
        string="Replay Of",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        copy=False,
    )
    replay_delivery_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.delivery",
        inverse_name="replayed_from_delivery_id",
        string="Replays",
        readonly=True,
    )
    replay_count = fields.Integer(readonly=True, copy=False, default=0)
    context_line_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.delivery.context_line",
        inverse_name="delivery_id",
        context={"active_test": False},
        copy=True,
    )
    attempt_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.delivery.attempt",
        inverse_name="delivery_id",
        readonly=True,
    )
    attempt_count = fields.Integer(readonly=True, copy=False, default=0)
    ordering_key = fields.Char(
        readonly=True,
        help="Deliveries with the same key are sent one after the other if the "
        "endpoint's ordering is per key.",
    )
    supersede = fields.Boolean(
        readonly=True,
        copy=False,  # a copy of an old delivery must not cancel newer ones
        help="Cancels deliveries with the same key that were not attempted yet.",
    )
    res_model = fields.Char(string="Record Model", readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", readonly=True
    )

    # Marks of the lane
    job_uuid = fields.Char(
        string="Job UUID",
        readonly=True,
        copy=False,
        help="The job that is processing it.",
    )
    lane_slot = fields.Integer(readonly=True, copy=False, aggregator=False)
    queue_number = fields.Integer(
        readonly=True,
        copy=False,
        aggregator=False,
        help="Assigned when queueing: the position in the queue.",
    )
    ordering_group = fields.Char(
        readonly=True,
        copy=False,
        help="Ordering group: empty without ordering, * for the whole endpoint.",
    )
    interruption_count = fields.Integer(
        readonly=True,
        copy=False,
        default=0,
        aggregator=False,
        help="Consecutive attempts that were interrupted, for example by a killed "
        "worker.",
    )

    build_tries = fields.Integer(
        string="Interrupted Builds",
        readonly=True,
        copy=False,
        aggregator=False,
        help="Consecutive builds during which the worker ended. Counted only after "
        "a worker was killed, to find a handler that kills it.",
    )

    # `state` is in WHERE, never in the key: ended rows are not in the index.
    _due = models.Index(
        "(endpoint_id, next_attempt_at, queue_number) "
        "WHERE state IN ('queued', 'error') AND next_attempt_at IS NOT NULL"
    )
    _in_flight = models.Index("(endpoint_id, lane_slot) WHERE state = 'processing'")
    _line = models.Index(
        "(endpoint_id, ordering_group, queue_number) "
        "WHERE ordering_group IS NOT NULL "
        "AND state IN ('queued', 'processing', 'error')"
    )
    _superseding = models.Index(
        "(endpoint_id, ordering_key, queue_number) WHERE supersede"
    )
    _about = models.Index("(res_model, res_id) WHERE res_id IS NOT NULL")
    _ended = models.Index(
        "(endpoint_id, processed_at) WHERE state IN ('done', 'canceled')"
    )
    # What users filter for; most deliveries are never in it.
    _failed = models.Index("(endpoint_id) WHERE state IN ('error', 'dead_letter')")

    def init(self):
        self.env.cr.execute(
            "CREATE SEQUENCE IF NOT EXISTS bwt_webhook_outbound_queue_number AS integer"
        )
        # Each delivery is updated three times in its first second and then never
        # again: vacuum after a fixed number of rows, not a fraction of the history.
        self.env.cr.execute(
            """ALTER TABLE bwt_webhook_outbound_delivery SET (
                fillfactor = 80,
                autovacuum_vacuum_scale_factor = 0.0,
                autovacuum_vacuum_threshold = 10000,
                autovacuum_analyze_scale_factor = 0.02
            )"""
        )

    @api.depends("queued_at", "processed_at", "create_date")
    def _compute_durations(self):
        for delivery in self:
            end = delivery.processed_at
            delivery.queue_to_done_seconds = _seconds(delivery.queued_at, end)
            delivery.end_to_end_seconds = _seconds(delivery.create_date, end)

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        check_relations(self, ("endpoint_id",), values)
        return values

    def onchange(self, values, field_names, fields_spec):
        check_relations(self, ("endpoint_id",), values)
        return super().onchange(values, field_names, fields_spec)

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            self.browse().check_access("create")
            vals_list = [checked_to_create(self, vals) for vals in vals_list]
        endpoints = self.env["bwt.webhook.outbound.endpoint"]
        now = fields.Datetime.to_string(fields.Datetime.now())
        named = []
        for vals in vals_list:
            check_ordering_key(
                endpoints.browse(vals.get("endpoint_id")) or self,
                vals.get("ordering_key"),
            )
            if not vals.get("name"):
                known = self.default_get(["name", "endpoint_id"]) | vals
                if known.get("endpoint_id") and not known.get("name"):
                    endpoint = endpoints.browse(known["endpoint_id"])
                    vals = vals | {"name": f"{endpoint.display_name} / {now}"}
            named.append(vals)
        return super().create(named)

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            check_to_write(self, vals)
        return super().write(vals)

    @api.constrains("ordering_key")
    def _check_ordering_key(self):
        for delivery in self:
            check_ordering_key(delivery, delivery.ordering_key)

    def unlink(self):
        in_line = self.filtered(lambda each: each.state in UNFINISHED)
        endpoints = in_line.endpoint_id.sudo()
        result = super().unlink()
        endpoints._wake_next_in_group()
        return result

    def _refused(self, text):
        """The error that names this delivery; `text` has the reason and what to do."""
        return refused(self, text)


def _seconds(start, end) -> float:
    return max((end - start).total_seconds(), 0.0) if start and end else 0.0
