# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the `make` commands use: ports, locks, addon and temp folders."""

import os
import re
import socket
import tempfile
from pathlib import Path

import pytest

from tools.cli import COMMANDS, HELP
from tools.console import Trouble
from tools.odoo_server import free_port
from tools.postgres import temp_folder
from tools.reach import files_that_reach
from tools.runners import ANY_DATABASE, OTHER_ADDONS
from tools.translations import only_dates_differ
from tools.workspace import REPOSITORY, extra_addons, only_once


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BWT_CACHE", str(tmp_path / "cache"))


def test_the_same_port_where_it_is_free():
    """Bookmarks and open tabs continue after `make serve` was started again."""
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
    """ODOO_ADDONS_PATH is beside ours, relative paths and blanks or not."""
    for name in ("one", "two"):
        (tmp_path / name / "shop").mkdir(parents=True)
        (tmp_path / name / "shop" / "__manifest__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODOO_ADDONS_PATH", f"one, {tmp_path}/two,")

    assert [tmp_path / "one", tmp_path / "two"] == extra_addons()[-2:]


def test_a_folder_without_addons(tmp_path, monkeypatch):
    """The addon's folder instead of its parent: reported, with what to do."""
    (tmp_path / "__manifest__.py").touch()
    monkeypatch.setenv("ODOO_ADDONS_PATH", os.fspath(tmp_path))

    with pytest.raises(Trouble, match="that the addon's own folder lies in"):
        extra_addons()


@pytest.fixture
def temp(monkeypatch):
    """A temp folder that everybody may enter, removed at the end."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o711)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def test_a_cluster_lies_in_the_temp_folder(temp):
    """Removing TMPDIR after a run removes the databases too."""
    assert temp.resolve() == temp_folder()


def test_a_temp_folder_that_is_too_long_for_a_socket(temp, monkeypatch):
    """PostgreSQL doesn't start when its socket's path has more than 107 characters."""
    monkeypatch.setattr(tempfile, "tempdir", str(temp / ("x" * 60)))

    assert Path("/tmp") == temp_folder()


@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_a_temp_folder_of_root_alone(temp, mode):
    """A root run drops to another user, who could neither read nor enter it."""
    (temp / "own").mkdir(mode=mode)
    tempfile.tempdir = str(temp / "own")
    may_enter = mode == 0o711 or os.geteuid() != 0

    assert (Path(tempfile.tempdir) if may_enter else Path("/tmp")) == temp_folder()


def test_an_export_without_new_texts():
    """`make pot` leaves the file as it was, so that nothing seems to have changed."""
    before = '"POT-Creation-Date: 2026-11-27 08:39+0000\\n"\nmsgid "Queue"\n'
    later = before.replace("08:39", "11:10")

    assert only_dates_differ(before, later)
    assert not only_dates_differ(before, later + 'msgid "Cancel"\n')
    assert not only_dates_differ("", later)


def test_help_has_all_commands():
    """`make help` lists what `make` knows, and says how long the long ones take."""
    makefile = (REPOSITORY / "Makefile").read_text()
    [listed] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    shown = set(re.findall(r"^make ([a-z-]+)", HELP, re.MULTILINE))

    assert set(listed.split()) - {"help"} == shown == set(COMMANDS) - {"help"}
    for name in ("test", "bench", "soak"):
        assert re.search(rf"^make {name} +\d+ minutes; ", HELP, re.MULTILINE)


def test_every_test_runs_somewhere():
    """Odoo's own runner has all ORM tests, but for those that any database answers.

    It reads what tests/__init__.py imports; thirteen files were missing there, and the
    phone's tours ran nowhere for a while.
    """
    imported = (REPOSITORY / "tests" / "__init__.py").read_text()
    tagged = {ANY_DATABASE: set(), OTHER_ADDONS: set()}
    for path in (REPOSITORY / "tests").glob("[oh]*/test_*.py"):
        for tag, files in tagged.items():
            if f'"{tag}"' in path.read_text():
                files.add(path.stem)

    assert tagged[OTHER_ADDONS]
    assert not tagged[OTHER_ADDONS] & tagged[ANY_DATABASE]
    for path in (REPOSITORY / "tests" / "orm").glob("test_*.py"):
        assert re.search(rf"\b{path.stem}\b", imported)


def test_which_files_reach_a_library():
    """By what their imports import, too; a run with another urllib3 takes these."""
    unit = REPOSITORY / "tests" / "unit"
    found = {path.stem for path in files_that_reach(unit, ("urllib3", "requests"))}

    assert {"test_encoding", "test_tls", "test_transport", "test_properties"} <= found
    assert not {"test_messages", "test_paths"} & found
