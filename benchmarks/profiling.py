# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Profile of the lane: c under py-spy, a sampling profiler from PyPI."""

import collections
import subprocess
import tempfile
import time
from pathlib import Path

from tools import fetch
from tools.console import Trouble, say

RATE = 200  # samples a second
HEAD = 25  # lines
# Our functions and their steps; the innermost function on the stack counts.
STEPS = {
    "_build_outbound_request": "build",
    "_invoke_handler": "handler",
    "_encode_request": "encode, sign",
    "read_scopes": "build: reading ahead",
    "flush_all": "build: flush",
    "_rows": "claim: query",
    "open_attempts": "attempts: insert",
    "result_of_response": "record: retry decision",
    "close_attempts": "record: attempts",
    "record": "record: deliveries",
    "note": "record: health",
    "commit": "commit",
    "_record": "record: rest",
    "_follow_up": "hooks, notifications",
    "_claim": "claim: rest",
    "collect": "waiting for responses",
    "keep": "housekeeping",
    "snapshot_of": "snapshot",
}


def profile(ground, count):
    """Print the head of two profiles: who holds the GIL, and what the lane waits for.

    ground: with a server of one worker
    """
    worker = ground.warm_worker()
    stacks, run = _record(ground, worker, count, "--gil")
    say(f"\nGIL held, {run.rate:,.0f}/s under the profiler; ms per delivery")
    threads = collections.Counter()
    own = collections.Counter()
    for stack, samples in stacks.items():
        threads[_thread(stack)] += samples
        own[_name(stack[-1])] += samples
    _print_counts(threads, count)
    say("\n  the lane by step")
    _print_counts(_by_step(stacks), count)
    say("\n  all by function, its own time")
    _print_counts(own, count, HEAD)
    stacks, run = _record(ground, worker, count, "--idle")
    say(f"\nThe lane's own thread, waits included, {run.rate:,.0f}/s; ms per delivery")
    _print_counts(_by_step(stacks), count)


def _thread(stack):
    names = {_function(frame) for frame in stack}
    if "_drain" in names:
        return "the lane"
    return "a sender" if "send" in names else "rest"


def _by_step(stacks):
    """Samples of the lane's thread by step."""
    steps = collections.Counter()
    for stack, samples in stacks.items():
        names = [_function(frame) for frame in stack]
        if "_drain" in names:
            known = [name for name in names if name in STEPS]
            steps[STEPS[known[-1]] if known else "rest"] += samples
    return steps


def _record(ground, worker, count, how):
    ground.clear()
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "stacks")
        command = [_profiler(), "record", "--pid", str(worker), how, "--threads"]
        command += ["--rate", str(RATE), "--format", "raw"]
        process = subprocess.Popen(
            [*map(str, command), "--duration", "600", "--output", str(path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1)
        if process.poll() is not None:
            raise Trouble(f"py-spy can't read the process:\n{process.stderr.read()}")
        run = ground.run("orders", count=count)
        process.send_signal(2)  # it writes its samples
        process.communicate(timeout=60)
        stacks = collections.Counter()
        for line in path.read_text().splitlines():
            stack, _space, samples = line.rpartition(" ")
            if samples.isdigit():  # else it is a part of the server's command line
                stacks[tuple(stack.split(";"))] += int(samples)
    return stacks, run


def _print_counts(counts, deliveries, head=None):
    for name, samples in counts.most_common(head):
        say(f"  {samples / RATE * 1000 / deliveries:7.3f}  {name}")


def _name(frame):
    """`function (file)`, without the line."""
    return frame.rpartition(":")[0] + ")" if ":" in frame else frame


def _function(frame):
    """Its bare name: newer versions of py-spy prepend the class."""
    return frame.partition(" (")[0].rpartition(".")[2]


def _profiler():
    """Path of py-spy; installed if missing."""
    fetch.ensure("profile")
    return fetch.venv_folder("profile") / "bin" / "py-spy"
