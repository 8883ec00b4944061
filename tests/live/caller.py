# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Code that runs in Odoo beside the server: the caller that queues deliveries.

One `odoo shell` process stays up and runs what it is sent, each transaction on a cursor
of its own and in a thread of its own, so that several can be open at once:

    caller.run("endpoint(code).queue_delivery({'n': n})", code="shop", n=1)  # commits
    with caller.transaction() as late:
        late.run("endpoint(code).queue_delivery({'n': 2})", code="shop")
        ...                                        # others can't see it
        late.commit()

The code sees `env` (superuser), `endpoint(code)`, its values by name, and what it puts
into `result` (JSON) is returned.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import uuid

from tools.console import Trouble
from tools.odoo_server import odoo_command, odoo_environment, write_config
from tools.workspace import folder, tail

START_TIMEOUT = 90  # seconds; a first start compiles all of Odoo
CALL_TIMEOUT = 120  # seconds

# Runs inside `odoo shell`, which provides `env`.
SERVE = """
import json, socket, threading, traceback
from odoo import SUPERUSER_ID, api

registry, dbname = env.registry, env.cr.dbname
env.cr.rollback()

def converse(connection):
    threading.current_thread().dbname = dbname
    with connection, connection.makefile("rw") as stream, registry.cursor() as cr:
        scope = {"env": api.Environment(cr, SUPERUSER_ID, {})}
        endpoints = scope["env"]["bwt.webhook.outbound.endpoint"]
        scope["endpoint"] = lambda code: endpoints.search([("code", "=", code)])
        for line in stream:
            request = json.loads(line)
            scope.update(request["values"], result=None)
            response = {}
            try:
                exec(request["code"], scope)
                scope["env"].flush_all()
                response["result"] = scope["result"]
            except Exception:
                response["error"] = traceback.format_exc()
            print(json.dumps(response), file=stream, flush=True)
        cr.rollback()

with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(PATH)
    listener.listen()
    while True:
        connection, _address = listener.accept()
        threading.Thread(target=converse, args=(connection,), daemon=True).start()
"""


class CallFailed(Exception):
    """The code raised; the traceback of the other side is the message."""


class Caller:
    """An Odoo process without a web server. A context manager, or start and stop."""

    def __init__(self, cluster, database):
        self.cluster = cluster
        self.database = database
        self.home = folder("run", f"caller-{uuid.uuid4().hex[:8]}")
        self.socket = str(self.home / "caller")
        self.log = self.home / "caller.log"
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.stop()

    def start(self) -> "Caller":
        """Start the process and wait until it listens."""
        config = self.home / "odoo.conf"
        write_config(config, self.database)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                odoo_command("shell", "-c", config, "--no-http", "--log-level=warn"),
                env=odoo_environment(self.cluster),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
            )
        self.process.stdin.write(f"PATH = {self.socket!r}\n{SERVE}")
        self.process.stdin.close()
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self.socket)
                return self
            time.sleep(0.05)
        self.process.kill()
        raise Trouble(f"The calling Odoo didn't start:\n{tail(self.log)}")

    def stop(self):
        """End the process; open transactions are rolled back."""
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    @contextlib.contextmanager
    def transaction(self):
        """An open transaction; rolled back at the end unless it was committed."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CALL_TIMEOUT)
            connection.connect(self.socket)
            with connection.makefile("rw") as stream:
                yield Transaction(stream)

    def run(self, code, /, **values):
        """Run code in a transaction of its own and commit; returns its `result`."""
        with self.transaction() as transaction:
            result = transaction.run(code, **values)
            transaction.commit()
        return result


class Transaction:
    """One cursor in the calling Odoo."""

    def __init__(self, stream):
        self.stream = stream

    def run(self, code, /, **values):
        """Run code; returns its `result`. Nothing is committed."""
        print(
            json.dumps({"code": code, "values": values}), file=self.stream, flush=True
        )
        line = self.stream.readline()
        if not line:
            raise CallFailed("the calling Odoo ended")
        response = json.loads(line)
        if "error" in response:
            raise CallFailed(response["error"])
        return response["result"]

    def commit(self):
        self.run("env.cr.commit()")

    def rollback(self):
        self.run("env.cr.rollback()")
