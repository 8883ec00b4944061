# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: who it says it is."""

from odoo import api, fields, models

from ..services.certificate import describe
from ..services.errors import ServiceError
from ..services.tls import tls_context
from ..services.trust import Credential, masked_forms
from .endpoint_policy import READERS

AUTH_MODES = [
    ("none", "None"),
    ("bearer", "Bearer Token"),
    ("basic", "User and Password (Basic)"),
    ("api_key", "API Key Header"),
    ("oauth2", "OAuth2 Client Credentials"),
]


class EndpointAuth(models.AbstractModel):
    """How requests say who sends them; the secret of each mode is `auth_secret`."""

    _name = "bwt.webhook.outbound.endpoint.auth"
    _description = "Outbound Webhook Endpoint: Authentication"
    _inherit = [
        "bwt.webhook.outbound.endpoint.secrets",
        "bwt.webhook.outbound.endpoint.oauth",
    ]

    auth_mode = fields.Selection(
        selection=AUTH_MODES,
        string="Authentication",
        default="none",
        required=True,
        tracking=True,
        groups=READERS,
        help="How requests say who sends them. A header that a rule, the handler or "
        "the connector sets wins over this. Another mode forgets the secret.",
    )
    auth_user = fields.Char(
        string="User",
        tracking=True,
        groups=READERS,
        help="User name of Basic authentication.",
    )
    auth_header_name = fields.Char(
        string="Key Header",
        default="X-Api-Key",
        tracking=True,
        groups=READERS,
        help="Name of the header that holds the API key.",
    )
    client_certificate_info = fields.Char(
        string="Client Certificate",
        compute="_compute_client_certificate_info",
        groups=READERS,
        help="Whom the client certificate (mTLS) names, and its last day.",
    )

    @api.depends("client_certificate")
    def _compute_client_certificate_info(self):
        for endpoint in self:
            pem = endpoint.sudo().client_certificate
            try:
                said = pem and describe(pem)
            except ServiceError as error:
                endpoint.client_certificate_info = self.env._(
                    error.template, **error.values
                )
            else:
                endpoint.client_certificate_info = said and self.env._(
                    "%(name)s, until %(date)s", name=said.name, date=said.until
                )

    def _credential(self):
        """The `Credential` of each request, None without; raises ServiceError."""
        if self.auth_mode == "bearer":
            return Credential.bearer(self.auth_secret)
        if self.auth_mode == "basic":
            return Credential.basic(self.auth_user, self.auth_secret)
        if self.auth_mode == "api_key":
            return Credential.api_key(self.auth_header_name, self.auth_secret)
        if self.auth_mode == "oauth2":
            return Credential.bearer(self._oauth_token())
        return None

    def _usable_certificate(self):
        """The client certificate as PEM, None without; raises ServiceError."""
        if not self.client_certificate:
            return None
        tls_context(self.client_certificate)
        return self.client_certificate

    def _auth_secrets(self):
        """What must be masked."""
        if self.auth_mode == "basic" and self.auth_secret:
            return masked_forms((self.auth_user or "", self.auth_secret))
        return masked_forms(self.auth_secret)
