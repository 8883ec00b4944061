# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Progress output for long steps, and the error for a missing piece."""

import sys
import threading
import time
from contextlib import contextmanager


class Trouble(Exception):
    """Something is missing or failed; the message says what and what to do."""


def say(text=""):
    """Print one line to the terminal, unbuffered."""
    print(text, flush=True)


def duration(seconds):
    """Seconds in readable form: `0.4 s`, `12 s`, `3 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


@contextmanager
def step(label):
    """Print `label ... 12 s`; on a terminal the seconds count up meanwhile."""
    started = time.monotonic()
    finished = threading.Event()
    print(f"{label} ...", end="", flush=True)

    def tick():
        while not finished.wait(1):
            elapsed = duration(time.monotonic() - started)
            print(f"\r{label} ... {elapsed} ", end="", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    if sys.stdout.isatty():
        ticker.start()
    outcome = "failed after "
    try:
        yield
        outcome = ""
    finally:
        finished.set()
        if ticker.is_alive():
            ticker.join()
            print(f"\r{label} ...", end="")
        print(f" {outcome}{duration(time.monotonic() - started)}", flush=True)
