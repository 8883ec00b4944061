# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Selections and model names that several models share."""

DELIVERY = "bwt.webhook.outbound.delivery"
ENDPOINT = "bwt.webhook.outbound.endpoint"
CONTEXT_LINE = "bwt.webhook.outbound.delivery.context_line"
ATTEMPT = "bwt.webhook.outbound.delivery.attempt"
HANDLER = "bwt.webhook.handler"
HANDLER_RULE = "bwt.webhook.outbound.handler.rule"
CONNECTOR_MIXIN = "bwt.connector.webhook.outbound.mixin"
ANSWER_RULE = "bwt.webhook.outbound.endpoint.answer.rule"
ANSWER_VALUE = "bwt.webhook.outbound.endpoint.answer.value"
EXTERNAL_REF = "bwt.webhook.outbound.external.ref"
RUN = "bwt.webhook.outbound.run"
RECONCILIATION = "bwt.webhook.outbound.reconciliation"
FORGET = "bwt.webhook.outbound.forget"
DRY_RUN = "bwt.webhook.outbound.dry.run"
ACTION_STATE = "bwt_webhook_outbound"  # of server actions that queue deliveries
PACE = 600  # records a minute that a run queues by default

# Context key of writes that store what a response said: the id of the endpoint. Rules
# that queue deliveries can tell these changes from those of users.
ECHO = "bwt_webhook_echo_endpoint_id"

GROUP_OPERATOR = "bwt_webhooks_outbound.group_webhooks_operator"
GROUP_ADMIN = "bwt_webhooks_outbound.group_webhooks_admin"

CONTEXT_SOURCE_KINDS = [
    ("literal", "Literal"),
    ("delivery_field", "Delivery Field"),
    ("endpoint_field", "Endpoint Field"),
    ("company_field", "Company Field"),
    ("partner_field", "Partner Field"),
    ("record_field", "Record Field"),
]

SOURCE_KINDS = CONTEXT_SOURCE_KINDS + [
    ("context_key", "Context Key"),
    ("request_field", "Request Field"),
]

# Of payload rules only: the records of a relation, some of them if there are many.
LIST_KIND = ("list", "List of Records")

# The record at which a field path starts; a `record_field` starts at the record of the
# delivery, whose model is known only at run time.
SOURCE_MODELS = {
    "delivery_field": DELIVERY,
    "endpoint_field": ENDPOINT,
    "company_field": "res.company",
    "partner_field": "res.partner",
}

# Of server actions only: the value that a field had before the change.
OLD_FIELD = "old_field"
OLD_FIELD_KIND = (OLD_FIELD, "Old Value of a Field")

# Sources that read the record of a delivery.
RECORD_KINDS = frozenset({"record_field", "partner_field", "list"})

OPERATORS = [
    ("equals", "Equals"),
    ("not_equals", "Not Equals"),
    ("is_set", "Is Set"),
    ("not_set", "Not Set"),
    ("contains", "Contains"),
    ("in", "In"),
    ("not_in", "Not In"),
    ("greater", "Greater Than"),
    ("less", "Less Than"),
    ("starts_with", "Starts With"),
    ("matches", "Matches (Regular Expression)"),
]

TARGET_SCOPES = [
    ("request", "Request"),
    ("header", "Header"),
    ("payload", "Payload"),
]

REQUEST_KEYS = (
    "target_url",
    "http_method",
    "request_body_mode",
    "headers",
    "payload",
    "files",
)

BODY_MODES = [
    ("json", "JSON"),
    ("form_urlencoded", "Form (URL-encoded)"),
    ("multipart", "Multipart"),
    ("raw", "XML, SOAP or Plain Text"),
    ("csv", "CSV"),
]

HTTP_METHODS = [
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
]

RESULT_STATUSES = [
    ("send", "Send"),
    ("mutate", "Change and Send"),
    ("done", "Done Without Sending"),
    ("retry", "Retry Later"),
    ("dead_letter", "Dead Letter"),
    ("cancel", "Cancel"),
]

DELIVERY_STATES = [
    ("draft", "Draft"),
    ("queued", "Queued"),
    ("processing", "Processing"),
    ("done", "Done"),
    ("error", "Error"),
    ("dead_letter", "Dead Letter"),
    ("canceled", "Canceled"),
]

# Why a delivery was queued.
ORIGINS = [
    ("live", "Live"),
    ("replay", "Replayed"),
    ("test", "Test"),
    ("backfill", "Backfill"),
    ("reconciliation", "Reconciliation"),
]

# In one of these states a delivery blocks those behind it in its ordering group.
UNFINISHED = ("queued", "processing", "error")

FAILURE_REASONS = [
    ("dns", "Name Not Resolved"),
    ("connect", "Connection Failed"),
    ("tls", "TLS"),
    ("timeout", "Timeout"),
    ("interrupted", "Interrupted"),
    ("egress", "Address Refused"),
    ("redirect", "Redirect"),
    ("http_4xx", "HTTP 4xx"),
    ("http_5xx", "HTTP 5xx"),
    ("response", "Invalid Response"),
    ("answer", "Response Condition"),
    ("build", "Request Not Built"),
    ("handler", "Handler"),
]
