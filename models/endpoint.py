# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The endpoint: identity, lifecycle, status and navigation."""

import re
from contextlib import nullcontext

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from odoo.addons.base.models.ir_model import MODULE_UNINSTALL_FLAG

from ..lane import diagnostics, jobs
from ..lane.clock import utcnow
from . import endpoint_alerts, endpoint_health, endpoint_hour, endpoint_summary
from .configuration import ENDPOINT_FIELDS, empty_list_help, raise_config_version
from .configuration_audit import is_recorded, recorded
from .configuration_document import export_text
from .configuration_import import ConfigurationImport
from .const import BODY_MODES, GROUP_OPERATOR, HTTP_METHODS, UNFINISHED
from .endpoint_health import HEALTHS
from .errors import in_other_state, misconfigured, refused

# A change of these may allow waiting deliveries to be sent.
RESUMES_SENDING = {
    "state",
    "is_paused",
    "circuit_reset_at",
    "circuit_threshold",
    "ordering",
    "create_or_update",
    "rate_limit",
    "rate_period",
}
# Models with a row per endpoint, so that lanes and users never write the same row.
WRITTEN_BY_LANES = (
    "bwt.webhook.outbound.endpoint.health",
    "bwt.webhook.outbound.endpoint.token",
)
CODE = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")


class BwtWebhookOutboundEndpoint(models.Model):
    """A target of deliveries: identity, lifecycle, status, navigation.

    Its parts, which connectors override as units, have files of their own: policy,
    security, OAuth2, target and backend, queue, body.
    """

    _name = "bwt.webhook.outbound.endpoint"
    _description = "Outbound Webhook Endpoint"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
        "bwt.webhook.outbound.endpoint.policy",
        "bwt.webhook.outbound.endpoint.security",
        "bwt.webhook.outbound.endpoint.extras",
        "bwt.webhook.outbound.endpoint.oauth",
        "bwt.webhook.outbound.endpoint.backend",
        "bwt.webhook.outbound.endpoint.queue",
        "bwt.webhook.outbound.endpoint.exchange",
        "bwt.webhook.unique.code",
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
        groups=GROUP_OPERATOR,
        help="A paused endpoint accepts deliveries but sends none until it is resumed.",
    )
    handler_id = fields.Many2one(
        comodel_name="bwt.webhook.handler",
        domain="[('direction', '=', 'outbound')]",
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        groups=GROUP_OPERATOR,
        help="Decides for each delivery whether it is sent, changed, retried later "
        "or ended.",
    )
    http_method = fields.Selection(
        string="HTTP Method",
        selection=HTTP_METHODS,
        default="post",
        required=True,
        groups=GROUP_OPERATOR,
    )
    request_body_mode = fields.Selection(
        string="Request Body",
        selection=BODY_MODES,
        default="json",
        required=True,
        groups=GROUP_OPERATOR,
        help="How the payload is encoded as the request body. XML, SOAP or Plain Text: "
        "made by a template on the page Body, or a payload that is a text. "
        "CSV: the payload is a list of objects, "
        "one per row.",
    )
    empty_value = fields.Selection(
        selection=[("null", "null"), ("false", "false")],
        string="Empty Fields As",
        default="null",
        required=True,
        groups=GROUP_OPERATOR,
        help="What rules, context lines and server actions send for a field without "
        "a value. Choose false only for a receiver that expects false for "
        "empty fields, as Odoo's own API returns it. Numbers, booleans and "
        "lists always have a value.",
    )
    config_version = fields.Integer(
        string="Configuration Version",
        readonly=True,
        copy=False,
        aggregator=False,
        groups=GROUP_OPERATOR,
        help="Raised by each change of the endpoint, its rules or its handler that "
        "changes what is sent. Each attempt stores the one that it was built with.",
    )
    note = fields.Text(groups=GROUP_OPERATOR)
    header_rule_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.endpoint.header.rule",
        inverse_name="endpoint_id",
        context={"active_test": False},
        copy=True,
        groups=GROUP_OPERATOR,
    )
    payload_rule_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.endpoint.payload.rule",
        inverse_name="endpoint_id",
        context={"active_test": False},
        copy=True,
        groups=GROUP_OPERATOR,
    )
    outbound_delivery_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.delivery",
        inverse_name="endpoint_id",
        groups=GROUP_OPERATOR,
    )
    outbound_delivery_count = fields.Integer(
        compute="_compute_delivery_counts", groups=GROUP_OPERATOR
    )
    failed_delivery_count = fields.Integer(
        compute="_compute_delivery_counts",
        groups=GROUP_OPERATOR,
        help="Deliveries in Error or Dead Letter.",
    )

    # Status: computed when shown, never stored

    health_ids = fields.One2many(
        string="Recorded Health",
        comodel_name="bwt.webhook.outbound.endpoint.health",
        inverse_name="endpoint_id",
        groups=GROUP_OPERATOR,
        help="Health of the target as recorded by the lane: one row.",
    )
    next_probe_at = fields.Datetime(
        related="health_ids.next_probe_at", groups=GROUP_OPERATOR
    )
    last_success_at = fields.Datetime(
        related="health_ids.last_success_at",
        string="Last Success",
        groups=GROUP_OPERATOR,
    )
    last_failure_at = fields.Datetime(
        related="health_ids.last_failure_at",
        string="Last Failure",
        groups=GROUP_OPERATOR,
    )
    health = fields.Selection(
        selection=HEALTHS,
        compute="_compute_health",
        search="_search_health",
        group_expand="_sorted_healths",
        groups=GROUP_OPERATOR,
        help="Stopped by Receiver: the target responded with 410 Gone; nothing is sent "
        "until the circuit is closed by hand. Circuit Open: only probes are sent. "
        "Delayed: a delivery has been due for over five minutes. Failing: fewer than "
        "90 % of the last 20 attempts succeeded. No Deliveries Yet: no attempt has "
        "ended.",
    )
    recent_attempts = fields.Char(
        string="Last Attempts",
        compute="_compute_recent_attempts",
        groups=GROUP_OPERATOR,
        help="How many of the last 20 attempts succeeded (2xx). Requests that can't be "
        "built count as failed, interrupted attempts don't count.",
    )
    success_rate_24h = fields.Float(
        string="Success Rate (24 h)",
        compute="_compute_attempt_figures",
        groups=GROUP_OPERATOR,
        help="Share of the attempts of the last 24 hours that succeeded (2xx).",
    )
    duration_p50_ms = fields.Integer(
        string="Duration p50 (ms)",
        compute="_compute_attempt_figures",
        groups=GROUP_OPERATOR,
        help="Half of the requests of the last 24 hours took no longer than this.",
    )
    duration_p95_ms = fields.Integer(
        string="Duration p95 (ms)",
        compute="_compute_attempt_figures",
        groups=GROUP_OPERATOR,
        help="95 of 100 requests of the last 24 hours took no longer than this.",
    )
    chart_24h = fields.Text(
        string="Last 24 Hours",
        compute="_compute_chart_24h",
        groups=GROUP_OPERATOR,
        help="Attempts per hour: with 2xx, and failed.",
    )

    _code_unique = models.UniqueIndex(
        "(code)",
        "Another endpoint, maybe in another company, has this code already. Choose "
        "another code.",
    )

    _one_creator = models.UniqueIndex(
        "(reference_scope) WHERE create_or_update",
        "Another endpoint with this reference scope creates records already, maybe an "
        "archived one. Choose another scope, or turn off Create or Update there.",
    )

    def init(self):
        jobs.create_index(self.env.cr)

    @api.depends("name", "code")
    @api.depends_context("formatted_display_name")
    def _compute_display_name(self):  # pylint: disable=missing-return  # a compute
        """The name; in selections the code too, as names may be equal."""
        super()._compute_display_name()
        if self.env.context.get("formatted_display_name"):
            for endpoint in self.filtered("code"):
                endpoint.display_name = f"{endpoint.name}\t--{endpoint.code}--"

    @api.model
    def get_empty_list_help(self, help_message):
        return empty_list_help(self, super().get_empty_list_help(help_message))

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

    def _compute_health(self):
        healths = endpoint_health.read_healths(self)
        for endpoint in self:
            endpoint.health = healths.get(endpoint._origin.id)

    @api.depends("health_ids.recent_results")
    def _compute_recent_attempts(self):
        for endpoint in self:
            endpoint.recent_attempts = endpoint_health.recent_summary(endpoint)

    def _search_health(self, operator, value):
        if operator != "in":
            return NotImplemented
        return endpoint_health.health_domain(value)

    def _field_to_sql(self, alias, field_expr, query=None):
        if field_expr != "health":
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields["health"], "read")
        return endpoint_health.health_sql(self, alias, query)

    def _sorted_healths(self, values, domain):
        return [health for health, _label in HEALTHS if health in values]

    def _compute_attempt_figures(self):
        figures = endpoint_health.attempt_figures(self)
        for endpoint in self:
            rate, p50, p95 = figures.get(endpoint.id, (0, 0, 0))
            endpoint.success_rate_24h = float(rate or 0)
            endpoint.duration_p50_ms = p50 or 0
            endpoint.duration_p95_ms = p95 or 0

    def _compute_chart_24h(self):
        graphs = endpoint_summary.graphs_of_last_day(self, utcnow())
        for endpoint in self:
            endpoint.chart_24h = graphs.get(endpoint.id)

    @api.model_create_multi
    def create(self, vals_list):
        """Create endpoints, in this order:

        1. Clean host and paths; create or update sets the order. Refuse a signing
           secret that is too short.
        2. Take entered secrets out of the values. Limit a body template to what its
           author may read.
        3. Insert, with the code that backend and suffix make. Refuse a taken code.
        4. Add the rows that lanes write: health and access token.
        5. Store the secrets.
        6. On active endpoints, refuse settings that would stop every delivery.
        7. Refuse a backend that the user may not read.
        """
        vals_list = [
            self._with_preset(self._clean_answer(self._clean_target(vals)))
            for vals in vals_list
        ]
        for vals in vals_list:
            if vals.get("signing_secret_input"):
                self.new(vals)._check_new_signing_secret(vals)
        split = [self._split_secrets(vals) for vals in vals_list]
        vals_list = [
            self._with_code_of_new(self._with_body_reader(vals))
            for vals, _secrets in split
        ]
        for vals in vals_list:
            vals["reference_scope"] = vals.get("reference_scope") or vals.get("code")
        codes = [vals.get("code") for vals in vals_list]
        with recorded(self.env) as audit:
            with self._unique_codes(codes):
                endpoints = super().create(vals_list)
            audit.ignore(endpoints)
            for model in WRITTEN_BY_LANES:
                rows = [{"endpoint_id": endpoint.id} for endpoint in endpoints]
                self.env[model].sudo().create(rows)
            for endpoint, (_vals, secrets) in zip(endpoints, split, strict=True):
                endpoint._store_secrets(secrets)
        endpoints._check_security()
        endpoints._check_backend_is_readable()
        return endpoints

    # `_change` calls it.
    # pylint: disable-next=method-required-super
    def write(self, vals):
        """Change endpoints, as one message with old and new values; see `_change`."""
        is_configured = is_recorded(self, vals)
        with recorded(self.env, self) if is_configured else nullcontext():
            return self._change(vals)

    def _change(self, vals):
        """Change endpoints, in this order:

        1. Refuse another company for an endpoint with deliveries.
        2. Clean host and paths; create or update sets the order. Refuse a signing
           secret that is too short.
        3. Store entered secrets. Delete those of another authentication or signature.
        4. Write the rest, with the code that backend and suffix make. Limit a body
           template to what its author may read. Refuse a taken code.
        5. Delete the secrets that were entered for another host.
        6. On active endpoints, refuse settings that would stop every delivery.
        7. Refuse a backend that the user may not read.
        8. Delete the figures of another company.
        9. Raise the version of the configuration if requests are built otherwise.
        10. Wake lanes if waiting deliveries may be sent now.
        """
        moved = self.browse()
        if "company_id" in vals:
            self._refuse_company_change(vals["company_id"])
            moved = self.filtered(lambda each: each.company_id.id != vals["company_id"])
        given = self._with_preset(self._clean_answer(self._clean_target(vals)))
        self._check_new_signing_secret(given)
        vals, secrets = self._split_secrets(self._with_body_reader(given))
        signed_otherwise = self._signed_otherwise(vals)
        self._replace_secrets(vals, secrets)
        origins = self._origins()
        for endpoints, each in self._with_code_of_changed(vals):
            with endpoints._unique_codes([each.get("code")] * len(endpoints)):
                super(BwtWebhookOutboundEndpoint, endpoints).write(each)
        lost_secret = self._forget_secrets_of_another_host(origins, secrets)
        if signed_otherwise:
            signed_otherwise.write({"secret_expires_at": False})
        self._check_written_security(given, lost_secret)
        if "connector_backend_ref" in vals:
            self._check_backend_is_readable()
        if moved:
            endpoint_hour.delete_figures(moved)
        if ENDPOINT_FIELDS & vals.keys():
            raise_config_version(self)
        if RESUMES_SENDING & vals.keys():
            self._wake_if_due()
        return True

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        if "code" not in (default or {}):
            for vals in vals_list:
                vals["state"] = "draft"
        return vals_list

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

    # Configuration as a document

    @api.private
    def export_configuration(self, company=None):
        """The configuration as a JSON document, without secrets and IDs.

        :param company: whose configuration; default: the current one. Endpoints in
            `self` limit the document to them and what they use
        :return: the document as text
        """
        return export_text(self, company)

    def action_export_configuration(self):
        """Open the dialog that downloads the configuration of these endpoints."""
        self.check_access("write")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Export Configuration"),
            "res_model": "bwt.webhook.outbound.export.configuration",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_endpoint_ids": [(6, 0, self.ids)]},
        }

    @api.private
    @api.model
    def import_configuration(self, text, company=None, dry_run=True, delete=False):
        """Import a document of `export_configuration`: all of it or nothing.

        :param company: gets the records; default: the current one
        :param dry_run: check everything and change nothing
        :param delete: also remove what the document doesn't have
        :return: the difference, see docs/moving.md
        :raise WebhookProcessingConfigurationError: names each place in the document
        """
        document = ConfigurationImport(self.env, text, company, delete=delete)
        return document.run(dry_run=dry_run)

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
                raise in_other_state(endpoint)
        self.write({"state": state})
        return True

    def _for_operator(self):
        """These endpoints with sudo, for a button that operators may use.

        :raise AccessError: the user is not an operator, or of another company
        """
        if not self.env.su and not self.env.user.has_group(GROUP_OPERATOR):
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
        endpoint_alerts.note_circuit_reset(endpoints)
        return True

    # Buttons and navigation

    def action_check_runner(self):
        """Report whether the job runner can start jobs, and what prevents it."""
        self.check_access("read")
        self.env["bwt.webhook.outbound.delivery"].check_access("read")
        finding = diagnostics.check_runner(self.env)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("Job Runner"),
                "message": diagnostics.summary(self.env, finding),
                "type": "success" if finding.is_good else "danger",
                "sticky": True,
            },
        }

    def action_send_test(self):
        """Open the dialog that shows a request and sends it."""
        self.ensure_one()
        self.check_access("write")
        return self._dialog("bwt.webhook.outbound.send.test", self.env._("Send Test"))

    def action_recover(self):
        """Open the dialog that queues failed deliveries again."""
        self.ensure_one()
        self.check_access("read")
        self.env["bwt.webhook.outbound.delivery"].check_access("read")
        return self._dialog("bwt.webhook.outbound.recover", self.env._("Recover"))

    def _dialog(self, model_name, title):
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": model_name,
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_endpoint_id": self.id},
        }

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
        failed = [("state", "in", ["error", "dead_letter"])]
        return self._action_deliveries(self.env._("Failed Deliveries"), failed)

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

    # Called by lanes and jobs

    def _register_hook(self):
        """At server start: requeue lane jobs that a killed server left as started.

        Otherwise queue_job's runner counts them as running, for up to a minute.
        """
        super()._register_hook()
        jobs.requeue_dead_jobs_at_start(self.env.registry)

    @api.autovacuum
    def _gc_old_secrets(self):
        """Delete old signing secrets that no longer sign."""
        expired = [("secret_expires_at", "<=", fields.Datetime.now())]
        self.search(expired)._delete_old_secret()

    def _notify_of_failures(self):
        return endpoint_alerts.notify_of_failures(self)

    def _notify_of_circuit(self, before, after):
        endpoint_alerts.notify_of_circuit(self, before, after)
