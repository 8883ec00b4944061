# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Names that many tests use: models, groups, parameters."""

ADDON = "bwt_webhooks_outbound"

# Models
ENDPOINT = "bwt.webhook.outbound.endpoint"
HEADER_RULE = "bwt.webhook.outbound.endpoint.header.rule"
PAYLOAD_RULE = "bwt.webhook.outbound.endpoint.payload.rule"
ANSWER_RULE = "bwt.webhook.outbound.endpoint.answer.rule"
ANSWER_VALUE = "bwt.webhook.outbound.endpoint.answer.value"
EXTERNAL_REF = "bwt.webhook.outbound.external.ref"
RUN = "bwt.webhook.outbound.run"
RECONCILIATION = "bwt.webhook.outbound.reconciliation"
FORGET = "bwt.webhook.outbound.forget"
HEALTH = "bwt.webhook.outbound.endpoint.health"
SKIP = "bwt.webhook.outbound.endpoint.skip"
TOKEN = "bwt.webhook.outbound.endpoint.token"
DELIVERY = "bwt.webhook.outbound.delivery"
CONTEXT_LINE = "bwt.webhook.outbound.delivery.context_line"
ATTEMPT = "bwt.webhook.outbound.delivery.attempt"
REPORT = "bwt.webhook.outbound.delivery.report"
HANDLER = "bwt.webhook.handler"
HANDLER_RULE = "bwt.webhook.outbound.handler.rule"
CONDITION = "bwt.webhook.outbound.handler.rule.condition"
ASSIGNMENT = "bwt.webhook.outbound.handler.rule.assignment"
ACTION_LINE = "bwt.webhook.outbound.action.line"
ACTION_FILE = "bwt.webhook.outbound.action.file"
CONNECTOR_MIXIN = "bwt.connector.webhook.outbound.mixin"
EXPORT_CONFIGURATION = "bwt.webhook.outbound.export.configuration"
IMPORT_CONFIGURATION = "bwt.webhook.outbound.import.configuration"
SEND_TEST = "bwt.webhook.outbound.send.test"
RECOVER = "bwt.webhook.outbound.recover"
SECRET = "bwt.webhook.outbound.secret"

# Groups, and the groups of a user who has one of them
GROUP_OPERATOR = "bwt_webhooks_outbound.group_webhooks_operator"
GROUP_ADMIN = "bwt_webhooks_outbound.group_webhooks_admin"
OPERATOR = f"base.group_user,{GROUP_OPERATOR}"
ADMINISTRATOR = f"base.group_user,{GROUP_ADMIN}"

ALLOWED_NETWORKS = "bwt_webhooks_outbound.allowed_networks"
LOGGER = "odoo.addons.bwt_webhooks_outbound"
