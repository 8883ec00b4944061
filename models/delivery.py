# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import logging

from odoo import Command, api, fields, models
from odoo.tools import SQL

from ..lane import sql
from ..lane.clock import utcnow
from . import content_retention
from .const import (
    DELIVERY_STATES,
    ENDPOINT,
    EXTERNAL_REF,
    FAILURE_REASONS,
    FORGET,
    GROUP_ADMIN,
    HTTP_METHODS,
    ORIGINS,
    RUN,
    UNFINISHED,
)
from .delivery_access import check_relations, check_to_write, checked_to_create
from .delivery_failures import reason_label, reason_of, reason_sql
from .delivery_record import (
    age_domain,
    message_domain,
    reasons_domain,
    record_domain,
    record_labels,
)
from .delivery_status_message import DeliveryStatusMessage, relative_time
from .delivery_transitions import TAKEN
from .endpoint_summary import token_keys
from .errors import refused
from .fields import CopiedRelation, store_beside_rows
from .queue_request import (
    check_ordering_key,
    check_texts,
    default_name,
    new_message_uid,
)

_logger = logging.getLogger(__name__)

RETENTION_BATCH = 1000
CONTENT_BATCH = 500  # deliveries whose content is deleted in one transaction
# Written by a user, these replace what a server action would build.
CONTENT = {"payload_json", "endpoint_id", "res_model", "res_id"}
# And these are what a retry doesn't repeat.
EDITED = CONTENT | {"request_headers_json"}


class BwtWebhookOutboundDelivery(models.Model):
    """One delivery: what was requested, its state, its result."""

    _name = "bwt.webhook.outbound.delivery"
    _description = "Outbound Webhook Delivery"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
        "bwt.webhook.outbound.delivery.transitions",
        "bwt.webhook.outbound.delivery.request",
        "bwt.webhook.outbound.exchange.display",
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
        string="Queue to Done (s)",
        compute="_compute_durations",
        store=True,
        aggregator="avg",
    )
    end_to_end_seconds = fields.Float(
        string="End to End (s)",
        compute="_compute_durations",
        store=True,
        aggregator="avg",
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
    skip_if_unchanged = fields.Boolean(
        string="Skip if Nothing Changed",
        readonly=True,
        copy=False,  # a replay is sent
        help="Canceled if the receiver got the same request as the last one about the "
        "record.",
    )
    settle_started_at = fields.Datetime(
        string="First Change",
        readonly=True,
        copy=False,
        help="When the first change was queued of those that it waits for. It is sent "
        "once its record hasn't changed for the settle window.",
    )
    res_model = fields.Char(string="Record Model", readonly=True)
    res_id = fields.Many2oneReference(
        string="Record ID", model_field="res_model", readonly=True
    )
    record_name = fields.Char(
        string="Record",
        compute="_compute_record",
        search="_search_record_name",
        help="The record that it is about. Without access to that record: its model "
        "and ID.",
    )
    record_opens = fields.Boolean(
        string="Record Can Be Opened", compute="_compute_record"
    )

    # Queued by a server action
    server_action_id = fields.Many2one(
        comodel_name="ir.actions.server",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="The server action that queued it.",
    )
    origin = fields.Selection(
        selection=ORIGINS,
        default="live",
        readonly=True,
        copy=False,
        help="Why it was queued. Live: something happened. Replayed: a copy of an "
        "earlier delivery. Test: Send Test. Backfill, Reconciliation: a run over "
        "existing records.",
    )
    needs_build = fields.Boolean(
        string="Not Built",
        readonly=True,
        copy=False,
        help="The server action could not build the payload. Queue builds it again, "
        "from the record as it is then.",
    )

    record_values_json = fields.Text(
        string="Values of the Record",
        readonly=True,
        prefetch=False,
        copy=False,
        groups=fields.NO_ACCESS,
        help="Values that can't be read from the record later: those before the "
        "change, for a server action that sends what changed, and those of a deleted "
        "record that rules of the endpoint read.",
    )

    # Shown on screens
    status_message = fields.Text(
        compute="_compute_status_message",
        help="What happened and what to do next.",
    )
    needs_correction = fields.Boolean(
        compute="_compute_needs_correction",
        help="It fails again without a correction: press Reset to Draft before Queue.",
    )
    has_late_note = fields.Boolean(
        string="Response Hook Failed",
        compute="_compute_has_late_note",
        help="Set when a response hook failed after the response was recorded.",
    )
    detailed_reason = fields.Char(
        string="Reason",
        compute="_compute_detailed_reason",
        search="_search_detailed_reason",
        help="Why it failed, with the HTTP status of a response.",
    )
    failure_message = fields.Char(
        string="Message",
        compute="_compute_failure_message",
        help="What failed, in one line.",
    )
    next_attempt_summary = fields.Char(
        string="Next Attempt In",
        compute="_compute_next_attempt_summary",
        help="Time until the next attempt.",
    )
    age_text = fields.Char(
        string="Age", compute="_compute_age_text", help="Time since it was created."
    )
    age_days = fields.Float(
        string="Age (Days)",
        compute="_compute_age_days",
        search="_search_age_days",
        help="Days since it was created.",
    )
    message_ref = fields.Char(
        string="Message ID (Search)",
        compute="_compute_message_ref",
        search="_search_message_ref",
        help="The message ID; a search by it finds the delivery without reading all.",
    )
    is_scheduled = fields.Boolean(
        compute="_compute_is_scheduled",
        help="It is queued, and its due date is yet to come.",
    )
    shown_url = fields.Char(
        string="URL",
        compute="_compute_shown_url",
        help="URL of the last attempt. Before the first attempt: the endpoint's URL.",
    )
    shown_method = fields.Selection(
        HTTP_METHODS,
        string="Method",
        compute="_compute_shown_url",
        help="Method of the last attempt. Before the first attempt: the endpoint's "
        "method.",
    )
    file_ids = fields.Many2many(
        comodel_name="ir.attachment",
        string="Files",
        compute="_compute_file_ids",
        help="Files that are sent with it. Files of messages are not.",
    )
    curl_command = fields.Text(
        string="cURL",
        compute="_compute_curl_command",
        help="The last request as a command for a terminal; secrets are masked.",
    )

    external_ref_id = fields.Many2one(
        comodel_name=EXTERNAL_REF,
        string="External Reference",
        compute="_compute_external_ref_id",
        help="The ID that the receiver has given to the record.",
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

    edited_at_attempt = fields.Integer(
        string="Attempts Before the Last Edit",
        readonly=True,
        copy=False,
        aggregator=False,
        help="A retry repeats the body of the attempt before. It doesn't repeat that "
        "of these attempts: the content was edited since.",
    )
    build_tries = fields.Integer(
        string="Interrupted Builds",
        readonly=True,
        copy=False,
        aggregator=False,
        help="Consecutive builds during which the worker ended. Counted only after "
        "a worker was killed, to find a handler that kills it.",
    )

    replay_run_id = fields.Many2one(
        comodel_name=RUN,
        string="Replayed by Run",
        compute="_compute_replay_run_id",
        search="_search_replay_run_id",
        help="The last run over past deliveries that has queued it.",
    )
    content_deleted_at = fields.Datetime(
        readonly=True,
        copy=False,
        help="When payload, headers, bodies, context lines, files and messages were "
        "deleted. Dates, status, sizes, message ID and record are kept.",
    )
    content_deletion = fields.Selection(
        selection=content_retention.REASONS,
        string="Content Deleted By",
        readonly=True,
        copy=False,
        help="Content Retention: of the endpoint. Contact Forgotten: an administrator "
        "had the data of a contact deleted.",
    )
    content_message = fields.Char(
        string="Content",
        compute="_compute_content_message",
        help="When and why the content was deleted. Empty if it is stored.",
    )
    forget_ids = fields.Many2many(
        comodel_name=FORGET,
        relation="bwt_webhook_outbound_forget_delivery",
        column1="delivery_id",
        column2="forget_id",
        string="Found for Contacts",
        readonly=True,
        copy=False,
        groups=GROUP_ADMIN,
        help="It was found when data of a contact was to be deleted.",
    )
    payload_size = fields.Integer(
        string="Size of the Deleted Payload",
        readonly=True,
        copy=False,
        aggregator=False,
        help="Bytes of the payload before it was deleted.",
    )
    # Not readable: a value that has few possible contents could be found with it.
    payload_hash = fields.Char(
        string="SHA-256 of the Deleted Payload",
        readonly=True,
        copy=False,
        groups=fields.NO_ACCESS,
        help="With which reconciliations compare what was delivered.",
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
        "(endpoint_id, processed_at) "
        "WHERE state IN ('done', 'canceled') AND content_deleted_at IS NULL"
    )
    _failed_ended = models.Index(
        "(endpoint_id, (COALESCE(processed_at, write_date))) "
        "WHERE state IN ('error', 'dead_letter') AND next_attempt_at IS NULL "
        "AND content_deleted_at IS NULL"
    )
    _emptied = models.Index(
        "(endpoint_id, state, processed_at) WHERE content_deleted_at IS NOT NULL"
    )
    # What users filter for, the newest first; most deliveries are never in it. With the
    # columns that groups by endpoint and reason read, and the rule of companies: they
    # are counted without reading a page of the table per failure.
    _failed = models.Index(
        "(endpoint_id, id) INCLUDE (company_id, state, next_attempt_at, "
        "failure_reason, response_status_code) "
        "WHERE state IN ('error', 'dead_letter')"
    )

    def init(self):
        self.env.cr.execute(
            "CREATE SEQUENCE IF NOT EXISTS bwt_webhook_outbound_queue_number AS integer"
        )
        # The ORM writes it; this is for rows that other code inserts.
        self.env.cr.execute(
            "ALTER TABLE bwt_webhook_outbound_delivery "
            "ALTER COLUMN origin SET DEFAULT 'live'"
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
        store_beside_rows(self, "payload_json", "response_body")

    @api.depends("queued_at", "processed_at", "create_date")
    def _compute_durations(self):
        for delivery in self:
            end = delivery.processed_at
            delivery.queue_to_done_seconds = _seconds(delivery.queued_at, end)
            delivery.end_to_end_seconds = _seconds(delivery.create_date, end)

    @api.depends(
        "state",
        "next_attempt_at",
        "processing_error",
        "processing_note",
        "endpoint_id",
        "context_line_ids.active",
        "context_line_ids.key_name",
        "context_line_ids.source_kind",
        "context_line_ids.literal_value",
    )
    @api.depends_context("lang", "tz")
    def _compute_status_message(self):
        for delivery in self:
            delivery.status_message = DeliveryStatusMessage(delivery).text()

    @api.depends("state", "next_attempt_at", "failure_reason", "processing_error")
    def _compute_needs_correction(self):
        for delivery in self:
            message = DeliveryStatusMessage(delivery)
            delivery.needs_correction = message.needs_correction()

    @api.depends("processing_note", "attempt_ids.processing_note")
    def _compute_has_late_note(self):
        for delivery in self:
            message = DeliveryStatusMessage(delivery)
            delivery.has_late_note = bool(message.late_note())

    @api.depends("state", "next_attempt_at")
    def _compute_is_scheduled(self):
        now = utcnow()
        for delivery in self:
            due = delivery.state == "queued" and delivery.next_attempt_at
            delivery.is_scheduled = bool(due and due > now)

    @api.depends("state", "next_attempt_at")
    @api.depends_context("lang", "tz")
    def _compute_next_attempt_summary(self):
        for delivery in self:
            message = DeliveryStatusMessage(delivery)
            delivery.next_attempt_summary = message.next_attempt()

    @api.depends("endpoint_id", "res_model", "res_id")
    def _compute_external_ref_id(self):
        refs = self.env[EXTERNAL_REF].search(
            [
                ("reference_scope", "in", self.endpoint_id.mapped("reference_scope")),
                ("res_id", "in", [each.res_id for each in self if each.res_id]),
            ]
        )
        found = {(ref.reference_scope, ref.res_model, ref.res_id): ref for ref in refs}
        for delivery in self:
            scope = delivery.endpoint_id.reference_scope
            key = (scope, delivery.res_model, delivery.res_id)
            delivery.external_ref_id = found.get(key)

    @api.depends("create_date")
    @api.depends_context("lang")
    def _compute_age_text(self):
        for delivery in self:
            made = delivery.create_date
            delivery.age_text = made and relative_time(self.env, made)

    @api.depends("create_date")
    def _compute_age_days(self):
        now = utcnow()
        for delivery in self:
            delivery.age_days = _seconds(delivery.create_date, now) / 86400

    def _search_age_days(self, operator, value):
        return age_domain(self, operator, value)

    def _compute_replay_run_id(self):
        listed = self.env[f"{RUN}.delivery"].sudo()
        rows = listed._read_group(
            [("queued_id", "in", self.ids)], ["queued_id"], ["run_id:max"]
        )
        runs = dict(rows)
        for delivery in self:
            delivery.replay_run_id = runs.get(delivery.id)

    def _search_replay_run_id(self, operator, value):
        if operator != "in":
            return NotImplemented
        listed = self.env[f"{RUN}.delivery"].sudo()
        found = listed._search(
            [("run_id", "in", list(value)), ("queued_id", "!=", False)]
        )
        return [("id", "in", found.subselect("queued_id"))]

    @api.depends("message_uid")
    def _compute_message_ref(self):
        for delivery in self:
            delivery.message_ref = delivery.message_uid

    def _search_message_ref(self, operator, value):
        return message_domain(self, operator, value)

    # The name of a record depends on who reads it.
    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "lang", "allowed_company_ids")
    def _compute_record(self):
        subjects = {
            each: (each.res_model, each.res_id)
            for each in self
            if each.res_model and each.res_id
        }
        labels = record_labels(self.env, set(subjects.values()))
        for delivery in self:
            label = labels.get(subjects.get(delivery))
            delivery.record_name = label and label.text
            delivery.record_opens = bool(label and label.opens)

    def _search_record_name(self, operator, value):
        return record_domain(self, operator, value)

    @api.depends("state", "failure_reason", "response_status_code", "processing_error")
    @api.depends_context("lang")
    def _compute_detailed_reason(self):
        for delivery in self:
            reason = reason_of(delivery)
            delivery.detailed_reason = reason and reason_label(self.env, reason)

    def _search_detailed_reason(self, operator, value):
        return reasons_domain(self.env, operator, value)

    @api.model
    @api.private
    def search_fetch(self, domain, field_names=None, offset=0, limit=None, order=None):
        """One page of a list: first the ids, then its columns.

        An index that has all that the domain and the order read finds the ids alone.
        With the columns PostgreSQL reads each match of the domain from the table.
        """
        if not limit or not field_names:
            return super().search_fetch(domain, field_names, offset, limit, order)
        found = super().search_fetch(domain, [], offset, limit, order)
        found.fetch(field_names)
        return found

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr == "detailed_reason":
            return reason_sql(self, alias, query)
        return super()._field_to_sql(alias, field_expr, query)

    def _web_read_group_groupby_formatter(self, groupby_spec, values):
        if groupby_spec != "detailed_reason":
            return super()._web_read_group_groupby_formatter(groupby_spec, values)
        return lambda reason: (
            reason and reason_label(self.env, reason),
            [("detailed_reason", "=", reason or False)],
        )

    @api.depends("state", "failure_reason", "processing_error", "processing_note")
    @api.depends_context("lang")
    def _compute_failure_message(self):
        for delivery in self:
            message = DeliveryStatusMessage(delivery).failure()
            delivery.failure_message = message and " ".join(message.split())

    @api.depends(
        *("state", "attempt_ids.target_url", "attempt_ids.http_method"),
        *("target_url", "http_method"),
    )
    def _compute_shown_url(self):
        for delivery in self:
            attempt = delivery.state != "draft" and delivery.attempt_ids[:1]
            shown = attempt or delivery
            delivery.shown_url = shown.target_url
            delivery.shown_method = shown.http_method

    def _compute_file_ids(self):
        found = self.env["ir.attachment"].search(
            [("res_model", "=", self._name), ("res_id", "in", self.ids)], order="id"
        )
        # With sudo: only operators may read the part.
        sent = found.filtered(lambda each: each.sudo().bwt_webhook_part)
        by_delivery = sent.grouped("res_id")
        for delivery in self:
            delivery.file_ids = by_delivery.get(delivery._origin.id, found.browse())

    @api.depends("content_deleted_at", "content_deletion", "processed_at")
    @api.depends_context("lang", "tz")
    def _compute_content_message(self):
        for delivery in self:
            message = DeliveryStatusMessage(delivery).content_deleted()
            delivery.content_message = message

    @api.depends("attempt_ids")
    def _compute_curl_command(self):
        for delivery in self:
            # Not prefetched: the others' content isn't shown.
            attempt = delivery.attempt_ids[:1].with_prefetch()
            delivery.curl_command = attempt.curl_command

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        check_relations(self, ("endpoint_id",), values)
        return values

    def onchange(self, values, field_names, fields_spec):
        check_relations(self, ("endpoint_id",), values)
        return super().onchange(values, field_names, fields_spec)

    @api.onchange("endpoint_id")
    def _onchange_endpoint(self):
        """Add a line for each {token} of the endpoint that has none yet."""
        known = set(self.context_line_ids.mapped("key_name"))
        self.context_line_ids = [
            Command.create({"key_name": key})
            for key in token_keys(self.endpoint_id.sudo())
            if key not in known
        ]

    @api.constrains("request_headers_json", "payload_json")
    def _check_json(self):
        for delivery in self:
            check_texts(delivery)

    @api.constrains("ordering_key")
    def _check_ordering_key(self):
        for delivery in self:
            check_ordering_key(delivery, delivery.ordering_key)

    def _model_of_records(self):
        """The model of the record that the delivery is about, if it is known."""
        return self.res_model or self.endpoint_id._model_of_records()

    @api.model_create_multi
    def create(self, vals_list):
        """In this order: what a user may set, ordering keys, names, the rows."""
        if not self.env.su:
            self.browse().check_access("create")
            vals_list = [checked_to_create(self, vals) for vals in vals_list]
        endpoints = self.env[ENDPOINT]
        for vals in vals_list:
            # Not by a constraint alone: PostgreSQL would refuse the INSERT before it.
            check_ordering_key(
                endpoints.browse(vals.get("endpoint_id")) or self,
                vals.get("ordering_key"),
            )
        return super().create([self._with_name(vals) for vals in vals_list])

    def _with_name(self, vals):
        if vals.get("name"):
            return vals
        known = self.default_get(["name", "endpoint_id"]) | vals
        if known.get("name") or not known.get("endpoint_id"):
            return vals
        endpoint = self.env[ENDPOINT].browse(known["endpoint_id"])
        return vals | {"name": default_name(endpoint, utcnow())}

    def write(self, vals):
        """In this order: what a user may set, what it means for a build, the rows."""
        if not self.env.su:
            self.check_access("write")
            check_to_write(self, vals)
        # Content that is written by hand is not built again by the server action.
        if CONTENT & vals.keys() and "needs_build" not in vals:
            vals = vals | {"needs_build": False}
        if EDITED & vals.keys():
            self._note_edit()
        self._complete_attempts(vals)
        return super().write(vals)

    def _complete_attempts(self, names):
        """Store with the attempts what they show of columns that are about to change.

        :param names: of the columns that are written
        """
        shared = [name for name in sql.SHARED if name in names]
        ids = shared and [each.id for each in self.sudo() if each.attempt_count]
        if ids:
            self.env.cr.execute(sql.complete_attempts(ids, shared))

    def _note_edit(self):
        """The next attempt doesn't repeat what was sent before this edit."""
        for delivery in self.sudo():
            if delivery.attempt_count:
                delivery.edited_at_attempt = delivery.attempt_count

    def unlink(self):
        in_line = self.filtered(lambda each: each.state in UNFINISHED)
        endpoints = in_line.endpoint_id.sudo()
        result = super().unlink()
        endpoints._wake_next_in_group()
        return result

    @api.autovacuum
    def _gc_ended_deliveries(self):
        """Delete deliveries past the retention of their endpoint, one batch.

        Done and canceled ones after `retention_days`; dead letters, and errors that
        need attention, after `failed_retention_days`.
        Attempts, context lines, files and messages are deleted with them.
        :return: how many were deleted and whether more are left: the vacuum commits
            and calls again for those
        """
        try:
            with self.env.cr.savepoint():
                found = self._lock_expired(RETENTION_BATCH)
                self.browse(found).unlink()
        except TAKEN:  # one of them is in use: retry with a new transaction
            self.env.invalidate_all(flush=False)
            return 0, 1
        if found:
            _logger.info("retention deleted=%s", len(found))
        return len(found), int(len(found) == RETENTION_BATCH)

    @api.model
    def _lock_expired(self, limit):
        """Ids of up to `limit` deliveries past their retention, oldest first."""
        self.env.cr.execute(expired(utcnow(), limit))
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

    @api.autovacuum
    def _gc_content(self):
        """Delete the content of what ended more than `content_days` ago, one batch.

        :return: as `_gc_ended_deliveries`
        """
        deliveries = self.sudo()
        try:
            with self.env.cr.savepoint():
                self.env.flush_all()
                self.env.cr.execute(content_retention.expired(utcnow(), CONTENT_BATCH))
                ids = [row[0] for row in self.env.cr.fetchall()]
                found = content_retention.delete_content(
                    deliveries.env, ids, "retention", utcnow()
                )
        except TAKEN:  # one of them is in use: retry with a new transaction
            self.env.invalidate_all(flush=False)
            return 0, 1
        if found:
            _logger.info("content retention emptied=%s", len(found))
        return len(found), int(len(found) == CONTENT_BATCH)

    def _refused(self, text):
        """The error that names this delivery; `text` has the reason and what to do."""
        return refused(self, text)


def expired(now, limit: int) -> SQL:
    """Ids of deliveries past the retention of their endpoint, oldest first."""
    # By endpoint, so that each reads its own ranges of the partial indexes: those of
    # deliveries with content, and that of deliveries whose content was deleted.
    return SQL(
        """SELECT d.id FROM bwt_webhook_outbound_endpoint e CROSS JOIN LATERAL (
            (SELECT id FROM bwt_webhook_outbound_delivery
            WHERE e.retention_days > 0 AND endpoint_id = e.id
            AND state IN ('done', 'canceled') AND content_deleted_at IS NULL
            AND processed_at < %(now)s - e.retention_days * interval '1 day'
            ORDER BY processed_at LIMIT %(limit)s)
            UNION ALL
            (SELECT id FROM bwt_webhook_outbound_delivery
            WHERE e.failed_retention_days > 0 AND endpoint_id = e.id
            AND state IN ('error', 'dead_letter') AND next_attempt_at IS NULL
            AND content_deleted_at IS NULL AND COALESCE(processed_at, write_date)
                < %(now)s - e.failed_retention_days * interval '1 day'
            ORDER BY COALESCE(processed_at, write_date) LIMIT %(limit)s)
            UNION ALL
            (SELECT o.id FROM (VALUES
                ('done', e.retention_days), ('canceled', e.retention_days),
                ('dead_letter', e.failed_retention_days)
            ) kept (state, days) CROSS JOIN LATERAL (
                SELECT id FROM bwt_webhook_outbound_delivery
                WHERE endpoint_id = e.id AND state = kept.state
                AND content_deleted_at IS NOT NULL
                AND processed_at < %(now)s - kept.days * interval '1 day'
                ORDER BY processed_at LIMIT %(limit)s
            ) o WHERE kept.days > 0 LIMIT %(limit)s)
        ) d LIMIT %(limit)s""",
        now=now,
        limit=limit,
    )


def _seconds(start, end) -> float:
    return max((end - start).total_seconds(), 0.0) if start and end else 0.0
