# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What was sent before, compared with the request of an attempt.

A retry has the same body as the attempts before: the message id tells the receiver that
it is the same message, so its content must be the same, too, although the record may
have changed since. What is stored of an attempt is not always what was sent (secrets
are masked, and some bytes aren't text), so the body is made of it again and compared
with the hash of what was sent.

Skip If Nothing Changed: nothing is sent that the receiver got as its last request. What
the receiver knows about a record is what the last attempt about it sent, if that
succeeded. Attempts of endpoints that compare requests have a subject, the record, and
a hash of the request; other endpoints pay nothing.
"""

import json
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from ..services.errors import ServiceError, _lt
from ..services.headers import CONNECTION_HEADERS, content_type_of, set_header
from ..services.http.encoding import encode
from ..services.masking import MASK, is_sensitive
from ..services.outcome import HandlerOutcome
from ..services.payload_files import with_contents
from ..services.transport import build_transport_kwargs
from . import sql
from .attempt_result import Decided, Postponed, Prepared
from .clock import utcnow
from .locks import COMPARED
from .recording import body_hash, stored_url
from .translation import translate

AT_ONCE = 64 * 1024  # bytes of a payload that is read for the whole batch
# Written again for each attempt.
OF_AN_ATTEMPT = CONNECTION_HEADERS | {
    *("webhook-id", "webhook-timestamp", "webhook-signature"),
}


class SentRequest(NamedTuple):
    """The last request of a delivery, as its attempt stores it.

    payload: None if it is too large to be read for a whole batch
    """

    attempt_id: int
    body_hash: str
    http_method: str
    body_mode: str
    url: str
    headers: str
    payload: str | None

    def repeated(self, request, snapshot, cr):
        """The request with the body that was sent; as it is if that isn't possible.

        Not possible for another method or URL (the record is known by now, and is
        updated), another body mode, or if the body can't be made of what is stored.

        :param request: `OutboundRequest` that was built for this attempt
        :raise ServiceError: it can't be encoded
        """
        encoded = encode(build_transport_kwargs(request))
        if (
            body_hash(encoded.body) == self.body_hash
            or (request.http_method, request.request_body_mode)
            != (self.http_method, self.body_mode)
            or stored_url(encoded.url, snapshot.trust.secrets) != self.url
        ):
            return request
        # Errors: the body was masked, or isn't stored as it was.
        with suppress(ServiceError, ValueError, RecursionError):
            found = self._with_body(request, cr)
            if body_hash(encode(build_transport_kwargs(found)).body) == self.body_hash:
                return found
        return request

    def as_sent(self, known, snapshot, cr):
        """The request as it was sent, for a record that can't be read any more.

        Headers that were stored masked are those of `known`.

        :param known: `OutboundRequest` of what can be built without the record
        :return: None if it can't be made of what is stored
        """
        url = self.url
        if MASK in url:
            url = known.target_url
        headers = self._headers_as_sent(known, snapshot)
        if headers is None:
            return None
        request = known.replaced(
            target_url=url,
            http_method=self.http_method,
            request_body_mode=self.body_mode,
            headers=headers,
        )
        with suppress(ServiceError, ValueError, RecursionError):
            request = self._with_body(request, cr)
            encoded = encode(build_transport_kwargs(request))
            is_same = body_hash(encoded.body) == self.body_hash
            secrets = snapshot.trust.secrets
            if is_same and stored_url(encoded.url, secrets) == self.url:
                return request
        return None

    def _headers_as_sent(self, known, snapshot):
        """Headers without those of each attempt; None if one isn't known."""
        built = {name.lower(): value for name, value in known.raw("headers").items()}
        own = _own_headers(snapshot)
        headers = {}
        for name, value in json.loads(self.headers).items():
            key = name.lower()
            if key in OF_AN_ATTEMPT or (key in own and key not in built):
                continue
            if MASK in value:
                if key not in built:
                    return None
                value = built[key]
            headers[name] = value
        return headers

    def _with_body(self, request, cr):
        payload = self.payload
        if payload is None:
            cr.execute(sql.sent_payload(self.attempt_id))
            [payload] = cr.fetchone()
        payload = with_contents(payload, request.raw("long_texts"))
        if self.body_mode not in ("raw", "csv"):
            payload = json.loads(payload)
        headers = dict(request.raw("headers"))
        content_type = content_type_of(json.loads(self.headers))
        if content_type:
            set_header(headers, "Content-Type", content_type)
        return request.replaced(headers=headers, payload=payload)


def read_sent(cr, snapshot, claimed) -> dict:
    """Delivery id -> `SentRequest` of what a retry repeats, in one query.

    No query for first attempts, or if the endpoint builds each attempt again.
    """
    retried = [each.id for each in claimed if each.attempt_count]
    if not retried or snapshot.rebuilds:
        return {}
    cr.execute(sql.sent_requests(retried, snapshot.config_version, AT_ONCE))
    return {row[0]: SentRequest(*row[1:]) for row in cr.fetchall()}


# Until an equal request in flight is checked again: it may fail.
AGAIN = timedelta(seconds=1)
# Of one batch, if several lanes compare: each record is a lock, and PostgreSQL has room
# for a few thousand.
RECORDS_MAX = 100
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
        self.busy = set()  # subjects about which another lane builds a request now

    def find(self, scopes, claimed):
        """Find out what is compared, and read what was sent: two queries, or none.

        :return: whether attempts of these deliveries are compared, now or later
        """
        compared = {
            each.id: subject_of(scopes[each.id].delivery)
            for each in claimed
            if self._is_compared(scopes[each.id].delivery, each)
        }
        if self.snapshot.policy.parallel_lanes > 1:
            self._lock(scopes, claimed, compared)
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

    def _lock(self, scopes, claimed, compared):
        """Lock the records, until the attempts about them are committed.

        Otherwise lanes that build equal requests at the same moment would both send.
        """
        if not compared and not self.snapshot.tracks_requests:
            return
        subjects = {subject_of(scopes[each.id].delivery) for each in claimed} - {None}
        places = {
            subject: crc32(subject.encode()) % len(COMPARED) for subject in subjects
        }
        if places:
            # Sorted: of two lanes with the same records, one gets all.
            wanted = sorted(set(places.values()))
            self.cr.execute(sql.try_compared(self.snapshot.endpoint_id, wanted))
            taken = {row[0] for row in self.cr.fetchall()}
            self.busy = {subject for subject, place in places.items() if place in taken}

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
        found = request_hash(prepared.encoded, self.snapshot, delivery)
        if prepared.claimed.id in self.skipped_ids and subject in self.busy:
            return Postponed(prepared.claimed, utcnow() + AGAIN)
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


def _own_headers(snapshot):
    """Lower-case names of the headers of credential, signature and extras."""
    trust, extras = snapshot.trust, snapshot.extras
    names = [
        trust.credential and trust.credential.name,
        getattr(trust.signature, "header", None),
        getattr(trust.signature, "timestamp_header", None),
        *(extras.header_names if extras else ()),
    ]
    return {name.lower() for name in names if name}


def request_hash(encoded, snapshot, delivery) -> str:
    """SHA-256 of method, URL, body and headers, without what is new in each message."""
    ignored = NOT_COMPARED | _own_headers(snapshot)
    lines = sorted(
        f"{name.lower()}: {value}"
        for name, value in encoded.headers
        if name.lower() not in ignored
        and not is_sensitive(name)
        and value != delivery.message_uid
    )
    head = "\n".join([encoded.method, encoded.url, *lines, ""])
    return sha256(head.encode() + (encoded.body or b"")).hexdigest()
