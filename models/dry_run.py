# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Dry runs: past deliveries built again and compared, with nothing sent or changed."""

import logging
import time
from contextlib import contextmanager
from datetime import timedelta
from operator import itemgetter

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError

from ..lane import jobs
from ..lane.batch import describe
from ..lane.clock import utcnow
from ..lane.isolation import Isolated
from ..lane.pacing import pages
from ..services.differences import without_volatile
from .const import DELIVERY, DRY_RUN, ENDPOINT, GROUP_ADMIN, HANDLER
from .dry_run_build import VERDICTS, ActionComparison, RequestComparison, sizes
from .errors import lock_in_state, refused

_logger = logging.getLogger(__name__)

LIMIT_MAX = 10_000
PAGE = 100  # deliveries of one transaction; their locks are held no longer
PAGE_BYTES = 8 * 2**20
AGAIN = 1.1  # seconds between two builds that show what is made again each time
KEPT = timedelta(days=7)
AT_WORK = ("waiting", "running")
PAST = ("done", "error", "dead_letter", "canceled")
STATES = [
    ("draft", "Draft"),
    ("waiting", "Waiting"),
    ("running", "Running"),
    ("done", "Done"),
    ("canceled", "Canceled"),
    ("failed", "Failed"),
]
# Recorded by buttons and the job, as superuser.
ENGINE = frozenset(
    "endpoint_id company_id action_id action_name state user_id company_ids_json "
    "message total_count compared_count started_at ended_at".split()
)


class BwtWebhookOutboundDryRun(models.Model):
    """Builds past deliveries again, and tells which requests would differ.

    In a job, on a cursor of its own that is rolled back; results are written on others.
    The last one of an endpoint is kept, for a week at most.
    """

    _name = DRY_RUN
    _description = "Outbound Webhook Dry Run"
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(compute="_compute_name", help="What is compared.")
    state = fields.Selection(
        selection=STATES, default="draft", required=True, readonly=True, copy=False
    )
    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT,
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        help="Its past deliveries are compared.",
    )
    company_id = fields.Many2one(
        related="endpoint_id.company_id", store=True, index=True
    )
    settings_id = fields.Many2one(
        comodel_name=ENDPOINT,
        string="With the Settings Of",
        check_company=True,
        ondelete="cascade",
        domain="[('company_id', '=', company_id)]",
        help="The endpoint itself, or a copy of it that Duplicate for Trial has made.",
    )
    handler_id = fields.Many2one(
        comodel_name=HANDLER,
        string="With the Handler",
        check_company=True,
        ondelete="cascade",
        domain="[('company_id', '=', company_id)]",
        help="Instead of the handler of these settings. Empty: that one.",
    )
    action_id = fields.Many2one(
        comodel_name="ir.actions.server",
        string="Server Action",
        readonly=True,
        ondelete="cascade",
        help="Its payload is built again from the records, and compared with what its "
        "past deliveries were queued with.",
    )
    # Server actions can be read by Settings administrators only.
    action_name = fields.Char(
        string="Payload Of",
        readonly=True,
        help="The server action whose payload is built again from the records.",
    )
    selection = fields.Selection(
        selection=[("last", "The Last Deliveries"), ("span", "A Time Span")],
        string="Deliveries",
        default="last",
        required=True,
        help="Those that have ended or are in Error, the newest first.",
    )
    limit_count = fields.Integer(
        string="Number of Deliveries",
        default=100,
        required=True,
        help="At most so many are compared, the newest first; 1 to 10,000.",
    )
    date_from = fields.Datetime(string="Queued From")
    date_to = fields.Datetime(string="Queued Until")
    user_id = fields.Many2one(
        comodel_name="res.users",
        string="Started By",
        readonly=True,
        copy=False,
        help="Deliveries are searched with the rights of this user.",
    )
    company_ids_json = fields.Json(string="Companies", readonly=True, copy=False)
    message = fields.Text(readonly=True, copy=False, help="Why it failed or ended.")
    total_count = fields.Integer(
        string="Deliveries to Compare", readonly=True, copy=False, aggregator=False
    )
    compared_count = fields.Integer(string="Compared", readonly=True, copy=False)
    progress = fields.Float(
        compute="_compute_progress", help="Share of the deliveries, in percent."
    )
    started_at = fields.Datetime(readonly=True, copy=False)
    ended_at = fields.Datetime(readonly=True, copy=False)
    result_ids = fields.One2many(
        comodel_name=f"{DRY_RUN}.result", inverse_name="dry_run_id", string="Results"
    )
    unchanged_count = fields.Integer(
        string="Unchanged",
        compute="_compute_counts",
        help="The same request would be sent, or none for the same reason.",
    )
    changed_count = fields.Integer(
        string="Changed",
        compute="_compute_counts",
        help="Another request would be sent, or one where none was sent.",
    )
    cancel_count = fields.Integer(string="Would Be Canceled", compute="_compute_counts")
    dead_letter_count = fields.Integer(
        string="Would Be Dead-Lettered", compute="_compute_counts"
    )
    done_count = fields.Integer(
        string="Would Be Done",
        compute="_compute_counts",
        help="A handler would end them without a request.",
    )
    retry_count = fields.Integer(
        string="Would Be Retried Later", compute="_compute_counts"
    )
    error_count = fields.Integer(
        string="Would Be an Error",
        compute="_compute_counts",
        help="The request could not be built, or the handler would fail.",
    )
    not_compared_count = fields.Integer(
        string="Not Compared",
        compute="_compute_counts",
        help="Their record or content was deleted; each result says why.",
    )

    @api.depends("endpoint_id", "action_name")
    @api.depends_context("lang")
    def _compute_name(self):
        for each in self:
            what = each.action_name or each.endpoint_id.sudo().name or ""
            each.name = self.env._("Compare %s", what)

    @api.depends("state", "compared_count", "total_count")
    def _compute_progress(self):
        for each in self:
            share = each.compared_count / each.total_count if each.total_count else 0
            each.progress = 100 if each.state == "done" else min(share * 100, 100)

    @api.depends("result_ids.verdict")
    def _compute_counts(self):
        groups = self.env[f"{DRY_RUN}.result"]._read_group(
            [("dry_run_id", "in", self.ids)], ["dry_run_id", "verdict"], ["__count"]
        )
        found = {(each.id, verdict): count for each, verdict, count in groups}
        for each in self:
            for verdict, _label in VERDICTS:
                each[f"{verdict}_count"] = found.get((each.id, verdict), 0)

    # Settings

    @api.constrains("limit_count", "selection", "date_from", "date_to")
    def _check_selection(self):
        for each in self:
            if not 1 <= each.limit_count <= LIMIT_MAX:
                raise refused(
                    each,
                    self.env._(
                        "its number of deliveries is %(count)s. Enter 1 to %(most)s.",
                        count=each.limit_count,
                        most=LIMIT_MAX,
                    ),
                )
            if each.date_from and each.date_to and each.date_from > each.date_to:
                raise refused(
                    each,
                    self.env._(
                        "its time span ends before it begins. Correct Queued From or "
                        "Queued Until."
                    ),
                )

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            self.browse().check_access("create")
            raise AccessError(
                self.env._(
                    "A dry run is created by Compare with Past Deliveries on an "
                    "endpoint, a handler or a server action. Press that button."
                )
            )
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            given = sorted(ENGINE & vals.keys())
            if given:
                raise AccessError(
                    self.env._(
                        "%s can't be set by hand: it is recorded while it works. Use "
                        "the buttons of the form instead.",
                        ", ".join(
                            self._fields[each]._description_string(self.env)
                            for each in given
                        ),
                    )
                )
            for each in self:
                if each.state in AT_WORK:
                    raise refused(
                        each, self.env._("it is at work. Cancel it, or wait for it.")
                    )
        result = super().write(vals)
        if not self.env.su:
            self._check_readable()
        return result

    def copy_data(self, default=None):
        raise refused(
            self[:1],
            self.env._(
                "it can't be duplicated. Press Compare with Past Deliveries on the "
                "endpoint."
            ),
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_at_work(self):
        for each in self:
            if each.state in AT_WORK:
                raise refused(
                    each, self.env._("it is at work. Cancel it before you delete it.")
                )

    def _check_readable(self):
        self.endpoint_id.check_access("read")
        self.settings_id.check_access("read")
        self.handler_id.check_access("read")

    @api.model
    def _action_new(self, endpoint, *, settings=None, handler=None, action=None):
        """Open the form of a new dry run, for a user who may start it.

        :param settings: endpoint whose settings are tried; default: `endpoint`
        :param action: server action whose payload is built again
        """
        self._check_administrator()
        endpoint.check_access("write")
        made = self.sudo().create(
            {
                "endpoint_id": endpoint.id,
                "settings_id": (settings or endpoint).id,
                "handler_id": handler.id if handler else False,
                "action_id": action.id if action else False,
                "action_name": action.name if action else False,
                "user_id": self.env.uid,
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Compare with Past Deliveries"),
            "res_model": DRY_RUN,
            "res_id": made.id,
            "views": [(False, "form")],
        }

    # Buttons

    def action_start_dry_run(self):
        """Compare; earlier dry runs of the endpoint are deleted."""
        for each in self:
            each._require("draft", "done", "canceled", "failed")
            each._check_readable()
            each.sudo()._start(self.env.user, self.env.companies)
        return True

    def action_cancel_dry_run(self):
        """End it; what was compared is kept."""
        for each in self:
            each._require(*AT_WORK)
            each.sudo()._end(
                "canceled", self.env._("%s canceled it.", self.env.user.name)
            )
        return True

    def action_view_results(self):
        """Open what was found."""
        return self._view()

    def action_view_unchanged(self):
        return self._view("unchanged")

    def action_view_changed(self):
        return self._view("changed")

    def action_view_cancel(self):
        return self._view("cancel")

    def action_view_dead_letter(self):
        return self._view("dead_letter")

    def action_view_done(self):
        return self._view("done")

    def action_view_retry(self):
        return self._view("retry")

    def action_view_error(self):
        return self._view("error")

    def action_view_not_compared(self):
        return self._view("not_compared")

    def _view(self, verdict=None):
        self.ensure_one()
        self.check_access("read")
        labels = dict(VERDICTS)
        domain = [("dry_run_id", "=", self.id)]
        if verdict:
            domain.append(("verdict", "=", verdict))
            labels = dict(
                self.env[f"{DRY_RUN}.result"]
                ._fields["verdict"]
                ._description_selection(self.env)
            )
        return {
            "type": "ir.actions.act_window",
            "name": labels[verdict] if verdict else self.env._("Results"),
            "res_model": f"{DRY_RUN}.result",
            "views": [(False, "list"), (False, "kanban"), (False, "form")],
            "domain": domain,
        }

    def _check_administrator(self):
        if not self.env.su and not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(
                self.env._(
                    "Only webhooks administrators may compare with past deliveries. "
                    "Ask one of them, or ask for that role."
                )
            )

    def _require(self, *states):
        """Lock it and refuse another state: the job may end at this moment."""
        self.ensure_one()
        self._check_administrator()
        self.check_access("write")
        lock_in_state(self, *states)

    # Lifecycle, with sudo

    def _start(self, user, companies):
        others = self.search(
            [("endpoint_id", "=", self.endpoint_id.id), ("id", "!=", self.id)]
        )
        at_work = others.filtered(lambda each: each.state in AT_WORK)
        if at_work:
            raise refused(
                self,
                self.env._(
                    "another dry run of the endpoint is at work. Wait for it, or "
                    "cancel it."
                ),
            )
        others.unlink()
        self.result_ids.unlink()
        self.write(
            {
                "state": "waiting",
                "message": False,
                "user_id": user.id,
                "company_ids_json": companies.ids,
                "total_count": 0,
                "compared_count": 0,
                "started_at": utcnow(),
                "ended_at": False,
            }
        )
        self.env.flush_all()
        jobs.request_dry_run(self)

    def _end(self, state, message=False):
        self.write({"state": state, "message": message, "ended_at": utcnow()})

    @api.autovacuum
    def _gc_dry_runs(self):
        """Delete those that are older than a week."""
        self.search(
            [("create_date", "<", utcnow() - KEPT), ("state", "not in", AT_WORK)]
        ).unlink()

    @api.model
    def _wake_interrupted(self):
        """Request a job for those whose job is gone."""
        self.env.flush_all()
        for each in self.sudo().browse(jobs.dry_runs_without_job(self.env.cr)):
            jobs.request_dry_run(each)

    # The job

    @api.private
    def run_dry_run(self):
        """Job: build the deliveries again and store what differs."""
        found = self.with_user(SUPERUSER_ID)
        with found._transaction() as mine:
            if not mine or not mine._claim():
                return "nothing to do: deleted, ended, or interrupted before"
            ids = mine._past_ids()
            mine.total_count = len(ids)
            comparison = mine._comparison()
            lang = mine.user_id.lang
        began = time.monotonic()
        try:
            count = found._compare(comparison, ids, lang)
        except Exception as error:
            with found._transaction() as mine:
                if mine and mine.state == "running":
                    mine._end("failed", describe(mine.env, error))
            return "failed"
        with found._transaction() as mine:
            if mine and mine.state == "running":
                mine._end("done", mine._ended_message(count))
        return f"{count} compared in {time.monotonic() - began:.2f} s"

    @contextmanager
    def _transaction(self):
        """This dry run on a cursor of its own, which commits; empty if deleted."""
        with self.env.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {"tracking_disable": True})
            found = self.with_env(env).exists()
            if found and found.user_id.lang:
                found = found.with_context(lang=found.user_id.lang)
            yield found

    def _claim(self) -> bool:
        """Begin, unless a worker has begun before and was ended by what it ran."""
        if self.state == "running":
            self._end(
                "failed",
                self.env._(
                    "The worker ended after %(done)s of %(total)s deliveries were "
                    "compared: the server was stopped, or a handler, gate or hook "
                    "ended the process or took longer than limit_time_real or "
                    "limit_time_cpu allow. Check the server's log, then start again.",
                    done=self.compared_count,
                    total=self.total_count,
                ),
            )
            return False
        if self.state != "waiting":
            return False
        self.state = "running"
        return True

    def _past_ids(self):
        """Ids of the deliveries, the newest first, that the user may read."""
        domain = [("endpoint_id", "=", self.endpoint_id.id), ("state", "in", PAST)]
        if self.action_id:
            domain.append(("server_action_id", "=", self.action_id.id))
        else:
            # Without an attempt and canceled, nothing was ever built.
            domain += ["|", ("attempt_count", ">", 0), ("state", "!=", "canceled")]
        if self.selection == "span":
            if self.date_from:
                domain.append(("queued_at", ">=", self.date_from))
            if self.date_to:
                domain.append(("queued_at", "<=", self.date_to))
        deliveries = self.env[DELIVERY].with_user(self.user_id)
        deliveries = deliveries.with_context(
            allowed_company_ids=self.company_ids_json or []
        )
        return deliveries.search(domain, order="id desc", limit=self.limit_count).ids

    def _comparison(self):
        if self.action_id:
            return ActionComparison(
                self.action_id.id, self.user_id.id, self.company_ids_json or []
            )
        settings = self.settings_id or self.endpoint_id
        return RequestComparison(self.endpoint_id.id, settings.id, self.handler_id.id)

    def _compare(self, comparison, ids, lang):
        """Compare these deliveries and store the results; returns how many."""
        first, count = {}, 0
        with Isolated(self.env.registry) as isolated:
            for page in self._pages(isolated, ids):
                results = self._compare_page(isolated, comparison, page, lang)
                stored = self._store(results)
                if stored is None:
                    return count
                count += len(results)
                first |= {
                    each.delivery_id: (stored[each.delivery_id], each.differences)
                    for each in results
                    if each.verdict == "changed" and each.differences
                }
            if not first:
                return count
            # Timestamps and random values are made again each time.
            time.sleep(AGAIN)
            for page in self._pages(isolated, list(first)):
                again = self._compare_page(isolated, comparison, page, lang)
                self._keep_lasting(first, again)
        return count

    def _pages(self, isolated, ids):
        with isolated.block() as cr:
            cr.execute(sizes(ids))
            rows = cr.fetchall()
        for page in pages(rows, itemgetter(1), count=PAGE, size=PAGE_BYTES):
            yield [row[0] for row in page]

    def _compare_page(self, isolated, comparison, ids, lang):
        with isolated.block() as cr:
            context = {"lang": lang} if lang else {}
            env = api.Environment(cr, SUPERUSER_ID, context)
            return comparison.compare(env, ids)

    def _store(self, results):
        """Store results; returns delivery id -> result id, None if it was ended."""
        with self._transaction() as mine:
            if not mine or mine.state != "running":
                return None
            made = mine.env[f"{DRY_RUN}.result"]._store(mine, results)
            mine.compared_count += len(results)
            return made

    def _keep_lasting(self, first, again):
        """Remove differences that the second build didn't have in the same way."""
        lasting = {}
        for each in again:
            result_id, differences = first[each.delivery_id]
            if each.verdict == "changed":
                kept = without_volatile(differences, each.differences)
                if len(kept) != len(differences):
                    lasting[result_id] = kept
            elif each.verdict == "unchanged":
                lasting[result_id] = []
        if lasting:
            with self._transaction() as mine:
                mine.env[f"{DRY_RUN}.result"]._replace_differences(lasting)

    def _ended_message(self, count):
        left = self.total_count - count
        if not self.total_count:
            return self.env._("The endpoint has no such deliveries.")
        if left:
            return self.env._("%s deliveries were deleted meanwhile.", left)
        return False
