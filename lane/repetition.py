# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The same body on every attempt: a retry repeats the bytes that were sent before.

The message id tells the receiver that it is the same message, so its content must be
the same, too, although the record may have changed since. What is stored of an attempt
is not always what was sent (secrets are masked, and some bytes are no text), so the
body is made of it again and compared with the hash of what was sent.
"""

import json
from contextlib import suppress
from typing import NamedTuple

from ..services.errors import ServiceError
from ..services.headers import content_type_of, set_header
from ..services.http.encoding import encode
from ..services.transport import build_transport_kwargs
from . import sql
from .recording import body_hash, stored_url, with_file_contents

AT_ONCE = 64 * 1024  # bytes of a payload that is read for the whole batch


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

    def _with_body(self, request, cr):
        payload = self.payload
        if payload is None:
            cr.execute(sql.sent_payload(self.attempt_id))
            [payload] = cr.fetchone()
        payload = with_file_contents(payload, request)
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
