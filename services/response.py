"""Reads one HTTP/1.x answer: strict where framing is at stake, bounded everywhere.

http.client reads the same, but its header parser is built for mail and takes longer
than all the rest of a request. Framing as in RFC 9112, sections 6 and 7.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from .errors import _lt
from .response_body import Body, Cut, decode_content

HEAD_LIMIT = 64 * 1024  # bytes of status line and headers together
HEADER_COUNT_LIMIT = 200
INTERIM_LIMIT = 20  # 1xx answers before the real one

_STATUS = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = frozenset(
    {"connection", "content-encoding", "content-length", "transfer-encoding"}
)


class BadResponse(Exception):
    """What came is no HTTP answer: template and values say why."""

    def __init__(self, template, /, **values):
        super().__init__(template, values)
        self.template = template
        self.values = values


class NoResponse(Exception):
    """The connection ended before a single byte of an answer came."""


@dataclass
class Reply:
    """One answer.

    broken: the body ended early; `failure` is what the network did, None when the
    peer just closed
    reusable: another request may follow on the connection
    """

    status: int
    headers: tuple
    body: bytes = b""
    truncated: bool = False
    broken: bool = False
    reusable: bool = False
    failure: OSError | None = None


def read_reply(receive, method):
    """The final answer to a request with `method`, 1xx answers skipped.

    receive: `receive(size) -> bytes`, b"" when the peer has closed; what it raises
    before the headers are there passes through, later it makes a broken reply.
    Raises BadResponse, NoResponse, OSError.
    """
    data = b""
    for _ in range(INTERIM_LIMIT):
        head, data = _read_head(receive, data)
        version, status, headers, framing, clean = _parse_head(head)
        if status >= 200:
            break
        if status == 101:
            raise BadResponse(_lt("the server switched to another protocol"))
    else:
        raise BadResponse(_lt("the server sent interim answers without end"))
    reply = Reply(status, headers)
    chunked, length = _framing(method, status, framing)
    body = Body(receive, data)
    try:
        reply.body = body.read_chunked() if chunked else body.read(length)
        keeps_alive = _keeps_alive(version, framing) and length is not None
        reply.reusable = clean and keeps_alive and not body.has_rest
    except Cut as cut:
        reply.body = body.kept()
        reply.truncated, reply.broken = cut.truncated, not cut.truncated
        reply.failure = cut.failure
    encoding = framing.get("content-encoding")
    if encoding and reply.body:
        reply.body, too_long = decode_content(reply.body, encoding)
        reply.truncated = reply.truncated or too_long
    return reply


def _read_head(receive, data):
    data = data or receive(65536)
    if not data:
        raise NoResponse
    start = 0
    while True:
        end = data.find(b"\r\n\r\n", start)
        bare = _BLANK_LINE.search(data, start, end if end >= 0 else len(data))
        if end >= 0 or bare:
            break
        if not data.startswith(b"HTTP/1."[: len(data)]):
            raise _no_http(data)
        if len(data) > HEAD_LIMIT:
            raise _flood()
        start = max(0, len(data) - 3)
        more = receive(65536)
        if not more:
            raise BadResponse(_lt("the connection was closed within the headers"))
        data += more
    head, rest = (bare.start(), bare.end()) if bare else (end, end + 4)
    if head > HEAD_LIMIT:
        raise _flood()
    return data[:head].decode("latin-1"), data[rest:]


def _parse_head(head):
    """Minor version, status, headers, those that frame the body, strictly written?"""
    lines = head.split("\r\n")
    clean = head.count("\n") == len(lines) - 1
    if not clean:
        lines = re.split(r"\r?\n", head.rstrip("\r"))
    status = _STATUS.fullmatch(lines[0])
    if status is None or _FORBIDDEN.search(head.rstrip("\r")):
        raise _no_http(head.encode("latin-1"))
    if len(lines) > HEADER_COUNT_LIMIT:
        raise _flood()
    headers = []
    framing = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not _is_token(name):
            if line[:1] in (" ", "\t") and headers:  # RFC 9112, 5.2: folded
                clean = False
                name, value = headers.pop()
                headers.append((name, f"{value} {line.strip(' ' + chr(9))}"))
                continue
            raise BadResponse(_lt('"%(line)s" is no header'), line=line[:100])
        value = value.strip(" \t")
        headers.append((name, value))
        name = name.lower()
        if name in _FRAMING:
            framing[name] = f"{framing[name]}, {value}" if name in framing else value
    return status[1], int(status[2]), tuple(headers), framing, clean


def _framing(method, status, framing):
    """Whether the body is chunked, else its length; None: until the peer closes."""
    if method == "HEAD" or status in (204, 304):
        return False, 0
    coding = framing.get("transfer-encoding")
    if coding is not None:
        if "content-length" in framing:
            framing["connection"] = "close"  # RFC 9112, 6.1: perhaps smuggled
        if coding.lower().rpartition(",")[2].strip() == "chunked":
            return True, 0
        return False, None
    lengths = {each.strip() for each in framing.get("content-length", "").split(",")}
    if lengths == {""}:
        return False, None
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit() and len(length) < 19):
        raise BadResponse(_lt("its content length makes no sense"))
    return False, int(length)


def _keeps_alive(version, framing):
    connection = framing.get("connection")
    if connection is None:
        return version == "1"
    words = {each.strip() for each in connection.lower().split(",")}
    return "close" not in words and (version == "1" or "keep-alive" in words)


@lru_cache(1024)
def _is_token(name):
    return _TOKEN.fullmatch(name) is not None


def _no_http(data):
    return BadResponse(
        _lt("it is no HTTP answer: %(start)s"), start=ascii(data[:60])[1:]
    )


def _flood():
    return BadResponse(_lt("its headers have no end"))
