# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Processor time and memory of the processes of a run, read from /proc."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second
ROLES = ("lanes", "other_odoo", "postgres", "receiver", "caller")


@dataclass(frozen=True)
class Usage:
    """Processor seconds by role, in a span of `seconds`."""

    seconds: float
    lanes: float  # the workers that ran lanes
    other_odoo: float  # runner, web server, other workers
    postgres: float | None  # None: it runs on another machine
    receiver: float  # this process, which also watches the run
    caller: float  # the process that queues
    machine: float  # all of it

    @property
    def others(self) -> float:
        """Cores that processes which have no part in the run kept busy."""
        return max(self.machine / self.seconds - self.cores, 0.0)

    @property
    def cores(self) -> float:
        """Cores that all of them kept busy."""
        return sum(getattr(self, role) or 0 for role in ROLES) / self.seconds

    def per(self, count) -> dict:
        """Microseconds per delivery by role."""
        return {role: (getattr(self, role) or 0) / count * 1e6 for role in ROLES}

    def __str__(self):
        parts = (
            f"{role} {getattr(self, role) / self.seconds:.2f}"
            for role in ROLES
            if getattr(self, role) is not None
        )
        return (
            f"{self.cores:.2f} cores busy ({', '.join(parts)}), "
            f"{self.others:.2f} by other processes"
        )


class Meter:
    """Measures a span: create it at the start, call `read` at the end."""

    def __init__(self, ground, clock):
        self.ground = ground
        self.clock = clock
        self._began = clock()
        self._before = self._seconds()

    def read(self) -> Usage:
        """What was used since the start."""
        after = self._seconds()
        lanes = sum(
            after["processes"].get(pid, 0) - self._before["processes"].get(pid, 0)
            for pid in lane_workers(self.ground)
        )
        used = {
            name: None if after[name] is None else after[name] - self._before[name]
            for name in ("odoo", "postgres", "receiver", "caller", "machine")
        }
        return Usage(
            seconds=self.clock() - self._began,
            lanes=lanes,
            other_odoo=max(used.pop("odoo") - lanes, 0.0),
            **used,
        )

    def _seconds(self):
        children = _children()
        master = self.ground.server.process.pid
        postgres = postmaster(self.ground)
        return {
            "odoo": tree_seconds(master, children),
            "machine": _machine_seconds(),
            "postgres": postgres and tree_seconds(postgres, children),
            "receiver": _own_seconds(os.getpid())[0],
            "caller": tree_seconds(self.ground.caller.process.pid, children),
            "processes": {
                pid: _own_seconds(pid)[0] for pid in self.ground.server.processes()
            },
        }


def lane_workers(ground) -> set[int]:
    """The server's processes that ran lanes."""
    rows = ground.query(
        "SELECT DISTINCT worker_pid FROM queue_job WHERE method_name = 'run_lane' "
        "AND date_started IS NOT NULL AND worker_pid IS NOT NULL"
    )
    return {pid for (pid,) in rows}


def postmaster(ground) -> int | None:
    """PostgreSQL's main process; None if it isn't on this machine."""
    with contextlib.suppress(OSError, IndexError):
        parent = _parent(ground.connection.info.backend_pid)
        if parent and "postgres" in Path(f"/proc/{parent}/cmdline").read_text():
            return parent
    return None


def tree_seconds(pid, children=None) -> float:
    """Of a process and its descendants, those included that have ended."""
    children = children or _children()
    own, ended = _own_seconds(pid)
    return own + ended + sum(tree_seconds(each, children) for each in children[pid])


def memory(pid) -> tuple[float, float]:
    """Resident memory and its peak in MB."""
    text = ""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/status").read_text()
    found = [re.search(name + r":\s+(\d+)", text) for name in ("VmRSS", "VmHWM")]
    resident, peak = (int(each[1]) / 1024 if each else 0.0 for each in found)
    return resident, peak


def reset_peak(pid):
    """Let the peak begin at what is resident now, where we may."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


class _Children(dict):
    def __missing__(self, pid):
        return []


def _children():
    """Process id -> ids of its children."""
    found = _Children()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                found.setdefault(_parent(entry.name), []).append(int(entry.name))
    return found


def _fields(pid):
    """Of /proc/PID/stat, from the third on: a name may contain anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid):
    return int(_fields(pid)[1])


def _machine_seconds():
    """That the machine's cores were busy: neither idle nor waiting for a disk."""
    with open("/proc/stat") as stat_file:
        ticks = [int(each) for each in stat_file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS


def _own_seconds(pid):
    """Of the process, and of its children that have ended; 0 if it is gone."""
    with contextlib.suppress(OSError, IndexError):
        fields = _fields(pid)
        user, system, ended_user, ended_system = map(int, fields[11:15])
        return (user + system) / TICKS, (ended_user + ended_system) / TICKS
    return 0.0, 0.0
