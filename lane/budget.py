# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How long a lane goes on: fair to others, and within the worker's own limits."""

import signal
import time

from odoo.tools import config

ALONE = 30.0
SHARED = 5.0
REAL_TIME_RESERVE = 15.0
CPU_SHARE = 0.5


def longest_timeout() -> float | None:
    """Seconds that a request may take under ``limit_time_real``; None: no limit."""
    limit = config["limit_time_real"] or 0
    return max(limit - REAL_TIME_RESERVE, 0.0) if limit > 0 else None


class Budget:
    """Seconds of a lane's life; asked between steps, never waited for."""

    def __init__(self):
        self.started = time.monotonic()
        self._cpu = time.process_time()
        self.others_wait = False
        self.is_awaited = False  # someone waits for the end of this lane's job
        longest = longest_timeout()
        self._hard_end = None if longest is None else self.started + longest
        # Prefork only: threads of one server share a process and have no such limit.
        cpu = config["limit_time_cpu"] if config["workers"] else 0
        self._cpu_limit = (cpu or 0) * CPU_SHARE

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def may_claim(self, timeout: float) -> bool:
        """Whether another batch may be claimed whose requests take up to `timeout`."""
        return (
            not self.is_awaited
            and self.seconds < (SHARED if self.others_wait else ALONE)
            and self.may_start(timeout)
            and not (self._cpu_limit and self._cpu_used > self._cpu_limit)
            and not server_stops()
        )

    def may_start(self, timeout: float) -> bool:
        """Whether a request started now would end within ``limit_time_real``."""
        return self._hard_end is None or time.monotonic() + timeout <= self._hard_end

    def cap(self, timeout: float) -> float:
        """`timeout`, or what is left of the job's time: building may have been slow."""
        if self._hard_end is None:
            return timeout
        return max(min(timeout, self._hard_end - time.monotonic()), 1.0)

    @property
    def _cpu_used(self) -> float:
        return time.process_time() - self._cpu


def server_stops() -> bool:
    """Whether this server process was told to stop.

    Prefork workers get SIGINT and put `alive` off; the threaded server counts its quit
    signals. Either object is the owner of the handler that stands for SIGINT.
    """
    owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if getattr(owner, "quit_signals_received", 0):
        return True
    return not getattr(owner, "alive", True)
