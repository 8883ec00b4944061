# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What goes in: due deliveries locked, built and decided."""
# A lane commits its own cursor, step by step: what left must be on disk.
# pylint: disable=invalid-commit

from dataclasses import dataclass, field
from datetime import datetime

from . import sql
from .endings import ending_of_decision, ending_of_refusal, ending_superseded
from .prepare import prepare_batch
from .record import conclude, open_or_refuse
from .stages import Claimed, Decided, Prepared, Refused

SCAN_FACTOR = 5  # rows looked at per row wanted, before going by the lines


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


class Claim:
    """Takes batches of one endpoint, in the transaction of the lane's cursor."""

    def __init__(self, endpoint, plan, health, position, holder: str):
        self.endpoint = endpoint
        self.cr = endpoint.env.cr
        self.plan = plan
        self.health = health
        self.position = position
        self.holder = holder

    def take(self, limit: int, now, *, alone: bool) -> Batch:
        """Up to `limit` deliveries; `alone`: nothing else is out at this moment."""
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
        batch.is_last = not batch.is_alone and len(rows) < allowance.count
        self.health.return_tokens(allowance.count - len(rows))
        if not rows:
            if allowance.is_probe:
                self.health.note(["ignore"], now)
            return batch
        batch.claimed = len(rows)
        self._prepare(rows, batch, now)
        self.health.return_tokens(batch.concluded)  # no request left for these
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

    def _prepare(self, rows, batch, now):
        env = self.endpoint.env
        fresh = [row for row in rows if not row.superseded_by]
        superseded = [row for row in rows if row.superseded_by]
        deliveries = env["bwt.webhook.outbound.delivery"].browse(
            [row.id for row in fresh]
        )
        stages = prepare_batch(deliveries, self.plan, fresh) if fresh else []
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
