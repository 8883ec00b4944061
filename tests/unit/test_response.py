# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Reading responses: what framing says, what is refused, what is cut."""

import gzip
import random
import zlib

import pytest

from services.http.response import BODY_LIMIT, BadResponse, NoResponse, read_response

ONCE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A connection on which `data` comes in pieces of `size` bytes, then the end.

    after: what to raise instead of the end
    """

    def __init__(self, data, size=65536, after=None):
        self.data = data
        self.size = size
        self.after = after
        self.hurried = []
        self.reads = 0

    def receive_into(self, buffer):
        self.reads += 1
        piece = self.data[: min(self.size, len(buffer))]
        self.data = self.data[len(piece) :]
        if not piece and self.after:
            raise self.after
        buffer[: len(piece)] = piece
        return len(piece)

    def hurry(self, seconds):
        self.hurried.append(seconds)


def read(data, *, method="POST", size=65536):
    return read_response(Peer(data, size), method)


def message(headers="", body=b"", status="200 OK", version="1.1"):
    return f"HTTP/{version} {status}\r\n{headers}\r\n".encode() + body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 65536])
@pytest.mark.parametrize(
    "data, body",
    [
        (ONCE, b"ok"),
        (message("Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"), b"ok"),
        (
            message(
                "transfer-encoding: Chunked\r\n",
                b"1;ext=1\r\no\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            ),
            b"o0123456789",
        ),
        (message("", b"until the end", version="1.0"), b"until the end"),
        (message("", b"until the end"), b"until the end"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" + ONCE,
            b"ok",
        ),
        (message("Content-Length: 2, 2\r\n", b"ok"), b"ok"),
        (b"HTTP/1.1 200\r\nContent-Length:2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"ok"),
        (message("Content-Length: 0\r\n"), b""),
    ],
)
def test_bodies_in_pieces_of_any_size(data, body, size):
    """The result is the same however the network cuts it."""
    response = read(data, size=size)

    assert (200, body) == (response.status_code, response.body)
    assert (False, False) == (response.broken, response.truncated)


@pytest.mark.parametrize(
    "data, reusable",
    [
        (ONCE, True),
        (message("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), True),
        (message("Content-Length: 0\r\nConnection: close\r\n"), False),
        (message("Content-Length: 0\r\nConnection: x, Close\r\n"), False),
        (message("Content-Length: 0\r\n", version="1.0"), False),
        (
            message("Content-Length: 0\r\nConnection: keep-alive\r\n", version="1.0"),
            True,
        ),
        (message(""), False),
        (message("Content-Length: 2\r\n", b"ok!"), False),
        (ONCE + ONCE, False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", True),
        (message("A: b\r\n folded\r\nContent-Length: 0\r\n"), True),
        (message("Content-Length: 0\r\nConnection: x\r\nconnection: close\r\n"), False),
        (message("Name : x\r\nContent-Length: 0\r\n"), False),
        (message("Content-Length: 2\r\nName : x\r\n", b"ok"), False),
        (
            message(
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"
            ),
            False,
        ),
        (message("Transfer-Encoding: gzip\r\n"), False),
    ],
)
def test_a_connection_is_reused_only_when_framing_is_beyond_doubt(data, reusable):
    """A left-over byte would be read as the start of the next response."""
    assert reusable == read(data).reusable


@pytest.mark.parametrize(
    "method, status", [("HEAD", 200), ("POST", 204), ("POST", 304)]
)
def test_responses_without_body(method, status):
    """What HEAD, 204 and 304 announce isn't waited for (RFC 9112, 6.3)."""
    data = message("Content-Length: 5\r\n", status=f"{status} x")

    response = read(data, method=method)

    assert (b"", False) == (response.body, response.broken)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"garbage\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\r\n\r\n" + ONCE,
        message("Upgrade: x\r\n", status="101 Switching"),
        b"HTTP/1.1 103 Early\r\n\r\n" * 50 + ONCE,
        message("A: b\r\n" * 100_000),
        message("A: " + "b" * 100_000 + "\r\n"),
        b"HTTP/1.1 200 " + b"x" * 200_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
        b"HTTP/1.1 20",
    ],
)
@pytest.mark.parametrize("size", [1000, 65536])
def test_what_is_not_an_http_response(data, size):
    """Garbage, floods and responses that two readers could split in two ways."""
    with pytest.raises(BadResponse):
        read(data, size=size)


MALFORMED = [
    "No colon\r\n",
    "Space : x\r\n",
    " leading: x\r\n",
    ": x\r\n",
    "A: b\rc\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: +1\r\n",
    "Content-Length: 1_0\r\n",
    "Content-Length: two\r\n",
    "Content-Length: 1, 2\r\n",
    "Content-Length: 1\r\nContent-Length: 2\r\n",
    "Content-Length: \r\n",
    "Content-Length: " + "9" * 30 + "\r\n",
    "Transfer-Encoding: identity\r\n",
    "A: b\r\n" * 150,
]


@pytest.mark.parametrize("headers", MALFORMED)
@pytest.mark.parametrize("size", [1, 65536])
def test_a_success_with_a_malformed_head_is_a_success(headers, size):
    """The status counts and a note says what is wrong.

    Such a response was taken for none: the receiver got the request up to eight times.
    """
    peer = Peer(message(headers, b"body"), size)

    response = read_response(peer, "POST")

    assert (200, b"body", False) == (
        response.status_code,
        response.body,
        response.reusable,
    )
    assert str(response.notes[0])


@pytest.mark.parametrize("headers", MALFORMED)
def test_a_body_without_a_known_end_is_not_waited_for(headers):
    """On an open connection it would last until the timeout of the request."""
    peer = Peer(message(headers, b"body"), after=TimeoutError())

    response = read_response(peer, "POST")

    assert (200, b"body", None) == (
        response.status_code,
        response.body,
        response.failure,
    )
    assert [1.0] == peer.hurried


@pytest.mark.parametrize(
    "headers",
    ["A: \x00\x01\r\n", "A: \x7f\r\n", "A:\r\n", "Content-Type: multipart/x\r\n"],
)
def test_odd_values_leave_the_framing_alone(headers):
    """A control character in a value costs neither the status nor the connection."""
    response = read(message(headers + "Content-Length: 2\r\n", b"ok"))

    assert (200, b"ok", True, ()) == (
        response.status_code,
        response.body,
        response.reusable,
        response.notes,
    )


def test_identity_with_a_length_is_read_by_it():
    """`Transfer-Encoding: identity` says nothing: the length holds."""
    peer = Peer(
        message("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", b"ok"),
        after=TimeoutError(),
    )

    response = read_response(peer, "POST")

    assert (b"ok", False, None) == (response.body, response.broken, response.failure)


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200"])
def test_a_head_that_breaks_off_after_the_status(data):
    """The receiver has said that it took the request, so it isn't sent again."""
    response = read(data)

    assert (200, b"", True, False) == (
        response.status_code,
        response.body,
        response.broken,
        response.reusable,
    )


def test_a_folded_header_is_one_line():
    """RFC 9112, 5.2: the fold becomes a blank, so that no value holds a line break."""
    response = read(message("A: b\r\n \t folded\r\nContent-Length: 0\r\n"))

    assert ("A", "b folded") == response.headers[0]


def test_a_closed_connection_is_not_a_response():
    """An invalid value has no effect."""
    with pytest.raises(NoResponse):
        read(b"")


@pytest.mark.parametrize(
    "data, body",
    [
        (message("Content-Length: 10\r\n", b"short"), b"short"),
        (message("Transfer-Encoding: chunked\r\n", b"5\r\nab"), b"ab"),
        (message("Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n"), b"ab"),
        (message("Transfer-Encoding: chunked\r\n", b"2\r\nabcd\r\n0\r\n\r\n"), b"ab"),
        (message("Transfer-Encoding: chunked\r\n", b"2\r\nab\r\nzz\r\n"), b"ab"),
        (message("Transfer-Encoding: chunked\r\n", b"-2\r\nab\r\n0\r\n\r\n"), b""),
        (message("Transfer-Encoding: chunked\r\n", b"2" * 5000), b""),
    ],
)
@pytest.mark.parametrize("size", [1, 65536])
def test_a_body_that_breaks_off(data, body, size):
    """Status and what came are kept, the rest is marked as missing."""
    response = read(data, size=size)

    assert (200, body, True, False) == (
        response.status_code,
        response.body,
        response.broken,
        response.reusable,
    )


def test_a_network_error_within_the_body_is_kept():
    """The sender distinguishes a deadline from a reset by it."""
    peer = Peer(message("Content-Length: 10\r\n", b"short"), after=TimeoutError())

    response = read_response(peer, "POST")

    assert b"short" == response.body
    assert response.broken
    assert isinstance(response.failure, TimeoutError)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_long_body_is_cut(framing):
    """64 KiB are kept and not much more is read, whatever is announced."""
    body = b"x" * BODY_LIMIT * 16
    data = {
        "length": message(f"Content-Length: {10**12}\r\n", body),
        "chunked": message(
            "Transfer-Encoding: chunked\r\n",
            b"".join(b"1000\r\n" + b"x" * 4096 + b"\r\n" for _ in range(256)),
        ),
        "close": message("", body),
    }[framing]
    peer = Peer(data, 4096)

    response = read_response(peer, "POST")

    assert (b"x" * BODY_LIMIT, True, False, False) == (
        response.body,
        response.truncated,
        response.broken,
        response.reusable,
    )
    assert peer.reads < 40


def test_endless_trailers_are_cut():
    """What follows the last chunk is bounded like all the rest."""
    peer = Peer(
        message("Transfer-Encoding: chunked\r\n", b"0\r\n" + b"A: b\r\n" * 10**6)
    )

    response = read_response(peer, "POST")

    assert (200, b"", True, False) == (
        response.status_code,
        response.body,
        response.truncated,
        response.reusable,
    )
    assert len(peer.data) > 4_000_000


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
def test_a_larger_limit(framing):
    """Rules on responses may need more of a body than is recorded, and no more."""
    limit, body = BODY_LIMIT * 16, b"x" * BODY_LIMIT * 20
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    packed = gzip.compress(body)
    gzipped = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n"
    data = {
        "length": message(f"Content-Length: {len(body)}\r\n", body),
        "chunked": message("Transfer-Encoding: chunked\r\n", chunk * 320),
        "gzip": message(gzipped, packed),
    }[framing]

    response = read_response(Peer(data, 65536), "POST", limit)

    assert (limit, True) == (len(response.body), response.truncated)


def test_a_body_of_exactly_the_limit_is_whole():
    """It is marked as truncated only if something is missing."""
    data = message(f"Content-Length: {BODY_LIMIT}\r\n", b"x" * BODY_LIMIT)

    assert (False, True) == (read(data).truncated, read(data).reusable)


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    "encoding, body, expected",
    [
        ("gzip", gzip.compress(b"text"), b"text"),
        ("X-GZIP", gzip.compress(b"text"), b"text"),
        ("gzip", gzip.compress(b"te") + gzip.compress(b"xt"), b"text"),
        ("gzip", gzip.compress(b"text") + b"rubbish", b"text"),
        ("deflate", zlib.compress(b"text"), b"text"),
        ("deflate", raw_deflate(b"text"), b"text"),
        ("deflate, gzip", gzip.compress(zlib.compress(b"text")), b"text"),
        ("identity", b"text", b"text"),
        ("gzip", b"no gzip", b"no gzip"),
        ("br", b"\x0b\x01\x80", b"\x0b\x01\x80"),
        ("gzip, " * 9 + "gzip", gzip.compress(b"text"), gzip.compress(b"text")),
    ],
)
def test_content_encodings(encoding, body, expected):
    """gzip and deflate are decoded, what can't be decoded stays as it came."""
    data = message(
        f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n", body
    )

    assert expected == read(data).body


@pytest.mark.parametrize("layers", [1, 2])
def test_a_zip_bomb_stays_small(layers):
    """A kilobyte that unpacks to gigabytes is truncated to 64 KiB, and marked."""
    body = gzip.compress(bytes(30_000_000))
    if layers == 2:
        body = gzip.compress(body)
    coding = ", ".join(["gzip"] * layers)
    data = message(
        f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n", body
    )

    response = read(data)

    assert (BODY_LIMIT, True) == (len(response.body), response.truncated)


def test_malformed_responses_end_in_a_documented_way():
    """Random damage leads to a response, BadResponse or NoResponse, nothing else."""
    dice = random.Random(7)
    seeds = [
        ONCE,
        message("Transfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
        message(
            "Content-Encoding: gzip\r\nContent-Length: 24\r\n", gzip.compress(b"text")
        ),
    ]
    for _ in range(5000):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(data))
            data[at : at + dice.randint(0, 2)] = dice.choice(
                [b"", b"\r\n", b"\n", b"\x00", b":", b"9", b"\xff", b" ", b"\r\n\r\n"]
            )
            data = data or bytearray(b"x")
        try:
            response = read(bytes(data), size=dice.choice([1, 5, 65536]))
        except (BadResponse, NoResponse):
            continue
        assert 200 <= response.status_code <= 999


ORDINARY_LINES = [
    "Server: nginx",
    "A:no blank",
    "A:  \t blanks  ",
    "A:",
    "A: b: c",
    "a: the same name",
    "Connection: close",
    "Connection: Keep-Alive, x",
    "Content-Encoding: gzip",
    "Content-Type: application/json; charset=utf-8",
    "X-Tab: a\tb",
]


@pytest.mark.parametrize("seed", range(60))
def test_a_response_that_arrives_at_once_is_read_as_by_the_standard_library(seed):
    """A response in one piece takes a shorter way: it must lead to the same response.

    In pieces the parser of the standard library reads it.
    """
    pick = random.Random(seed)
    body = pick.choice([b"", b"{}", gzip.compress(b"zipped"), b"\r\n\r\nHTTP/1.1 500"])
    lines = pick.sample(ORDINARY_LINES, pick.randrange(6))
    lines.insert(pick.randrange(len(lines) + 1), f"Content-Length: {len(body)}")
    if seed % 6 == 0:
        lines.append("Content-Length: 1")
    status = pick.choice(["200 OK", "201", "404 Not Found", "299 a  b ", "204 None"])
    data = message("".join(f"{line}\r\n" for line in lines), body, status)
    data += pick.choice([b"", b"", b"rest"])
    at_once, in_pieces = Peer(data), Peer(data, 1)

    response = read_response(at_once, "POST")

    expected = read_response(in_pieces, "POST")
    if len(data) > in_pieces.reads:  # what comes after it is not read from pieces
        expected.reusable = response.reusable
    assert expected == response
