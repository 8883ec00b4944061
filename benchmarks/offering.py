# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries queued at a rate for minutes, and what became of them second by second."""

import bisect
import threading
import time
from dataclasses import dataclass, field

from benchmarks import workload
from benchmarks.report import median, percentile

SLICE = 5  # seconds of offering per call of the caller

# `rate` deliveries a second, ten transactions a second, from tick `first` to tick
# `last` of a clock that all slices share: what one is late, the next makes good.
OFFER = (
    workload.REQUEST
    + """
import time
target, sent = endpoint(code), []
for tick in range(first, last):
    time.sleep(max(start + tick / 10 - time.monotonic(), 0))
    number = tick * rate // 10
    count = (tick + 1) * rate // 10 - number
    ids = target.queue_deliveries(
        [request(number + each, size) for each in range(count)]
    ).ids
    env.cr.commit()
    sent.append([time.time(), ids[0], ids[-1]])
    env.invalidate_all()
    if time.monotonic() > stop:
        break
result = sent
"""
)


@dataclass
class Offer:
    """Queues in a thread of its own; `sent` grows meanwhile."""

    ground: object
    code: str
    rate: int
    seconds: int
    size: int = 0
    sent: list = field(default_factory=list)  # (committed, first id, last id)
    error: Exception | None = None

    def start(self) -> "Offer":
        self.began = time.time()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> "Offer":
        """Wait for the end of offering."""
        self._thread.join()
        if self.error:
            raise self.error
        return self

    @property
    def count(self) -> int:
        """Deliveries committed so far."""
        return sum(last - first + 1 for _at, first, last in self.sent)

    @property
    def offered(self) -> float:
        """Deliveries a second that were queued: less than the rate if it can't."""
        return self.count / (self.sent[-1][0] - self.began)

    def _run(self):
        start = time.monotonic()
        stop = start + self.seconds  # whatever is left then isn't offered
        try:
            tick = 0
            while tick < self.seconds * 10 and time.monotonic() < stop:
                last = min(tick + SLICE * 10, self.seconds * 10)
                values = {"rate": self.rate, "size": self.size, "start": start}
                sent = self.ground.caller.run(
                    OFFER, code=self.code, first=tick, last=last, stop=stop, **values
                )
                self.sent += sent
                tick += len(sent)
        except Exception as error:
            self.error = error


@dataclass(frozen=True)
class Minute:
    """What was committed within one minute, and the backlog during it."""

    number: int
    p50: float  # seconds from commit to arrival
    p95: float
    backlog: float  # median over its seconds, deliveries
    most: int  # of the backlog


def minutes(ground, offer, length=60) -> list[Minute]:
    """The offered deliveries by minute, or by spans of `length` seconds.

    All must have arrived.
    """
    arrived = {}
    for uid, moment in ground.target.arrivals:
        arrived.setdefault(uid, moment)
    spans = {}
    for committed, first, last in offer.sent:
        spans.setdefault(int((committed - offer.began) // length), []).append(
            (committed, first, last)
        )
    backlog = Backlog(offer, sorted(arrived.values()))
    return [
        _minute(ground, number, spans[number], arrived, backlog, offer.began, length)
        for number in sorted(spans)
    ]


def _minute(ground, number, batches, arrived, backlog, began, length):
    committed_at = {}
    for committed, first, last in batches:
        committed_at.update(dict.fromkeys(range(first, last + 1), committed))
    rows = ground.query(
        "SELECT id, message_uid FROM bwt_webhook_outbound_delivery "
        "WHERE id BETWEEN %s AND %s",
        [batches[0][1], batches[-1][2]],
    )
    delays = [arrived[uid] - committed_at[each] for each, uid in rows]
    depths = [backlog.at(began + number * length + each) for each in range(1, length)]
    return Minute(
        number + 1,
        percentile(delays, 0.5),
        percentile(delays, 0.95),
        median(depths),
        max(depths),
    )


class Backlog:
    """Deliveries committed and not arrived, from both lists: no query disturbs."""

    def __init__(self, offer, arrivals):
        self._arrivals = arrivals
        self._commits, self._totals, total = [], [], 0
        for committed, first, last in offer.sent:
            total += last - first + 1
            self._commits.append(committed)
            self._totals.append(total)

    def at(self, moment) -> int:
        """How many waited at this moment (seconds since the epoch)."""
        place = bisect.bisect_right(self._commits, moment)
        queued = self._totals[place - 1] if place else 0
        return max(queued - bisect.bisect_right(self._arrivals, moment), 0)
