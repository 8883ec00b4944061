# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""HAProxy, the load balancer of the tests: the machine's own, else one in the cache.

Its packages come from the releases that this machine's apt already uses, so that they
fit its C library; those that it lacks are downloaded and unpacked, nothing is
installed. An apt state of our own leaves the machine's lists as they are.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tools.console import Trouble
from tools.workspace import cache, child_environment, folder, run_logged

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin")  # not on the path of every user


def program() -> Path | None:
    """The program: of the machine, else of the cache; None if there is neither."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), *SYSTEM_FOLDERS]
    if own := shutil.which("haproxy", path=os.pathsep.join(places)):
        return Path(own)
    unpacked = _root() / "usr" / "sbin" / "haproxy"
    return unpacked if unpacked.is_file() else None


def environment() -> dict:
    """Environment to run it in: libraries that came with it are found."""
    found = child_environment()
    if program().is_relative_to(_root()):
        libraries = [*_root().glob("usr/lib/*-linux-*"), *_root().glob("lib/*-linux-*")]
        known = filter(None, [found.get("LD_LIBRARY_PATH")])
        found["LD_LIBRARY_PATH"] = os.pathsep.join([*map(str, libraries), *known])
    return found


def install(log):
    """Unpack it into the cache unless the machine has it."""
    if program():
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Trouble("The load balancer is missing: install the package haproxy.")
    apt = _apt_command()
    run_logged([*apt, "update"], log)
    fresh = _root().with_suffix(".part")
    shutil.rmtree(fresh, ignore_errors=True)
    debs = fresh / "debs"
    debs.mkdir(parents=True)
    run_logged([*apt, "download", *_lacking(apt)], log, cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        run_logged(["dpkg-deb", "-x", deb, fresh], log)
    shutil.rmtree(debs)
    shutil.rmtree(_root(), ignore_errors=True)
    fresh.rename(_root())


def _root():
    return cache() / "haproxy"


def _apt_command():
    state = folder("apt-own")
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::Lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Sandbox::User": "root",  # _apt can't enter the cache of a root run
    }
    pairs = (f"{name}={value}" for name, value in options.items())
    return ["apt-get", "-q", "-y", *(word for pair in pairs for word in ("-o", pair))]


def _lacking(apt):
    """Packages that an installation would add, with their versions: apt only says."""
    simulated = subprocess.run(
        [*apt, "--simulate", "--no-install-recommends", "install", "haproxy"],
        capture_output=True,
        text=True,
        env=dict(os.environ, LC_ALL="C"),
    )
    found = re.findall(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+)", simulated.stdout, re.M)
    if "haproxy" not in dict(found):
        raise Trouble(
            "The load balancer is missing, and this machine's apt doesn't offer it: "
            f"install the package haproxy.\n{simulated.stderr.strip()}"
        )
    return [f"{name}={version}" for name, version in found]
