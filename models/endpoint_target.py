# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: host and path that requests go to."""

from urllib.parse import urlsplit

from odoo import api, fields, models

from ..services.address import locate
from ..services.errors import ServiceError
from ..services.template import clean_path, render_path, tokens
from .endpoint_policy import READERS
from .refusal import misconfigured


class EndpointTarget(models.AbstractModel):
    """Host, path and the URL that they make; bad ones are refused when saved."""

    _name = "bwt.webhook.outbound.endpoint.target"
    _description = "Outbound Webhook Endpoint: Target"

    target_hostname = fields.Char(
        tracking=True,
        groups=READERS,
        help="Base URL with scheme, as https://api.example.com, without a path.",
    )
    target_path = fields.Char(
        default="/",
        required=True,
        tracking=True,
        groups=READERS,
        help="Path below the host, with {tokens} for context values and an optional "
        "query part, as /orders/{order_id}?source=odoo.",
    )
    target_url = fields.Char(
        compute="_compute_target_url",
        store=True,
        groups=READERS,
        help="Host and path together, tokens as they are written.",
    )

    @api.depends("target_hostname", "target_path", "connector_backend_ref")
    def _compute_target_url(self):
        for endpoint in self:
            host = endpoint._get_outbound_target_hostname()
            path = endpoint.target_path or "/"
            endpoint.target_url = host and f"{host.rstrip('/')}{path}"

    @api.model_create_multi
    def create(self, vals_list):
        endpoints = super().create([self._cleaned(vals) for vals in vals_list])
        endpoints._check_backend_is_readable()
        return endpoints

    def write(self, vals):
        result = super().write(self._cleaned(vals))
        if "connector_backend_ref" in vals:
            self._check_backend_is_readable()
        return result

    @api.model
    def _cleaned(self, vals):
        """Host without outer blanks and trailing slash, path with a leading one."""
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
            host = endpoint.target_hostname
            if not host:
                endpoint._refuse_empty_host()
                continue
            try:
                parts = urlsplit(host)
                port = parts.port  # ValueError when it is none
                known = parts.scheme in ("http", "https") and parts.hostname
                known = known and port != 0
            except ValueError:
                known = False
            if not known or "{" in host or parts.username is not None:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'host "%(host)s" is no base URL. Write scheme and host, as in '
                        "https://api.example.com, without user, password or {tokens}.",
                        host=host,
                    ),
                )
            if parts.path or parts.query or parts.fragment or host[-1] in "?#":
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'host "%(host)s" holds more than scheme and host. Move the '
                        "rest to Path.",
                        host=host,
                    ),
                )

    def _check_backend_is_readable(self):
        """A user links only a backend that they may read.

        Its headers, its token among them, are sent to the endpoint's host. Not a
        constraint: those run as superuser.
        """
        for endpoint in self if not self.env.su else ():
            backend = endpoint._connector_backend()
            if backend:
                backend.check_access("read")

    def _refuse_empty_host(self):
        if (
            self.state != "draft"
            and not self.env.context.get("install_mode")
            and not self._outbound_hostname_resolved_externally()
        ):
            raise misconfigured(
                self,
                self.env._(
                    "it has no host. Write one, as https://api.example.com, or keep "
                    "the endpoint in draft."
                ),
            )

    @api.constrains("target_path")
    def _check_target_path(self):
        for endpoint in self:
            if "#" in endpoint.target_path:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'path "%(path)s" has a fragment (#), which is never sent. '
                        "Remove it, or write %%23 for a literal #.",
                        path=endpoint.target_path,
                    ),
                )
            try:
                sample = dict.fromkeys(tokens(endpoint.target_path), "x")
                locate(
                    "https://host.example" + render_path(endpoint.target_path, sample)
                )
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error
