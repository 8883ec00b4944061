# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""HAProxy for the tests: the machine's own is used, and nothing is installed."""

import pytest

from tools import haproxy
from tools.console import Trouble


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A cache and a folder of programs that are alone on the path."""
    monkeypatch.setenv("BWT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(haproxy, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))

    def add(name, text):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        return program

    return add


def test_the_machines_own_is_used(programs, tmp_path):
    """Else a machine without network could not run the tests."""
    own = programs("haproxy", "exit 0")
    programs("apt-get", "exit 100")

    haproxy.install(tmp_path / "log")

    assert own == haproxy.program()
    assert "LD_LIBRARY_PATH" not in haproxy.environment()


def test_an_apt_without_it(programs, tmp_path):
    """What to install is said, with what apt said."""
    programs("apt-get", 'case "$*" in *install*) echo "E: no haproxy" >&2;; esac')
    programs("dpkg-deb", "exit 0")

    with pytest.raises(Trouble, match="install the package haproxy.\nE: no haproxy"):
        haproxy.install(tmp_path / "log")

    assert haproxy.program() is None
