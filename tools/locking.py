# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`make lock`: the newest versions of everything from PyPI and npm.

uv resolves for every platform and every Python from 3.10 on, and lists the hashes of
all files of each version; pip installs with `--require-hashes`. No lock file names a
registry: pip and npm use the configured one.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from tools import fetch
from tools.console import say, step
from tools.fetch import LOCKS
from tools.workspace import child_environment, folder, run_logged

OLDEST_PYTHON = "3.10"
HASHES = "--generate-hashes"


def requirements() -> dict[str, tuple]:
    """What each lock file of pip is resolved from: its name -> requirements."""
    return {
        "build": fetch.BUILD_PACKAGES,
        "odoo": (*fetch.odoo_requirements(), *fetch.PYTHON_PACKAGES),
        "oca": fetch.OCA_PACKAGES,
        "urllib3_1": fetch.URLLIB3_1_PACKAGES,
        "lint": fetch.LINT_PACKAGES,
        "postgres": fetch.POSTGRES_PACKAGES,
        "profile": fetch.PROFILE_PACKAGES,
        "lock": fetch.LOCK_PACKAGES,
    }


# Without hashes: where a platform needs other packages to build a wheel, pip would
# refuse those. And OCA's packages require `odoo`, which PyPI doesn't have.
OPTIONS = {"build": (), "oca": (HASHES, "--no-deps")}


def renew():
    """Resolve everything again, write the lock files, print what changed."""
    fetch.ensure("unpacked", "lock")
    changed = []
    for name, wanted in requirements().items():
        with step(f"resolving {name}"):
            fresh = _resolve(wanted, OPTIONS.get(name, (HASHES,)))
        changed += _write(f"{name}.txt", fresh, read_versions)
    with step("resolving npm"):
        manifest, fresh = _resolve_npm()
    _write("npm/package.json", manifest, lambda _text: {})
    changed += _write("npm/package-lock.json", fresh, read_npm_versions)
    say("\n".join(changed) if changed else "Nothing changed.")


def _write(name, text, read):
    """Write a lock file; returns a line per changed version."""
    path = LOCKS / name
    before = path.read_text() if path.exists() else ""
    if before != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines = changes(read(before), read(text))
    if before != text and not lines:
        lines = ["files or conditions of the same versions"]
    return [f"tools/lock/{name}: {line}" for line in lines if read(text)]


def changes(before: dict, after: dict) -> list[str]:
    """Differences between two locks, each a mapping of package to versions."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if not old:
            lines.append(f"{name} {new} added")
        elif not new:
            lines.append(f"{name} {old} removed")
        elif old != new:
            lines.append(f"{name} {old} -> {new}")
    return lines


def read_versions(text) -> dict[str, str]:
    """Versions in a lock file of pip, by package; one per Python if they differ."""
    found = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M):
        found.setdefault(name, []).append(version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def read_npm_versions(text) -> dict[str, str]:
    """Versions in a lock file of npm, by package."""
    packages = json.loads(text or "{}").get("packages", {})
    return {
        path.rpartition("node_modules/")[2]: package["version"]
        for path, package in packages.items()
        if path
    }


def _resolve(wanted, options) -> str:
    with tempfile.TemporaryDirectory(dir=folder("run")) as place:
        source, target = Path(place, "wanted.in"), Path(place, "locked.txt")
        source.write_text("\n".join(wanted))
        python = fetch.venv_python("lock")
        command = [python.parent / "uv", "pip", "compile", source, "-o", target]
        command += ["--universal", "--python-version", OLDEST_PYTHON, *options]
        command += ["--python", python, "--no-header", "--no-annotate", "--no-config"]
        command += ["--cache-dir", folder("uv")]
        run_logged(command, _log("lock"), cwd=place, env=_registry_of_pip())
        return target.read_text()


def _registry_of_pip():
    """Environment that points uv to the registry configured for pip."""
    pip = [fetch.venv_python("lock"), "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True).stdout
    settings = dict(re.findall(r"^\S*?([\w-]+)='(.*)'$", listed, re.M))
    environment = child_environment(UV_NATIVE_TLS="1")
    for option, variable in (
        ("index-url", "UV_DEFAULT_INDEX"),
        ("cert", "SSL_CERT_FILE"),
    ):
        if option in settings and variable not in os.environ:
            environment[variable] = settings[option]
    return environment


def _resolve_npm() -> tuple[str, str]:
    """Text of package.json and of package-lock.json, which names no registry."""
    with tempfile.TemporaryDirectory(dir=folder("run")) as place:
        manifest = json.dumps({"private": True}, indent=2) + "\n"
        Path(place, "package.json").write_text(manifest)
        command = ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"]
        run_logged(
            [*command, "--prefix", place, *fetch.NPM_PACKAGES],
            _log("lock-npm"),
            cwd=place,
        )
        locked = json.loads(Path(place, "package-lock.json").read_text())
        locked["name"] = "receivers"  # else that of the temporary folder
        for package in locked["packages"].values():
            package.pop("resolved", None)
        manifest = Path(place, "package.json").read_text()
        return manifest, json.dumps(locked, indent=2) + "\n"


def _log(name):
    log = folder("logs") / f"{name}.log"
    log.unlink(missing_ok=True)
    return log
