# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Mixins for connector backends: naming, queueing and hooks."""

import inspect
import reprlib
from functools import lru_cache

from odoo import api, fields, models

from ..exceptions import WebhookValidationError
from ..services.naming import slugify_identifier, slugify_prefix
from .const import ENDPOINT
from .errors import refused


class BwtConnectorWebhookNamingMixin(models.AbstractModel):
    """Code, name and prefix of a backend; part of the connector mixin."""

    _name = "bwt.connector.webhook.naming.mixin"
    _description = "Connector Webhook Naming Mixin"

    # Class markers: a connector whose fields have other names sets them here.
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
        """Values with the code as a slug; a missing code is derived from the name."""
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
        """Default code of a backend: its name as a slug."""
        return slugify_identifier(vals.get(self._webhook_name_field))

    def _validate_webhook_backend_configuration(self):
        """Refuse a backend without a usable name or code for its endpoints."""
        self._validate_webhook_backend_code()

    def _validate_webhook_backend_code(self):
        if self._webhook_code_field not in self._fields:
            return
        for backend in self:
            if not backend[self._webhook_code_field]:
                raise refused(
                    backend,
                    self.env._(
                        "it has no code. Enter one with letters or digits, such as "
                        "shop."
                    ),
                )

    def _is_in_use(self):
        """False for an archived backend."""
        self.ensure_one()
        return "active" not in self._fields or self.active

    def _get_connector_backend_reference(self):
        """`model,id`, as stored in the endpoint's reference field."""
        self.ensure_one()
        return f"{self._name},{self.id}"

    def _get_backend_scope_company_id(self):
        """Id of the backend's company; False without one."""
        self.ensure_one()
        return "company_id" in self._fields and self.company_id.id

    def _get_technical_prefix(self):
        """Hook: prefix of the codes of this backend's endpoints; slugified."""
        self.ensure_one()
        return f"{self._name}-{self.id}"

    def _build_backend_scoped_technical_name(self, suffix):
        """Code of an endpoint of this backend."""
        parts = slugify_prefix(self._get_technical_prefix()), slugify_identifier(suffix)
        return "-".join(filter(None, parts))

    def _build_backend_scoped_display_name(self, suffix):
        """Name of an endpoint of this backend."""
        return f"{self[self._webhook_name_field] or ''} {suffix or ''}".strip()


class BwtConnectorWebhookOutboundMixin(models.AbstractModel):
    """Makes a model a backend that outbound endpoints can be linked to."""

    _name = "bwt.connector.webhook.outbound.mixin"
    _description = "Connector Webhook Outbound Mixin"
    _inherit = [
        "bwt.connector.webhook.naming.mixin",
        "bwt.webhook.outbound.result.helpers",
    ]

    api_base_url = fields.Char(
        string="API Base URL",
        help="Base URL of the remote system, such as https://api.example.com. It "
        "overrides the target hostname of the linked endpoints.",
    )
    outbound_endpoint_id = fields.Many2one(
        ENDPOINT,
        compute="_compute_outbound_endpoint_id",
        help="First outbound endpoint that is linked to this backend.",
    )

    def write(self, vals):
        endpoints = self._endpoints_moved_by(vals)
        origins = endpoints._origins()
        result = super().write(vals)
        if endpoints:
            # Endpoints store their displayed URL, which begins with this one.
            self.env.add_to_compute(endpoints._fields["target_url"], endpoints)
            endpoints.with_env(self.env)._forget_secrets_of_another_host(origins)
        return result

    def _endpoints_moved_by(self, vals):
        """Linked endpoints whose base URL may change with these values."""
        endpoints = self.env[ENDPOINT].sudo()
        if "api_base_url" in vals or self._has_own_base_url_hook():
            for backend in self:
                endpoints |= backend._linked_endpoints().sudo()
        return endpoints

    def _has_own_base_url_hook(self):
        hook = type(self)._get_outbound_api_base_url
        return hook is not BwtConnectorWebhookOutboundMixin._get_outbound_api_base_url

    def _compute_outbound_endpoint_id(self):
        for backend in self:
            backend.outbound_endpoint_id = backend._linked_endpoints()[:1]

    @api.model
    def _selection_connector_webhook_backend_models(self):
        """Choices of `connector_backend_ref`: concrete models with the marker."""
        return [
            (name, model._description)
            for name, model in sorted(self.env.registry.items())
            if not model._abstract
            and not model._transient
            and getattr(model, "_is_connector_webhook_backend", False)
        ]

    # Queueing

    @api.private
    def queue_outbound_delivery(
        self,
        endpoint,
        name,
        payload=None,
        headers=None,
        context_values=None,
        auto_queue=True,
        **options,
    ):
        """Queue a delivery on an endpoint of this backend.

        :param endpoint: the endpoint; it must be linked to this backend
        :param context_values: mapping of key to value, or context lines as dicts
        :param auto_queue: False leaves the delivery in draft
        :param options: more arguments of `queue_delivery`: record, files, eta,
            ordering_key, supersede, settle
        :return: the delivery
        :raise ValidationError: not one endpoint, or one of another backend
        """
        self._check_linked(endpoint)
        request = {
            "payload": payload,
            "context_lines": context_values,
            "headers": headers,
            "name": name,
            **options,
        }
        if auto_queue:
            return endpoint.queue_deliveries([request])
        endpoint.check_access("read")
        return endpoint.sudo()._store_drafts([request]).with_env(self.env)

    def _check_linked(self, endpoint):
        if len(self) != 1:
            raise WebhookValidationError(
                self.env._(
                    "Queueing needs one backend (%(model)s), but got %(count)s. "
                    "Call it on the backend that the endpoint is linked to.",
                    model=self._name,
                    count=len(self),
                )
            )
        is_records = isinstance(endpoint, models.BaseModel)
        if not is_records or endpoint._name != ENDPOINT or len(endpoint) != 1:
            raise refused(
                self,
                self.env._(
                    "queueing needs one outbound endpoint, but got %(given)s. Pass "
                    "the endpoint that get_outbound_endpoint() returns for a code "
                    "or suffix.",
                    given=reprlib.repr(endpoint) if endpoint else self.env._("none"),
                ),
            )
        linked = endpoint.sudo()._connector_backend_reference()
        if linked != self._get_connector_backend_reference():
            raise refused(
                endpoint.sudo(),
                self.env._(
                    "it isn't linked to %(backend)s. Choose that backend on the "
                    "endpoint, or another endpoint.",
                    backend=self.display_name,
                ),
            )

    def _linked_endpoints(self):
        reference = self.id and self._get_connector_backend_reference()
        domain = [("connector_backend_ref", "=", reference)]
        endpoints = self.env[ENDPOINT].sudo()
        found = endpoints.search(domain, order="id") if reference else endpoints
        return found.sudo(self.env.su)

    @api.private
    def get_outbound_endpoint(
        self, endpoint_code=False, code_suffix=False, required=True
    ):
        """One endpoint of this backend, by suffix, else by code, else the only one.

        :return: the endpoint; an empty set when there is none and `required` is False
        :raise ValidationError: none, or several without a way to choose
        """
        self.ensure_one()
        endpoints = self._linked_endpoints().sudo()
        if code_suffix:
            endpoints = endpoints.filtered(lambda each: each.code_suffix == code_suffix)
        elif endpoint_code:
            endpoints = endpoints.filtered(lambda each: each.code == endpoint_code)
        if len(endpoints) > 1:
            raise refused(
                self,
                self.env._(
                    "it has several outbound endpoints (%(codes)s). Specify one by "
                    "code or suffix.",
                    codes=", ".join(endpoints.mapped("code")),
                ),
            )
        if not endpoints and required:
            raise refused(
                self,
                self.env._(
                    'it has no outbound endpoint "%(code)s". Link one to this backend.',
                    code=code_suffix or endpoint_code or "",
                ),
            )
        return endpoints.sudo(self.env.su)

    def action_view_outbound_endpoint(self):
        """Open the endpoint of this backend, or the list of them."""
        self.ensure_one()
        endpoints = self._linked_endpoints()
        if not endpoints:
            raise refused(
                self,
                self.env._(
                    "it has no outbound endpoint. Create one and choose this "
                    "backend on it."
                ),
            )
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Outbound Endpoints"),
            "res_model": ENDPOINT,
            "context": {
                "default_connector_backend_ref": self._get_connector_backend_reference()
            },
        }
        if len(endpoints) == 1:
            return {**action, "view_mode": "form", "res_id": endpoints.id}
        domain = [("id", "in", endpoints.ids)]
        return {**action, "view_mode": "list,kanban,form", "domain": domain}

    # Hooks

    def _get_outbound_api_base_url(self, delivery=None):
        """Hook: base URL of the remote system, or False for the endpoint's host."""
        return self.api_base_url or False

    def _get_outbound_extra_headers(self, delivery):
        """Hook: headers set over all others, such as an authorization."""
        return {}

    def _check_outbound_dispatch_allowed(self, delivery):
        """Hook: None allows the delivery, a result dict decides."""
        return None

    def _handle_outbound_webhook_delivery(self, delivery, request=None):
        """Hook in place of a handler, for endpoints without one.

        An override may take only `delivery`, and call `super()` with only that.
        :param request: the `OutboundRequest` as it would be sent
        :return: None to send, or a result dict
        """
        return None

    def _handle_outbound_webhook_response(
        self, delivery, response, state, outcome, *, binding=False, operation=False
    ):
        """Hook after a response was recorded; an error is noted on the delivery.

        :param response: has `status_code`, `headers` and `text`
        :param state: done, error or dead_letter
        :param binding: record named by the context lines binding_model, binding_id
        :param operation: value of the context line operation
        """

    def _dispatch_outbound_webhook_delivery(self, delivery, request):
        """Call the delivery hook, also if it takes only `delivery`."""
        hook = self._handle_outbound_webhook_delivery
        how = _takes_request(hook.__func__)
        if how == "position":
            return hook(delivery, request)
        if how == "name":
            return hook(delivery, request=request)
        return hook(delivery)

    @api.private
    def resolve_outbound_delivery_binding(self, delivery, model_name=None):
        """The record that the context lines binding_model and binding_id name.

        :param model_name: only a record of this model; also the default for a missing
            line binding_model
        :return: the record; empty if it is deleted, unknown, of another backend, or if
            the lines were written by a user who may not read it
        """
        self.ensure_one()
        values = delivery._get_context_values()
        name = values.get("binding_model") or model_name
        if not isinstance(name, str) or name not in self.env:
            name = None
        if name is None or (model_name and name != model_name):
            known = model_name if model_name in self.env else self._name
            return self.env[known].browse()
        nothing = self.env[name].browse()
        try:
            record = nothing.browse(int(values.get("binding_id") or 0)).exists()
        except (TypeError, ValueError):
            return nothing
        # A record without a backend belongs to no other backend.
        if record and "backend_id" in record._fields and record.backend_id:
            if record.backend_id != self:
                return nothing
        return record if record and delivery._may_be_named(record) else nothing


@lru_cache(256)
def _takes_request(function):
    """How an override takes the request: by "position", by "name", or None if not."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    kinds = {each.kind for each in parameters}
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return "position"
    if sum(each.kind in positional for each in parameters) > 1:
        return "position"
    by_name = "request" in (each.name for each in parameters)
    return "name" if by_name or inspect.Parameter.VAR_KEYWORD in kinds else None
