# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries sent in the caller's transaction: the lane's steps without a commit."""

import uuid

from psycopg2.errors import LockNotAvailable

from odoo.exceptions import UserError

from ..services.shortage import REASON as SHORTAGE
from ..services.shortage import Shortage
from . import sql
from .attempt_result import (
    Claimed,
    Decided,
    Postponed,
    Prepared,
    result_of_decision,
    result_of_refusal,
    result_of_response,
    result_superseded,
)
from .batch import prepare_batch
from .clock import utcnow
from .health import add_after_commit, count_attempts, safely
from .jobs import wake_for_due
from .recording import conclude, open_or_refuse, record_singly
from .report import Report
from .response_hooks import call_hooks
from .translation import translate


class DirectRun:
    """Build, decide, send and record one delivery.

    It knows no circuit and no rate limit; its result is added to the health row after
    the commit.
    """

    def __init__(self, delivery):
        self.endpoint = delivery.endpoint_id._for_lane()
        self.delivery = delivery.with_env(self.endpoint.env)
        self.cr = delivery.env.cr
        self.owner = f"direct:{uuid.uuid4()}"

    def run(self):
        """:raise ValidationError: it is being sent, or isn't first in its order"""
        if not self.delivery.queue_number:  # a draft: assign its number now
            self.delivery.queued_at = utcnow()
            self.delivery._take_place()
        claimed = self._lock()
        if claimed.superseded_by:
            return self._supersede(claimed)
        snapshot = self.endpoint._outbound_snapshot()
        now = utcnow()
        try:
            [stage] = prepare_batch(self.delivery, snapshot, [claimed], tries=0)
        except Shortage as shortage:
            raise self._ran_short(shortage) from shortage
        if isinstance(stage, Prepared):
            self._send(stage, snapshot, now)
        elif isinstance(stage, Postponed):
            self.cr.execute(sql.postpone([claimed.id], stage.until))
            wake_for_due(self.endpoint)
        else:
            result = (
                result_of_decision(stage, snapshot, self.endpoint.env, now)
                if isinstance(stage, Decided)
                else result_of_refusal(stage, now)
            )
            env = self.endpoint.env
            self._note(conclude(env, snapshot, [stage], [result], self.owner, now))
        self.delivery.env.invalidate_all(flush=False)

    def _note(self, results):
        add_after_commit(self.cr, self.endpoint.id, results)
        safely(count_attempts, self.cr, self.endpoint.id, None, results)

    def _ran_short(self, shortage):
        return self.delivery._refused(translate(self.endpoint.env, shortage))

    def _lock(self) -> Claimed:
        env = self.delivery.env
        env.flush_all()
        try:
            with self.cr.savepoint():
                self.cr.execute(sql.claim_one(self.delivery.id), log_exceptions=False)
                *row, first_in_line = self.cr.fetchone()
        except LockNotAvailable:
            raise self.delivery._refused(
                env._("it is being sent right now. Wait until that ends.")
            ) from None
        claimed = Claimed(*row)
        if claimed.state == "processing":
            raise self.delivery._refused(
                env._("it is being sent right now. Wait until that ends.")
            )
        if self.endpoint.ordering != "none" and not first_in_line:
            raise self.delivery._refused(
                env._(
                    "earlier deliveries in its ordering group must end first. Send or "
                    "cancel them."
                )
            )
        return claimed

    def _supersede(self, claimed):
        now = utcnow()
        result = result_superseded(claimed, self.endpoint.env, now)
        snapshot = self.endpoint._outbound_snapshot()
        conclude(self.endpoint.env, snapshot, [claimed], [result], self.owner, now)
        self.delivery.env.invalidate_all(flush=False)

    def _send(self, prepared, snapshot, now):
        env = self.endpoint.env
        opened, refused = open_or_refuse(
            env, snapshot, [prepared], self.owner, None, now
        )
        if not opened:
            return self._note(refused)
        trust = snapshot.trust
        sender = trust.open_sender()
        try:
            response = sender.send(prepared.encoded, timeout=snapshot.timeout)
        finally:
            sender.close()
        if response.reason == SHORTAGE:  # nothing was sent: undo the start
            claimed = prepared.claimed
            self.cr.execute(
                sql.release_unsent([claimed.id], claimed.state, self.owner, utcnow())
            )
            raise self._ran_short(response.error)
        result, _signal = result_of_response(
            prepared, response, snapshot, env, utcnow()
        )
        written = record_singly(env, [result], self.owner, utcnow(), trust.secrets)
        self._note(written)
        call_hooks(self.delivery, snapshot, written)


def run_directly(endpoint) -> Report:
    """Send what is due in the caller's transaction, without a commit.

    For callers other than queue_job's runner: tests and scripts.
    """
    endpoint = endpoint.exists()
    if endpoint.state != "active" or endpoint.is_paused:
        return Report(why="the endpoint is gone or doesn't send")
    deliveries = endpoint.env["bwt.webhook.outbound.delivery"].search(
        [
            ("endpoint_id", "=", endpoint.id),
            ("state", "in", ["queued", "error"]),
            ("next_attempt_at", "<=", utcnow()),
        ],
        order="queue_number",
    )
    left = 0
    for delivery in deliveries:
        try:
            delivery.process_delivery()
        except UserError:  # not first in its group, or being sent by another
            left += 1
    sent = len(deliveries) - left
    return Report(why=f"{sent} sent in the caller's transaction, {left} left")
