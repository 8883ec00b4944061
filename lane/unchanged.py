# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Skip If Nothing Changed: nothing is sent that the receiver got as its last request.

What the receiver knows about a record is what the last attempt about it sent, if that
succeeded. Attempts of endpoints that compare requests have a subject, the record, and
a hash of the request; other endpoints pay nothing.
"""

from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from ..services.errors import _lt
from ..services.masking import is_sensitive
from ..services.outcome import HandlerOutcome
from . import sql
from .attempt_result import Decided, Postponed, Prepared
from .clock import utcnow
from .translation import translate

# Until an equal request in flight is checked again: it may fail.
AGAIN = timedelta(seconds=1)
UNCHANGED = _lt(
    "Not sent: method, URL, headers and body are those that the receiver got with the "
    "last request about this record."
)
# Different for each message or sender, and nothing that a receiver stores.
NOT_COMPARED = frozenset(
    {
        *("host", "connection", "content-length", "user-agent", "accept-encoding"),
        *("webhook-id", "webhook-timestamp", "webhook-signature", "date"),
        *("traceparent", "tracestate", "idempotency-key"),
        *("x-request-id", "x-correlation-id"),
    }
)


class LastRequest(NamedTuple):
    """The last request about a record that was begun.

    is_done: the receiver accepted it, and no other was in flight beside it
    is_in_flight: its response isn't known yet
    """

    request_hash: str | None
    is_done: bool
    is_in_flight: bool


class Comparison:
    """Compares the requests of a batch with those sent before about the same records.

    :param snapshot: of the endpoint
    """

    def __init__(self, cr, snapshot):
        self.cr = cr
        self.snapshot = snapshot
        self.last = {}  # subject -> LastRequest
        self.skipped_ids = set()  # deliveries that are skipped if nothing changed

    def find(self, scopes, claimed):
        """Find out what is compared, and read what was sent: two queries, or none.

        :return: whether attempts of these deliveries are compared, now or later
        """
        compared = {
            each.id: subject_of(scopes[each.id].delivery)
            for each in claimed
            if self._is_compared(scopes[each.id].delivery, each)
        }
        if compared:
            self._read_last(compared)
        return bool(compared) or self.snapshot.tracks_requests

    def _is_compared(self, delivery, claimed):
        # A user who sends it again, or tests the endpoint, wants it sent.
        return (
            (self.snapshot.skips_unchanged or delivery.skip_if_unchanged)
            and bool(delivery.res_id)
            and not claimed.attempt_count
            and claimed.state != "draft"
        )

    def _read_last(self, compared):
        self.cr.execute(sql.replays(list(compared)))
        replays = {row[0] for row in self.cr.fetchall()}
        self.skipped_ids |= compared.keys() - replays
        unknown = list(set(compared.values()) - self.last.keys())
        if unknown:
            self.cr.execute(sql.last_requests(self.snapshot.endpoint_id, unknown))
            for subject, *last in self.cr.fetchall():
                self.last[subject] = LastRequest(*last)

    def decide(self, prepared: Prepared, delivery):
        """`Prepared` as it is to be sent, `Decided` to skip it, or `Postponed`."""
        subject = subject_of(delivery)
        if not subject:
            return prepared
        found = request_hash(prepared.encoded, self.snapshot.trust, delivery)
        last = self.last.get(subject)
        if (
            prepared.claimed.id in self.skipped_ids
            and last is not None
            and last.request_hash == found
        ):
            if last.is_done:
                note = translate(delivery.env, UNCHANGED)
                outcome = HandlerOutcome("cancel", prepared.request, note=note)
                return Decided(prepared.claimed, prepared.request, outcome)
            if last.is_in_flight:
                return Postponed(prepared.claimed, utcnow() + AGAIN)
        self.last[subject] = LastRequest(found, is_done=False, is_in_flight=True)
        prepared.subject, prepared.request_hash = subject, found
        return prepared


def subject_of(delivery) -> str | None:
    """The record of a delivery as attempts store it; None without one."""
    if not delivery.res_model or not delivery.res_id:
        return None
    return f"{delivery.res_model},{delivery.res_id}"


def request_hash(encoded, trust, delivery) -> str:
    """SHA-256 of method, URL, body and headers, without what is new in each message."""
    signature = getattr(trust.signature, "header", None)
    own = {
        name.lower()
        for name in (trust.credential and trust.credential.name, signature)
        if name
    }
    lines = sorted(
        f"{name.lower()}: {value}"
        for name, value in encoded.headers
        if name.lower() not in NOT_COMPARED | own
        and not is_sensitive(name)
        and value != delivery.message_uid
    )
    head = "\n".join([encoded.method, encoded.url, *lines, ""])
    return sha256(head.encode() + (encoded.body or b"")).hexdigest()
