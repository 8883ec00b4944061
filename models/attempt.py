# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json

from odoo import api, fields, models

from ..services.errors import ServiceError
from ..services.http.encoding import encode
from ..services.request import OutboundRequest
from ..services.snippets import as_curl
from ..services.transport import build_transport_kwargs, flatten_form_data
from ..services.values import indented
from .const import BODY_MODES, FAILURE_REASONS, HTTP_METHODS
from .fields import CopiedRelation, SharedText, store_beside_rows

SHOWN = {
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
        string="Payload (formatted)", compute="_compute_pretty"
    )
    response_headers_pretty = fields.Text(
        string="Response Headers (formatted)", compute="_compute_pretty"
    )
    response_body_pretty = fields.Text(
        string="Response Body (formatted)", compute="_compute_pretty"
    )

    @api.depends(*SHOWN.values())
    def _compute_pretty(self):
        for record in self:
            for shown, stored in SHOWN.items():
                record[shown] = indented(record[stored])


ATTEMPT_STATES = [
    ("processing", "Processing"),
    ("done", "Succeeded"),
    ("error", "Failed"),
    ("retry", "Retry Requested"),
    ("dead_letter", "Failed Permanently"),
    ("canceled", "Canceled"),
    ("interrupted", "Interrupted"),
]


class BwtWebhookOutboundDeliveryAttempt(models.Model):
    """One HTTP request made, refused or interrupted. Append-only.

    The lane writes these rows by SQL (``lane/sql.py``), before and after the request.
    """

    # Content isn't prefetched: it is read for the attempt that a user opens. What the
    # delivery stores, too, is stored there alone (`SharedText`).

    _name = "bwt.webhook.outbound.delivery.attempt"
    _description = "Outbound Webhook Delivery Attempt"
    _inherit = "bwt.webhook.outbound.exchange.display"
    _order = "attempt_number desc, id desc"
    _check_company_auto = True
    _log_access = False  # written by the lane, including the time

    name = fields.Char(required=True, readonly=True)
    delivery_id = fields.Many2one(
        comodel_name="bwt.webhook.outbound.delivery",
        required=True,
        ondelete="cascade",
        readonly=True,
    )
    endpoint_id = CopiedRelation(
        related="delivery_id.endpoint_id", store=True, readonly=True
    )
    company_id = CopiedRelation(
        related="delivery_id.company_id", store=True, readonly=True
    )
    attempt_number = fields.Integer(required=True, readonly=True, aggregator=False)
    started_at = fields.Datetime(default=fields.Datetime.now, readonly=True)
    finished_at = fields.Datetime(
        readonly=True, help="Empty while the request is in flight."
    )
    duration_ms = fields.Integer(
        string="Duration (ms)",
        readonly=True,
        aggregator="avg",
        help="From the start of the request to the end of the response.",
    )
    state = fields.Selection(
        selection=ATTEMPT_STATES,
        default="processing",
        required=True,
        readonly=True,
        help="Failed: the delivery says whether a retry follows. Failed Permanently: "
        "the delivery was dead-lettered. Retry Requested: by a handler. Interrupted: "
        "the worker stopped during the attempt.",
    )
    failure_reason = fields.Selection(selection=FAILURE_REASONS, readonly=True)
    http_method = fields.Selection(
        string="HTTP Method", selection=HTTP_METHODS, required=True, readonly=True
    )
    request_body_mode = fields.Selection(
        string="Request Body", selection=BODY_MODES, required=True, readonly=True
    )
    target_url = fields.Char(string="Target URL", required=True, readonly=True)
    request_headers_json = fields.Text(
        string="Headers",
        required=True,
        readonly=True,
        prefetch=False,
        help="As sent; secrets masked.",
    )
    payload_json = SharedText(
        string="Payload",
        readonly=True,
        prefetch=False,
        help="As sent; secrets masked.",
    )
    # Not readable: a short secret that is masked in the body could be found with it.
    body_hash = fields.Char(
        string="SHA-256 of the Body",
        readonly=True,
        groups=fields.NO_ACCESS,
        help="Of the bytes that were sent. Empty if nothing was sent, or no body.",
    )
    config_version = fields.Integer(
        string="Configuration Version",
        readonly=True,
        aggregator=False,
        help="That of the endpoint when the request was built.",
    )
    subject = fields.Char(
        readonly=True,
        groups=fields.NO_ACCESS,
        help="Model and ID of the record, if requests about it are compared.",
    )
    request_hash = fields.Char(
        string="SHA-256 of the Request",
        readonly=True,
        groups=fields.NO_ACCESS,
        help="Of method, URL, body and headers, with which the next request about the "
        "record is compared.",
    )
    multipart_file_keys = fields.Char(
        string="Files", readonly=True, help="Form fields that contained a file."
    )
    response_status_code = fields.Integer(
        string="HTTP Status", readonly=True, aggregator=False
    )
    response_headers_json = SharedText(
        string="Response Headers",
        readonly=True,
        prefetch=False,
        shared_if="response_status_code",
    )
    response_body = SharedText(
        readonly=True,
        prefetch=False,
        shared_if="response_status_code",
        help="The first 64 KiB of the response body. A truncated body is marked.",
    )
    processing_note = fields.Text(string="Note", readonly=True)
    processing_error = fields.Text(string="Error", readonly=True)
    job_uuid = fields.Char(string="Job UUID", readonly=True)
    curl_command = fields.Text(
        string="cURL",
        compute="_compute_curl_command",
        help="This request as a command for a terminal; secrets are masked.",
    )
    hook_try = fields.Integer(
        string="Response Hook Call",
        readonly=True,
        aggregator=False,
        help="Set while a call of the response hook is pending: the number of that "
        "call.",
    )

    content_message = fields.Char(
        related="delivery_id.content_message", string="Content"
    )
    payload_size = fields.Integer(
        string="Size of the Deleted Payload",
        readonly=True,
        aggregator=False,
        help="Bytes of the payload before it was deleted.",
    )
    response_size = fields.Integer(
        string="Size of the Deleted Response Body",
        readonly=True,
        aggregator=False,
        help="Bytes of the stored response body before it was deleted.",
    )
    hook_values = fields.Text(
        string="Response Values to Store",
        readonly=True,
        groups=fields.NO_ACCESS,
        copy=False,
        exportable=False,
        prefetch=False,
        help="Values of the response that are yet to be stored.",
    )

    _number_unique = models.UniqueIndex("(delivery_id, attempt_number)")
    _by_endpoint = models.Index("(endpoint_id, started_at)")
    _compared = models.Index("(endpoint_id, subject, id) WHERE subject IS NOT NULL")
    _hook_due = models.Index("(endpoint_id) WHERE hook_try IS NOT NULL")

    def init(self):
        self.env.cr.execute(
            """ALTER TABLE bwt_webhook_outbound_delivery_attempt SET (
                fillfactor = 80,
                autovacuum_vacuum_scale_factor = 0.0,
                autovacuum_vacuum_threshold = 10000,
                autovacuum_analyze_scale_factor = 0.02
            )"""
        )
        store_beside_rows(self, "payload_json", "response_body")
        # A column added by an update has no statistics: the planner would assume that
        # all rows have a value, and each lane would read the whole history.
        self.env.cr.execute(
            "ANALYZE bwt_webhook_outbound_delivery_attempt (hook_try, subject)"
        )

    @api.depends("http_method", "target_url", "request_headers_json", "payload_json")
    def _compute_curl_command(self):
        for attempt in self:
            if message := attempt.content_message:
                attempt.curl_command = f"# {message}"  # a comment, pasted by mistake
            else:
                attempt.curl_command = attempt.target_url and _curl_of(attempt)


def _curl_of(attempt):
    """The command; its body is rebuilt from what the attempt stores."""
    headers = json.loads(attempt.request_headers_json or "{}")
    mode, body = attempt.request_body_mode, attempt.payload_json
    form, files = None, ()
    if mode == "form_urlencoded":
        body = _form_body(_loaded(body))
    elif mode == "multipart":
        form, body = flatten_form_data(_loaded(body)), None
        files = (attempt.multipart_file_keys or "").split(", ")
        headers.pop("Content-Type", None)  # contains another boundary
    return as_curl(
        attempt.http_method, attempt.target_url, headers, body, form=form, files=files
    )


def _form_body(payload):
    request = OutboundRequest("https://x/", "post", "form_urlencoded", {}, payload)
    try:
        return encode(build_transport_kwargs(request)).body
    except ServiceError:
        return None


def _loaded(text):
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}
