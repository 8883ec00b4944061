# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How a connector backend is named, and how its endpoints are named after it."""

from odoo import api, models

from ..services.naming import slugify_identifier, slugify_prefix
from .refusal import refused


class ConnectorWebhookNamingMixin(models.AbstractModel):
    """Code, name and prefix of a backend; part of the connector mixin."""

    _name = "bwt.connector.webhook.naming.mixin"
    _description = "Connector Webhook Naming Mixin"

    # Class markers: a connector whose fields have other names says so here.
    _is_connector_webhook_backend = True
    _webhook_code_field = "code"
    _webhook_name_field = "name"

    @api.model_create_multi
    def create(self, vals_list):
        backends = super().create(
            [
                self._prepare_webhook_backend_vals(dict(vals), for_create=True)
                for vals in vals_list
            ]
        )
        backends._validate_webhook_backend_configuration()
        return backends

    def write(self, vals):
        vals = self._prepare_webhook_backend_vals(dict(vals), for_create=False)
        result = super().write(vals)
        if {self._webhook_code_field, self._webhook_name_field} & vals.keys():
            self._validate_webhook_backend_configuration()
        return result

    def _prepare_webhook_backend_vals(self, vals, *, for_create):
        """Values with the code as a slug; a missing one is made from the name."""
        name = self._webhook_code_field
        if name not in self._fields or not self._fields[name].store:
            return vals
        if for_create and not vals.get(name):
            vals[name] = self._get_webhook_backend_default_code(vals)
        elif name in vals:
            vals[name] = slugify_identifier(vals[name])
        return vals

    @api.model
    def _get_webhook_backend_default_code(self, vals):
        """Code of a backend that was given none: its name as a slug."""
        return slugify_identifier(vals.get(self._webhook_name_field))

    def _validate_webhook_backend_configuration(self):
        """Refuse a backend that its endpoints couldn't be named after."""
        self._validate_webhook_backend_code()

    def _validate_webhook_backend_code(self):
        if self._webhook_code_field not in self._fields:
            return
        for backend in self:
            if not backend[self._webhook_code_field]:
                raise refused(
                    backend,
                    self.env._(
                        "it has no code. Give it letters or digits, as in shop."
                    ),
                )

    def _is_in_use(self):
        """False for a backend that is archived."""
        self.ensure_one()
        return "active" not in self._fields or self.active

    def _get_connector_backend_reference(self):
        """`model,id`, as the endpoint's reference field stores it."""
        self.ensure_one()
        return f"{self._name},{self.id}"

    def _get_backend_scope_company_id(self):
        """Id of the backend's company; False when it belongs to none."""
        self.ensure_one()
        return "company_id" in self._fields and self.company_id.id

    def _get_technical_prefix(self):
        """Hook: first part of the code of this backend's endpoints; made a slug."""
        self.ensure_one()
        return f"{self._name}-{self.id}"

    def _build_backend_scoped_technical_name(self, suffix):
        """Code of an endpoint of this backend."""
        parts = slugify_prefix(self._get_technical_prefix()), slugify_identifier(suffix)
        return "-".join(filter(None, parts))

    def _build_backend_scoped_display_name(self, suffix):
        """Name of an endpoint of this backend."""
        return f"{self[self._webhook_name_field] or ''} {suffix or ''}".strip()
