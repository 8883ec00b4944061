# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The response to one HTTP request, or why there is none."""

import codecs
import io
import re
import zlib
from dataclasses import dataclass
from email.errors import (
    FirstHeaderLineIsContinuationDefect,
    HeaderDefect,
    InvalidHeaderDefect,
    MisplacedEnvelopeHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
from http.client import (
    BadStatusLine,
    HTTPException,
    HTTPResponse,
    IncompleteRead,
    LineTooLong,
    RemoteDisconnected,
    UnknownProtocol,
)

from ..errors import Message, ServiceError, _lt
from ..headers import TOKEN, charset_of

# A byte order mark determines the charset, regardless of the headers.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins with the one of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(slots=True)
class HttpResponse:
    """The result of one request; filled while it is read, and not changed later.

    status_code: None without a response
    headers: as received, in order, names may repeat
    body: what was read of it, decoded from its transfer encoding
    truncated: the body was longer than the limit
    broken: the body ended before it was complete
    reason: why there is no complete response (dns, connect, tls, timeout, egress,
        response, redirect), else empty
    error: message that explains `reason` to a user
    started_at: seconds since the epoch; duration: seconds
    notes: messages of additional information
    failure: the network error that broke the body off; the sender explains and drops it
    reusable: another request may follow on the connection
    """

    status_code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    broken: bool = False
    reason: str = ""
    error: Message | None = None
    started_at: float = 0.0
    duration: float = 0.0
    notes: tuple = ()
    failure: OSError | None = None
    reusable: bool = False

    def header(self, name):
        """Value of the first header `name` (case-insensitive), None without one."""
        wanted = name.lower()
        for each, value in self.headers:
            if each.lower() == wanted:
                return value
        return None

    @property
    def text(self):
        """The body decoded with its charset, else UTF-8, without byte order mark.

        Never raises. NUL, which PostgreSQL can't store, becomes U+FFFD like any
        undecodable byte.
        """
        return self._decoded().replace("\x00", "\ufffd")

    def _decoded(self):
        try:
            return self.body.decode(self._charset(), "replace")
        except (LookupError, ValueError):  # unknown, or not a valid charset for text
            return self.body.decode("utf-8", "replace")

    def _charset(self):
        for mark, charset in _MARKS:
            if self.body.startswith(mark):
                return charset
        return charset_of(self.header("Content-Type") or "") or "utf-8"


HEAD_LIMIT = 64 * 1024  # bytes of status line and headers, 1xx responses included
INTERIM_LIMIT = 20  # 1xx responses before the final one
BODY_LIMIT = 64 * 1024  # bytes that are kept, encoded and decoded
DOUBTFUL_SECONDS = 1.0  # to wait for a body whose end is unknown

_RAW_LIMIT = 1024 * 1024  # bytes of a body including chunk framing and trailers
_BUFFER = 16 * 1024
_LAYERS = 4  # nested encodings; more would be a denial of service
_LENGTH = re.compile(r"[0-9]{1,18}")
# A head that needs no interpretation by `http.client`: see `_ordinary_response`.
_ORDINARY_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [!-~][ -~]*)?\r\n"
    rb"((?:" + TOKEN.encode() + rb":[ \t]*(?:[!-~][ -~\t]*)?\r\n){1,90})\r\n"
)
_FOLD = re.compile(r"\r?\n[ \t]*")
# Defects of dropped lines. Others concern a multipart body that it didn't get.
_HEAD_DEFECTS = (
    FirstHeaderLineIsContinuationDefect,
    HeaderDefect,
    InvalidHeaderDefect,
    MisplacedEnvelopeHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
_FRAMING = frozenset(
    {"connection", "content-encoding", "content-length", "transfer-encoding"}
)
_MALFORMED = Message(
    _lt(
        "The headers of the response are malformed. Its status counts; headers and "
        "body may be incomplete."
    )
)


class BadResponse(ServiceError):
    """Not a valid HTTP response."""


class NoResponse(Exception):
    """The connection ended before a response."""


class _TooLong(Exception):
    """More bytes were received than are read."""


def read_response(link, method, limit=None):
    """The final response to a request with `method`, 1xx responses skipped.

    link: `receive_into(buffer) -> int` (0 when the peer has closed) and
    `hurry(seconds)`, which shortens the deadline. An error of `receive_into` propagates
    before the headers are complete; later it makes the response broken.
    limit: bytes of the body that are kept, `BODY_LIMIT` by default
    Raises BadResponse, NoResponse, OSError.
    """
    limit = limit or BODY_LIMIT
    source = _Source(link)
    reader = _Reader(source, _BUFFER)
    response = _ordinary_response(reader.peek(1), method, limit)
    if response:
        return response
    parsed = _final_head(reader, method)
    source.left = max(_RAW_LIMIT, 2 * limit)
    headers, framing = _headers_of(parsed.headers)
    response = HttpResponse(parsed.status, headers)
    chunked, length, is_clear = _framing(parsed, method, framing)
    malformed = source.ended or _is_malformed(parsed.headers)
    if malformed or length is False:
        response.notes = (_MALFORMED,)
        link.hurry(DOUBTFUL_SECONDS)
        length = None if length is False else length
    _read_body(response, _pieces(parsed, reader, chunked, length), limit)
    response.broken = response.broken or source.ended and malformed
    if response.notes:
        # The deadline was shortened here, it isn't that of the request.
        response.failure = None
    elif is_clear and not (response.broken or response.truncated or source.ended):
        response.reusable = _keeps_alive(parsed.version, framing) and not _has_rest(
            source, reader
        )
    _decode(response, framing, limit)
    return response


def _ordinary_response(received, method, limit=BODY_LIMIT):
    """The response, if it was received in one piece and is not unusual, else None.

    That is nearly every response. The parser of the standard library, made for mail,
    takes longer than everything else in a request; tests compare both.
    """
    head = _ORDINARY_HEAD.match(received)
    if head is None or method == "HEAD" or head[1] in (b"204", b"304"):
        return None
    headers, framing = [], {}
    for line in head[2].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.strip(" \t")
        headers.append((name, value))
        name = name.lower()
        if name in _FRAMING:
            if name in framing:
                return None
            framing[name] = value
    length = framing.get("content-length", "")
    if "transfer-encoding" in framing or not _LENGTH.fullmatch(length):
        return None
    end = head.end() + int(length)
    if end > len(received):
        return None
    response = HttpResponse(int(head[1]), tuple(headers), received[head.end() : end])
    response.reusable = end == len(received) and _keeps_alive(11, framing)
    _decode(response, framing, limit)
    return response


def _decode(response, framing, limit):
    encoding = framing.get("content-encoding")
    if encoding and response.body:
        response.body, too_long = decode_content(response.body, encoding, limit)
        response.truncated = response.truncated or too_long


class _Source(io.RawIOBase):
    """A connection as a file that ends with `_TooLong` after `left` bytes."""

    def __init__(self, link):
        self._receive_into = link.receive_into
        self.left = HEAD_LIMIT
        self.ended = False
        self.is_stopped = False

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.is_stopped:
            return None
        if self.left <= 0:
            raise _TooLong
        count = self._receive_into(buffer)
        self.left -= count
        self.ended = count == 0
        return count


class _Reader(io.BufferedReader):
    """A substitute for a socket; consecutive `HTTPResponse` objects read from it."""

    def makefile(self, _mode):
        return self

    def close(self):  # pylint: disable=method-required-super  # has no parent
        """Do nothing: a response closes its file, and the next one still reads."""


def _final_head(reader, method):
    for _ in range(INTERIM_LIMIT):
        response = HTTPResponse(reader, method=method)
        try:
            response.begin()
        except RemoteDisconnected as error:
            raise NoResponse from error
        except (BadStatusLine, UnknownProtocol) as error:
            start = ascii(str(error.args[0])[:60])
            raise BadResponse(
                _lt("it is not an HTTP response: %(start)s"), start=start
            ) from error
        except (LineTooLong, _TooLong) as error:
            raise _flood() from error
        except HTTPException:  # more headers than http.client reads
            _skip_headers(reader)
        if response.status == 101:
            raise BadResponse(_lt("the server switched to another protocol"))
        if response.status >= 200:
            return response
    raise BadResponse(_lt("the server sent interim responses without end"))


def _skip_headers(reader):
    try:
        while reader.readline(HEAD_LIMIT).strip(b"\r\n"):
            pass
    except _TooLong as error:
        raise _flood() from error


def _headers_of(message):
    """All headers as pairs, and those that frame the body by lower-case name."""
    headers, framing = [], {}
    for name, value in message.raw_items() if message else ():
        value = (_FOLD.sub(" ", value) if "\n" in value else value).strip(" \t")
        headers.append((name, value))
        name = name.lower()
        if name in _FRAMING:
            framing[name] = f"{framing[name]}, {value}" if name in framing else value
    return tuple(headers), framing


def _is_malformed(message):
    """Whether the parser dropped lines of the head."""
    if message is None:
        return True
    return bool(message.defects) and any(
        isinstance(each, _HEAD_DEFECTS) for each in message.defects
    )


def _framing(response, method, framing):
    """How the body ends: (chunked, length, whether that is unambiguous).

    length: None: until the peer closes; False: unknown
    """
    if method == "HEAD" or response.status in (204, 304):
        return False, 0, True
    length = _content_length(framing.get("content-length"))
    coding = framing.get("transfer-encoding")
    if coding is None:
        return False, length, length is not None
    if coding.lower().rpartition(",")[2].strip() == "chunked":
        response.chunked = True  # http.client overlooks "gzip, chunked"
        response.chunk_left = None
        # RFC 9112, 6.1: an additional length may be an attempt at smuggling.
        return True, None, "content-length" not in framing
    # "identity" is an obsolete coding without a meaning: the connection stays open.
    return False, False if length is None else length, False


def _content_length(text):
    """The length, None without one, False if it is invalid."""
    if text is None:
        return None
    lengths = {each.strip() for each in text.split(",")}
    length = lengths.pop()
    return False if lengths or not _LENGTH.fullmatch(length) else int(length)


def _keeps_alive(version, framing):
    connection = framing.get("connection")
    if connection is None:
        return version == 11
    options = {each.strip() for each in connection.lower().split(",")}
    return "close" not in options and (version == 11 or "keep-alive" in options)


def _has_rest(source, reader):
    """Whether bytes after the response are buffered; reads no more."""
    source.is_stopped = True
    return bool(reader.peek(1))


def _pieces(response, reader, chunked, length):
    if chunked:
        while piece := response.read1(BODY_LIMIT):
            if (response.chunk_left or 0) < 0:  # int() accepts "-2" as a size
                raise IncompleteRead(b"")
            yield piece
        return
    while length is None or length > 0:
        piece = reader.read1(BODY_LIMIT if length is None else min(length, BODY_LIMIT))
        if piece:
            yield piece
        elif length is None:
            return
        else:
            raise IncompleteRead(b"")
        length = length and length - len(piece)


def _read_body(response, pieces, limit):
    parts, size = [], 0
    try:
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size > limit:
                response.truncated = True
                break
    except _TooLong:
        response.truncated = True
    except HTTPException:
        response.broken = True
    except OSError as error:
        response.broken, response.failure = True, error
    response.body = b"".join(parts)[:limit]


def decode_content(body, encoding, limit=BODY_LIMIT):
    """The body without gzip or deflate, and whether it was truncated at `limit`.

    A body with another encoding, or one that can't be decoded, is returned unchanged.
    """
    too_long = False
    layers = [each.strip().lower() for each in encoding.split(",")]
    if len(layers) > _LAYERS:
        return body, too_long
    for name in reversed(layers):
        if name in ("gzip", "x-gzip", "deflate"):
            decoded = _inflate(body, name, limit)
            if decoded is None:
                return body, too_long
            body, cut = decoded
            too_long = too_long or cut
        elif name != "identity":
            return body, too_long
    return body, too_long


def _inflate(body, name, limit):
    tries = (16 + zlib.MAX_WBITS,) if "gzip" in name else (15, -15)
    for window in tries:  # "deflate" is sent with and without the zlib wrapper
        try:
            return _inflate_members(body, window, limit)
        except zlib.error:
            continue
    return None


def _inflate_members(body, window, limit):
    decoded = b""
    while body:
        inflater = zlib.decompressobj(window)
        try:
            decoded += inflater.decompress(body, limit + 1 - len(decoded))
        except zlib.error:
            if decoded:  # invalid data after a complete member
                break
            raise
        if len(decoded) > limit:
            return decoded[:limit], True
        body = inflater.unused_data if inflater.eof else b""
    return decoded, False


def _flood():
    return BadResponse(_lt("its headers are too long"))
