# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""HAProxy in front of two servers, configured by the samples of docs/servers.md.

The samples are used as they are printed; only what names a machine is replaced.
"""

import configparser
import contextlib
import re
import shutil
import socket
import subprocess
import time
import uuid

from tools import fetch, haproxy
from tools.console import Trouble
from tools.workspace import REPOSITORY, folder, tail

GUIDE = REPOSITORY / "docs" / "servers.md"
BALANCER = "10.0.0.10:8069"
SERVERS = ("10.0.0.11:8069", "10.0.0.12:8069")
# Of one machine: its addresses, its folders, where its database is.
OF_A_MACHINE = ("http_interface", "db_host", "data_dir")
START_TIMEOUT = 20  # seconds


def sample(kind) -> str:
    """The one block of this kind in the guide."""
    [block] = re.findall(rf"^```{kind}\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    return block


def server_options(port) -> dict:
    """Options of `OdooServer` as in the guide's odoo.conf, to call this port."""
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(sample("ini"))
    options, queue_job = dict(config["options"]), dict(config["queue_job"])
    for name in OF_A_MACHINE:
        del options[name]
    host = queue_job["host"]
    assert BALANCER == f"{host}:{queue_job['port']}"
    queue_job.update(host="127.0.0.1", port=str(port))
    return {
        "workers": int(options.pop("workers")),
        "channels": queue_job.pop("channels"),
        "options": options,
        "queue_job": queue_job,
    }


class Balancer:
    """HAProxy on a loopback port in front of these servers. A context manager."""

    def __init__(self, port, servers):
        fetch.ensure("haproxy")
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.home = folder("run", f"balancer-{uuid.uuid4().hex[:8]}")
        self.log = self.home / "haproxy.log"
        text = sample("haproxy")
        ports = [port, *(server.http_port for server in servers)]
        for address, of_test in zip((BALANCER, *SERVERS), ports, strict=True):
            assert 1 == text.count(address), f"{address} in the sample of {GUIDE}"
            text = text.replace(address, f"127.0.0.1:{of_test}")
        self.config = self.home / "haproxy.cfg"
        self.config.write_text(text)
        self.process = None

    def __enter__(self):
        # In the foreground (-db): its end is seen, and it ends with this process.
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [haproxy.program(), "-db", "-f", self.config],
                env=haproxy.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            time.sleep(0.05)
        self.__exit__()
        raise Trouble(f"HAProxy didn't start:\n{tail(self.log)}")

    def __exit__(self, *_error):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def messages(self) -> str:
        """What it said: which server is up or down, and since when."""
        return self.log.read_text(errors="replace")
