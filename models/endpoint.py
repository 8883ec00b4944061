# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: host and path of its target."""

import re
from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from odoo.addons.base.models.ir_model import MODULE_UNINSTALL_FLAG

from ..lane.clock import utcnow
from ..services.egress.target_url import locate
from ..services.errors import ServiceError
from ..services.template import clean_path, render_path, tokens
from .const import BODY_MODES, HTTP_METHODS, UNFINISHED
from .endpoint_policy import READERS
from .errors import misconfigured, refused


class BwtWebhookOutboundEndpointTarget(models.AbstractModel):
    """Host, path and the resulting URL; invalid ones are refused when saved."""

    _name = "bwt.webhook.outbound.endpoint.target"
    _description = "Outbound Webhook Endpoint: Target"

    target_hostname = fields.Char(
        tracking=True,
        groups=READERS,
        help="Base URL with scheme, such as https://api.example.com, without a path.",
    )
    target_path = fields.Char(
        default="/",
        required=True,
        tracking=True,
        groups=READERS,
        help="Path below the host, with {tokens} for context values and an optional "
        "query, such as /orders/{order_id}?source=odoo.",
    )
    target_url = fields.Char(
        string="Target URL",
        compute="_compute_target_url",
        store=True,
        groups=READERS,
        help="Hostname and path together, with tokens unresolved.",
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
            host = endpoint.target_hostname
            if not host:
                endpoint._refuse_empty_host()
                continue
            try:
                parts = urlsplit(host)
                port = parts.port  # ValueError if invalid
                known = parts.scheme in ("http", "https") and parts.hostname
                known = known and port != 0
            except ValueError:
                known = False
            if not known or "{" in host or parts.username is not None:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'target hostname "%(host)s" is not a valid base URL. Enter '
                        "scheme and host, as in https://api.example.com, without "
                        "user, password or {tokens}.",
                        host=host,
                    ),
                )
            if parts.path or parts.query or parts.fragment or host[-1] in "?#":
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'target hostname "%(host)s" contains more than scheme and '
                        "host. Move the rest to Target Path.",
                        host=host,
                    ),
                )

    def _check_backend_is_readable(self):
        """A user links only a backend that they may read.

        Its headers, including its access token, are sent to the endpoint's host. Not a
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
                    "it has no target hostname. Enter one, such as "
                    "https://api.example.com, or keep the endpoint in draft."
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


# A change of these may allow waiting deliveries to be sent.
LETS_GO = {
    "state",
    "is_paused",
    "circuit_reset_at",
    "circuit_threshold",
    "ordering",
    "rate_limit",
    "rate_period",
}
CODE = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")


class BwtWebhookOutboundEndpoint(models.Model):
    """A target of deliveries: identity, lifecycle, related records."""

    _name = "bwt.webhook.outbound.endpoint"
    _description = "Outbound Webhook Endpoint"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
        "bwt.webhook.outbound.endpoint.target",
        "bwt.webhook.outbound.endpoint.policy",
        "bwt.webhook.outbound.endpoint.trust",
        "bwt.webhook.outbound.endpoint.backend",
        "bwt.webhook.outbound.endpoint.snapshot",
        "bwt.webhook.outbound.endpoint.queue",
        "bwt.webhook.outbound.endpoint.figures",
        "bwt.webhook.outbound.endpoint.standing",
        "bwt.webhook.outbound.endpoint.summary",
        "bwt.webhook.outbound.endpoint.alerts",
        "bwt.webhook.outbound.endpoint.not.queued",
        "bwt.webhook.outbound.endpoint.keys",
        "bwt.webhook.unique.code",  # last: it checks the code that the others set
    ]
    _order = "name, id"
    _rec_names_search = ["name", "code"]
    _check_company_auto = True

    name = fields.Char(required=True)
    code = fields.Char(
        required=True,
        index=True,
        copy=False,
        help="Technical name that code uses to find this endpoint: lower-case "
        "letters, digits, and . _ - inside. Unique across all companies.",
    )
    state = fields.Selection(
        selection=[("draft", "Draft"), ("active", "Active"), ("archived", "Archived")],
        default="active",
        required=True,
        tracking=True,
        copy=False,
        help="Only an active endpoint accepts and sends deliveries. Waiting "
        "deliveries keep their place while the endpoint is in draft or "
        "archived.",
    )
    company_id = fields.Many2one(
        comodel_name="res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    is_paused = fields.Boolean(
        copy=False,
        tracking=True,
        groups=READERS,
        help="A paused endpoint accepts deliveries but sends none until it is resumed.",
    )
    handler_id = fields.Many2one(
        comodel_name="bwt.webhook.handler",
        domain="[('direction', '=', 'outbound')]",
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        groups=READERS,
        help="Decides for each delivery whether it is sent, changed, retried later "
        "or ended.",
    )
    http_method = fields.Selection(
        string="HTTP Method",
        selection=HTTP_METHODS,
        default="post",
        required=True,
        tracking=True,
        groups=READERS,
    )
    request_body_mode = fields.Selection(
        string="Request Body",
        selection=BODY_MODES,
        default="json",
        required=True,
        groups=READERS,
        help="How the payload is encoded as the request body.",
    )
    empty_value = fields.Selection(
        selection=[("null", "null"), ("false", "false")],
        string="Empty Fields As",
        default="null",
        required=True,
        groups=READERS,
        help="What rules, context lines and server actions send for a field without "
        "a value. Choose false only for a receiver that expects false for "
        "empty fields, as Odoo's own API returns it. Numbers, booleans and "
        "lists always have a value.",
    )
    note = fields.Text(groups=READERS)
    header_rule_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.endpoint.header.rule",
        inverse_name="endpoint_id",
        context={"active_test": False},
        copy=True,
        groups=READERS,
    )
    payload_rule_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.endpoint.payload.rule",
        inverse_name="endpoint_id",
        context={"active_test": False},
        copy=True,
        groups=READERS,
    )
    outbound_delivery_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.delivery",
        inverse_name="endpoint_id",
        groups=READERS,
    )
    outbound_delivery_count = fields.Integer(
        compute="_compute_delivery_counts", groups=READERS
    )
    failed_delivery_count = fields.Integer(
        compute="_compute_delivery_counts",
        groups=READERS,
        help="Deliveries in Error or Dead Letter.",
    )

    _code_unique = models.UniqueIndex(
        "(code)", "Another endpoint, maybe in another company, has this code already."
    )

    def init(self):
        # Wake-ups are found by the start of their key: `supersede_wake_ups` in
        # lane/sql.py.
        self.env.cr.execute(
            """CREATE INDEX IF NOT EXISTS bwt_webhook_outbound_wake_index
            ON queue_job (identity_key text_pattern_ops)
            WHERE state = 'pending' AND identity_key LIKE 'bwt_webhook_outbound:%'"""
        )

    @api.depends("name", "code")
    @api.depends_context("formatted_display_name")
    def _compute_display_name(self):  # pylint: disable=missing-return  # a compute
        """The name; in selections the code too, as names may be equal."""
        super()._compute_display_name()
        if self.env.context.get("formatted_display_name"):
            for endpoint in self.filtered("code"):
                endpoint.display_name = f"{endpoint.name}\t--{endpoint.code}--"

    def _compute_delivery_counts(self):
        counts = dict.fromkeys(self.ids, 0)
        failed = dict.fromkeys(self.ids, 0)
        groups = self.env["bwt.webhook.outbound.delivery"]._read_group(
            [("endpoint_id", "in", self.ids)], ["endpoint_id", "state"], ["__count"]
        )
        for endpoint, state, count in groups:
            counts[endpoint.id] += count
            if state in ("error", "dead_letter"):
                failed[endpoint.id] += count
        for endpoint in self:
            endpoint.outbound_delivery_count = counts.get(endpoint.id, 0)
            endpoint.failed_delivery_count = failed.get(endpoint.id, 0)

    @api.model_create_multi
    def create(self, vals_list):
        endpoints = super().create(vals_list)
        self.env["bwt.webhook.outbound.endpoint.health"].sudo().create(
            [{"endpoint_id": endpoint.id} for endpoint in endpoints]
        )
        return endpoints

    def write(self, vals):
        if "company_id" in vals:
            self._refuse_company_change(vals["company_id"])
        moves = LETS_GO & vals.keys()
        result = super().write(vals)
        if moves:
            self._wake_if_due()
        return result

    def copy_data(self, default=None):
        default = dict(default or {})
        vals_list = super().copy_data(default)
        if "code" in default:
            return vals_list
        for endpoint, vals in zip(self, vals_list, strict=True):
            vals["code"] = endpoint._free_code(f"{endpoint.code}-copy")
            vals["name"] = default.get("name") or self.env._("%s (copy)", endpoint.name)
            vals["state"] = "draft"
        return vals_list

    def _free_code(self, wanted):
        code, number = wanted, 1
        while self.sudo().search_count([("code", "=", code)], limit=1):
            number += 1
            code = f"{wanted}-{number}"
        return code

    def _refuse_company_change(self, company_id):
        for endpoint in self:
            if endpoint.company_id.id != company_id and endpoint._count_deliveries():
                raise refused(
                    endpoint,
                    self.env._(
                        "it has deliveries of company %(company)s and can't change "
                        "its company. Create an endpoint for the other company.",
                        company=endpoint.company_id.display_name,
                    ),
                )

    @api.constrains("code")
    def _check_code(self):
        for endpoint in self:
            if not CODE.match(endpoint.code):
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'code "%(code)s" is not a valid technical name. Use '
                        "lower-case letters and digits, with . _ - inside, as in "
                        "shop-orders.",
                        code=endpoint.code,
                    ),
                )

    def _count_deliveries(self, *domain):
        self.ensure_one()
        return (
            self.env["bwt.webhook.outbound.delivery"]
            .sudo()
            .search_count([("endpoint_id", "=", self.id), *domain])
        )

    # Lifecycle

    def action_activate(self):
        return self._move("active", ("draft", "archived"))

    def action_set_draft(self):
        return self._move("draft", ("active", "archived"))

    def action_archive(self):
        return self._move("archived", ("draft", "active"))

    def _move(self, state, allowed):
        for endpoint in self:
            if endpoint.state not in allowed:
                raise refused(endpoint, self.env._("it is already %s.", endpoint.state))
        self.write({"state": state})
        return True

    def _for_operator(self):
        """These endpoints with sudo, for a button that operators may use.

        :raise AccessError: the user is not an operator, or of another company
        """
        if not self.env.su and not self.env.user.has_group(READERS):
            raise AccessError(
                self.env._(
                    "Only webhooks operators may pause and resume endpoints. Ask "
                    "one of them, or ask an administrator for that role."
                )
            )
        self.check_access("read")
        return self.sudo()

    def action_pause(self):
        self._for_operator().write({"is_paused": True})
        return True

    def action_resume(self):
        self._for_operator().write({"is_paused": False})
        return True

    def action_reset_circuit(self):
        """Close Circuit: the user confirms that the target works; send immediately."""
        endpoints = self._for_operator()
        endpoints.write({"circuit_reset_at": utcnow()})
        endpoints._circuit_reset()
        return True

    # Navigation

    def _action_deliveries(self, name, domain):
        self.ensure_one()
        self.check_access("read")
        self.env["bwt.webhook.outbound.delivery"].check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_delivery"
        )
        return action | {
            "name": name,
            "domain": [("endpoint_id", "=", self.id), *domain],
            "context": {"default_endpoint_id": self.id},
        }

    def action_view_outbound_deliveries(self):
        return self._action_deliveries(self.env._("Deliveries"), [])

    def action_view_failed_outbound_deliveries(self):
        return self._action_deliveries(
            self.env._("Failed Deliveries"), [("state", "in", ["error", "dead_letter"])]
        )

    def unlink(self):
        # Not by the database's cascade: files and messages would not be deleted.
        deliveries = self.env["bwt.webhook.outbound.delivery"].sudo()
        self.check_access("unlink")
        if not self.env.context.get(MODULE_UNINSTALL_FLAG):
            self._unlink_except_unfinished()
        deliveries.search([("endpoint_id", "in", self.ids)]).unlink()
        return super().unlink()

    @api.ondelete(at_uninstall=False)
    def _unlink_except_unfinished(self):
        for endpoint in self:
            waiting = endpoint._count_deliveries(("state", "in", UNFINISHED))
            if waiting:
                raise UserError(
                    self.env._(
                        'Endpoint "%(name)s" has unfinished deliveries: %(count)s. '
                        "Archive it, or cancel them first.",
                        name=endpoint.name,
                        count=waiting,
                    )
                )
