# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One delivery sent in the caller's transaction: the lane's steps without a commit."""

import uuid

from psycopg2.errors import LockNotAvailable

from ..services.shortage import REASON as SHORTAGE
from ..services.shortage import Shortage
from . import sql
from .attempt_result import (
    Claimed,
    Decided,
    Prepared,
    ending_of_answer,
    ending_of_decision,
    ending_of_refusal,
    ending_superseded,
)
from .batch import prepare_batch
from .clock import utcnow
from .recording import conclude, open_or_refuse, record_singly
from .response_hooks import call_hooks


class DirectRun:
    """Build, decide, send and record one delivery. Writes no health row."""

    def __init__(self, delivery):
        self.endpoint = delivery.endpoint_id._for_lane()
        self.delivery = delivery.with_env(self.endpoint.env)
        self.cr = delivery.env.cr
        self.holder = f"direct:{uuid.uuid4()}"

    def run(self):
        """:raise ValidationError: it is being sent, or isn't first in its order"""
        if not self.delivery.queue_number:  # a draft: it gets its place now
            self.delivery.queued_at = utcnow()
            self.delivery._take_place()
        claimed = self._lock()
        if claimed.superseded_by:
            return self._supersede(claimed)
        plan = self.endpoint._outbound_plan()
        now = utcnow()
        try:
            [stage] = prepare_batch(self.delivery, plan, [claimed], tries=0)
        except Shortage as shortage:
            raise self._ran_short(shortage.template, shortage.values) from shortage
        if isinstance(stage, Prepared):
            self._send(stage, plan, now)
        else:
            ending = (
                ending_of_decision(stage, plan, self.endpoint.env, now)
                if isinstance(stage, Decided)
                else ending_of_refusal(stage, now)
            )
            conclude(self.endpoint.env, plan, [stage], [ending], self.holder, now)
        self.delivery.env.invalidate_all(flush=False)

    def _ran_short(self, template, values):
        env = self.endpoint.env
        return self.delivery._refused(env._(template, **values))  # pylint: disable=W8301

    def _lock(self) -> Claimed:
        env = self.delivery.env
        env.flush_all()
        try:
            with self.cr.savepoint():
                self.cr.execute(sql.claim_one(self.delivery.id), log_exceptions=False)
                *row, first_in_line = self.cr.fetchone()
        except LockNotAvailable:
            raise self.delivery._refused(env._("it is being sent right now.")) from None
        claimed = Claimed(*row)
        if claimed.state == "processing":
            raise self.delivery._refused(env._("it is being sent right now."))
        if self.endpoint.ordering != "none" and not first_in_line:
            raise self.delivery._refused(
                env._("earlier deliveries in its ordering group must end first.")
            )
        return claimed

    def _supersede(self, claimed):
        now = utcnow()
        ending = ending_superseded(claimed, self.endpoint.env, now)
        plan = self.endpoint._outbound_plan()
        conclude(self.endpoint.env, plan, [claimed], [ending], self.holder, now)
        self.delivery.env.invalidate_all(flush=False)

    def _send(self, prepared, plan, now):
        env = self.endpoint.env
        opened, _refused = open_or_refuse(env, plan, [prepared], self.holder, None, now)
        if not opened:
            return
        trust = plan.trust
        sender = trust.open_sender()
        try:
            answer = sender.send(prepared.wire, timeout=plan.timeout)
        finally:
            sender.close()
        if answer.reason == SHORTAGE:  # nothing was sent: as if it had not begun
            claimed = prepared.claimed
            self.cr.execute(
                sql.give_back([claimed.id], claimed.state, self.holder, utcnow())
            )
            raise self._ran_short(*answer.error)
        ending, _signal = ending_of_answer(prepared, answer, plan, env, utcnow())
        written = record_singly(env, [ending], self.holder, utcnow(), trust.secrets)
        call_hooks(self.delivery, plan, written)
