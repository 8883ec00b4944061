"""What the `make` commands stand on: ports, locks, addon folders."""

import os
import socket

import pytest

from tools.console import Trouble
from tools.odoo_server import free_port
from tools.workspace import extra_addons, only_once


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BWT_CACHE", str(tmp_path / "cache"))


def test_the_same_port_where_it_is_free():
    """Bookmarks and open tabs go on after `make serve` was started again."""
    wanted = free_port()

    assert wanted == free_port(wanted)
    with socket.create_server(("127.0.0.1", wanted)):
        assert free_port(wanted) not in (0, wanted)


def test_one_at_a_time():
    """A second `make serve` says so, and doesn't update a database that is in use."""
    with only_once("serve", "it is up already"):
        with pytest.raises(Trouble, match="up already"):
            with only_once("serve", "it is up already"):
                pass

    with only_once("serve", "it is up already"):
        pass


def test_addons_of_ones_own(tmp_path, monkeypatch):
    """ODOO_ADDONS_PATH stands beside ours, relative paths and blanks or not."""
    for name in ("one", "two"):
        (tmp_path / name / "shop").mkdir(parents=True)
        (tmp_path / name / "shop" / "__manifest__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODOO_ADDONS_PATH", f"one, {tmp_path}/two,")

    assert [tmp_path / "one", tmp_path / "two"] == extra_addons()[-2:]


def test_a_folder_without_addons(tmp_path, monkeypatch):
    """The addon's own folder instead of the one around it: told, with the way out."""
    (tmp_path / "__manifest__.py").touch()
    monkeypatch.setenv("ODOO_ADDONS_PATH", os.fspath(tmp_path))

    with pytest.raises(Trouble, match="that the addon's own folder lies in"):
        extra_addons()
