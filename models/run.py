# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs over existing records: their settings and rights."""

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

from . import run_batch
from .action_guard import guarded
from .const import ACTION_STATE, ENDPOINT, ORIGINS, PACE, RUN
from .delivery_access import check_relations
from .errors import refused
from .run_lifecycle import UNENDED

PACE_MAX = 30_000
STATES = [
    ("draft", "Draft"),
    ("running", "Running"),
    ("paused", "Paused"),
    ("done", "Done"),
    ("canceled", "Canceled"),
    ("failed", "Failed"),
]
# Written by buttons and batches as superuser: a user who could set them could have
# records read with the rights of another.
ENGINE = frozenset(
    "state origin user_id company_ids_json last_id max_id total_count processed_count "
    "queued_count not_built_count not_built_message message started_at ended_at fed_at "
    "after_delivery_id until_delivery_id "
    "allowance batch_limit endpoint_id company_id res_model".split()
)
COMPUTED = frozenset({"endpoint_id", "company_id", "res_model"})
# What a run sends is fixed once it was started.
FIXED_ONCE_STARTED = frozenset({"action_id", "action_choice", "domain"})


class BwtWebhookOutboundRun(models.Model):
    """Queues a delivery for each existing record that matches, at a pace.

    A batch is one transaction: it queues the deliveries of the next records by id and
    moves `last_id` behind them, so a kill at any moment repeats and omits none.
    """

    _name = RUN
    _description = "Outbound Webhook Run"
    _inherit = ["bwt.webhook.outbound.run.lifecycle"]
    _order = "id desc"

    name = fields.Char(
        required=True,
        default=lambda self: self.env._("Backfill"),
        help="Shown in lists. Default: the name of the server action.",
    )
    state = fields.Selection(
        selection=STATES, default="draft", required=True, readonly=True, copy=False
    )
    origin = fields.Selection(
        selection=[each for each in ORIGINS if each[0] in run_batch.ORIGINS_OF_RUNS],
        default="backfill",
        required=True,
        readonly=True,
        help="The origin of its deliveries.",
    )
    action_id = fields.Many2one(
        comodel_name="ir.actions.server",
        string="Server Action",
        ondelete="set null",
        help="It defines endpoint and payload. Its filter, watched fields and skipped "
        "users don't apply.",
    )
    # Server actions can be read by Settings administrators only.
    action_choice = fields.Selection(
        selection="_selection_actions",
        string="What to Send",
        compute="_compute_action_choice",
        inverse="_inverse_action_choice",
        help="A server action that queues deliveries: it defines endpoint and payload.",
    )
    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT,
        compute="_compute_of_action",
        store=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        related="endpoint_id.company_id", store=True, index=True
    )
    res_model = fields.Char(
        string="Model", compute="_compute_of_action", store=True, help="Of the records."
    )
    domain = fields.Char(
        string="Records",
        default="[]",
        help="Which records are sent. Archived ones are only if the filter names the "
        "field Active. It is evaluated for each batch.",
    )
    pace = fields.Integer(
        string="Pace (per Minute)",
        default=PACE,
        required=True,
        help="Records that are queued per minute, at most. Fewer are queued while "
        "earlier deliveries of the endpoint wait. Can be changed while it runs.",
    )
    user_id = fields.Many2one(
        comodel_name="res.users",
        string="Started By",
        readonly=True,
        copy=False,
        help="Records are searched with the rights of this user.",
    )
    company_ids_json = fields.Json(string="Companies", readonly=True, copy=False)
    matching_message = fields.Char(
        string="Matching Records",
        compute="_compute_matching_message",
        help="How many records match, and how long the run takes at its pace.",
    )
    message = fields.Text(
        readonly=True, copy=False, help="Why it waits, was paused or failed."
    )
    total_count = fields.Integer(
        string="Records at the Start", readonly=True, copy=False, aggregator=False
    )
    processed_count = fields.Integer(
        string="Records Processed", readonly=True, copy=False, default=0
    )
    queued_count = fields.Integer(string="Queued", readonly=True, copy=False, default=0)
    not_built_count = fields.Integer(
        string="Not Built",
        readonly=True,
        copy=False,
        default=0,
        help="Records whose payload could not be built. Each has a delivery in Error.",
    )
    not_built_message = fields.Text(
        string="First Error",
        readonly=True,
        copy=False,
        help="Why the first one was not built.",
    )
    progress = fields.Float(
        compute="_compute_progress",
        help="Share of the records that are processed, in percent.",
    )
    last_id = fields.Integer(
        string="Last Record ID",
        readonly=True,
        copy=False,
        default=0,
        aggregator=False,
        help="The next batch begins behind it.",
    )
    max_id = fields.Integer(
        string="Highest Record ID",
        readonly=True,
        copy=False,
        aggregator=False,
        help="The newest record at the start. Later ones are not part of the run.",
    )
    after_delivery_id = fields.Integer(
        string="Deliveries After",
        readonly=True,
        copy=False,
        aggregator=False,
        help="The ids of its deliveries are higher.",
    )
    until_delivery_id = fields.Integer(
        string="Deliveries Until",
        readonly=True,
        copy=False,
        aggregator=False,
        help="The ids of its deliveries are not higher. Empty until it has ended.",
    )
    started_at = fields.Datetime(readonly=True, copy=False)
    ended_at = fields.Datetime(readonly=True, copy=False)
    fed_at = fields.Float(
        string="Last Batch",
        readonly=True,
        copy=False,
        aggregator=False,
        help="Unix time of the last batch, in seconds.",
    )
    allowance = fields.Float(
        readonly=True,
        copy=False,
        aggregator=False,
        help="Records that its pace had left over at the last batch.",
    )
    batch_limit = fields.Integer(
        readonly=True,
        copy=False,
        default=run_batch.BATCH_MAX,
        aggregator=False,
        help="Records of a batch, at most. Less if a batch takes over a second.",
    )

    # Two runs of one action would send a record twice.
    _one_per_action = models.UniqueIndex(
        "(action_id) WHERE state IN ('running', 'paused')",
        "Another run of this server action has not ended. Wait for it, or cancel it.",
    )

    # Settings

    @api.model
    def _selection_actions(self):
        """Server actions of endpoints that the user may read: pairs (id, name)."""
        domain = Domain.TRUE
        if endpoint_id := self.env.context.get("webhook_endpoint_id"):
            domain = Domain("id", "=", endpoint_id)
        endpoints = self.env[ENDPOINT].search(domain)
        actions = self.env["ir.actions.server"].sudo()
        found = actions.search(
            [
                ("state", "=", ACTION_STATE),
                ("bwt_webhook_endpoint_id", "in", endpoints.ids),
            ]
        )
        return [
            (str(each.id), f"{each.name} → {each.bwt_webhook_endpoint_id.name}")
            for each in found
        ]

    @api.depends("action_id")
    def _compute_action_choice(self):
        known = dict(self._selection_actions())
        for run in self:
            key = str(run.sudo().action_id.id)
            run.action_choice = key in known and key

    def _inverse_action_choice(self):
        for run in self:
            run.action_id = int(run.action_choice) if run.action_choice else False

    @api.onchange("action_choice")
    def _onchange_action_choice(self):
        self._inverse_action_choice()

    @api.depends("action_id")
    def _compute_of_action(self):
        for run in self:
            action = run.sudo().action_id
            run.endpoint_id = action.bwt_webhook_endpoint_id
            run.res_model = action.model_id.model

    @api.depends("state", "processed_count", "total_count")
    def _compute_progress(self):
        for run in self:
            share = run.processed_count / run.total_count if run.total_count else 0
            run.progress = 100 if run.state == "done" else min(share * 100, 100)

    @api.depends("action_id", "domain", "pace", "state")
    def _compute_matching_message(self):
        for run in self:
            run.matching_message = False
            if run.state != "draft" or not run.action_id:
                continue
            with guarded(self.env) as outcome:
                count = run_batch.matching(run, self.env.user).count()
            if outcome.error is not None:
                run.matching_message = str(outcome.error)
            elif run.pace > 0:
                run.matching_message = self.env._(
                    "%(count)s, %(minutes)s minutes at this pace",
                    count=count,
                    minutes=-(-count // run.pace),
                )

    @api.constrains("action_id")
    def _check_action(self):
        for run in self.sudo():
            if run.state == "draft":
                run._check_action_of_run()

    @api.constrains("pace")
    def _check_pace(self):
        for run in self:
            if not 1 <= run.pace <= PACE_MAX:
                raise refused(
                    run,
                    self.env._(
                        "its pace is %(pace)s records per minute. Enter 1 to %(most)s.",
                        pace=run.pace,
                        most=PACE_MAX,
                    ),
                )

    def _check_action_of_run(self):
        action = self.action_id
        if not action:
            raise refused(
                self, self.env._("it has no server action. Choose what to send.")
            )
        if action.state != ACTION_STATE or not action.bwt_webhook_endpoint_id:
            raise refused(
                self,
                self.env._(
                    "its server action doesn't queue webhooks. Choose one of the type "
                    "Queue Outbound Webhook."
                ),
            )
        model = self.env.get(action.model_id.model)
        if model is None or model._abstract or model._transient:
            raise refused(
                self,
                self.env._(
                    "records of its server action aren't stored. Choose another one."
                ),
            )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        check_relations(self, ("endpoint_id",), values)
        return values

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            self.browse().check_access("create")
            # Complete, so that no default of context or user adds to them.
            blank = self._engine_defaults()
            for vals in vals_list:
                self._refuse_engine_fields(vals, blank)
            vals_list = [vals | blank for vals in vals_list]
        runs = super().create([self._with_action(vals) for vals in vals_list])
        runs._check_endpoint_access()
        return runs

    def _engine_defaults(self):
        found = {}
        for name in ENGINE - COMPUTED:
            default = self._fields[name].default
            found[name] = default(self) if default else False
        return found

    def _with_action(self, vals):
        """`vals` with the action that was chosen, and its name as name of the run."""
        vals = dict(vals)
        choice = vals.pop("action_choice", None)
        if choice:
            vals["action_id"] = int(choice)
        action = self.env["ir.actions.server"].sudo().browse(vals.get("action_id"))
        if action.exists() and not vals.get("name"):
            vals["name"] = action.name
        return vals

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            self._refuse_engine_fields(vals, {})
            fixed = FIXED_ONCE_STARTED & vals.keys()
            for run in self if fixed else ():
                if run.state != "draft":
                    raise refused(
                        run,
                        self.env._(
                            "it was started, so what it sends can't be changed. "
                            "Cancel it and create another one."
                        ),
                    )
        result = super().write(vals)
        if not self.env.su and {"action_id", "action_choice"} & vals.keys():
            self._check_endpoint_access()
        return result

    def _refuse_engine_fields(self, vals, blank):
        given = sorted(
            self._fields[name]._description_string(self.env)
            for name in ENGINE & vals.keys()
            if name not in blank or (vals[name] or False) != (blank[name] or False)
        )
        if given:
            raise AccessError(
                self.env._(
                    "%s can't be set on a run: they are recorded while it runs. Use "
                    "its buttons instead.",
                    ", ".join(given),
                )
            )

    def _check_endpoint_access(self):
        """A user sends only to endpoints that they may read."""
        if not self.env.su:
            self.endpoint_id.check_access("read")

    @api.ondelete(at_uninstall=False)
    def _unlink_except_unended(self):
        for run in self:
            if run.state in UNENDED:
                raise refused(
                    run, self.env._("it has not ended. Cancel it before you delete it.")
                )

    @api.model
    def _action_new(self, action, endpoint):
        """Open the form of a new run of this server action."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Backfill Existing Records"),
            "res_model": RUN,
            "views": [(False, "form")],
            "context": {
                "default_name": action.name,
                "default_action_choice": str(action.id),
                "webhook_endpoint_id": endpoint.id,
            },
        }
