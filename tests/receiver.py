# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The HTTP server under test: records what arrives and responds by script.

A socket loop of its own with minimal parsing, one thread per connection, so that it
takes some thousand requests a second and sees the bytes as they came. Standard
library only. In a test:

    with Receiver() as receiver:
        receiver.script("/orders", status(503), status(200))
        ...                                    # send to receiver.url + "/orders"
        first, second = receiver.wait_for_requests(2)

Without a script the path decides (`/` and unknown paths: 200, see `PATHS`):

    /status/503  /missing (404)  /gone (410)  /flaky (503 once per webhook-id, then 200)
    /flaky/3 (three times)  /throttle/7 (429, Retry-After: 7)  /delay/50 (ms)  /echo
    /hold (until released)  /redirect (302 to itself)  /close (no response)  /reset
    /cut (body breaks off)  /drip/header  /drip/body  /garbage  /flood (of headers)
    /huge (1 GB)  /customers (201 with an id)

As its own process: `python tests/receiver.py --port 0 [--compact]` prints its port;
`/_control/counts`, `/requests`, `/release`, `/clear` and `/script` (a JSON object
`{"path": "/orders", "statuses": [503, 200]}`) respond with JSON.
"""

import argparse
import base64
import collections
import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.I)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.I)
WEBHOOK_ID = re.compile(rb"\r\nwebhook-id:[ \t]*([^\r\n]*)", re.I)
CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.I)
REASONS = {
    200: "OK",
    302: "Found",
    404: "Not Found",
    410: "Gone",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
DRIP_SECONDS = 0.05
HUGE = 1024**3


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str  # with its query part
    head: bytes  # request line and headers, raw and in order
    body: bytes
    webhook_id: str
    time: float  # seconds since the epoch
    peer_certificate: dict | None = field(default=None, repr=False)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names and values in the order in which they came."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return [(name, value.strip()) for name, _colon, value in pairs]

    def header(self, name) -> str | None:
        """The first value of a header, whatever its case; None if it isn't there."""
        wanted = name.lower()
        values = (value for key, value in self.headers if key.lower() == wanted)
        return next(values, None)

    def json(self):
        """The body read as JSON."""
        return json.loads(self.body)


# --- responses: each is called with the exchange and may do anything with the socket


def status(code, body=b"{}", headers=()):
    """Respond with this status; `headers` are pairs."""
    response = _response(code, body, headers)
    return lambda exchange: exchange.send(response)


def delay(seconds, then=None):
    """Wait, then respond (200 if nothing else is given)."""
    response = then or status(200)

    def delayed(exchange):
        time.sleep(seconds)
        response(exchange)

    return delayed


def hold(then=None):
    """Respond only once `Receiver.release()` is called."""
    response = then or status(200)

    def held(exchange):
        exchange.receiver.wait_for_release()
        response(exchange)

    return held


def echo():
    """Respond with the body of the request."""
    return lambda exchange: exchange.send(_response(200, exchange.request.body))


def created():
    """201 with the id of what was created: the end of the webhook-id."""

    def response(exchange):
        body = json.dumps({"id": f"R-{exchange.request.webhook_id[-6:]}"})
        exchange.send(_response(201, body.encode()))

    return response


def flaky(failures=1, code=503):
    """Fail that many times per webhook-id, then respond 200."""

    def response(exchange):
        tries = exchange.tries
        exchange.send(_response(code if tries <= failures else 200))

    return response


def throttle(seconds):
    """429 with Retry-After: seconds, or a date as text."""
    return status(429, headers=[("Retry-After", str(seconds))])


def redirect(location=None, code=302):
    """Send elsewhere, by default to the same place: a loop."""

    def response(exchange):
        target = location or exchange.request.path
        exchange.send(_response(code, b"", [("Location", target)]))

    return response


def close():
    """Close the connection without a response."""
    return lambda exchange: exchange.close()


def reset(after=b""):
    """Send these bytes, then reset the connection (RST)."""

    def response(exchange):
        exchange.send(after)
        exchange.reset()

    return response


def cut(code=200):
    """Promise a longer body than comes, then close."""

    def response(exchange):
        exchange.send(_response(code, b"x" * 100)[:-50])
        exchange.close()

    return response


def drip(part="body", interval=DRIP_SECONDS, size=10_000):
    """Send the header or the body one byte at a time."""

    def response(exchange):
        whole = _response(200, b"x" * size, [("X-Fill", "x" * size)])
        head_end = whole.index(HEAD_END) + len(HEAD_END)
        at_once = 9 if part == "header" else head_end
        exchange.send(whole[:at_once])
        for position in range(at_once, len(whole)):
            if exchange.receiver.is_stopped():
                return
            time.sleep(interval)
            exchange.send(whole[position : position + 1])

    return response


def garbage():
    """Respond with bytes that are not valid HTTP."""

    def response(exchange):
        exchange.send(b"\x00\xff this is no HTTP \x01\x02\r\n\r\n")
        exchange.close()

    return response


def flood(count=100_000):
    """Send a flood of headers."""

    def response(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(count):
            exchange.send(b"X-Flood-%d: %s\r\n" % (number, b"x" * 200))
        exchange.send(b"Content-Length: 0\r\n\r\n")

    return response


def huge(size=HUGE):
    """Send a body of that many bytes, 1 GB by default."""

    def response(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * 65536
        for _number in range(size // len(block)):
            exchange.send(block)

    return response


PATHS = (
    (r"/status/(\d+)", lambda code: status(int(code))),
    (r"/missing", lambda: status(404, b'{"error": "no such thing"}')),
    (r"/gone", lambda: status(410)),
    (r"/customers", created),
    (r"/flaky", flaky),
    (r"/flaky/(\d+)", lambda failures: flaky(int(failures))),
    (r"/throttle/(\d+)", throttle),
    (r"/delay/(\d+)", lambda milliseconds: delay(int(milliseconds) / 1000)),
    (r"/hold", hold),
    (r"/echo", echo),
    (r"/redirect", redirect),
    (r"/close", close),
    (r"/reset", reset),
    (r"/cut", cut),
    (r"/drip/(header|body)", drip),
    (r"/garbage", garbage),
    (r"/flood", flood),
    (r"/huge", huge),
)


def _response(code, body=b"{}", headers=()):
    lines = [f"HTTP/1.1 {code} {REASONS.get(code, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END + body


ACCEPTED = _response(200)


class Exchange:
    """A request and its connection."""

    def __init__(self, receiver, connection, request, tries):
        self.receiver = receiver
        self.connection = connection
        self.request = request
        self.tries = tries  # how often this webhook-id was seen, this one included

    def send(self, data):
        """Write bytes to the connection."""
        self.connection.sendall(data)

    def close(self):
        """End the connection in good order."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def reset(self):
        """Break the connection: the peer sees ECONNRESET."""
        _reset(self.connection)


class Receiver:
    """A server on a loopback port, up between `start` and `stop`.

    `compact` counts and keeps no request (for load). With `certificate` (PEM file of
    chain and key) it speaks TLS; with `client_ca` (PEM file) the peer has to show a
    certificate too. `on_request` is called with each request.
    """

    def __init__(
        self,
        port=0,
        *,
        host="127.0.0.1",
        compact=False,
        certificate=None,
        client_ca=None,
        on_request=None,
    ):
        self.host = host
        self.port = port
        self.compact = compact
        self.on_request = on_request
        self._tls = _tls_context(certificate, client_ca) if certificate else None
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._stopped = threading.Event()
        self._listener = self._acceptor = None
        self._connections = set()
        self.accepted = 0  # connections so far, whatever came on them
        self._requests = []
        self._counts = collections.Counter()
        self._total = 0
        self._scripts = {}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.stop()

    # --- up and down

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    def start(self) -> "Receiver":
        """Listen; after a `stop` on the same port as before."""
        self._stopped.clear()
        self._listener = socket.create_server((self.host, self.port), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def stop(self):
        """Close the port (who connects is refused) and every open connection."""
        self._stopped.set()
        self.release()
        if self._listener:
            # Ends accept(), which would hold the port open beyond close().
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._acceptor.join()
            self._listener.close()
        with self._changed:
            open_connections = list(self._connections)
        for connection in open_connections:
            _reset(connection)

    def is_stopped(self) -> bool:
        """Whether `stop` was called and `start` was not since."""
        return self._stopped.is_set()

    # --- script

    def script(self, path, *responses):
        """Respond to requests to this path (query apart) one after the other like this.

        The last response stays. Without responses the path goes back to its own.
        """
        with self._changed:
            self._scripts[path] = list(responses)

    def release(self):
        """Let go all that is held now."""
        with self._changed:
            released, self._released = self._released, threading.Event()
        released.set()

    def wait_for_release(self):
        """Block until `release` or `stop`."""
        with self._changed:
            released = self._released
        if not self.is_stopped():
            released.wait()

    # --- what arrived

    @property
    def requests(self) -> list[Request]:
        """All recorded requests in order of arrival (none in compact mode)."""
        with self._changed:
            return list(self._requests)

    @property
    def total(self) -> int:
        """Number of requests that arrived."""
        return self._total

    def counts(self) -> dict[str, int]:
        """How often each webhook-id arrived."""
        with self._changed:
            return dict(self._counts)

    def requests_to(self, path) -> list[Request]:
        """The recorded requests to one path (query apart)."""
        return [each for each in self.requests if each.path.split("?")[0] == path]

    def wait_for_requests(self, count=1, timeout=15, *, path=None) -> list[Request]:
        """Wait until `count` arrived (at this path); returns all, or TimeoutError."""

        def arrived():
            return len(self.requests_to(path)) if path else self._total

        with self._changed:
            if not self._changed.wait_for(lambda: arrived() >= count, timeout):
                raise TimeoutError(
                    f"{arrived()} of {count} requests arrived in {timeout} s: "
                    f"{[(each.method, each.path) for each in self._requests]}"
                )
        return self.requests_to(path) if path else self.requests

    wait_for_request = wait_for_requests

    def clear(self):
        """Forget requests, counts and scripts."""
        with self._changed:
            self._requests.clear()
            self._counts.clear()
            self._scripts.clear()
            self._total = 0

    # --- connections

    def _accept(self):
        listener = self._listener
        while not self.is_stopped():
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True
            ).start()

    def _serve(self, connection):
        with self._changed:
            self._connections.add(connection)
        raw = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._changed:
                    self._connections.add(connection)
            self._converse(connection)
        except OSError:
            return  # the peer went away or a script closed the connection
        finally:
            with self._changed:
                self._connections -= {raw, connection}
            connection.close()

    def _converse(self, connection):
        waiting = b""
        while not self.is_stopped():
            head, waiting = _read_head(connection, waiting)
            if head is None:
                return
            body, waiting = _read_body(connection, head, waiting)
            method, path, _version = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            if path.startswith("/_control/"):
                connection.sendall(self._control(path, body))
                continue
            request, tries = self._record(connection, method, path, head, body)
            response = self._response_for(path)
            if response is None:
                connection.sendall(ACCEPTED)
            else:
                response(Exchange(self, connection, request, tries))
            if CLOSE.search(head):
                return

    def _record(self, connection, method, path, head, body):
        found = WEBHOOK_ID.search(head)
        webhook_id = found[1].decode("latin-1").strip() if found else ""
        peer = connection.getpeercert() if self._tls else None
        request = Request(method, path, head, body, webhook_id, time.time(), peer)
        with self._changed:
            self._total += 1
            self._counts[webhook_id] += 1
            if not self.compact:
                self._requests.append(request)
            tries = self._counts[webhook_id]
            self._changed.notify_all()
        if self.on_request:
            self.on_request(request)
        return request, tries

    def _response_for(self, path):
        path = path.split("?")[0]
        with self._changed:
            responses = self._scripts.get(path)
            if responses:
                return responses.pop(0) if len(responses) > 1 else responses[0]
        for pattern, make in PATHS:
            if found := re.fullmatch(pattern, path):
                return make(*found.groups())
        return None

    def _control(self, path, body):
        command = path.removeprefix("/_control/")
        result = {"ok": True}
        if command == "counts":
            result = {"total": self.total, "by_uid": self.counts()}
        elif command == "requests":
            result = [_as_json(request) for request in self.requests]
        elif command == "release":
            self.release()
        elif command == "clear":
            self.clear()
        elif command == "script":
            command = json.loads(body)
            self.script(command["path"], *map(status, command["statuses"]))
        else:
            return _response(404, b'{"error": "no such command"}')
        return _response(200, json.dumps(result).encode())


def _as_json(request):
    return {
        "method": request.method,
        "path": request.path,
        "headers": request.headers,
        "body": base64.b64encode(request.body).decode(),
        "webhook_id": request.webhook_id,
        "time": request.time,
    }


def _read_head(connection, waiting):
    """Bytes up to the blank line, and what came behind; None at the end."""
    while HEAD_END not in waiting:
        data = connection.recv(65536)
        if not data:
            return None, b""
        waiting += data
    head, _end, rest = waiting.partition(HEAD_END)
    return head, rest


def _read_body(connection, head, waiting):
    """The body that the head announces, and what came behind it."""
    if found := LENGTH.search(head):
        return _read_exactly(connection, waiting, int(found[1]))
    if not CHUNKED.search(head):
        return b"", waiting
    body = b""
    while True:
        while b"\r\n" not in waiting:
            data, waiting = _read_exactly(connection, waiting, len(waiting) + 1)
            waiting = data + waiting
        size_line, _end, waiting = waiting.partition(b"\r\n")
        size = int(size_line.split(b";")[0], 16)
        chunk, waiting = _read_exactly(connection, waiting, size + 2)
        if not size:
            return body, waiting
        body += chunk[:-2]


def _read_exactly(connection, waiting, size):
    if len(waiting) >= size:
        return waiting[:size], waiting[size:]
    parts = [waiting]
    missing = size - len(waiting)
    while missing > 0:
        data = connection.recv(max(65536, min(missing, 1 << 20)))
        if not data:
            raise ConnectionError("the peer closed in the middle of a body")
        parts.append(data)
        missing -= len(data)
    whole = b"".join(parts)
    return whole[:size], whole[size:]


def _reset(connection):
    try:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # Wakes the thread that reads from it; close() alone does not.
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        return


def _tls_context(certificate, client_ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def main():
    """Run as a process of its own until it is ended."""
    parser = argparse.ArgumentParser(description="HTTP server under test")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--certificate")
    parser.add_argument("--client-ca")
    options = parser.parse_args()
    receiver = Receiver(
        options.port,
        compact=options.compact,
        certificate=options.certificate,
        client_ca=options.client_ca,
    )
    with receiver:
        print(receiver.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
