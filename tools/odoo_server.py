# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Odoo as a process: its configuration, a single command, a server."""

import configparser
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from tools import fetch
from tools.console import Trouble
from tools.workspace import (
    ADDON,
    addons_folder,
    child_environment,
    extra_addons,
    folder,
    tail,
)

READY_TIMEOUT = 90  # seconds; a first start compiles all of Odoo


def write_config(
    path,
    database,
    *,
    channels="root:4",
    allowed_networks="127.0.0.0/8",
    list_db=False,
    options=None,
    queue_job=None,
):
    """Write an odoo.conf; `options` are added to Odoo's own section.

    `queue_job` has more options of that section, such as the address to call.

    Without `allowed_networks` it has no section of this addon, as in the README.
    """
    addons = [addons_folder(), *extra_addons()]
    config = configparser.ConfigParser(interpolation=None)
    config["options"] = {
        "addons_path": ",".join(str(addon) for addon in addons),
        "data_dir": str(folder("data")),
        "db_name": database,
        "dbfilter": f"^{database}$",
        "list_db": str(list_db),
        "http_interface": "127.0.0.1",  # Odoo warns when it is left open
        "server_wide_modules": "base,rpc,web,queue_job",
        **{key: str(value) for key, value in (options or {}).items()},
    }
    config["queue_job"] = {"channels": channels, **(queue_job or {})}
    if allowed_networks:
        config[ADDON] = {"allowed_networks": allowed_networks}
    with open(path, "w") as target:
        config.write(target)


def odoo_command(*arguments) -> list[str]:
    """Command line of Odoo with these arguments.

    With a script, not `-m odoo`: prefork runs its gevent server by the same argv.
    """
    script = folder("bin") / "odoo-bin"
    if not script.exists():
        fresh = script.with_suffix(f".{os.getpid()}")
        fresh.write_text("import odoo.cli\n\nodoo.cli.main()\n")
        fresh.replace(script)
    return [str(fetch.odoo_python()), str(script), *map(str, arguments)]


def odoo_environment(cluster, **more) -> dict:
    """Environment of an Odoo process that works on this cluster."""
    environment = child_environment(**cluster.environment(), **more)
    # Ours: it is set in odoo.conf, and Odoo would prefer the variable.
    environment.pop("ODOO_ADDONS_PATH", None)
    return environment


def free_port(wanted=0) -> int:
    """A free loopback port: the requested one if possible."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, bool(wanted))
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            if not wanted:
                raise
            return free_port()
        return probe.getsockname()[1]


class OdooServer:
    """A real Odoo server with queue_job's runner, on loopback; ports are free ones.

    `workers=0` is the threaded server, more is prefork. Only what it started itself
    is ever stopped. As a context manager it starts, waits and stops.
    """

    def __init__(
        self,
        cluster,
        database,
        *,
        http_port=None,
        workers=0,
        channels="root:4",
        allowed_networks="127.0.0.0/8",
        list_db=False,
        options=None,
        queue_job=None,
        environment=None,
    ):
        self.cluster = cluster
        self.database = database
        self.http_port = http_port or free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.process = None
        self.environment = environment or {}
        self.home = folder("run", f"{database}-{uuid.uuid4().hex[:8]}")
        self.config = self.home / "odoo.conf"
        self.log_path = self.home / "odoo.log"
        ports = {"http_port": self.http_port, "gevent_port": free_port()}
        write_config(
            self.config,
            database,
            channels=channels,
            allowed_networks=allowed_networks,
            list_db=list_db,
            options={**ports, "workers": workers, **(options or {})},
            queue_job=queue_job,
        )

    def __enter__(self):
        try:
            return self.start().wait_ready()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_error):
        self.stop()

    def start(self) -> "OdooServer":
        """Start the process; it is ready some seconds later, see `wait_ready`."""
        if self.is_running():
            raise Trouble(f"The Odoo server of {self.database} is running already.")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                odoo_command("server", "-c", self.config),
                env=odoo_environment(self.cluster, **self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, for kill()
            )
        return self

    def wait_ready(self, timeout=READY_TIMEOUT) -> "OdooServer":
        """Wait until the web server responds; else raise with the end of its log."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not self.is_running():
                raise Trouble(f"Odoo ended while starting:\n{tail(self.log_path)}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                with urllib.request.urlopen(f"{self.url}/web/health", timeout=5):
                    return self
            time.sleep(0.1)
        raise Trouble(f"Odoo wasn't ready in {timeout} s:\n{tail(self.log_path)}")

    def is_running(self) -> bool:
        """Whether the main process is running."""
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=30) -> bool:
        """Stop it as an operator would (SIGTERM); True if it ended within the time."""
        if not self.is_running():
            self.kill()  # workers may outlive their master
            return True
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self):
        """SIGKILL to the whole process group: master and workers."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> "OdooServer":
        """Stop, start on the same ports, wait until ready."""
        self.stop()
        return self.start().wait_ready()

    def processes(self) -> dict[int, str]:
        """Process ids of the server's group with their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(ValueError, OSError):
                pid = int(entry.name)
                if os.getpgid(pid) == self.process.pid:
                    command = (entry / "cmdline").read_bytes()
                    found[pid] = command.replace(b"\0", b" ").decode().strip()
        return found

    def log(self) -> str:
        """Its whole log, restarts included."""
        return self.log_path.read_text(errors="replace")

    def discard(self):
        """Stop it and remove its folder with configuration and log."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
