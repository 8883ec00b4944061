# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs over existing records: their settings, rights, buttons and jobs."""

import logging

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..lane import jobs
from ..lane.clock import utcnow
from . import run_batch
from .action_guard import guarded
from .const import GROUP_OPERATOR, ORIGINS, PACE, RECONCILIATION, RUN
from .delivery_access import check_relations
from .errors import lock_in_state, refused
from .reconciliation_check import MatchingResults
from .run_records import matching

_logger = logging.getLogger(__name__)

PACE_MAX = 30_000
UNENDED = ("running", "paused")
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
    "after_delivery_id until_delivery_id allowance ahead_limit batch_limit "
    "reconciliation_id check_number verdicts endpoint_id company_id res_model "
    "replay_with replay_states replay_summary left_count left_message".split()
)
# What a run sends is fixed once it was started.
FIXED_ONCE_STARTED = frozenset({"action_id", "action_choice", "domain"})


class BwtWebhookOutboundRun(models.Model):
    """Queues a delivery for each existing record that matches, at a pace.

    A batch is one transaction: it queues the deliveries of the next records by id and
    moves `last_id` behind them, so a kill at any moment repeats and omits none.
    """

    _name = RUN
    _description = "Outbound Webhook Run"
    _inherit = ["bwt.webhook.outbound.action.choice"]
    _order = "id desc"
    _engine_fields = ENGINE

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
        copy=False,
        help="The origin of its deliveries.",
    )
    reconciliation_id = fields.Many2one(
        comodel_name=RECONCILIATION,
        ondelete="cascade",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="It queues what this reconciliation has found.",
    )
    check_number = fields.Integer(readonly=True, copy=False, aggregator=False)
    verdicts = fields.Char(
        readonly=True, copy=False, help="Which results of the reconciliation it queues."
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
    replay_with = fields.Selection(
        selection=[("same", "The Same Message ID"), ("new", "A New Message ID")],
        readonly=True,
        copy=False,
        help="Of a run over past deliveries. The same: the delivery itself is queued "
        "again, and the receiver drops what it has. A new one: a copy is queued, with "
        "the origin Replayed.",
    )
    replay_states = fields.Char(
        string="Replayed States",
        readonly=True,
        copy=False,
        help="Technical names of the states of the deliveries that it queues again.",
    )
    replay_summary = fields.Text(
        string="Replayed Deliveries",
        readonly=True,
        copy=False,
        help="Which deliveries it queues again.",
    )
    left_count = fields.Integer(
        string="Not Replayed",
        readonly=True,
        copy=False,
        default=0,
        help="Deliveries that were deleted or changed since the run was started, or "
        "that could not be queued.",
    )
    left_message = fields.Text(
        string="Not Replayed Because",
        readonly=True,
        copy=False,
        help="Why the first ones were not replayed, and how many of them for each "
        "reason.",
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
    ahead_limit = fields.Integer(
        string="Deliveries Ahead",
        readonly=True,
        copy=False,
        aggregator=False,
        help="Deliveries of the endpoint that may wait before it queues more. Fewer if "
        "they are sent slowly.",
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

    # Two replays would send a delivery twice.
    _one_replay_per_endpoint = models.UniqueIndex(
        "(endpoint_id) WHERE state IN ('running', 'paused') "
        "AND replay_with IS NOT NULL",
        "Another replay of this endpoint has not ended. Wait for it, or cancel it.",
    )

    # Settings

    @api.depends("action_id")
    def _compute_of_action(self):
        replays = self.filtered("replay_with")
        for run in replays:  # they have no server action
            run.endpoint_id = run.endpoint_id
            run.res_model = run.res_model
        return super(BwtWebhookOutboundRun, self - replays)._compute_of_action()

    @api.depends("state", "processed_count", "total_count")
    def _compute_progress(self):
        for run in self:
            share = run.processed_count / run.total_count if run.total_count else 0
            run.progress = 100 if run.state == "done" else min(share * 100, 100)

    @api.depends("action_id", "domain", "pace", "state")
    @api.depends_context("lang")
    def _compute_matching_message(self):
        for run in self:
            run.matching_message = False
            if run.state != "draft" or not run.action_id:
                continue
            with guarded(self.env) as outcome:
                count = matching(run, self.env.user).count()
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
            if run.state == "draft" and not run.replay_with:
                run._check_action_choice()

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

    # Buttons

    def action_start_run(self):
        """Start it: the first batch follows within a second."""
        for run in self:
            run.check_access("write")
            run._require("draft")
            run.sudo()._start(self.env.user, self.env.companies)
        return True

    def action_pause_run(self):
        self._check_operator()
        for run in self:
            run._require("running")
            run.sudo()._set("paused", self.env._("%s paused it.", self.env.user.name))
        return True

    def action_resume_run(self):
        """Continue behind the last record."""
        self._check_operator()
        for run in self:
            run._require("paused", "failed")
            run.sudo()._check_startable()
            run.sudo()._set("running", False)
            run.sudo()._request_batch()
        return True

    def action_cancel_run(self):
        """End it; what it has queued is sent."""
        self._check_operator()
        for run in self:
            run._require("draft", "running", "paused", "failed")
            run.sudo()._end(
                "canceled", self.env._("%s canceled it.", self.env.user.name)
            )
        return True

    def action_view_deliveries(self):
        """Open the deliveries that it has queued."""
        return self._view([])

    def action_view_not_built(self):
        """Open the deliveries whose payload could not be built."""
        return self._view([("needs_build", "=", True)])

    def _view(self, domain):
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_delivery"
        )
        return action | {"domain": [*self._deliveries_domain(), *domain], "context": {}}

    def _deliveries_domain(self):
        """Its deliveries: of one action, one run at a time queues with this origin."""
        if self.replay_with:
            return [("replay_run_id", "=", self.id)]
        domain = [
            ("server_action_id", "=", self.sudo().action_id.id),
            ("origin", "=", self.origin),
            ("id", ">", self.after_delivery_id),
        ]
        if self.until_delivery_id:
            domain.append(("id", "<=", self.until_delivery_id))
        return domain

    def _check_operator(self):
        if not self.env.su and not self.env.user.has_group(GROUP_OPERATOR):
            raise AccessError(
                self.env._(
                    "Only webhooks operators may pause, resume and cancel runs. Ask "
                    "one of them, or ask an administrator for that role."
                )
            )
        self.check_access("read")

    def _require(self, *states):
        """Lock the run and refuse another state: a batch may end at this moment."""
        self.ensure_one()
        lock_in_state(self, *states)

    # Lifecycle, with sudo

    def _check_startable(self):
        """Refuse where no batch could queue anything."""
        if self.replay_with:
            self.endpoint_id._check_queueable()
            self._check_only_replay()
            return
        self._check_action_choice()
        self.endpoint_id._check_queueable()
        if self.check_number != self.reconciliation_id.check_number:
            raise refused(
                self,
                self.env._(
                    "its reconciliation was checked again, and what it would queue is "
                    "in that result now. Press a Queue button of "
                    "the reconciliation."
                ),
            )
        other = self.search(
            [
                ("action_id", "=", self.action_id.id),
                ("state", "in", UNENDED),
                ("id", "!=", self.id),
            ],
            limit=1,
        )
        if other:
            raise refused(
                self,
                self.env._(
                    'the run "%(name)s" of the same server action has not ended, and '
                    "would send records twice. Wait for it, or cancel it.",
                    name=other.name,
                ),
            )

    def _check_only_replay(self):
        other = self.search(
            [
                ("endpoint_id", "=", self.endpoint_id.id),
                ("replay_with", "!=", False),
                ("state", "in", UNENDED),
                ("id", "!=", self.id),
            ],
            limit=1,
        )
        if other:
            raise refused(
                self,
                self.env._(
                    'the replay "%(name)s" of the same endpoint has not ended, and '
                    "would send deliveries twice. Wait for it, or cancel it.",
                    name=other.name,
                ),
            )

    def _start_replay(self, deliveries, domain):
        """Store what the domain finds, and request the first batch.

        :param deliveries: an empty recordset, with the rights of the user
        """
        self._check_startable()
        env = deliveries.env
        self.write(
            {
                "user_id": env.user.id,
                "company_ids_json": env.companies.ids,
                "after_delivery_id": self._last_delivery_id(),
                "started_at": utcnow(),
            }
        )
        count = self.env[f"{RUN}.delivery"]._fill(self, deliveries, domain)
        self.write({"total_count": count, "max_id": count})
        self._set("running", False)
        self._request_batch()

    def _start(self, user, companies):
        """Count the records as `user` and request the first batch."""
        self._check_startable()
        self.company_ids_json = companies.ids
        if self.reconciliation_id:
            count, highest = MatchingResults(self).count(), 0
        else:
            records = matching(self, user)
            count, highest = records.count(), records.highest_id()
        values = {
            "user_id": user.id,
            "total_count": count,
            "max_id": highest,
            "after_delivery_id": self._last_delivery_id(),
            "started_at": utcnow(),
        }
        self.write(values)
        if not self.total_count:
            self._end("done", self.env._("No record matches."))
            return
        self._set("running", False)
        self._request_batch()

    def _set(self, state, message):
        self.write({"state": state, "message": message, "fed_at": 0, "allowance": 0})

    def _end(self, state, message=False):
        self._set(state, message)
        self.write(
            {"ended_at": utcnow(), "until_delivery_id": self._last_delivery_id()}
        )
        _logger.info(
            "run id=%s state=%s queued=%s not_built=%s",
            self.id,
            state,
            self.queued_count,
            self.not_built_count,
        )

    def _last_delivery_id(self):
        """The highest id of a delivery, of transactions that are not committed too."""
        self.env.cr.execute(
            "SELECT last_value FROM bwt_webhook_outbound_delivery_id_seq"
        )
        return self.env.cr.fetchone()[0]

    def _request_batch(self, delay=None):
        """Request the next batch, after `delay` (a timedelta).

        Where jobs are set to run at once, all batches run now, without a pace.
        """
        if jobs.runs_immediately(self.env):
            while self.state == "running":
                if run_batch.feed(self, utcnow(), is_paced=False) is run_batch.WAITS:
                    break
            return
        jobs.request_batch(self, utcnow() + delay if delay else None)

    @api.private
    def run_batch(self):
        """Job: queue the next records and request the next batch.

        :return: a line on what it did, stored as the job's result
        """
        run = self.exists().with_user(SUPERUSER_ID)
        if not run or not run._lock():
            return "nothing to do: deleted, not running, or in another job"
        delay = run_batch.feed(run, utcnow())
        if run.state == "running":
            run._request_batch(delay)
        return f"{run.state}: {run.processed_count} of {run.total_count} records"

    def _lock(self):
        """Whether it runs and no other job works on it; locks it."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT id FROM bwt_webhook_outbound_run WHERE id = %s "
                "AND state = 'running' FOR NO KEY UPDATE SKIP LOCKED",
                self.id,
            )
        )
        return bool(self.env.cr.fetchone())

    @api.model
    def _wake_interrupted(self):
        """Request a batch for runs whose job is gone, or due at a wrong time."""
        self.env.flush_all()
        for run in self.sudo().browse(jobs.runs_without_job(self.env.cr, utcnow())):
            _logger.info("run id=%s has no job: requested", run.id)
            jobs.request_batch(run)
