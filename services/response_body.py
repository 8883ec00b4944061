"""The body of an answer: read up to a limit, then cut."""

import re
import zlib

BODY_LIMIT = 64 * 1024  # bytes that are kept, encoded and decoded

_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHUNK_LINE_LIMIT = 1024
_TRAILER_LIMIT = 16 * 1024
_LAYERS = 4  # encodings on top of each other; more is an attack on our time


class Cut(Exception):
    """The body wasn't read to its end.

    truncated: because it is longer than what is kept; else it broke off, and
    `failure` is the error of the network (None: the peer closed, or bad framing)
    """

    def __init__(self, *, truncated=False, failure=None):
        super().__init__()
        self.truncated = truncated
        self.failure = failure


class Body:
    """One body, read through `receive(size)` after the bytes that came already."""

    def __init__(self, receive, data):
        self._receive = receive
        self._data = data
        self._at = 0
        self._parts = []
        self._size = 0

    @property
    def has_rest(self):
        """Whether bytes came that belong to no body."""
        return self._at < len(self._data)

    def kept(self):
        """What has been read so far, at most `BODY_LIMIT` bytes."""
        return b"".join(self._parts)[:BODY_LIMIT]

    def read(self, length):  # pylint: disable=method-required-super  # no record
        """`length` bytes, or all until the peer closes (None). Raises Cut."""
        if length == len(self._data) <= BODY_LIMIT:
            self._at = length
            return self._data
        self._take(length)
        return self.kept()

    def read_chunked(self):
        """The chunks joined (RFC 9112, 7.1), trailers dropped. Raises Cut."""
        while size := self._chunk_size():
            self._take(size)
            if self._line(2).strip():
                raise Cut  # more than was announced
        trailers = 0
        while line := self._line(_TRAILER_LIMIT).rstrip(b"\r\n"):
            trailers += len(line)
            if trailers > _TRAILER_LIMIT:
                raise Cut
        return self.kept()

    def _take(self, length):
        while length is None or length > 0:
            if not self.has_rest and not self._fill(end_allowed=length is None):
                return
            end = len(self._data)
            if length is not None:
                end = min(end, self._at + length)
                length -= end - self._at
            self._parts.append(self._data[self._at : end])
            self._size += end - self._at
            self._at = end
            if self._size > BODY_LIMIT:
                raise Cut(truncated=True)

    def _chunk_size(self):
        line = _CHUNK_SIZE.fullmatch(self._line(_CHUNK_LINE_LIMIT))
        if line is None:
            raise Cut
        return int(line[1], 16)

    def _line(self, limit):
        while (end := self._data.find(b"\n", self._at)) < 0:
            if len(self._data) - self._at > limit:
                raise Cut
            self._fill()
        line = self._data[self._at : end + 1]
        self._at = end + 1
        return line

    def _fill(self, end_allowed=False):
        try:
            more = self._receive(65536)
        except OSError as error:
            raise Cut(failure=error) from error
        if not more and not end_allowed:
            raise Cut
        self._data = self._data[self._at :] + more
        self._at = 0
        return bool(more)


def decode_content(body, encoding):
    """The body without gzip or deflate, and whether it was cut at `BODY_LIMIT`.

    Another encoding, or a body that isn't what it says, stays as it came.
    """
    too_long = False
    layers = [each.strip().lower() for each in encoding.split(",")]
    if len(layers) > _LAYERS:
        return body, too_long
    for name in reversed(layers):
        if name in ("gzip", "x-gzip", "deflate"):
            decoded = _inflate(body, name)
            if decoded is None:
                return body, too_long
            body, cut = decoded
            too_long = too_long or cut
        elif name != "identity":
            return body, too_long
    return body, too_long


def _inflate(body, name):
    tries = (16 + zlib.MAX_WBITS,) if "gzip" in name else (15, -15)
    for window in tries:  # "deflate" is sent with and without the zlib wrapper
        try:
            return _inflate_members(body, window)
        except zlib.error:
            continue
    return None


def _inflate_members(body, window):
    decoded = b""
    while body:
        inflater = zlib.decompressobj(window)
        try:
            decoded += inflater.decompress(body, BODY_LIMIT + 1 - len(decoded))
        except zlib.error:
            if decoded:  # rubbish after a whole member
                break
            raise
        if len(decoded) > BODY_LIMIT:
            return decoded[:BODY_LIMIT], True
        body = inflater.unused_data if inflater.eof else b""
    return decoded, False
