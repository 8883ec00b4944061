# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Locations: the repository, the cache outside it, the environment of processes."""

import fcntl
import hashlib
import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from tools.console import Trouble

ADDON = "bwt_webhooks_outbound"
REPOSITORY = Path(__file__).resolve().parent.parent


def cache() -> Path:
    """Folder of everything downloaded or generated; set by BWT_CACHE."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    chosen = os.environ.get("BWT_CACHE")
    folder = Path(chosen).expanduser().resolve() if chosen else Path(base) / ADDON
    if folder.is_relative_to(REPOSITORY):
        raise Trouble(f"BWT_CACHE={folder} lies in the repository: choose another one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def folder(*names) -> Path:
    """A folder in the cache, created if missing."""
    path = cache().joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def addons_folder() -> Path:
    """Folder for `addons_path`: one link with the addon's name to this repository.

    The repository's own folder may have any name; each clone has its own link.
    """
    clone = hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:10]
    link = folder("addons", clone) / ADDON
    if not link.is_symlink() or link.resolve() != REPOSITORY:
        fresh = link.with_name(f"{ADDON}.{os.getpid()}")
        fresh.symlink_to(REPOSITORY, target_is_directory=True)
        fresh.replace(link)
    return link.parent


def extra_addons() -> list[Path]:
    """Additional addon folders: of the tests, and of ODOO_ADDONS_PATH."""
    own = REPOSITORY / "tests" / "addons"
    named = os.environ.get("ODOO_ADDONS_PATH", "").split(",")
    given = [
        Path(path.strip()).expanduser().resolve() for path in named if path.strip()
    ]
    for path in given:
        # Odoo would exit with an error, or continue without it.
        if not any(path.glob("*/__manifest__.py")):
            raise Trouble(
                f"ODOO_ADDONS_PATH: {path} holds no addon. Give the folder that the "
                "addon's own folder lies in; several are separated by commas."
            )
    return [own] * own.is_dir() + given


def test_addons() -> list[str]:
    """Names of the addons in tests/addons."""
    manifests = (REPOSITORY / "tests" / "addons").glob("*/__manifest__.py")
    return sorted(path.parent.name for path in manifests)


def child_environment(**more) -> dict:
    """Environment of child processes: bytecode and test data go to the cache."""
    environment = dict(os.environ, PYTHONUNBUFFERED="1", **more)
    # Without bytecode each start compiles all of Odoo again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # Odoo would prefer these to its odoo.conf.
    for name in ("PGDATABASE", "ODOO_RC"):
        environment.pop(name, None)
    environment["PYTHONPYCACHEPREFIX"] = str(folder("pycache"))
    environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder("hypothesis"))
    return environment


def run_logged(command, log, **options):
    """Run a command with its output in a log; a failure raises with the log's end."""
    options.setdefault("env", child_environment())
    with open(log, "ab") as output:
        result = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **options,
        )
    if result.returncode:
        raise Trouble(
            f"{Path(command[0]).name} failed (exit {result.returncode}); "
            f"the end of {log}:\n{tail(log)}"
        )


def tail(path, lines=25) -> str:
    """The last lines of a text file, empty when there is none."""
    try:
        text = Path(path).read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


@contextmanager
def exclusive(name):
    """Hold an exclusive lock of the cache; other commands wait."""
    with open(folder("locks") / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def only_once(name, otherwise):
    """Hold an exclusive lock of the cache; raises Trouble if it is taken."""
    with open(folder("locks") / name, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(otherwise) from None
        yield


class Stamp:
    """Stores the inputs with which a step was finished."""

    def __init__(self, name, inputs):
        self.path = folder("stamps") / f"{name}.json"
        self.text = json.dumps(inputs, sort_keys=True, default=str)

    def is_current(self) -> bool:
        """Whether the step was finished with exactly these inputs."""
        return self.path.is_file() and self.path.read_text() == self.text

    def clear(self):
        """Delete the stamp: the step starts again."""
        self.path.unlink(missing_ok=True)

    def write(self):
        """Mark the step as finished, atomically."""
        fresh = self.path.with_suffix(f".{os.getpid()}")
        fresh.write_text(self.text)
        fresh.replace(self.path)
