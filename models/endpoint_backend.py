# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: the connector backend it belongs to, and its target URL."""

from odoo import api, fields, models

from ..services.errors import ServiceError
from ..services.naming import slugify_identifier
from ..services.template import render_path
from .const import CONNECTOR_MIXIN
from .endpoint_policy import READERS
from .refusal import misconfigured


class WebhookEndpointBackend(models.AbstractModel):
    """Links an endpoint to a record of any model that inherits the connector mixin."""

    _name = "bwt.webhook.outbound.endpoint.backend"
    _description = "Outbound Webhook Endpoint: Backend"

    connector_backend_ref = fields.Reference(
        selection="_selection_connector_backend_ref",
        string="Connector Backend",
        copy=False,
        groups=READERS,
        help="Record of a connector that gives host, headers and checks to this "
        "endpoint, and gets the responses. Its company must be the endpoint's.",
    )
    code_suffix = fields.Char(
        copy=False,
        groups=READERS,
        help="Last part of the code, for endpoints of a connector backend: the code "
        "becomes the backend's prefix, a dash and this suffix.",
    )

    def _selection_connector_backend_ref(self):
        """Models that may be chosen: those that inherit the connector mixin."""
        return self.env[CONNECTOR_MIXIN]._selection_connector_webhook_backend_models()

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._with_suffixed_code(vals) for vals in vals_list])

    def write(self, vals):
        """A changed suffix or backend makes the code anew, if there is a suffix."""
        moved = {"code_suffix", "connector_backend_ref"} & vals.keys()
        if not moved or vals.get("code"):
            return super().write(vals)
        for endpoint in self:
            own = {
                "code_suffix": endpoint.code_suffix,
                "connector_backend_ref": endpoint._connector_backend_reference(),
                **vals,
            }
            super(WebhookEndpointBackend, endpoint).write(
                {**vals, **self._suffixed_code(own)}
            )
        return True

    @api.onchange("code_suffix", "connector_backend_ref")
    def _onchange_code_suffix(self):
        """Show the code that suffix and backend make."""
        self.update(
            self._suffixed_code(
                {
                    "code_suffix": self.code_suffix,
                    "connector_backend_ref": self._connector_backend_reference(),
                }
            )
        )

    @api.model
    def _with_suffixed_code(self, vals):
        return vals if vals.get("code") else {**vals, **self._suffixed_code(vals)}

    @api.model
    def _suffixed_code(self, vals):
        """The code that suffix and backend make, as values; empty without a suffix."""
        suffix = slugify_identifier(vals.get("code_suffix"))
        if not suffix:
            return {}
        reference = vals.get("connector_backend_ref")
        if not reference:
            return {"code": suffix}
        model_name, _, record_id = reference.partition(",")
        backend = self.env[model_name].sudo().browse(int(record_id))
        return {"code": backend._build_backend_scoped_technical_name(suffix)}

    @api.constrains("connector_backend_ref", "code_suffix")
    def _check_code_suffix_unique(self):
        for endpoint in self.sudo():
            reference = endpoint._connector_backend_reference()
            if not reference or not endpoint.code_suffix:
                continue
            if self.sudo().search_count(
                [
                    ("id", "!=", endpoint.id),
                    ("connector_backend_ref", "=", reference),
                    ("code_suffix", "=", endpoint.code_suffix),
                ],
                limit=1,
            ):
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'another endpoint of %(backend)s has the suffix "%(suffix)s". '
                        "Choose another one.",
                        backend=endpoint.connector_backend_ref.display_name,
                        suffix=endpoint.code_suffix,
                    ),
                )

    @api.constrains("connector_backend_ref", "company_id")
    def _check_backend_company(self):
        for endpoint in self.sudo():
            backend = endpoint._connector_backend()
            if not backend or not backend.exists():
                continue
            company_id = backend._get_backend_scope_company_id()
            if company_id and company_id != endpoint.company_id.id:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "backend %(backend)s belongs to another company than the "
                        "endpoint. Choose a backend of %(company)s.",
                        backend=backend.display_name,
                        company=endpoint.company_id.display_name,
                    ),
                )

    def _connector_backend_reference(self):
        """`model,id` of the backend; False without one."""
        backend = self.connector_backend_ref
        return f"{backend._name},{backend.id}" if backend else False

    def _connector_backend(self):
        """The backend's record, None without one."""
        try:
            return self.connector_backend_ref or None
        except KeyError as error:
            raise misconfigured(
                self,
                self.env._(
                    "the addon of its backend (model %(model)s) isn't installed. "
                    "Install it, or choose another backend.",
                    model=error.args[0],
                ),
            ) from error

    def _check_connector_backend(self):
        """Refuse to send for a backend that is archived or gone."""
        backend = self._connector_backend()
        if not backend.exists():
            raise misconfigured(
                self,
                self.env._(
                    "its backend %(backend)s is gone. Choose another one.",
                    backend=self._connector_backend_reference(),
                ),
            )
        if "active" in backend._fields and not backend.active:
            raise misconfigured(
                self,
                self.env._(
                    "its backend %(backend)s is archived, so nothing is sent. "
                    "Restore the backend, then queue the delivery again.",
                    backend=backend.display_name,
                ),
            )

    # Target URL

    def _get_outbound_target_hostname(self, delivery=None):
        """Base URL that requests go to, or False; a backend's wins.

        :param delivery: the delivery that is built; None for the endpoint's display
        """
        backend = self._connector_backend()
        url = backend and backend._get_outbound_api_base_url(delivery)
        return url or self.target_hostname or False

    def _outbound_hostname_resolved_externally(self):
        """True lifts the check that an active endpoint has a host."""
        return bool(self.connector_backend_ref)

    def _render_outbound_target_url(self, context_values, delivery=None):
        """The URL of one request: base URL and path, tokens replaced.

        :raise ValidationError: no host, a missing token
        """
        base = self._get_outbound_target_hostname(delivery=delivery)
        if not base:
            raise misconfigured(
                self,
                self.env._(
                    "it has no host. Write one, as https://api.example.com, or give "
                    "the backend a base URL."
                ),
            )
        if any(character in base for character in "{}?#"):
            raise misconfigured(
                self,
                self.env._(
                    'host "%(host)s" holds a token, a query or a fragment. Move it to '
                    "Target Path.",
                    host=base,
                ),
            )
        path = self._render_path_tokens(self.target_path or "/", context_values)
        return base.rstrip("/") + path

    def _render_path_tokens(self, text, context_values):
        """`text` with its {tokens} replaced, percent-encoded as a path or a query."""
        try:
            return render_path(text, context_values)
        except ServiceError as error:
            raise misconfigured(self, error) from error
