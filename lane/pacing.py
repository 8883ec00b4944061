# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How much to claim ahead and when to record, derived from the response rate."""

import signal
import time
from dataclasses import replace
from datetime import datetime, timedelta

from odoo.tools import config

from ..services.errors import ConfigurationError, _lt
from .attempt_result import Prepared

FIRST_BATCH = 32  # until the rate is known
BATCH_MIN = 4
BATCH_MAX = 500
AHEAD = 0.5  # seconds of work claimed ahead; a kill interrupts all of it
BATCHES = 3  # claimed ahead: two keep the threads busy while the next one is built
CHUNK = 0.2  # seconds of responses recorded at once; a kill repeats these requests
CHUNK_MAX = 300
RECORD_AFTER = 0.5  # seconds that a response may stay unrecorded
SMOOTHING = 0.3
BYTES_MAX = 1_000_000  # of bodies in a batch; a batch is in memory several times


class Pace:
    """Measures the rate (responses per second) and derives sizes from it."""

    def __init__(self):
        self.rate = 0.0  # 0: not known yet
        self._since_clock = None  # None: nothing was sent yet
        self._count = 0
        self._first_batch = FIRST_BATCH
        self._recorded_clock = time.monotonic()
        self._body = 0.0  # average size of a body in bytes
        self._build = 0.0  # average seconds to build one
        self.held = 0  # bytes of bodies claimed and not yet recorded

    def saw(self, responses: int):
        """Count responses; the rate is updated a few times a second."""
        self._count += responses
        if not self._count:
            return
        passed = time.monotonic() - self._since_clock
        if passed < 0.1:
            return
        rate = self._count / passed
        self.rate = (
            rate if not self.rate else (SMOOTHING * rate + (1 - SMOOTHING) * self.rate)
        )
        self._since_clock += passed
        self._count = 0

    def built(self, count: int, seconds: float):
        """Record how long building a batch took, decisions and refusals included."""
        if count:
            self._build = seconds / count

    def sent(self, bodies: list[int]):
        """Add the sizes, in bytes, of the bodies that were claimed."""
        if bodies:
            if self._since_clock is None:
                self._since_clock = time.monotonic()
            self._first_batch *= 2
            total = sum(bodies)
            self._body = total / len(bodies)
            self.held += total

    def freed(self, size: int):
        """Subtract bytes of bodies that were recorded or released."""
        self.held -= size

    @property
    def room(self) -> int:
        """Bytes that may be claimed now."""
        return CLAIM_BYTES - self.held

    @property
    def build_seconds(self) -> float:
        """Estimated seconds to build the next batch."""
        return max(self._build, min(self._build * self.batch, BUILD_SECONDS))

    @property
    def batch(self) -> int:
        """Deliveries to claim at once: a part of what is claimed ahead.

        Until the rate is known, each is twice as large as the one before.
        """
        wanted = int(self.rate * AHEAD / BATCHES) if self.rate else self._first_batch
        most = BATCH_MAX
        if self._body:
            most = min(most, int(BYTES_MAX / self._body))
        if self._build:
            most = min(most, int(BUILD_SECONDS / self._build))
        return max(1, min(max(wanted, BATCH_MIN), most))

    @property
    def low_water(self) -> int:
        """Claim more when fewer requests than this wait for a thread."""
        return self.batch * (BATCHES - 1) if self.rate else 1

    @property
    def chunk(self) -> int:
        """Results to record at once."""
        if not self.rate:
            return FIRST_BATCH // 2
        return max(1, min(int(self.rate * CHUNK), CHUNK_MAX))

    def must_record(self, unrecorded: int) -> bool:
        return (
            unrecorded >= self.chunk
            or time.monotonic() - self._recorded_clock >= RECORD_AFTER
        )

    def recorded(self):
        self._recorded_clock = time.monotonic()


ALONE = 30.0
SHARED = 5.0
REAL_TIME_RESERVE = 15.0
CPU_SHARE = 0.5
SHORT_PAUSE = timedelta(seconds=10)  # until a retry after a lack of resources


def longest_timeout() -> float | None:
    """Seconds that a request may take under ``limit_time_real``; None: no limit."""
    limit = config["limit_time_real"] or 0
    return max(limit - REAL_TIME_RESERVE, 0.0) if limit > 0 else None


class Budget:
    """Whether time and resources allow a lane to continue; checked between steps."""

    def __init__(self):
        self._started_clock = time.monotonic()
        self._cpu = time.process_time()
        self.others_wait = False
        self.is_awaited = False  # someone waits for the end of this lane's job
        self.short_until = None  # date; this process lacks files, threads or memory
        longest = longest_timeout()
        self._end_clock = None if longest is None else self._started_clock + longest
        # Prefork only: threads of one server share a process and have no such limit.
        cpu = config["limit_time_cpu"] if config["workers"] else 0
        self._cpu_limit = (cpu or 0) * CPU_SHARE

    def ran_short(self, now: datetime):
        """This process lacks a resource: the rest is left to a later lane."""
        self.short_until = now + SHORT_PAUSE

    def may_claim(self, timeout: float) -> bool:
        """Whether another batch may be claimed whose requests take up to `timeout`."""
        passed = time.monotonic() - self._started_clock
        return (
            not self.is_awaited
            and self.short_until is None
            and passed < (SHARED if self.others_wait else ALONE)
            and self.may_start(timeout)
            and not (self._cpu_limit and self._cpu_used > self._cpu_limit)
            and not server_stops()
        )

    def may_start(self, timeout: float) -> bool:
        """Whether a request started now would end within ``limit_time_real``."""
        return self._end_clock is None or time.monotonic() + timeout <= self._end_clock

    def cap(self, timeout: float) -> float:
        """`timeout`, or the rest of the job's time if that is shorter."""
        if self._end_clock is None:
            return timeout
        return max(min(timeout, self._end_clock - time.monotonic()), 1.0)

    @property
    def _cpu_used(self) -> float:
        return time.process_time() - self._cpu


def server_stops() -> bool:
    """Whether this server process was requested to stop.

    Prefork workers get SIGINT and clear `alive`; the threaded server counts its quit
    signals. Either object owns the method that is registered for SIGINT.
    """
    owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if getattr(owner, "quit_signals_received", 0):
        return True
    return not getattr(owner, "alive", True)


FULL_CHECK = 1.0  # seconds between checks from the beginning
SLACK = timedelta(seconds=1)  # margin for transactions that commit out of order
BEHIND = timedelta(seconds=2)  # with an older backlog no margin is needed
CHEAP = 0.005  # seconds; a check that takes no longer is made whenever it is useful
ROW = 0.0002  # seconds that a claimed row may take
SHARE = 200  # a check that takes longer is made again after this many times as long


class Check:
    """When a check is due whose time grows with the rows that vacuum can't remove.

    A transaction that is held open keeps every dead row, and a statement that reads an
    index from its beginning passes all of them.

    :param every: seconds between two of them, as long as they take no time
    """

    def __init__(self, every: float):
        self._every = every
        self._last = self._before = 0.0  # seconds that the last two took
        self._clock = None

    def took(self, seconds: float, rows: int = 0):
        """It is made; `rows` were found."""
        self._before, self._last = self._last, seconds - rows * ROW
        self._clock = time.monotonic()

    @property
    def _seconds(self) -> float:
        return min(self._last, self._before)  # one may have waited for a busy server

    @property
    def is_slow(self) -> bool:
        return self._seconds > CHEAP

    @property
    def left(self) -> float:
        """Seconds until it is due; 0: it is."""
        if self._clock is None:
            return 0.0
        every = max(self._every, SHARE * self._seconds if self.is_slow else 0.0)
        return max(self._clock + every - time.monotonic(), 0.0)

    def expire(self):
        """It is due now."""
        self._clock = None


_POSITIONS = {}  # of this process: (database, endpoint, slot) -> Position


class Position:
    """Where a claim starts to read; once a second it starts at the beginning.

    That one finds what the others miss: transactions that took long to commit, retries,
    rows that were locked. Where it is slow, it is made less often, and the others start
    before the oldest transaction that the last one could not see yet.
    """

    def __init__(self):
        self._last = None  # (next_attempt_at, queue_number)
        self._unseen = None  # date; older transactions had ended before the last claim
        self.full = Check(FULL_CHECK)
        self.recovery = Check(0.0)

    @classmethod
    def of(cls, database: str, endpoint_id: int, slot: int) -> "Position":
        """For a new lane in this slot, with what the last one here knew.

        It starts at the beginning, unless that was slow a moment ago.
        """
        position = _POSITIONS.setdefault((database, endpoint_id, slot), cls())
        if position.full.is_slow and position._last:
            # Meanwhile lanes in other processes claimed.
            position._last = position._last[0] - SLACK, 0
        else:
            position._last = None
        return position

    def begin(self, now: datetime):
        """(next_attempt_at, queue_number) to start from, None: the beginning."""
        if self._last is None or not self.full.left:
            return None
        due_at, number = self._last
        if now - due_at <= BEHIND:
            due_at, number = due_at - SLACK, 0
        if self._unseen and self.full.is_slow:
            return min((due_at, number), (self._unseen - SLACK, 0))
        return due_at, number

    def claims(self, oldest: datetime | None, now: datetime):
        """A claim is made, beside open transactions since `oldest` (None: without)."""
        self._unseen = min(oldest or now, now)

    def reached(self, claimed):
        """Advance past the rows that were claimed, in the queue's order."""
        places = [(row.due_at, row.queue_number) for row in claimed if row.queue_number]
        if places:
            self._last = max(places)

    def restart(self):
        """Start at the beginning next time."""
        self.full.expire()


DELIVERY_BYTES_MAX = 100 * 2**20  # payload, headers and files of one delivery
CLAIM_BYTES = 64 * 2**20  # that a lane holds at a time; a larger delivery is sent alone
STATEMENT_BYTES = 8 * 2**20  # a statement is in memory several times
BUILD_SECONDS = 1.0  # of building, then what is built is sent
LARGE = 2**20


def check_size(size: int):
    """Refuse what is too large for a worker's memory.

    :raise ConfigurationError:
    """
    if size > DELIVERY_BYTES_MAX:
        raise ConfigurationError(
            _lt(
                "the payload and its files take %(size)s MiB, and a delivery may "
                "take %(limit)s MiB at most. Send less in one delivery, or send a "
                "link from which the receiver can fetch the data."
            ),
            size=-(-size // 2**20),
            limit=DELIVERY_BYTES_MAX // 2**20,
        )


def pages(rows, size_of, *, count, size=STATEMENT_BYTES):
    """Split rows into lists of at most `count` rows and `size` bytes.

    :param size_of: bytes of one row; a row larger than `size` gets its own list
    """
    page, filled = [], 0
    for row in rows:
        weight = size_of(row)
        if page and (len(page) >= count or filled + weight > size):
            yield page
            page, filled = [], 0
        page.append(row)
        filled += weight
    if page:
        yield page


def fitting(sizes, room: int, *, alone: bool) -> int:
    """How many of these deliveries fit into `room` bytes, in their order.

    :param alone: the first one fits whatever its size
    """
    filled = 0
    for number, size in enumerate(sizes):
        filled += size
        if filled > room and not (alone and number == 0):
            return number
    return len(sizes)


class BatchLimit:
    """Determines when a batch that is being built is large enough.

    Sizes are known before building, except for what rules and handlers add.
    """

    def __init__(self, *, keeps_payload: bool):
        self._keeps_payload = keeps_payload
        self._end_clock = time.monotonic() + BUILD_SECONDS
        self._bytes = 0

    def restart(self):
        """Start again after what was built is lost; the time spent on it counts."""
        self._bytes = 0

    def add(self, stage) -> bool:
        """Count one delivery; True when no further one should be built now."""
        if isinstance(stage, Prepared) and stage.encoded.body:
            length = len(stage.encoded.body)
            self._bytes += length
            if length > LARGE and not self._keeps_payload:
                _drop_payload(stage)
        return self._bytes >= CLAIM_BYTES or time.monotonic() >= self._end_clock


def _drop_payload(stage):
    """Free the payload of a JSON request: its encoded body is sufficient now."""
    if stage.request.request_body_mode == "json":
        stage.request = replace(stage.request, payload=None)
        stage.outcome = replace(stage.outcome, request=stage.request)
