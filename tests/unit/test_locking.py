# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Versions of what is downloaded: locked, complete, without the name of a registry."""

import json
import os
import re

import pytest

from tools import fetch, locking
from tools.console import Trouble
from tools.fetch import LOCKS

PYTHON_LOCKS = ("odoo", "oca", "urllib3_1", "lint", "postgres", "profile", "lock")


@pytest.fixture
def offers(tmp_path, monkeypatch):
    """An `apt-cache` on the path that knows these packages alone."""

    def offer(*packages):
        program = tmp_path / "apt-cache"
        known = "|".join(packages)
        program.write_text(
            "#!/bin/sh\nfor name; do :; done\n"
            f'case "$name" in {known}) ;; *) exit 100;; esac\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return offer


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_every_version_has_hashes(name):
    """Else pip takes whatever file the registry has under that version."""
    entries = re.split(r"\n(?=\S)", (LOCKS / f"{name}.txt").read_text().strip())

    assert [] == [entry for entry in entries if "--hash=sha256:" not in entry]
    assert [] == [entry for entry in entries if not re.match(r"[\w.-]+==\d", entry)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("odoo", fetch.PYTHON_PACKAGES),
        ("oca", fetch.OCA_PACKAGES),
        ("urllib3_1", fetch.URLLIB3_1_PACKAGES),
        ("lint", fetch.LINT_PACKAGES),
        ("postgres", fetch.POSTGRES_PACKAGES),
        ("profile", fetch.PROFILE_PACKAGES),
        ("lock", fetch.LOCK_PACKAGES),
        ("build", fetch.BUILD_PACKAGES),
    ],
)
def test_every_package_is_locked(name, wanted):
    """A package added without `make lock` is reported here."""
    assert [] == fetch.missing_in(LOCKS / f"{name}.txt", wanted)


def test_npm_packages_are_locked():
    """npm checks each file against the integrity that is on record."""
    lock = json.loads((LOCKS / "npm" / "package-lock.json").read_text())
    packages = {path: entry for path, entry in lock["packages"].items() if path}

    assert set(fetch.NPM_PACKAGES) <= set(lock["packages"][""]["dependencies"])
    assert [] == [path for path, entry in packages.items() if "integrity" not in entry]


def test_no_registry_is_named():
    """pip and npm use the configured registry: a mirror, a proxy."""
    files = [path for path in LOCKS.rglob("*") if path.is_file()]

    assert files
    assert [] == [path.name for path in files if "://" in path.read_text()]


def test_changes_are_named():
    """`make lock` says what it changed, so that a broken version is found by name."""
    before = locking.read_versions("a==1 \\\n    --hash=x\nb==1\nc==2 ; x < '3'\n")
    after = locking.read_versions("a==1.1\nc==2 ; x < '3'\nc==3 ; x >= '3'\nd==1\n")

    lines = locking.changes(before, after)

    assert ["a 1 -> 1.1", "b 1 removed", "c 2 -> 2, 3", "d 1 added"] == lines


def test_a_requirement_that_is_not_locked(tmp_path):
    """Odoo's package may need more than it did: that much isn't refused, but named."""
    lock = tmp_path / "lock.txt"
    lock.write_text("lxml-html-clean==0.4\npsycopg2-binary==2.9 ; x\n")

    missing = fetch.missing_in(lock, ["lxml_html_clean", "Psycopg2.Binary>=2", "polib"])

    assert ["polib"] == missing


def test_packages_that_debian_dropped(offers):
    """One line with the names and what to do, instead of the end of apt's log."""
    offers("odoo-19", "fonts-ocr-b")

    with pytest.raises(Trouble) as caught:
        fetch._check_offered(("odoo-19", "libjs-jquery", "fonts-ocr-b"), ["apt-get"])

    [line] = str(caught.value).splitlines()
    assert "no longer offers libjs-jquery:" in line
    assert "ODOO_PYTHON" in line
    fetch._check_offered(("odoo-19", "fonts-ocr-b"), ["apt-get"])
