# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: its target URL, and the connector backend it belongs to."""

import re

from odoo import api, fields, models

from ..exceptions import WebhookProcessingConfigurationError
from ..services.egress.target_url import check_base_url, check_path
from ..services.errors import ServiceError
from ..services.naming import slugify_identifier
from ..services.template import clean_path, render_path
from . import endpoint_summary
from .build_scope import outbound_build
from .const import CONNECTOR_MIXIN, GROUP_OPERATOR
from .errors import misconfigured
from .payload_list import LIST_FIELDS
from .record_payload import table_of_endpoint
from .value_format import FORMAT_FIELDS
from .value_source import SOURCE_FIELDS

_NOT_IN_BASE = re.compile("[{}?#]")
CODE_PARTS = {"code", "code_suffix", "connector_backend_ref"}


class BwtWebhookOutboundEndpointBackend(models.AbstractModel):
    """Where an endpoint sends to: its own host and path, or those of a backend.

    A backend is a record of any model that inherits the connector mixin.
    """

    _name = "bwt.webhook.outbound.endpoint.backend"
    _description = "Outbound Webhook Endpoint: Backend"

    target_hostname = fields.Char(
        groups=GROUP_OPERATOR,
        help="Base URL with scheme, such as https://api.example.com, without a path.",
    )
    target_path = fields.Char(
        default="/",
        required=True,
        groups=GROUP_OPERATOR,
        help="Path below the host, with {tokens} for context values and an optional "
        "query, such as /orders/{order_id}?source=odoo.",
    )
    target_url = fields.Char(
        string="Target URL",
        compute="_compute_target_url",
        store=True,
        groups=GROUP_OPERATOR,
        help="Hostname and path together, with tokens unresolved.",
    )
    payload_sample_ref = fields.Reference(
        selection="_selection_payload_sample",
        string="Sample Record",
        store=False,
        groups=GROUP_OPERATOR,
        help="Shows what is sent for this record; its fields are offered for paths.",
    )
    payload_sample = fields.Html(
        compute="_compute_payload_sample",
        sanitize=False,
        groups=GROUP_OPERATOR,
        help="Each value that the rules write into an empty payload for the sample "
        "record, and its rule. Context values are not known here.",
    )
    url_preview = fields.Html(
        string="Request Preview",
        compute="_compute_url_preview",
        sanitize=False,
        groups=GROUP_OPERATOR,
        help="HTTP method and URL as they are sent. Values in {braces} come from "
        "the context lines of each delivery.",
    )

    connector_backend_ref = fields.Reference(
        selection="_selection_connector_backend_ref",
        string="Connector Backend",
        copy=False,
        groups=GROUP_OPERATOR,
        help="Connector record that provides the hostname, headers and checks of "
        "this endpoint and receives the responses. Its company must be the "
        "endpoint's company.",
    )
    code_suffix = fields.Char(
        copy=False,
        groups=GROUP_OPERATOR,
        help="Last part of the code, for endpoints of a connector backend. The code "
        "is always the backend's prefix, a dash and this suffix.",
    )

    is_code_generated = fields.Boolean(
        string="Code Is Generated",
        compute="_compute_is_code_generated",
        groups=GROUP_OPERATOR,
        help="The code is made from the backend and the suffix, so it can't be edited.",
    )

    @api.depends("connector_backend_ref", "code_suffix")
    def _compute_is_code_generated(self):
        for endpoint in self:
            endpoint.is_code_generated = bool(
                endpoint.code_suffix and endpoint.connector_backend_ref
            )

    def _selection_connector_backend_ref(self):
        """Models that may be chosen: those that inherit the connector mixin."""
        return self.env[CONNECTOR_MIXIN]._selection_connector_webhook_backend_models()

    @api.model
    def _with_code_of_new(self, vals):
        """The values of a new endpoint, with the code that backend and suffix make."""
        vals = self._with_reference(vals)
        return vals | self._code_of_new(vals)

    def _with_code_of_changed(self, vals):
        """Pairs of endpoints and the values to write: each code follows `vals`."""
        if not CODE_PARTS & vals.keys():
            yield self, vals
            return
        vals = self._with_reference(vals)
        kept = {key: value for key, value in vals.items() if key != "code"}
        for endpoint in self:
            yield endpoint, kept | endpoint._code_of_changed(vals)

    @api.onchange("code_suffix", "connector_backend_ref")
    def _onchange_code_suffix(self):
        """Show the code that is saved with this suffix and backend."""
        vals = {
            "code_suffix": self.code_suffix,
            "connector_backend_ref": self._connector_backend_reference(),
        }
        stored = self._origin
        code = stored._code_of_changed(vals) if stored else self._code_of_new(vals)
        if stored and not code:
            code = {"code": stored.code}
        self.update(code)

    @api.model
    def _code_of_new(self, vals):
        """The code of an endpoint with these values, as values.

        Backend and suffix take precedence over a given code, so that a connector finds
        the endpoint by them; a suffix alone is the code if none is given.
        """
        suffix = vals.get("code_suffix")
        reference = vals.get("connector_backend_ref")
        if suffix and reference:
            return {"code": self._scoped_code(reference, suffix)}
        if suffix and not vals.get("code"):
            return {"code": self._suffix_slug(suffix)}
        return {"code": vals["code"]} if vals.get("code") else {}

    def _code_of_changed(self, vals):
        """The code after a write of `vals`, as values; empty if unchanged.

        It changes only with the backend or the suffix: a data file that is loaded again
        at each update must not change the code that a connector uses. Without a backend
        the endpoint keeps its code.
        """
        own = self.sudo()
        before = own._connector_backend_reference()
        after, suffix = before, own.code_suffix
        if "connector_backend_ref" in vals:
            after = vals["connector_backend_ref"] or False
        if "code_suffix" in vals:
            suffix = vals["code_suffix"]
        is_same = slugify_identifier(suffix) == slugify_identifier(own.code_suffix)
        if suffix and after:
            if is_same and after == before:
                return {}
            return {"code": self._scoped_code(after, suffix)}
        if "code" in vals:
            return {"code": vals["code"]}
        if suffix and not is_same and not before:
            return {"code": self._suffix_slug(suffix)}
        return {}

    @api.model
    def _scoped_code(self, reference, suffix):
        self._suffix_slug(suffix)
        model_name, _, record_id = reference.partition(",")
        backend = self.env[model_name].sudo().browse(int(record_id))
        return backend._build_backend_scoped_technical_name(suffix)

    @api.model
    def _suffix_slug(self, suffix):
        slug = slugify_identifier(suffix)
        if not slug:
            raise WebhookProcessingConfigurationError(
                self.env._(
                    'Code suffix "%(suffix)s" has no letter a to z and no digit. '
                    "Enter one such as orders.",
                    suffix=suffix,
                )
            )
        return slug

    @api.model
    def _with_reference(self, vals):
        """The values with the backend as `model,id`: Odoo accepts no record there."""
        backend = vals.get("connector_backend_ref")
        if not isinstance(backend, models.BaseModel):
            return vals
        reference = f"{backend._name},{backend.id}" if backend else False
        return vals | {"connector_backend_ref": reference}

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

    def _check_backend_is_readable(self):
        """A user links only a backend that they may read.

        Its headers, including its access token, are sent to the endpoint's host. Not a
        constraint: those run as superuser.
        """
        for endpoint in self if not self.env.su else ():
            backend = endpoint._connector_backend()
            if backend:
                backend.check_access("read")

    def _check_connector_backend(self):
        """Refuse to send for a backend that is archived or deleted."""
        backend = self._connector_backend()
        if not backend.exists():
            raise misconfigured(
                self,
                self.env._(
                    "its backend %(backend)s was deleted. Choose another one.",
                    backend=self._connector_backend_reference(),
                ),
            )
        if not backend._is_in_use():
            raise misconfigured(
                self,
                self.env._(
                    "its backend %(backend)s is archived, so nothing is sent. "
                    "Restore the backend, then queue the delivery again.",
                    backend=backend.display_name,
                ),
            )

    # Target URL

    @api.depends("target_hostname", "target_path", "connector_backend_ref")
    def _compute_target_url(self):
        for endpoint in self:
            host = endpoint._get_outbound_target_hostname()
            path = endpoint.target_path or "/"
            endpoint.target_url = host and f"{host.rstrip('/')}{path}"

    def _model_of_records(self):
        """The model of the records that deliveries are about, if it is known.

        That of the sample record, else of a server action that queues deliveries.
        """
        for endpoint in self:
            if endpoint.payload_sample_ref:
                return endpoint.payload_sample_ref._name
        queues = [("bwt_webhook_endpoint_id", "in", self._origin.ids)]
        actions = self.env["ir.actions.server"].sudo()
        return actions.search(queues, order="id desc", limit=1).model_name

    @api.model
    def _selection_payload_sample(self):
        return self.env["bwt.webhook.outbound.send.test"]._selection_record_model()

    @api.depends(
        "payload_sample_ref",
        "empty_value",
        *(
            f"payload_rule_ids.{name}"
            for name in (
                *("target_path", "sequence", "active", "value_map"),
                *(*SOURCE_FIELDS, *FORMAT_FIELDS, *LIST_FIELDS),
            )
        ),
    )
    @api.depends_context("lang")
    def _compute_payload_sample(self):
        for endpoint in self:
            record = endpoint.payload_sample_ref
            is_shown = record and record.exists() and record.has_access("read")
            endpoint.payload_sample = is_shown and table_of_endpoint(endpoint, record)

    @api.depends("target_hostname", "target_path", "http_method")
    @api.depends_context("lang")
    def _compute_url_preview(self):
        for endpoint in self:
            endpoint.url_preview = endpoint_summary.url_preview(endpoint)

    @api.model
    def _clean_target(self, vals):
        """Host without outer spaces and trailing slash, path with a leading slash."""
        vals = dict(vals)
        if vals.get("target_hostname"):
            vals["target_hostname"] = vals["target_hostname"].strip().rstrip("/")
        if "target_path" in vals:
            path = (vals["target_path"] or "").strip()
            path = path if path.startswith("/") else f"/{path}"
            try:
                vals["target_path"] = clean_path(path)
            except ServiceError as error:
                named = {key: vals[key] for key in ("name", "code") if key in vals}
                raise misconfigured(self[:1] or self.new(named), error) from error
        return vals

    @api.constrains("target_hostname", "state")
    def _check_target_hostname(self):
        for endpoint in self:
            if not endpoint.target_hostname:
                endpoint._refuse_empty_host()
                continue
            try:
                check_base_url(endpoint.target_hostname)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    def _refuse_empty_host(self):
        if (
            self.state != "draft"
            and not self.env.context.get("install_mode")
            and not self._outbound_hostname_resolved_externally()
        ):
            raise misconfigured(
                self,
                self.env._(
                    "it has no target hostname. Enter one, such as "
                    "https://api.example.com, or keep the endpoint in draft."
                ),
            )

    @api.constrains("target_path")
    def _check_target_path(self):
        for endpoint in self:
            try:
                check_path(endpoint.target_path)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    def _get_outbound_target_hostname(self, delivery=None):
        """Base URL of requests, or False; that of a backend takes precedence.

        :param delivery: the delivery that is built; None for display
        """
        build = outbound_build(self.env)
        snapshot = build and build.snapshot
        if snapshot and snapshot.hostname and snapshot.endpoint_id == self.id:
            # Host and secrets of the same snapshot: a host that was changed since must
            # not receive the secrets that were read before.
            return snapshot.hostname
        backend = self._connector_backend()
        url = backend and backend._get_outbound_api_base_url(delivery)
        return url or self.target_hostname or False

    def _base_url_for_snapshot(self):
        """The base URL of every delivery; empty if a backend may return others."""
        backend = self._connector_backend()
        if not backend:
            return self.target_hostname or ""
        if backend._has_own_base_url_hook():
            return ""
        return backend.api_base_url or self.target_hostname or ""

    def _outbound_hostname_resolved_externally(self):
        """True disables the check that an active endpoint has a host."""
        return bool(self.connector_backend_ref)

    def _render_outbound_target_url(self, context_values, delivery=None):
        """The URL of one request: base URL and path, tokens replaced.

        :raise ValidationError: no host, or a path token without a value
        """
        base = self._get_outbound_target_hostname(delivery=delivery)
        if not base:
            raise misconfigured(
                self,
                self.env._(
                    "it has no target hostname. Enter one, such as "
                    "https://api.example.com, or set the base URL of the backend."
                ),
            )
        if _NOT_IN_BASE.search(base):
            raise misconfigured(
                self,
                self.env._(
                    'target hostname "%(host)s" contains a token, a query or a '
                    "fragment. Move it to Target Path.",
                    host=base,
                ),
            )
        path = self._render_path_tokens(self._path_in_use(), context_values)
        return base.rstrip("/") + path

    def _path_in_use(self):
        """The path of the request that is built: that of an update if it is one."""
        build = outbound_build(self.env)
        if build and build.scope and build.snapshot.endpoint_id == self.id:
            if build.snapshot.update and build.scope.reference:
                return build.snapshot.update[1]
        return self.target_path or "/"

    def _render_path_tokens(self, text, context_values):
        """`text` with its {tokens} replaced, percent-encoded as a path or a query."""
        try:
            return render_path(text, context_values)
        except ServiceError as error:
            raise misconfigured(self, error) from error
