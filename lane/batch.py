# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Build and decide: from claimed rows to requests that are ready to be sent."""
# pylint: disable=invalid-commit  # what was sent must be on disk: lanes commit each step

import logging
import math
import time
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from odoo.exceptions import UserError

from ..services.errors import ServiceError, _lt
from ..services.outcome import HandlerOutcome
from ..services.shortage import Shortage
from . import sql
from .attempt_result import (
    AttemptResult,
    Claimed,
    Decided,
    Postponed,
    Prepared,
    Refused,
    result_of_decision,
    result_of_refusal,
    result_superseded,
)
from .clock import as_utc, utcnow
from .health import Health, count_attempts, safely
from .pacing import (
    CLAIM_BYTES,
    FIRST_BATCH,
    LARGE,
    BatchLimit,
    check_size,
    fitting,
)
from .recording import conclude, open_or_refuse
from .savepoint import FOREIGN_ERRORS, Savepoint, SwallowedError, lost_race
from .sent_before import RECORDS_MAX, Comparison, read_sent
from .translation import translate

_logger = logging.getLogger(__name__)

SNAPSHOT_AGE = 0.5  # seconds until an edited endpoint takes effect in a running lane
TRIES = 3  # for a delivery whose handler conflicts with another transaction


class HandlerFailed(Exception):
    """The handler, gate or a hook raised; `request` is what it was called with."""

    def __init__(self, request, cause):
        super().__init__(str(cause))
        self.request = request
        self.cause = cause


def prepare_batch(
    deliveries, snapshot, claimed: list[Claimed], limit=None, tries=TRIES
) -> list:
    """Prepared, Decided, Postponed or Refused for each claimed row, in this order.

    All share one savepoint. If code that may have written raises, they are built one
    by one, so that a bad delivery never affects the others.

    :param limit: `BatchLimit`; once it is reached, the rest is left untouched
    :param tries: how often a delivery is built that conflicts with another transaction;
        0 raises the error to a caller that repeats its whole transaction
    :raise Shortage: this process lacks what building the first one needs
    """
    cr = deliveries.env.cr
    if len(claimed) > 1:
        try:
            return _prepare_together(deliveries, snapshot, claimed, limit)
        except FOREIGN_ERRORS:
            if cr.closed:
                raise
            deliveries.env.invalidate_all(flush=False)
    return _prepare_one_by_one(deliveries, snapshot, claimed, limit, tries)


def _prepare_together(deliveries, snapshot, claimed, limit):
    with Savepoint(deliveries.env.cr) as savepoint:
        comparison = Comparison(deliveries.env.cr, snapshot)
        scopes = _read_scopes(deliveries, snapshot, claimed, comparison)
        batch = []
        for each in claimed:
            batch.append(_prepare(snapshot, scopes[each.id], each, savepoint))
            savepoint.check()
            if limit and limit.add(batch[-1]):
                break
        return batch


def _read_scopes(deliveries, snapshot, claimed, comparison):
    """The scopes of these deliveries, with what was sent before.

    That is what a retry repeats, and what a request is compared with.
    """
    with_files = None
    if all(each.file_size is not None for each in claimed):
        with_files = [each.id for each in claimed if each.file_size]
    scopes = deliveries._read_scopes(snapshot, with_files)
    sent = read_sent(deliveries.env.cr, snapshot, claimed)
    for delivery_id, request in sent.items():
        scopes[delivery_id].sent = request
    if comparison.find(scopes, claimed):
        for scope in scopes.values():
            scope.comparison = comparison
    return scopes


def _prepare_one_by_one(deliveries, snapshot, claimed, limit, tries):
    if limit:
        limit.restart()
    batch = []
    comparison = Comparison(deliveries.env.cr, snapshot)
    for each in claimed:
        delivery = deliveries.browse(each.id)
        try:
            stage = _prepare_alone(delivery, snapshot, each, tries, comparison)
        except Shortage as shortage:
            if not batch:
                shortage.delivery_id = each.id
                raise
            break  # what is built is sent first, which frees its memory
        batch.append(stage)
        if limit and limit.add(stage):
            break
    return batch


def _prepare_alone(delivery, snapshot, claimed: Claimed, tries: int, comparison):
    request = race = None
    for _try in range(max(tries, 1)):
        try:
            with Savepoint(delivery.env.cr) as savepoint:
                scopes = _read_scopes(delivery, snapshot, [claimed], comparison)
                scope = scopes[claimed.id]
                stage = _prepare(snapshot, scope, claimed, savepoint)
                if isinstance(stage, Refused):
                    savepoint.undo()
                return stage
        except FOREIGN_ERRORS as error:
            if delivery.env.cr.closed:
                raise
            # What the handler or a hook wrote was rolled back: forget it here too.
            delivery.env.invalidate_all(flush=False)
            is_handler = isinstance(error, HandlerFailed)
            shortage = None if is_handler else Shortage.of(error)
            if shortage:
                raise shortage from error
            request = error.request if is_handler else None
            race = lost_race(error)
            if race is None:
                cause = error.cause if is_handler else error
                text = describe(delivery.env, cause)
                kind = "handler" if is_handler else "build"
                return Refused(claimed, kind, text, request)
            if not tries:
                raise race from None
    note = delivery.env._(
        "Other transactions changed the same records; the last of %(count)s tries "
        "ended with: %(error)s",
        count=tries,
        error=str(race).strip(),
    )
    return Decided(claimed, request, HandlerOutcome("retry", request, note=note))


def _prepare(snapshot, scope, claimed: Claimed, savepoint: Savepoint):
    delivery = scope.delivery
    stage = delivery._prepare_outbound(snapshot, scope, claimed, savepoint)
    if not isinstance(stage, Prepared):
        return stage
    try:
        check_size(stage.size)
    except ServiceError as error:
        # Without its request: nothing so large is stored on an attempt.
        return Refused(claimed, "build", describe(delivery.env, error))
    if claimed.size > LARGE:
        delivery.invalidate_recordset(["payload_json"], flush=False)
    return stage


def describe(env, error: Exception) -> str:
    """The message for the user; an unexpected error is logged with its traceback."""
    if isinstance(error, SwallowedError):
        _logger.warning("a database error was swallowed", exc_info=error.__cause__)
    if isinstance(error, ServiceError):
        return translate(env, error)
    if isinstance(error, UserError):
        return str(error.args[0])
    _logger.warning("code of another addon failed", exc_info=error)
    return f"{type(error).__name__}: {error}"


SCAN_FACTOR = 5  # rows scanned per row wanted, before claiming by group
BUILD_TRIES_MAX = 2  # times that building it alone may end the worker
KILLS = _lt(
    "The worker ended or ran out of memory %(count)s times while it built this "
    "request: a handler, gate or hook ends the process, takes longer than "
    "limit_time_real or limit_time_cpu allow, or needs more memory than is "
    "available. Check the server's log, correct the cause, then queue the delivery "
    "again."
)


@dataclass
class Batch:
    """One claim: what is sent, and how many ended without a request."""

    claimed: int = 0
    is_last: bool = True  # nothing more is due at this moment
    is_alone: bool = False  # an interrupted delivery, to be sent alone
    concluded: int = 0
    postponed: int = 0
    failed_permanently: int = 0  # of these, how many need attention
    prepared: list[Prepared] = field(default_factory=list)
    traced: list[AttemptResult] = field(default_factory=list)  # ended, with an attempt
    not_before: datetime | None = None  # when more may be claimed, if none may now
    needs_token: bool = False  # the snapshot's expired: roll back
    suspect: bool = False  # one may kill the worker: roll back, build alone
    seconds: float = 0.0  # spent on building


class EndpointView:
    """The endpoint as a lane last read it.

    snapshot: rules, handler and policy as plain values
    secrets: of all snapshots so far, since a response may quote what was sent
    """

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.secrets = ()
        self._read()

    @property
    def may_send(self) -> bool:
        """Whether it sends at present, and has the access token that it needs."""
        return self._is_open and not self.token_at

    def refresh(self) -> bool:
        """Read it again if the last time was too long ago; returns whether it was."""
        if time.monotonic() - self._read_clock <= SNAPSHOT_AGE:
            return False
        self._read()
        return True

    def expire(self):
        """Read it again at the next `refresh`."""
        self._read_clock = -math.inf

    def _read(self):
        endpoint = self.endpoint
        self.snapshot = endpoint._outbound_snapshot(
            endpoint.env.context.get("lang"), is_committed=True
        )
        trust = self.snapshot.trust
        self.secrets = tuple(dict.fromkeys((*trust.secrets, *self.secrets)))
        self._is_open = endpoint.state == "active" and not endpoint.is_paused
        # When the access token is requested again, if that failed.
        self.token_at = as_utc(trust.not_before) if trust.not_before else None
        policy, reset_at = self.snapshot.policy, endpoint.circuit_reset_at
        self.health = Health(endpoint.env.cr, endpoint.id, policy, reset_at)
        self._read_clock = time.monotonic()


class Claim:
    """Takes batches of one endpoint, in the transaction of the lane's cursor."""

    def __init__(self, endpoint, snapshot, health, position, owner: str, slot=0):
        self.endpoint = endpoint
        self.cr = endpoint.env.cr
        self.snapshot = snapshot
        self.health = health
        self.position = position
        self.owner = owner
        self.slot = slot
        self.marked = None  # id of the delivery whose mark is committed, while built

    def take(
        self, limit: int, now, *, alone: bool, room=CLAIM_BYTES, careful=False
    ) -> Batch:
        """Up to `limit` deliveries of up to `room` bytes.

        :param alone: nothing else is in flight
        :param careful: take one, and commit a mark before it is built: a delivery
            may have killed the previous lane
        :raise Shortage: this process lacks what building needs
        """
        if self.snapshot.tracks_requests and self.snapshot.policy.parallel_lanes > 1:
            limit = min(limit, RECORDS_MAX)
        allowance = self.health.allow(1 if careful else limit, now)
        batch = Batch(not_before=allowance.not_before)
        if not allowance.count:
            return batch
        rows = self._lock(allowance.count, now, batch, alone=alone)
        if rows and self._is_token_replaced():
            return Batch(needs_token=True)
        if any(row.build_tries for row in rows) and not (careful and alone):
            return Batch(suspect=True)
        if careful:
            rows = self._mark(rows, now)
        else:
            rows = self._within(rows, room, batch, alone=alone)
        if rows:
            batch.claimed = self._prepare(rows, batch, now)
        self.marked = None
        # Nothing is sent for those that ended, nor for those left out.
        unused = allowance.count - batch.claimed + batch.concluded + batch.postponed
        self.health.return_tokens(unused)
        if allowance.is_probe and not batch.prepared:
            self.health.note(["ignore"], now)
        return batch

    def is_due(self) -> bool:
        """Whether something is due that the next claim may find; commits."""
        now = utcnow()
        place = self.position.begin(now)
        is_ordered = self.snapshot.ordering != "none"
        began = time.monotonic()
        self.cr.execute(sql.next_due(self.endpoint.id, is_ordered, place))
        row = self.cr.fetchone()
        self.cr.commit()
        if place is None:
            self.position.full.took(time.monotonic() - began)
        is_due = bool(row and row[0] and row[0] <= now)
        if is_due and place is None:
            self.position.restart()  # the claim must find it, too
        return is_due

    def undo(self):
        """Roll back, and remove the mark of a delivery that was built alone."""
        self.cr.rollback()
        if self.marked:
            self.cr.execute(sql.unmark_build([self.marked]))
            self.cr.commit()
            self.marked = None
        self.position.restart()

    def undo_for(self, shortage: Shortage, *, careful: bool):
        """Undo; if memory is lacking, one delivery may be the cause and is marked."""
        if shortage.is_memory and shortage.delivery_id == self.marked:
            self.marked = None  # the mark stays
        self.undo()
        if shortage.is_memory and shortage.delivery_id and not careful:
            self.cr.execute(sql.mark_build(shortage.delivery_id))
            self.cr.commit()

    def leaves_work(self, batch: Batch) -> bool:
        """Whether there is enough for one more lane, after this batch; commits."""
        lanes = self.snapshot.policy.parallel_lanes
        if self.slot + 1 >= lanes:
            return False
        if self.snapshot.ordering == "none":
            return not batch.is_last
        # A batch ends with the groups of this lane's share, which may be few.
        share, scan = (self.slot, lanes), FIRST_BATCH * SCAN_FACTOR
        now = utcnow()
        self.cr.execute(sql.groups_of_others(self.endpoint.id, now, share, scan))
        count = self.cr.fetchone()[0]
        self.cr.commit()
        return count >= FIRST_BATCH

    def open_attempts(self, batch: Batch, now):
        """Insert attempts of what is sent next; to be committed before that."""
        batch.prepared, refused = open_or_refuse(
            self.endpoint.env, self.snapshot, batch.prepared, self.owner, self.slot, now
        )
        self.health.add(refused)
        batch.concluded += len(refused)
        batch.failed_permanently += len(refused)
        if batch.traced:
            safely(count_attempts, self.cr, self.endpoint.id, self.slot, batch.traced)

    def release(self, unsent: list[Prepared]):
        """Return these to the queue, as if they had never been claimed; commits."""
        now = utcnow()
        by_state = groupby(
            sorted(unsent, key=lambda each: each.claimed.state),
            lambda each: each.claimed.state,
        )
        for state, group in by_state:
            ids = [each.claimed.id for each in group]
            self.cr.execute(sql.release_unsent(ids, state, self.owner, now))
        self.cr.commit()

    def regroup_if_order_changed(self, in_force=None):
        """Assign waiting deliveries to new groups after an edit of the order.

        :param in_force: the order that they are grouped by; None: read it
        """
        ordering = self.snapshot.grouping
        if in_force is None:
            self.cr.execute(sql.health(self.endpoint.id, lock=False))
            in_force = self.cr.dictfetchone()["ordering_in_force"]
        if (in_force or "none") == ordering:
            return
        self.cr.execute(sql.regroup(self.endpoint.id, ordering))
        self.cr.execute(sql.write_ordering_in_force(self.endpoint.id, ordering))
        self.cr.commit()

    def _is_token_replaced(self) -> bool:
        trust = self.snapshot.trust
        return trust.is_token and self.endpoint._is_token_replaced(trust.credential)

    def _lock(self, limit, now, batch, *, alone) -> list[Claimed]:
        """Rows to process; an interrupted one comes first, and alone."""
        place = self.position.begin(now)
        if self.position.full.is_slow:
            self.cr.execute(sql.oldest_transaction())
            self.position.claims(self.cr.fetchone()[0], now)
        rows, is_interrupted = None, False
        if alone and place is None:
            rows, is_interrupted = self._lock_interrupted(limit, now)
        if is_interrupted:
            batch.is_alone, batch.is_last = True, False
            self.position.restart()  # there may be more of its kind
            return rows
        if rows is None:
            rows = self._lock_from(place, limit, now)
        if alone and not rows and place is not None and not self.position.full.is_slow:
            rows = self._lock_from(None, limit, now)
        batch.is_last = len(rows) < limit
        return rows

    def _lock_interrupted(self, limit, now) -> tuple[list[Claimed] | None, bool]:
        """An interrupted delivery, and whether there was one.

        Otherwise what is due, which one statement finds; None: not looked for.
        """
        endpoint_id = self.endpoint.id
        if self.snapshot.ordering != "none":
            rows = self._rows(sql.claim_interrupted(endpoint_id, now, ordered=True))
            return rows or None, bool(rows)
        began = time.monotonic()
        self.cr.execute(sql.claim_interrupted_or_due(endpoint_id, now, limit))
        found = self.cr.fetchall()
        self.position.full.took(time.monotonic() - began, len(found))
        rows = [Claimed(*row) for *row, _is_interrupted in found]
        is_interrupted = bool(found) and found[0][-1]
        if not is_interrupted:
            self.position.reached(rows)
        return rows, is_interrupted

    def _lock_from(self, place, limit, now) -> list[Claimed]:
        endpoint_id = self.endpoint.id
        if self.snapshot.ordering == "none":
            began = time.monotonic()
            rows = self._rows(sql.claim(endpoint_id, now, limit, place))
            if place is None:
                self.position.full.took(time.monotonic() - began, len(rows))
            self.position.reached(rows)
            return rows
        if self.snapshot.ordering == "endpoint":
            return self._rows(sql.claim_heads(endpoint_id, now, 1))
        lanes = self.snapshot.policy.parallel_lanes
        # A share of the groups each, so that no lane claims them all ahead and leaves
        # the others idle; what is left over may be taken by any of them.
        if lanes > 1:
            rows = self._lock_groups(limit, now, (self.slot, lanes))
            if rows:
                return rows
        return self._lock_groups(limit, now)

    def _lock_groups(self, limit, now, share=None) -> list[Claimed]:
        """The first delivery of each group that is due."""
        endpoint_id, scan = self.endpoint.id, limit * SCAN_FACTOR
        rows = self._rows(
            sql.claim_first_in_group(endpoint_id, now, limit, scan, share)
        )
        # None: few groups with long backlogs. Go from group to group instead.
        return rows or self._rows(sql.claim_heads(endpoint_id, now, limit, share))

    def _rows(self, query) -> list[Claimed]:
        self.cr.execute(query)
        return [Claimed(*row) for row in self.cr.fetchall()]

    def _within(self, rows, room, batch, *, alone) -> list[Claimed]:
        """The first of these that fit into `room` bytes, by their stored sizes."""
        if not rows:
            return rows
        sizes = [row.size + row.file_size for row in rows]
        count = fitting(sizes, room, alone=alone)
        if count < len(rows):
            batch.is_last = False
            self.position.restart()
        return rows[:count]

    def _mark(self, rows, now) -> list[Claimed]:
        """Commit a mark on this delivery, and lock it again.

        One that reached the limit of marks isn't built again and keeps its lock.
        """
        if not rows or rows[0].superseded_by or _kills(rows[0]):
            return rows
        self.cr.execute(sql.mark_build(rows[0].id))
        self.cr.commit()
        self.marked = rows[0].id
        locked = self._rows(sql.claim_marked(rows[0].id, now))
        # How often it killed a worker so far, without this build.
        return [row._replace(build_tries=rows[0].build_tries) for row in locked]

    def _prepare(self, rows, batch, now) -> int:
        """Build and decide; returns how many rows were processed, in their order."""
        env = self.endpoint.env
        superseded = [row for row in rows if row.superseded_by]
        killers = [row for row in rows if _kills(row) and not row.superseded_by]
        fresh = [row for row in rows if not (row.superseded_by or _kills(row))]
        deliveries = env["bwt.webhook.outbound.delivery"].browse(
            [row.id for row in fresh]
        )
        began = time.monotonic()
        limit = BatchLimit(keeps_payload=self.snapshot.has_response_hook)
        stages = prepare_batch(deliveries, self.snapshot, fresh, limit) if fresh else []
        batch.seconds = time.monotonic() - began
        if len(stages) < len(fresh):
            batch.is_last = False
            self.position.restart()  # the next claim must find what was left out
        stages += [self._refused_as_killer(row) for row in killers]
        marked = [row.id for row in rows if row.build_tries or row.id == self.marked]
        if marked:
            self.cr.execute(sql.unmark_build(marked))
        postponed = [stage for stage in stages if isinstance(stage, Postponed)]
        if postponed:
            ids = [stage.claimed.id for stage in postponed]
            self.cr.execute(sql.postpone(ids, postponed[-1].until))
        batch.postponed = len(postponed)
        ended, results = [], []
        for stage in stages:
            if isinstance(stage, Postponed):
                continue
            if isinstance(stage, Prepared):
                batch.prepared.append(stage)
                continue
            ended.append(stage)
            if isinstance(stage, Decided):
                results.append(result_of_decision(stage, self.snapshot, env, now))
            elif isinstance(stage, Refused):
                results.append(result_of_refusal(stage, now))
        for row in superseded:
            ended.append(row)
            results.append(result_superseded(row, env, now))
        if results:
            results = conclude(env, self.snapshot, ended, results, self.owner, now)
            self.health.add(results)
        batch.traced = [result for result in results if result.is_traced]
        batch.concluded = len(results)
        batch.failed_permanently = sum(result.needs_attention for result in results)
        return len(stages) + len(superseded)

    def _refused_as_killer(self, row) -> Refused:
        snapshot = self.snapshot
        reason = "handler" if snapshot.handler or snapshot.has_backend else "build"
        text = translate(self.endpoint.env, KILLS, count=row.build_tries)
        return Refused(row, reason, text)


def _kills(row: Claimed) -> bool:
    """Whether building this delivery ended the worker too often."""
    return (row.build_tries or 0) >= BUILD_TRIES_MAX
