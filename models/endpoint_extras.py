# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: what it adds to requests that receivers don't need always."""

from odoo import api, fields, models

from ..services.errors import ConfigurationError, ServiceError, _lt
from ..services.headers import check_header, check_header_name
from ..services.request_extras import RequestExtras
from ..services.signature_template import ID_TOKENS, check_template
from .const import GROUP_OPERATOR
from .errors import misconfigured

GZIP_FROM_MAX = 1_000_000_000
# Written for each request: another value of them would contradict it.
_TAKEN = frozenset(
    {
        *("webhook-id", "webhook-timestamp", "webhook-signature", "authorization"),
        *("content-type", "content-encoding", "traceparent"),
    }
)


class BwtWebhookOutboundEndpointExtras(models.AbstractModel):
    """Trace context, a second header with the message id, compressed bodies."""

    _name = "bwt.webhook.outbound.endpoint.extras"
    _description = "Outbound Webhook Endpoint: Additions to Requests"

    send_traceparent = fields.Boolean(
        string="Send Trace Context",
        groups=GROUP_OPERATOR,
        help="Sends the header traceparent (W3C Trace Context): the trace ID is made "
        "of the message ID, and each attempt is a span of its own. A header that a "
        "rule, the handler or the connector sets is kept.",
    )
    id_header_name = fields.Char(
        string="Also Send ID As",
        groups=GROUP_OPERATOR,
        help="A second header with the message ID, such as Idempotency-Key. It is the "
        "same for all attempts of a delivery. The header webhook-id is always sent.",
    )
    id_header_value = fields.Char(
        string="ID Header Value",
        default="{message_id}",
        groups=GROUP_OPERATOR,
        help="Value of that header, with {message_id} once, as in odoo-{message_id}.",
    )
    gzip_from_bytes = fields.Integer(
        string="Compress From",
        aggregator=False,
        groups=GROUP_OPERATOR,
        help="Bodies of at least this many bytes are sent with Content-Encoding: gzip, "
        "if that makes them shorter. The signature is over the body before it is "
        "compressed. 0: never.",
    )

    @api.constrains("id_header_name", "id_header_value")
    def _check_id_header(self):
        for endpoint in self:
            name, value = endpoint.id_header_name, endpoint.id_header_value or ""
            if not name:
                continue
            try:
                check_header_name(name)
                if name.lower() in _TAKEN:
                    raise ConfigurationError(
                        _lt(
                            'header "%(name)s" has another meaning and can\'t hold '
                            "the message ID. Enter another name."
                        ),
                        name=name,
                    )
                check_template(value, ID_TOKENS, "message_id")
                check_header(name, value)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    @api.constrains("gzip_from_bytes")
    def _check_gzip_from(self):
        for endpoint in self:
            size = endpoint.gzip_from_bytes
            if not 0 <= size <= GZIP_FROM_MAX:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "bodies can't be compressed from %(size)s bytes. Enter a size "
                        "from 1 to %(max)s, or 0 to compress none.",
                        size=size,
                        max=GZIP_FROM_MAX,
                    ),
                )

    def _request_extras(self):
        """What is added to each request, None without anything."""
        if not (self.send_traceparent or self.id_header_name or self.gzip_from_bytes):
            return None
        return RequestExtras(
            traceparent=self.send_traceparent,
            id_header=self.id_header_name or "",
            id_value=self.id_header_value or "",
            gzip_from=self.gzip_from_bytes,
        )
