# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What goes in: due deliveries locked, built and decided."""
# A lane commits its own cursor, step by step: what left must be on disk.
# pylint: disable=invalid-commit

import time
from dataclasses import dataclass, field
from datetime import datetime

from ..services.errors import _lt
from . import sql
from .endings import ending_of_decision, ending_of_refusal, ending_superseded
from .prepare import prepare_batch
from .record import conclude, open_or_refuse
from .size import CLAIM_BYTES, BatchLimit, fitting
from .stages import Claimed, Decided, Prepared, Refused

SCAN_FACTOR = 5  # rows looked at per row wanted, before going by the lines
BUILD_TRIES_MAX = 2  # builds alone that end with the worker, until it isn't built again
KILLS = _lt(
    "The worker ended or ran out of memory %(count)s times while it built this "
    "request: a handler, gate or hook ends the process, takes longer than "
    "limit_time_real or limit_time_cpu allow, or needs more memory than there is. Look "
    "at the server's log, correct the cause, then queue the delivery again."
)


@dataclass
class Batch:
    """One claim: what leaves, and how many ended before a byte left."""

    claimed: int = 0
    is_last: bool = True  # nothing more is due at this moment
    is_alone: bool = False  # an interrupted delivery, to go out alone
    concluded: int = 0
    given_up: int = 0  # of these, ended so that they need a person
    prepared: list[Prepared] = field(default_factory=list)
    not_before: datetime | None = None  # when more may be claimed, if none may now
    needs_token: bool = False  # the plan's is gone: to be rolled back, nothing left
    suspect: bool = False  # one may kill the worker: to be rolled back, built alone
    seconds: float = 0.0  # that building took


class Claim:
    """Takes batches of one endpoint, in the transaction of the lane's cursor."""

    def __init__(self, endpoint, plan, health, position, holder: str):
        self.endpoint = endpoint
        self.cr = endpoint.env.cr
        self.plan = plan
        self.health = health
        self.position = position
        self.holder = holder
        self.marked = None  # id of the delivery whose mark is committed, while built

    def take(
        self, limit: int, now, *, alone: bool, room=CLAIM_BYTES, careful=False
    ) -> Batch:
        """Up to `limit` deliveries of up to `room` bytes.

        :param alone: nothing else is out at this moment
        :param careful: one, with a mark that is committed before it is built: a
            delivery may be what killed the lane before this one
        :raise Shortage: this process lacks what building needs
        """
        if careful:
            limit = 1
        allowance = self.health.allow(limit, now)
        batch = Batch(not_before=allowance.not_before)
        if not allowance.count:
            return batch
        place = self.position.begin(now)
        rows = self._interrupted(now) if alone and place is None else []
        if rows:
            batch.is_alone = True
            self.position.restart()  # there may be more of its kind
        rows = rows or self._lock(allowance.count, now, place)
        if alone and not rows and place is not None:
            rows = self._lock(allowance.count, now, None)
        if rows and self._is_token_gone():
            return Batch(needs_token=True)
        if any(row.build_tries for row in rows) and not (careful and alone):
            return Batch(suspect=True)
        batch.is_last = not batch.is_alone and len(rows) < allowance.count
        if careful:
            rows = self._mark(rows, now)
        else:
            rows = self._within(rows, room, batch, alone=alone)
        claimed = self._prepare(rows, batch, now) if rows else 0
        self.marked = None
        batch.claimed = claimed
        # No request is left for those that ended, and none for those left out.
        unused = allowance.count - claimed + batch.concluded
        self.health.return_tokens(unused)
        if allowance.is_probe and not batch.prepared:
            self.health.note(["ignore"], now)
        return batch

    def open_attempts(self, batch: Batch, slot: int, now):
        """Leave the trace of what is sent; to be committed before a byte leaves."""
        batch.prepared, refused = open_or_refuse(
            self.endpoint.env, self.plan, batch.prepared, self.holder, slot, now
        )
        batch.concluded += refused
        batch.given_up += refused

    def regroup_if_order_changed(self):
        """Put what waits into line anew when the endpoint's order was edited."""
        ordering = self.plan.ordering
        self.cr.execute(sql.health(self.endpoint.id, lock=False))
        in_force = self.cr.dictfetchone()["ordering_in_force"]
        if in_force == ordering or (not in_force and ordering == "none"):
            return
        self.cr.execute(sql.regroup(self.endpoint.id, ordering))
        self.cr.execute(sql.write_ordering_in_force(self.endpoint.id, ordering))
        self.cr.commit()

    def _is_token_gone(self) -> bool:
        trust = self.plan.trust
        return trust.is_token and self.endpoint._is_token_gone(trust.credential)

    def _interrupted(self, now) -> list[Claimed]:
        ordered = self.plan.ordering != "none"
        return self._rows(sql.claim_interrupted(self.endpoint.id, now, ordered))

    def _lock(self, limit, now, place) -> list[Claimed]:
        endpoint_id = self.endpoint.id
        if self.plan.ordering == "none":
            rows = self._rows(sql.claim(endpoint_id, now, limit, place))
            self.position.reached(rows)
            return rows
        if self.plan.ordering == "endpoint":
            return self._rows(sql.claim_heads(endpoint_id, now, 1))
        scan = limit * SCAN_FACTOR
        rows = self._rows(sql.claim_first_in_line(endpoint_id, now, limit, scan))
        # None: few lines with long backlogs. Go from line to line instead.
        return rows or self._rows(sql.claim_heads(endpoint_id, now, limit))

    def _rows(self, query) -> list[Claimed]:
        self.cr.execute(query)
        return [Claimed(*row) for row in self.cr.fetchall()]

    def _within(self, rows, room, batch, *, alone) -> list[Claimed]:
        """The first of these that fit into `room` bytes; none of them is read yet."""
        if not rows:
            return rows
        self.cr.execute(sql.file_bytes([row.id for row in rows]))
        files = dict(self.cr.fetchall())
        sizes = [row.size + files.get(row.id, 0) for row in rows]
        count = fitting(sizes, room, alone=alone)
        if count < len(rows):
            batch.is_last = False
            self.position.restart()
        return rows[:count]

    def _mark(self, rows, now) -> list[Claimed]:
        """Commit a mark on the one delivery, and lock it again.

        One that was marked often enough isn't built again and keeps its lock.
        """
        if not rows or rows[0].superseded_by or _kills(rows[0]):
            return rows
        self.cr.execute(sql.mark_build(rows[0].id))
        self.cr.commit()
        self.marked = rows[0].id
        locked = self._rows(sql.claim_marked(rows[0].id, now))
        # Its kills so far: this build is not one yet.
        return [row._replace(build_tries=rows[0].build_tries) for row in locked]

    def _prepare(self, rows, batch, now) -> int:
        """Build and decide; how many of the rows, the others were left untouched."""
        env = self.endpoint.env
        superseded = [row for row in rows if row.superseded_by]
        killers = [row for row in rows if _kills(row) and not row.superseded_by]
        fresh = [row for row in rows if not (row.superseded_by or _kills(row))]
        deliveries = env["bwt.webhook.outbound.delivery"].browse(
            [row.id for row in fresh]
        )
        began = time.monotonic()
        limit = BatchLimit(keeps_payload=self.plan.has_response_hook)
        stages = prepare_batch(deliveries, self.plan, fresh, limit) if fresh else []
        batch.seconds = time.monotonic() - began
        if len(stages) < len(fresh):
            batch.is_last = False
            self.position.restart()  # the next look must find what was left out
        stages += [self._refused_as_killer(row) for row in killers]
        marked = [row.id for row in rows if row.build_tries or row.id == self.marked]
        if marked:
            self.cr.execute(sql.unmark_build(marked))
        ended, endings = [], []
        for stage in stages:
            if isinstance(stage, Prepared):
                batch.prepared.append(stage)
                continue
            ended.append(stage)
            if isinstance(stage, Decided):
                endings.append(ending_of_decision(stage, self.plan, env, now))
            elif isinstance(stage, Refused):
                endings.append(ending_of_refusal(stage, now))
        for row in superseded:
            ended.append(row)
            endings.append(ending_superseded(row, env, now))
        if endings:
            endings = conclude(env, self.plan, ended, endings, self.holder, now)
        batch.concluded = len(endings)
        batch.given_up = sum(ending.needs_person for ending in endings)
        return len(stages) + len(superseded)

    def _refused_as_killer(self, row) -> Refused:
        plan = self.plan
        reason = "handler" if plan.handler or plan.has_backend else "build"
        text = self.endpoint.env._(KILLS, count=row.build_tries)  # pylint: disable=W8301
        return Refused(row, reason, text)


def _kills(row: Claimed) -> bool:
    """Whether building this delivery ended the worker again and again."""
    return (row.build_tries or 0) >= BUILD_TRIES_MAX
