# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What buttons and jobs do to a run."""

import logging

from odoo import SUPERUSER_ID, api, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..lane import jobs
from ..lane.clock import utcnow
from . import run_batch
from .const import GROUP_OPERATOR
from .errors import refused

_logger = logging.getLogger(__name__)

UNENDED = ("running", "paused")


class BwtWebhookOutboundRunLifecycle(models.AbstractModel):
    """Starts, pauses, continues and ends runs."""

    _name = "bwt.webhook.outbound.run.lifecycle"
    _description = "Outbound Webhook Run: Lifecycle"

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
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT state FROM bwt_webhook_outbound_run WHERE id = %s "
                "FOR NO KEY UPDATE",
                self.id,
            )
        )
        self.invalidate_recordset()
        if self.state not in states:
            labels = dict(self._fields["state"]._description_selection(self.env))
            raise refused(
                self,
                self.env._(
                    "it is in state %s. Use the buttons that its form shows in that "
                    "state.",
                    labels[self.state],
                ),
            )

    # Lifecycle, with sudo

    def _check_startable(self):
        """Refuse where no batch could queue anything."""
        self._check_action_of_run()
        self.endpoint_id._check_queueable()
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

    def _start(self, user, companies):
        """Count the records as `user` and request the first batch."""
        self._check_startable()
        self.company_ids_json = companies.ids
        records = run_batch.matching(self, user)
        values = {
            "user_id": user.id,
            "total_count": records.count(),
            "max_id": records.highest_id(),
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
