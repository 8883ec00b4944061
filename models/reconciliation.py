# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Checks that existing records have arrived, and queues those that have not."""

import logging

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..lane import jobs
from ..lane.batch import describe
from ..lane.clock import utcnow
from .action_guard import guarded
from .const import GROUP_OPERATOR, PACE, RECONCILIATION, RUN
from .endpoint_snapshot import active_lang
from .errors import refused
from .reconciliation_check import MISSING, VERDICTS, problem_of, step
from .reconciliation_result import delete_results, new_missing
from .run import PACE_MAX, UNENDED

_logger = logging.getLogger(__name__)

ACTIVITY = "bwt_webhooks_outbound.mail_activity_type_missing"
COUNTS = [f"{name}_count" for name, _label in VERDICTS]
ENGINE = frozenset(
    "state user_id company_ids_json last_id check_number is_nightly message "
    "started_at checked_at endpoint_id company_id res_model".split()
) | frozenset(COUNTS)
# Which records must have arrived, and how: a result belongs to these.
SETTINGS = {"action_id", "action_choice", "domain", "date_field", "since_days"}
SINCE_MAX = 36_500


def _count(label, help_text):
    return fields.Integer(
        string=label, readonly=True, copy=False, default=0, help=help_text
    )


class BwtWebhookOutboundReconciliation(models.Model):
    """Says which records must have arrived, and checks whether they have."""

    _name = RECONCILIATION
    _description = "Outbound Webhook Reconciliation"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
        "bwt.webhook.outbound.action.choice",
    ]
    _order = "name, id"
    _engine_fields = ENGINE

    name = fields.Char(
        required=True,
        default=lambda self: self.env._("Reconciliation"),
        help="Shown in lists. Default: the name of the server action.",
    )
    active = fields.Boolean(default=True)
    state = fields.Selection(
        selection=[("idle", "Idle"), ("checking", "Checking")],
        default="idle",
        required=True,
        readonly=True,
        copy=False,
    )
    domain = fields.Char(
        string="Records",
        default="[]",
        help="Which records must have arrived. Archived ones are only if the filter "
        "names the field Active.",
    )
    date_field = fields.Char(
        default="write_date",
        required=True,
        help="Technical name of the date that is compared with Since, such as "
        "date_order.",
    )
    since_days = fields.Integer(
        string="Since (Days)",
        default=30,
        help="Records with a date within so many days. 0: all.",
    )
    schedule = fields.Selection(
        selection=[
            ("none", "No"),
            ("report", "Check and Report"),
            ("repair", "Check and Queue What Is Missing"),
        ],
        string="Every Night",
        default="none",
        required=True,
        help="Report: the responsible user of the endpoint gets an activity if records "
        "are missing that the last check didn't find.",
    )
    pace = fields.Integer(
        string="Pace (per Minute)",
        default=PACE,
        required=True,
        help="Records per minute that are queued, at most.",
    )
    user_id = fields.Many2one(
        comodel_name="res.users",
        string="Reads As",
        readonly=True,
        copy=False,
        help="The user who saved the settings: records are searched with their rights.",
    )
    company_ids_json = fields.Json(string="Companies", readonly=True, copy=False)
    message = fields.Text(
        readonly=True, copy=False, help="Why the last check was not completed."
    )
    last_id = fields.Integer(
        string="Last Record ID", readonly=True, copy=False, default=0, aggregator=False
    )
    check_number = fields.Integer(
        readonly=True, copy=False, default=0, aggregator=False
    )
    is_nightly = fields.Boolean(
        string="Started by the Schedule", readonly=True, copy=False
    )
    started_at = fields.Datetime(readonly=True, copy=False)
    checked_at = fields.Datetime(
        string="Last Check", readonly=True, copy=False, help="When it was completed."
    )
    never_queued_count = _count("Never Queued", "Records without a delivery.")
    failed_count = _count("Failed", "The last delivery failed permanently.")
    outdated_count = _count(
        "Outdated", "Written since, and the payload of today isn't the delivered one."
    )
    canceled_count = _count(
        "Canceled",
        "The last delivery was canceled, and none with this payload is done.",
    )
    waiting_count = _count("Waiting", "The last delivery is on its way, or a draft.")
    delivered_count = _count("Delivered", "The receiver has the payload of today.")
    not_checkable_count = _count(
        "Not Checkable",
        "Older than the retention of the endpoint: a delivery may have been deleted.",
    )
    missing_count = fields.Integer(
        string="Missing",
        compute="_compute_missing_count",
        store=True,
        help="Never queued, failed, outdated or canceled.",
    )

    @api.depends(*(f"{name}_count" for name in MISSING))
    def _compute_missing_count(self):
        for each in self:
            each.missing_count = sum(each[f"{name}_count"] for name in MISSING)

    # Settings

    @api.constrains("action_id", "date_field", "since_days", "pace")
    def _check_settings(self):
        for each in self.sudo():
            each._check_action_choice()
            field = self.env[each.res_model]._fields.get(each.date_field)
            if not (field and field.store and field.type in ("date", "datetime")):
                raise refused(
                    each,
                    self.env._(
                        "%(model)s has no stored date field %(field)s. Enter another "
                        "one, such as create_date.",
                        model=each.action_id.model_id.name,
                        field=each.date_field,
                    ),
                )
            if not 0 <= each.since_days <= SINCE_MAX:
                raise refused(
                    each,
                    self.env._(
                        "Since (Days) is %(days)s. Enter 1 to %(most)s, or 0 for all "
                        "records.",
                        days=each.since_days,
                        most=SINCE_MAX,
                    ),
                )
            if not 1 <= each.pace <= PACE_MAX:
                raise refused(
                    each,
                    self.env._(
                        "its pace is %(pace)s records per minute. Enter 1 to %(most)s.",
                        pace=each.pace,
                        most=PACE_MAX,
                    ),
                )

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            self.browse().check_access("create")
            blank = self._engine_defaults()
            for vals in vals_list:
                self._refuse_engine_fields(vals, blank)
            vals_list = [vals | blank for vals in vals_list]
        made = super().create([self._with_action(vals) for vals in vals_list])
        made._check_endpoint_access()
        made._read_as_current_user()
        return made

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            self._refuse_engine_fields(vals, {})
        is_setting = bool(SETTINGS & vals.keys())
        for each in self if is_setting else ():
            each.sudo()._refuse_at_work()
        result = super().write(vals)
        if is_setting:
            self._check_endpoint_access()
            self._read_as_current_user()
        return result

    def _read_as_current_user(self):
        """Who says what is checked sees no record that they may not read.

        What was found with other settings isn't queued with these.
        """
        self.sudo().write(
            dict.fromkeys(COUNTS, 0)
            | {
                "user_id": self.env.uid,
                "company_ids_json": self.env.companies.ids,
                "checked_at": False,
                "message": False,
            }
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_at_work(self):
        for each in self.sudo():
            each._refuse_at_work()

    # Buttons

    def action_check(self):
        """Check now, in jobs; the form shows the counts when it is completed."""
        self._check_operator()
        for each in self:
            each.sudo()._begin()
        return True

    def action_queue_missing(self):
        """Queue what was never queued or was canceled."""
        return self._queue_found("never_queued", "canceled")

    def action_queue_failed(self):
        return self._queue_found("failed")

    def action_queue_outdated(self):
        return self._queue_found("outdated")

    def action_view_never_queued(self):
        return self._view("never_queued")

    def action_view_failed(self):
        return self._view("failed")

    def action_view_outdated(self):
        return self._view("outdated")

    def action_view_canceled(self):
        return self._view("canceled")

    def action_view_waiting(self):
        return self._view("waiting")

    def _view(self, verdict):
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": dict(VERDICTS)[verdict],
            "res_model": f"{RECONCILIATION}.result",
            "view_mode": "list,kanban",
            "views": [(False, "list"), (False, "kanban")],
            "domain": [
                ("reconciliation_id", "=", self.id),
                ("check_number", "=", self.check_number),
                ("verdict", "=", verdict),
            ],
        }

    def _queue_found(self, *verdicts):
        self.ensure_one()
        self.check_access("write")
        self.sudo()._refuse_at_work()
        if self.sudo()._is_of_another_action():
            raise refused(
                self,
                self.env._(
                    "its server action is for another model or endpoint since the last "
                    "check. Press Check Now."
                ),
            )
        if not sum(self[f"{name}_count"] for name in verdicts):
            raise refused(
                self,
                self.env._("the last check found nothing to queue. Press Check Now."),
            )
        run = self.sudo()._start_run(verdicts)
        return {
            "type": "ir.actions.act_window",
            "res_model": RUN,
            "res_id": run.id,
            "views": [(False, "form")],
        }

    def _check_operator(self):
        if not self.env.su and not self.env.user.has_group(GROUP_OPERATOR):
            raise AccessError(
                self.env._(
                    "Only webhooks operators may start checks. Ask one of them, or ask "
                    "an administrator for that role."
                )
            )
        self.check_access("read")

    # Checks, with sudo

    def _begin(self, is_nightly=False):
        self._refuse_at_work()
        if self._is_of_another_action():
            self._compute_of_action()
        self._check_settings()
        self.write(
            dict.fromkeys(COUNTS, 0)
            | {
                "state": "checking",
                "message": False,
                "last_id": 0,
                "check_number": self.check_number + 1,
                "checked_at": False,
                "started_at": utcnow(),
                "is_nightly": is_nightly,
            }
        )
        if not jobs.runs_immediately(self.env):
            jobs.request_check(self)
            return
        while self.state == "checking":
            self._step()

    def _refuse_at_work(self):
        """Refuse while a check or a run relies on settings and results."""
        if self.state == "checking":
            raise refused(
                self,
                self.env._("it is checking now. Wait until the check is completed."),
            )
        if self._has_run():
            raise refused(
                self,
                self.env._(
                    "a run still queues what the last check found. Wait for it, or "
                    "cancel it."
                ),
            )

    def _is_of_another_action(self):
        """Whether its action has changed since endpoint and model were stored."""
        action = self.action_id
        return (
            action.bwt_webhook_endpoint_id != self.endpoint_id
            or action.model_id.model != self.res_model
        )

    def _has_run(self):
        domain = [("reconciliation_id", "=", self.id), ("state", "in", UNENDED)]
        return bool(self.env[RUN].sudo().search_count(domain, limit=1))

    @api.private
    def run_check(self):
        """Job: check the next records for some seconds and request the next step."""
        found = self.exists().with_user(SUPERUSER_ID)
        if not found or not found._lock():
            return "nothing to do: deleted, not checking, or in another job"
        found._step()
        if found.state == "checking":
            jobs.request_check(found)
        return f"{found.state}: up to record {found.last_id}"

    def _lock(self):
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT id FROM bwt_webhook_outbound_reconciliation WHERE id = %s "
                "AND state = 'checking' FOR NO KEY UPDATE SKIP LOCKED",
                self.id,
            )
        )
        return bool(self.env.cr.fetchone())

    def _step(self):
        is_end, problem = False, problem_of(self)
        if not problem:
            with guarded(self.env) as outcome:
                is_end = step(self, utcnow())
            if outcome.error is not None:
                problem = describe(self.env, outcome.error)
        if problem:
            self._abort(problem)
        elif is_end:
            self._finish()

    def _abort(self, message):
        """End the check without a result; its counts would read as one."""
        self.write(
            dict.fromkeys(COUNTS, 0)
            | {"state": "idle", "message": message, "checked_at": False}
        )
        self.env.flush_all()
        self.env.cr.execute(delete_results(self.id, self.check_number))
        if self.is_nightly:
            self._notify(message)

    def _finish(self):
        """Notify of what wasn't known, and forget the results before."""
        self.write({"state": "idle", "checked_at": utcnow()})
        self.env.flush_all()
        self.env.cr.execute(new_missing(self.id, self.check_number))
        [(has_new,)] = self.env.cr.fetchall()
        # A run that was started at the same moment reads those before.
        if not self._has_run():
            self.env.cr.execute(delete_results(self.id, 0, self.check_number - 1))
        _logger.info(
            "reconciliation id=%s missing=%s new=%s",
            self.id,
            self.missing_count,
            has_new,
        )
        if not self.missing_count:
            self.activity_unlink([ACTIVITY])
        elif has_new and self.schedule != "none":
            self._notify()
        if self.schedule == "repair" and self.is_nightly:
            self._repair()

    def _notify(self, problem=""):
        """One open activity for the responsible user, about the last check.

        :param problem: why the check was not completed
        """
        user = self.endpoint_id.responsible_id
        kind = self.env.ref(ACTIVITY, raise_if_not_found=False)
        if not user or not kind:
            return
        # Mails are sent by the mail queue: a job must not wait for a mail server.
        lang = active_lang(self.env, user.lang)
        told = self.with_context(lang=lang, mail_notify_force_send=False)
        if problem:
            summary = told.env._("A nightly check was not completed")
            note = told.env._("Whether records are missing isn't known. %s", problem)
        else:
            summary = told.env._("Records are missing at the receiver")
            note = told.env._(
                "%s records have not arrived. Open them, and press Queue Missing, "
                "Queue Failed Again or Queue Outdated.",
                self.missing_count,
            )
        values = {"summary": summary, "note": note}
        known = told.activity_ids.filtered(lambda each: each.activity_type_id == kind)
        if known:
            known.write(values)
        else:
            told.activity_schedule(ACTIVITY, user_id=user.id, **values)

    def _repair(self):
        with guarded(self.env) as outcome:
            if self.missing_count:
                self._start_run(MISSING)
        if outcome.error is not None:
            self.message = describe(self.env, outcome.error)

    def _start_run(self, verdicts):
        """Start a run that queues these results, as the user who saved the settings."""
        values = {
            "name": self.name,
            "origin": "reconciliation",
            "action_id": self.action_id.id,
            "domain": self.domain,
            "pace": self.pace,
            "reconciliation_id": self.id,
            "check_number": self.check_number,
            "verdicts": ",".join(verdicts),
        }
        run = self.env[RUN].create(values)
        companies = self.env["res.company"].browse(self.company_ids_json or ())
        run._start(self.user_id, companies)
        return run

    @api.model
    def _cron_check(self):
        """Start the checks of the night."""
        for each in self.sudo().search([("schedule", "!=", "none")]):
            if each.state == "checking" or each._has_run():
                _logger.info("reconciliation id=%s is at work: not checked", each.id)
                continue
            with guarded(self.env) as outcome:
                each._begin(is_nightly=True)
            if outcome.error is not None:
                each.message = describe(self.env, outcome.error)

    @api.model
    def _wake_interrupted(self):
        """Request a job for checks whose job is gone."""
        self.env.flush_all()
        for each in self.sudo().browse(jobs.checks_without_job(self.env.cr)):
            jobs.request_check(each)
