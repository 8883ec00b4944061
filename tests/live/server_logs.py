# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Logs of the servers of a failed test: the newest few stay, in the cache."""

import contextlib
import shutil
import time

from tools.workspace import folder, tail

KEPT = 20

_up = []  # servers whose log would be lost at their end
_unreported = []  # copies not reported yet


@contextlib.contextmanager
def kept_on_failure(server):
    """Copy the server's log when the block fails, or when `report` requests it."""
    _up.append(server)
    try:
        yield
    except Exception:
        _keep(server)
        raise
    finally:
        _up.remove(server)


def report() -> list[str]:
    """Of what just failed, one text per server: where its log is, and its end.

    Servers that went down with it, else all that are up.
    """
    if not _unreported:
        for server in _up:
            _keep(server)
    reports = [f"{path}\n{tail(path)}" for path in _unreported]
    _unreported.clear()
    return reports


def _keep(server):
    place = folder("run", "failed-live")
    path = place / f"{time.strftime('%Y%m%d-%H%M%S')}-{server.home.name}.log"
    with contextlib.suppress(FileNotFoundError):  # it never started
        shutil.copyfile(server.log_path, path)
        _unreported.append(path)
    oldest_first = sorted(place.glob("*.log"), key=lambda each: each.stat().st_mtime)
    for path in oldest_first[:-KEPT]:
        path.unlink(missing_ok=True)
