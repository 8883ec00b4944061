# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The health row of an endpoint: circuit and rate limit, as the lane sees it."""

from datetime import timedelta
from typing import NamedTuple

from ..services.circuit import Circuit
from . import sql

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

    def note(self, signals, now, backoff=0.0) -> tuple[str, str]:
        """Apply the signals to the circuit; returns its state before and after.

        :param signals: in the order of the responses: success, failure, open, ignore
        :param backoff: seconds for which the receiver accepts no request
        """
        row = self._read(lock=True)
        before = circuit = self._circuit(row)
        for signal in signals:
            if signal == "success":
                circuit = circuit.after_success(now)
            elif signal == "failure":
                circuit = circuit.after_failure(now)
            elif signal == "open":
                circuit = circuit.force_open(now)
            else:
                circuit = circuit.after_ignored(now)
        if backoff:
            circuit = circuit.back_off(backoff, now)
        success = now if "success" in signals else None
        failure = now if {"failure", "open"} & set(signals) else None
        if circuit != before or success or failure:
            self.cr.execute(
                sql.write_circuit(self.endpoint_id, circuit, success, failure)
            )
        return before.state, circuit.state

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
