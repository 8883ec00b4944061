# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The health of an endpoint: circuit, rate limit, recent results, hourly figures."""

import logging
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple

from odoo.modules.registry import Registry

from ..services.circuit import Circuit
from ..services.histogram import BOUNDS, bucket
from . import sql
from .savepoint import lost_race
from .slot import read_committed

_logger = logging.getLogger(__name__)

PROBE_RESERVE = 15.0  # seconds after its timeout when a probe counts as lost


class Allowance(NamedTuple):
    """How many deliveries may be claimed; if none, from when on."""

    count: int
    not_before: object = None  # naive UTC
    is_probe: bool = False


class Health:
    """One endpoint's circuit and rate limit, over the lane's cursor."""

    def __init__(self, cr, endpoint_id: int, policy, reset_at):
        self.cr = cr
        self.endpoint_id = endpoint_id
        self.policy = policy
        self.reset_at = reset_at

    def allow(self, wanted: int, now) -> Allowance:
        """What circuit and rate limit allow; locks the row if they are in use."""
        row = self._read(lock=bool(self.policy.rate_limit))
        circuit = self._circuit(row)
        gate = circuit.may_send(now)
        if gate == "none":
            return Allowance(0, circuit.next_probe_at)
        if gate == "probe" and not self._take_probe(row["next_probe_at"], now):
            return Allowance(0, now + timedelta(seconds=self.policy.timeout))
        if gate == "probe":
            wanted = 1
        bucket = self.policy.bucket(row["rate_tokens"] or 0.0, row["rate_tokens_at"])
        if bucket is None:
            return Allowance(wanted, None, gate == "probe")
        bucket, granted, wait = bucket.take(wanted, now)
        self.cr.execute(sql.write_bucket(self.endpoint_id, bucket))
        not_before = now + timedelta(seconds=wait) if wait else None
        return Allowance(granted, not_before, gate == "probe")

    def return_tokens(self, count: int):
        """Return rate-limit permits that no delivery used."""
        if not self.policy.rate_limit or count <= 0:
            return
        row = self._read(lock=True)
        bucket = self.policy.bucket(row["rate_tokens"] or 0.0, row["rate_tokens_at"])
        self.cr.execute(sql.write_bucket(self.endpoint_id, bucket.refund(count)))

    def note(self, signals, now, backoff=0.0, results=()) -> tuple[str, str]:
        """Apply the signals to the circuit; returns its state before and after.

        :param signals: in the order of the responses: success, failure, open, ignore
        :param backoff: seconds for which the receiver accepts no request
        :param results: AttemptResults that were recorded, in the same order
        """
        row = self._read(lock=True)
        before = circuit = self._circuit(row)
        previous = None
        for signal in signals:
            if signal == "success":
                if previous != "success":  # a second one in a row changes nothing
                    circuit = circuit.after_success(now)
            elif signal == "failure":
                circuit = circuit.after_failure(now)
            elif signal == "open":
                circuit = circuit.force_open(now)
            else:
                circuit = circuit.after_ignored(now)
            previous = signal
        if backoff:
            circuit = circuit.back_off(backoff, now)
        success = now if "success" in signals else None
        failure = now if {"failure", "open"} & set(signals) else None
        marks = _marks(results)
        if circuit != before or success or failure or marks:
            self.cr.execute(
                sql.write_circuit(self.endpoint_id, circuit, success, failure, marks)
            )
        return before.state, circuit.state

    def add(self, results):
        """Add results of deliveries that ended without a request; often none."""
        if marks := _marks(results):
            self.cr.execute(sql.add_results(self.endpoint_id, marks))

    def ran_short(self, count: int, shortage: str, now):
        """Record that `count` requests were not sent for lack of a resource."""
        self.note(["ignore"], now)
        self.return_tokens(count)
        self.cr.execute(sql.write_shortage(self.endpoint_id, now, shortage))

    def not_before(self, now):
        """When the circuit allows requests again; None: now. False: not by itself."""
        circuit = self._circuit(self._read(lock=False))
        if circuit.state == "manual":
            return False
        return circuit.next_probe_at if circuit.may_send(now) == "none" else None

    def _take_probe(self, seen, now) -> bool:
        until = now + timedelta(seconds=self.policy.timeout + PROBE_RESERVE)
        self.cr.execute(sql.take_probe(self.endpoint_id, seen, until))
        return bool(self.cr.fetchone())

    def _read(self, *, lock: bool) -> dict:
        self.cr.execute(sql.health(self.endpoint_id, lock=lock))
        return self.cr.dictfetchone()

    def _circuit(self, row) -> Circuit:
        fresh = Circuit(threshold=self.policy.circuit_threshold)
        if row["circuit_state"] == "closed":
            return Circuit(
                streak=row["failure_streak"] or 0,
                threshold=self.policy.circuit_threshold,
                next_probe_at=row["next_probe_at"],
            )
        # A user closed it after it opened: the endpoint records when.
        if self.reset_at and row["opened_at"] and self.reset_at >= row["opened_at"]:
            return fresh
        return Circuit(
            state=row["circuit_state"],
            streak=row["failure_streak"] or 0,
            threshold=self.policy.circuit_threshold,
            opened_at=row["opened_at"],
            cooldown=row["cooldown_seconds"] or 60.0,
            next_probe_at=row["next_probe_at"],
        )


def _marks(results) -> str:
    return "".join(result.mark for result in results)


def add_after_commit(cr, endpoint_id: int, results):
    """Add results once the caller's transaction is committed, in one of our own.

    In the caller's, lanes would wait for the row until it ends, and a conflict with
    them would roll back what the caller did.
    """
    marks = _marks(results)
    if not marks:
        return
    waiting = cr.postcommit.data.setdefault(__name__, {})
    if not waiting:
        cr.postcommit.add(lambda: _add_waiting(cr.dbname, waiting))
    waiting[endpoint_id] = waiting.get(endpoint_id, "") + marks


def _add_waiting(dbname, waiting):
    try:
        with Registry(dbname).cursor() as cr:
            read_committed(cr)
            cr.execute("SET LOCAL lock_timeout = '1s'")
            for endpoint_id, marks in sorted(waiting.items()):
                query = sql.add_results(endpoint_id, marks)
                cr.execute(query, log_exceptions=False)
    except Exception:  # the caller's work is committed: a figure must not fail it
        _logger.warning("results not added endpoints=%s", [*waiting], exc_info=True)


# Hourly figures -----------------------------------------------------------------------
#
# Attempts per endpoint and hour, counted in the transaction that records them.

HOUR = timedelta(hours=1)
RESULTS = ("succeeded", "retried", "failed")
# One column per bucket of the histogram of durations.
BUCKETS = (*(f"ms_{bound}" for bound in BOUNDS), "ms_more")
# Failure reasons; what fails for another one is counted by its result alone.
REASONS = (
    *("dns", "connect", "tls", "timeout", "interrupted", "egress", "redirect"),
    *("http_4xx", "http_5xx", "response", "answer", "build", "handler"),
)
REASON_COLUMNS = {reason: f"reason_{reason}" for reason in REASONS}
# Neither a success nor a failure: a handler postponed or canceled the delivery.
_NOT_COUNTED = ("retry", "canceled")


def count_attempts(cr, endpoint_id: int, slot: int | None, results):
    """Add the attempts of these results to the figures of their hours.

    One statement for each hour that they began in, usually one.

    :param slot: of the lane; None outside of a lane
    """
    hours = defaultdict(Counter)
    start = end = datetime.min
    for result in results:
        if not (result.attempt_id or result.is_traced):
            continue  # ended without an attempt
        if result.attempt_state in _NOT_COUNTED:
            continue
        if not start <= result.started_at < end:
            start = hour_of(result.started_at)
            end = start + HOUR
            counts = hours[start]
        counts[_result(result.attempt_state, result.next_attempt_at)] += 1
        if result.reason in REASON_COLUMNS:
            counts[REASON_COLUMNS[result.reason]] += 1
        if duration := _duration(result):
            counts[BUCKETS[bucket(duration)]] += 1
            counts["ms_total"] += duration
    _add(cr, endpoint_id, slot, hours)


def count_interrupted(cr, endpoint_id: int, slot: int, interrupted):
    """Add attempts that a lane left open.

    :param interrupted: pairs of the time when it began, and whether it is retried
    """
    hours = defaultdict(Counter)
    for started_at, is_retried in interrupted:
        counts = hours[hour_of(started_at)]
        counts["retried" if is_retried else "failed"] += 1
        counts[REASON_COLUMNS["interrupted"]] += 1
    _add(cr, endpoint_id, slot, hours)


def safely(count, cr, endpoint_id: int, *arguments):
    """Call `count`; what the database refuses is logged and left out.

    Figures must not prevent that what was sent is recorded. Costs a savepoint.
    """
    try:
        with cr.savepoint(flush=False):
            count(cr, endpoint_id, *arguments)
    except Exception as error:
        if cr.closed or lost_race(error):
            raise
        _logger.warning("attempts not counted endpoint=%s: %s", endpoint_id, error)


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour (UTC)."""
    return moment.replace(minute=0, second=0, microsecond=0)


def _result(attempt_state, next_attempt_at):
    if attempt_state == "done":
        return "succeeded"
    return "retried" if next_attempt_at else "failed"


def _duration(result):
    """In ms; None if no request was sent."""
    milliseconds = round(result.duration * 1000)
    if milliseconds or (result.response and result.response.status_code):
        return max(milliseconds, 1)
    return None


def _add(cr, endpoint_id, slot, hours):
    for hour, counts in sorted(hours.items()):
        if slot is not None:
            cr.execute(sql.count_attempts(endpoint_id, slot, hour, counts))
        if slot is None or not cr.rowcount:
            cr.execute(sql.start_hour(endpoint_id, slot, hour, counts))
