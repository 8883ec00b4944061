# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Small servers on loopback for the tests of what touches the network."""

import contextlib
import errno
import queue
import socket
import threading

from services.egress.policy import Policy

LOOPBACK = Policy.parse("127.0.0.0/8, ::1")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Accepts on a free port and passes each connection to `talk(conn)`.

    connections: how many came; requests: raw bytes of those that `read_request` saw
    """

    def __init__(self, talk=None, context=None, address="127.0.0.1"):
        self._talk = talk or self.respond_to_all
        self._context = context
        self._open = []
        self._closed = threading.Event()
        self.connections = 0
        self.requests = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, 0), family=family)
        self.port = self._socket.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self._closed.set()
        for each in [self._socket, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def read_request(self, conn):
        """One whole request as it came, b"" when the client has closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = conn.recv(65536)
            if not more:
                return b""
            data += more
        head = data.partition(b"\r\n\r\n")[0]
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(data) < len(head) + 4 + length:
            data += conn.recv(65536)
        self.requests.append(data)
        return data

    def respond_to_all(self, conn, response=OK):
        """Respond to every request on a kept connection alike."""
        while self.read_request(conn):
            conn.sendall(response)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                try:
                    conn, _ = self._socket.accept()
                except OSError as error:
                    # The kernel takes a free file number before it waits: a test that
                    # uses up all of the process must find the server again.
                    if error.errno != errno.EMFILE:
                        raise
                    self._closed.wait(0.01)
                    continue
                self.connections += 1
                self._open.append(conn)
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with contextlib.suppress(OSError), conn:
            if self._context:
                conn = self._context.wrap_socket(conn, server_side=True)
            with conn:
                self._talk(conn)


def within(seconds, call):
    """What `call` returns; fails if it hasn't after so many seconds.

    What never ends would otherwise stop all tests. The seconds leave room for a busy
    machine: how fast something is, is measured by `make bench`.
    """
    results = queue.Queue()

    def run():
        try:
            results.put((call(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise AssertionError(f"not finished after {seconds} s") from None
    if error:
        raise error
    return result


def responding(response, *, close=True):
    """A server that reads each request and responds with these raw bytes."""

    def talk(conn):
        while server.read_request(conn):
            conn.sendall(response)
            if close:
                return

    server = Server(talk)
    return server
