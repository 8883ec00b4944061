# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an endpoint may add to its requests: trace context, message id, compression."""

import gzip
import hashlib
import re
import secrets
from dataclasses import dataclass

from .headers import set_header
from .http.encoding import EncodedRequest
from .signature_template import fill

TRACEPARENT = "traceparent"
CONTENT_ENCODING = "content-encoding"
# Our message ids are a UUID after `msg_`.
_UUID = re.compile(
    r"(?:msg_)?([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})",
    re.IGNORECASE,
)
_NO_TRACE = "0" * 32  # invalid: Trace Context, 3.2.2.3
_LEVEL = 6  # what gzip itself uses: higher ones take much longer for little


@dataclass(frozen=True)
class RequestExtras:
    """Headers and compression that are off unless the endpoint has them.

    traceparent: whether the header of W3C Trace Context is sent
    id_header, id_value: header with the message id, and the template of its value
    gzip_from: bytes from which a body is compressed; 0: never
    """

    traceparent: bool = False
    id_header: str = ""
    id_value: str = ""
    gzip_from: int = 0

    @property
    def header_names(self):
        """Lower-case names of the headers that this may write for each attempt."""
        names = [self.id_header.lower()] if self.id_header else []
        if self.traceparent:
            names.append(TRACEPARENT)
        if self.gzip_from:
            names.append(CONTENT_ENCODING)
        return names

    def add_headers(self, headers, message_id):
        """Add headers in place; one that a rule, handler or hook gave is kept."""
        given = {name.lower() for name in headers}
        if self.id_header and self.id_header.lower() not in given:
            value = fill(self.id_value, {"message_id": message_id})
            set_header(headers, self.id_header, value)
        if self.traceparent and TRACEPARENT not in given:
            headers[TRACEPARENT] = new_traceparent(message_id)

    def compress(self, encoded: EncodedRequest) -> EncodedRequest:
        """The request with a compressed body beside its own, if that is shorter.

        A body that has a Content-Encoding already is left as it is.
        """
        body = encoded.body
        if not self.gzip_from or not body or len(body) < self.gzip_from:
            return encoded
        if any(name.lower() == CONTENT_ENCODING for name, _value in encoded.headers):
            return encoded
        # Without a time inside, equal bodies are equal bytes.
        compressed = gzip.compress(body, _LEVEL, mtime=0)
        if len(compressed) >= len(body):
            return encoded
        headers = [
            (name, str(len(compressed)) if name.lower() == "content-length" else value)
            for name, value in encoded.headers
        ]
        headers.append(("Content-Encoding", "gzip"))
        return encoded._replace(headers=tuple(headers), compressed=compressed)


def new_traceparent(message_id):
    """A `traceparent` (w3.org/TR/trace-context, version 00): one trace per message.

    Its span is a new one, for one attempt; the flag says that it is recorded.
    """
    span = secrets.token_hex(8)
    while not span.strip("0"):  # invalid: 3.2.2.4
        span = secrets.token_hex(8)
    return f"00-{trace_id(message_id)}-{span}-01"


def trace_id(message_id):
    """32 hex digits: those of a UUID, else of a hash of the message id."""
    found = _UUID.fullmatch(message_id)
    digits = found and found[1].replace("-", "").lower()
    if digits and digits != _NO_TRACE:
        return digits
    return hashlib.sha256(message_id.encode()).hexdigest()[:32]
