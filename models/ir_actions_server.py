# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import textwrap
from contextlib import nullcontext

from odoo import Command, api, fields, models, tools
from odoo.exceptions import ValidationError

from ..services.errors import ServiceError
from ..services.jsonable import to_json_value
from ..services.values import serialize_payload
from .action_changes import (
    NOT_BY_CHANGE,
    automation_of,
    check_changes,
    sample_changes,
    selects_changes,
)
from .action_file import FILE_FIELDS, check_payload_paths
from .action_guard import guarded
from .action_queue import compile_action
from .action_run import ServerActionRun, filter_of
from .configuration_audit import is_recorded, recorded
from .const import DELIVERY, DRY_RUN, ENDPOINT, GROUP_OPERATOR, OLD_FIELD, RUN
from .endpoint_policy import window_message
from .endpoint_summary import missing_values_message
from .errors import misconfigured, translate
from .payload_list import LIST_FIELDS
from .queue_request import RECORD_FILES
from .record_payload import sample_line, table_of_values, with_sample_files
from .value_format import FORMAT_FIELDS
from .value_source import SOURCE_FIELDS

STATE = "bwt_webhook_outbound"
SAMPLE_WIDTH = 66  # characters that the sample shows at 1366 pixels
HEALTH = f"{ENDPOINT}.health"


class IrActionsServer(models.Model):
    """Server action type "Queue Outbound Webhook": a delivery per record, no code."""

    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[(STATE, "Queue Outbound Webhook"), ("multi",)],
        ondelete={STATE: lambda actions: actions._bwt_webhook_leave()},
    )
    bwt_webhook_endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT,
        string="Webhook Endpoint",
        ondelete="restrict",
        index="btree_not_null",
        help="Endpoint of the deliveries. It defines hostname, path, headers and "
        "credentials.",
    )
    bwt_webhook_endpoint_state = fields.Selection(
        related="bwt_webhook_endpoint_id.state", string="Webhook Endpoint State"
    )
    bwt_webhook_body_mode = fields.Selection(
        related="bwt_webhook_endpoint_id.request_body_mode",
        string="Webhook Request Body",
    )
    bwt_webhook_payload_mode = fields.Selection(
        selection=[
            ("fields", "Fields of the Record"),
            ("rules", "Payload by Rules"),
        ],
        string="Webhook Payload",
        default="fields",
        help="Fields: the values of the chosen fields under their own names, with "
        "the record's _model and _id and the action's name as _action. Rules: "
        "each value is written to a path that you choose. The endpoint's own "
        "payload rules are applied afterwards, when the request is sent.",
    )
    bwt_webhook_field_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.action.line",
        inverse_name="action_id",
        domain=[("usage", "=", "field")],
        string="Webhook Fields to Send",
        copy=True,
    )
    bwt_webhook_rule_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.action.line",
        inverse_name="action_id",
        domain=[("usage", "=", "payload")],
        string="Webhook Payload Rules",
        copy=True,
    )
    bwt_webhook_context_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.action.line",
        inverse_name="action_id",
        domain=[("usage", "=", "context")],
        string="Webhook Context Lines",
        copy=True,
        help="Values for the {tokens} of the endpoint's path, headers and rules.",
    )
    bwt_webhook_file_ids = fields.One2many(
        comodel_name="bwt.webhook.outbound.action.file",
        inverse_name="action_id",
        string="Webhook Files",
        copy=True,
        help="Files that are sent with the payload: binary fields and attachments of "
        "the record, as parts of a multipart request or as base64 in the payload.",
    )
    bwt_webhook_supersede = fields.Boolean(
        string="Latest Value Only (supersede earlier)",
        help="A delivery about the same record that was not attempted yet is "
        "canceled when a newer one is queued: a record saved twenty times is "
        "sent once.",
    )
    bwt_webhook_settle_seconds = fields.Integer(
        string="Settle Window",
        help="A record is sent once it hasn't changed for so many seconds. 0: as the "
        "endpoint says.",
    )
    bwt_webhook_settle_max_seconds = fields.Integer(
        string="Longest Settle Window",
        default=60,
        help="So many seconds after its first change a record is sent, however often "
        "it changes.",
    )
    bwt_webhook_each_time = fields.Boolean(
        string="Each Time",
        help="Queue a delivery each time the action runs. Otherwise a record gets one "
        "delivery per transaction, with the values of the last run: a save that fires "
        "an automation rule several times is sent once.",
    )
    bwt_webhook_skip_if_unchanged = fields.Boolean(
        string="Skip if Nothing Changed",
        help="A delivery is canceled if method, URL, headers and body are those of the "
        "last request about the record, and the receiver accepted that. Otherwise as "
        "the endpoint says.",
    )
    bwt_webhook_skip_user_ids = fields.Many2many(
        comodel_name="res.users",
        relation="bwt_webhook_outbound_action_skip_user_rel",
        column1="action_id",
        column2="user_id",
        string="Skip Changes Made By",
        copy=True,
        help="Queue nothing when one of these users triggers the action: the user as "
        "whom the receiver writes to Odoo, so that its changes aren't sent back.",
    )
    bwt_webhook_skip_answers = fields.Boolean(
        string="Skip Response Values",
        help="Queue nothing for a change that stores a response value: what the "
        "receiver responded isn't sent back to it. Receivers with another reference "
        "scope get it.",
    )
    bwt_webhook_watched_field_ids = fields.Many2many(
        comodel_name="ir.model.fields",
        relation="bwt_webhook_outbound_action_watched_field_rel",
        column1="action_id",
        column2="field_id",
        string="Watched Fields",
        domain="[('model_id', '=', model_id), ('store', '=', True)]",
        copy=True,
        help="In an automation rule: nothing is queued for a save after which all of "
        "these fields have the same value as before. A new record is always sent. "
        "Empty: each run queues.",
    )
    bwt_webhook_add_changes = fields.Boolean(
        string="Add What Changed",
        help="In an automation rule: adds the old and the new value of each watched "
        "field that changed to the payload, or of each field that was saved if none "
        "is watched, except those that are limited to groups. A save that changed "
        "none of them is not sent.",
    )
    bwt_webhook_changes_path = fields.Char(
        string="Path of the Changes",
        help="Dotted path of the changes in the payload, such as order.changes. "
        "Empty: changes.",
    )
    bwt_webhook_uses_changes = fields.Boolean(
        string="Uses Changes",
        compute="_compute_bwt_webhook_uses_changes",
        store=True,
        help="A setting of the action needs the values before a change.",
    )
    bwt_webhook_failure_mode = fields.Selection(
        selection=[
            ("store", "Store and Continue"),
            ("refuse", "Refuse"),
        ],
        string="Webhook On Failure",
        default="store",
        help="When endpoint, action or data don't allow a delivery to be queued. "
        "Store and Continue: the user's work is saved. For an endpoint in "
        "draft the delivery is stored as a draft, for an archived one it is "
        "skipped and counted, and a delivery that can't be built is stored in "
        "Error, where Queue builds it again. Refuse: the user gets an error "
        "and nothing is saved.",
    )
    bwt_webhook_without_records = fields.Selection(
        selection=[
            ("one", "Queue One Delivery about No Record"),
            ("domain", "Take the Records That Match"),
        ],
        string="Webhook Without Records",
        default="one",
        help="What the action does when it runs without records, for example as a "
        "scheduled action.",
    )
    bwt_webhook_domain = fields.Char(
        string="Webhook Records",
        help="Records that the action uses when it runs without records.",
    )
    bwt_webhook_hint = fields.Char(
        string="Webhook Hint",
        compute="_compute_bwt_webhook_hint",
        help="What the endpoint needs and no context line provides. An addon may "
        "provide it later, so the action still runs.",
    )
    bwt_webhook_fault = fields.Text(
        string="Webhook Fault",
        compute="_compute_bwt_webhook_fault",
        help="Why no delivery can be built. This is not one of Odoo's own warnings, "
        "because those make the action fail and roll back the user's work.",
    )
    bwt_webhook_sample = fields.Text(
        string="Webhook Sample",
        compute="_compute_bwt_webhook_sample",
        help="What would be queued for the record of the sample.",
    )
    bwt_webhook_sample_id = fields.Many2oneReference(
        model_field="model_name",
        string="Webhook Sample Record",
        store=False,
        help="The record whose payload is shown. Empty: the newest that you may read.",
    )
    bwt_webhook_sample_rules = fields.Html(
        string="Webhook Sample by Rule",
        compute="_compute_bwt_webhook_sample",
        sanitize=False,
        help="Each value of the sample, and the rule that it comes from.",
    )

    # Checked while it is made

    @api.depends("usage")
    def _compute_allowed_states(self):  # pylint: disable=missing-return  # a compute
        """In a scheduled action: code, which Odoo knows there, and this type."""
        super()._compute_allowed_states()
        for action in self.filtered(lambda each: each.usage == "ir_cron"):
            action.allowed_states = ["code", STATE]

    @api.depends(
        "bwt_webhook_watched_field_ids",
        "bwt_webhook_add_changes",
        "bwt_webhook_rule_ids.source_kind",
        "bwt_webhook_context_ids.source_kind",
    )
    def _compute_bwt_webhook_uses_changes(self):
        for action in self:
            lines = action.bwt_webhook_rule_ids | action.bwt_webhook_context_ids
            action.bwt_webhook_uses_changes = selects_changes(action) or any(
                line.source_kind == OLD_FIELD for line in lines
            )

    @api.depends(
        "state",
        "model_id",
        "usage",
        "bwt_webhook_endpoint_id",
        "bwt_webhook_watched_field_ids",
        "bwt_webhook_add_changes",
        "bwt_webhook_changes_path",
        "bwt_webhook_payload_mode",
        "bwt_webhook_field_ids.source_expression",
        "bwt_webhook_rule_ids.source_expression",
        "bwt_webhook_context_ids.source_expression",
        *(f"bwt_webhook_file_ids.{name}" for name in FILE_FIELDS),
        "bwt_webhook_without_records",
        "bwt_webhook_domain",
    )
    @api.depends_context("lang")
    def _compute_bwt_webhook_fault(self):
        for action in self:
            action.bwt_webhook_fault = False
            if action.state == STATE and action.model_id:
                try:
                    action._bwt_webhook_check(is_edited=True)
                except ValidationError as error:
                    action.bwt_webhook_fault = str(error)

    @api.constrains(
        "state",
        "model_id",
        "bwt_webhook_endpoint_id",
        "bwt_webhook_watched_field_ids",
        "bwt_webhook_add_changes",
        "bwt_webhook_changes_path",
        "bwt_webhook_settle_seconds",
        "bwt_webhook_settle_max_seconds",
        "bwt_webhook_payload_mode",
        "bwt_webhook_field_ids",
        "bwt_webhook_rule_ids",
    )
    def _check_bwt_webhook(self):
        for action in self.filtered(lambda each: each.state == STATE):
            action._bwt_webhook_check()

    @api.constrains(
        "state",
        "model_id",
        "usage",
        "bwt_webhook_without_records",
        "bwt_webhook_domain",
    )
    def _check_bwt_webhook_filter(self):
        for action in self.filtered(lambda each: each.state == STATE):
            takes_filter = action.bwt_webhook_without_records == "domain"
            if takes_filter and action.bwt_webhook_domain:
                action._bwt_webhook_check_filter()

    def _bwt_webhook_check_filter(self):
        """Raise when the filter can't be evaluated or searched for.

        :raise ValidationError: the message says why
        """
        domain = filter_of(self)
        with guarded(self.env) as outcome:
            self.env[self.model_id.model].search(domain, limit=1)
        if outcome.error is not None:
            raise misconfigured(
                self,
                self.env._(
                    "the filter %(filter)s can't be used: %(error)s. Correct it.",
                    filter=self.bwt_webhook_domain,
                    error=outcome.error,
                ),
            ) from outcome.error

    @api.constrains("model_id", "usage")
    def _check_bwt_webhook_automation(self):
        """Refuse automation rules on deliveries and attempts: they would not fire.

        A lane writes without the ORM, and so without automation rules. Triggers by a
        date, a call or a message don't depend on that.
        """
        for action in self:
            name = action.model_name or ""
            if (name.startswith(DELIVERY) or name == HEALTH) and (
                action._bwt_webhook_follows_changes()
            ):
                raise misconfigured(
                    action,
                    self.env._(
                        "an automation rule on %(model)s doesn't fire: lanes write "
                        "it with SQL, not through Odoo's ORM. To react to the "
                        "result of a delivery, override _handle_outbound_response "
                        "of %(hook)s in an addon, or "
                        "_handle_outbound_webhook_response of its connector "
                        "backend.",
                        model=action.model_id.name,
                        hook=DELIVERY,
                    ),
                )

    def _bwt_webhook_follows_changes(self):
        """Whether it belongs to an automation rule that is triggered by a change."""
        rule = automation_of(self)
        if rule is None:
            return self.usage == "base_automation"
        return not (rule.trigger or "").startswith(NOT_BY_CHANGE)

    def _bwt_webhook_check(self, is_edited=False):
        """Raise an error that prevents this action for any record.

        :param is_edited: what nobody has filled in yet is not an error
        """
        if self.model_name.startswith(DELIVERY):  # each delivery would queue the next
            raise misconfigured(
                self,
                self.env._(
                    "a delivery can't queue deliveries: each would queue the next. "
                    "Choose another model. To react to the result of a delivery, "
                    "override _handle_outbound_response of %s in an addon.",
                    DELIVERY,
                ),
            )
        if not self.bwt_webhook_endpoint_id:
            if is_edited:
                return
            raise misconfigured(self, self.env._("it has no endpoint. Choose one."))
        window = self.bwt_webhook_settle_seconds, self.bwt_webhook_settle_max_seconds
        if message := window_message(self.env, *window):
            raise misconfigured(self, message)
        try:
            check_changes(self)
        except ServiceError as error:
            error.where = error.where or self.env._("what changed")
            raise misconfigured(self, error) from error
        for line in (*self._bwt_webhook_lines(), *self.bwt_webhook_file_ids):
            if is_edited and not line._is_filled_in():
                continue
            try:
                line._check_one()
            except ServiceError as error:
                error.where = line._source_label()
                raise misconfigured(self, error) from error
        check_payload_paths(self)

    def _model_of_records(self):
        """The model of the records that deliveries are about."""
        return self.model_name

    def _bwt_webhook_lines(self):
        payload = self.bwt_webhook_field_ids
        if self.bwt_webhook_payload_mode == "rules":
            payload = self.bwt_webhook_rule_ids
        return payload | self.bwt_webhook_context_ids

    @api.depends("state", "bwt_webhook_endpoint_id", "bwt_webhook_context_ids.target")
    @api.depends_context("lang")
    def _compute_bwt_webhook_hint(self):
        for action in self:
            given = {
                (line.target or "").strip() for line in action.bwt_webhook_context_ids
            }
            endpoint = action.bwt_webhook_endpoint_id.sudo()
            needs = action.state == STATE and missing_values_message(endpoint, given)
            action.bwt_webhook_hint = needs and self.env._(
                "%(needs)s: add a context line.", needs=needs
            )

    def _generate_action_name(self):
        if self.state == STATE and self.bwt_webhook_endpoint_id:
            return self.env._(
                "Queue webhook for %s", self.bwt_webhook_endpoint_id.sudo().name
            )
        return super()._generate_action_name()

    def _name_depends(self):
        return super()._name_depends() + ["bwt_webhook_endpoint_id"]

    @api.depends(
        "state",
        "model_id",
        "name",
        "bwt_webhook_endpoint_id",
        "bwt_webhook_payload_mode",
        *(
            f"bwt_webhook_{kind}_ids.{name}"
            for kind in ("field", "rule", "context")
            for name in ("target", *SOURCE_FIELDS, *FORMAT_FIELDS, "value_map")
        ),
        *(f"bwt_webhook_rule_ids.{name}" for name in ("sequence", *LIST_FIELDS)),
        *(f"bwt_webhook_file_ids.{name}" for name in FILE_FIELDS),
        "bwt_webhook_sample_id",
        "bwt_webhook_watched_field_ids",
        "bwt_webhook_add_changes",
        "bwt_webhook_changes_path",
    )
    @api.depends_context("lang")
    def _compute_bwt_webhook_sample(self):
        for action in self:
            action.bwt_webhook_sample = False
            action.bwt_webhook_sample_rules = False
            if action.state != STATE or not action.model_id:
                continue
            try:
                action._bwt_webhook_set_sample()
            except ServiceError as error:
                action.bwt_webhook_sample = _wrapped(translate(self.env, error))
            except ValidationError as error:
                action.bwt_webhook_sample = _wrapped(str(error))

    @api.onchange("model_id")
    def _onchange_bwt_webhook_model(self):
        self.bwt_webhook_sample_id = False

    def _bwt_webhook_sample_record(self):
        """The chosen record, else the newest; only one that the user may read."""
        model = self.env[self.model_id.model]
        if model._abstract or not model.has_access("read"):
            return model.browse()
        chosen = model.browse(self.bwt_webhook_sample_id or ()).exists()
        return (
            chosen._filtered_access("read")
            if chosen
            else model.search([], limit=1, order="id desc")
        )

    def _bwt_webhook_set_sample(self):
        record = self._bwt_webhook_sample_record()
        if not record:
            self.bwt_webhook_sample = self.env._(
                "No record exists yet, so there is no sample."
            )
            return
        changes = {record.id: sample_changes(self, record)}
        [request] = compile_action(self)(record, changes)
        payload, lines = request["payload"], request["context_lines"]
        files = request[RECORD_FILES] or ()
        text = serialize_payload(to_json_value(with_sample_files(payload, files)))
        if lines:
            text += "\n\n// " + self.env._("context values") + "\n"
            text += serialize_payload(to_json_value(lines))
        if files:
            text += "\n\n// " + self.env._("files") + "\n"
            text += "\n".join(map(sample_line, files))
        self.bwt_webhook_sample = text
        if self.bwt_webhook_payload_mode == "rules":
            rules = self.bwt_webhook_rule_ids
            self.bwt_webhook_sample_rules = table_of_values(payload, rules)

    def action_bwt_webhook_backfill(self):
        """Open a new run of this action over existing records."""
        self.ensure_one()
        return self.env[RUN]._action_new(self, self.bwt_webhook_endpoint_id)

    def action_bwt_webhook_compare(self):
        """Open a dry run: payloads built again, against those of past deliveries."""
        self.ensure_one()
        return self.env[DRY_RUN]._action_new(
            self.bwt_webhook_endpoint_id, action=self.sudo()
        )

    def _bwt_webhook_leave(self):
        """On uninstall: delete its actions, and the schedules that use them."""
        self.ir_cron_ids.unlink()
        self.exists().unlink()

    def _run_action_bwt_webhook_outbound_multi(self, eval_context=None):
        """Odoo calls it to run actions of this type, once for all records."""
        return ServerActionRun(self, eval_context).run()

    @api.model_create_multi
    def create(self, vals_list):
        with recorded(self.env) as audit:
            actions = super().create(vals_list)
            audit.ignore(actions)
        actions._bwt_webhook_bind()
        actions._bwt_webhook_renew_forms()
        return actions

    def write(self, vals):
        is_renewed = {"state", "model_id"} & vals.keys()
        if is_renewed:
            self._bwt_webhook_renew_forms()  # those of the former model
        queues = self.filtered(lambda each: each.state == STATE)
        is_configured = queues and is_recorded(self, vals)
        with recorded(self.env, queues) if is_configured else nullcontext():
            result = super().write(vals)
        if is_renewed:
            self._bwt_webhook_bind()
            self._bwt_webhook_renew_forms()
        if (
            "base_automation_id" in vals
        ):  # a constraint can't name another addon's field
            self._check_bwt_webhook_automation()
        return result

    def unlink(self):
        self._bwt_webhook_renew_forms()
        return super().unlink()

    @api.model
    @tools.ormcache()
    def _bwt_webhook_models(self):
        """Names of the models whose records server actions send."""
        actions = self.sudo().search_fetch([("state", "=", STATE)], ["model_id"])
        return frozenset(actions.model_id.mapped("model"))

    def _bwt_webhook_renew_forms(self):
        """Forms have a button if a server action sends their records."""
        if any(each.state == STATE for each in self):
            self.env.registry.clear_cache()
            self.env.registry.clear_cache("templates")

    def _bwt_webhook_bind(self):
        """Put "Webhook Deliveries" into the Action menu of models that queue some.

        The menu action has an XML id of this addon, so that uninstalling removes it.
        """
        for action in self.filtered(lambda each: each.state == STATE):
            name = f"record_deliveries_{action.model_id.model.replace('.', '_')}"
            xml_id = f"bwt_webhooks_outbound.{name}"
            if self.env.ref(xml_id, raise_if_not_found=False):
                continue
            values = {
                "name": self.env._("Webhook Deliveries"),
                "res_model": DELIVERY,
                "view_mode": "list,kanban,form",
                "domain": "[('res_model', '=', active_model), "
                "('res_id', 'in', active_ids)]",
                "context": "{}",
                "binding_model_id": action.model_id.id,
                "binding_view_types": "list,kanban,form",
                "group_ids": [Command.link(self.env.ref(GROUP_OPERATOR).id)],
            }
            self.env["ir.actions.act_window"].sudo()._load_records(
                [{"xml_id": xml_id, "noupdate": True, "values": values}]
            )


def _wrapped(message):
    """The message in lines: the widget of the sample shows code and wraps none."""
    return textwrap.fill(message, SAMPLE_WIDTH, break_long_words=False)
