# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a failing live test reports about what it waited for."""

import pytest
import server_logs
from stage import wait_until


@pytest.mark.usefixtures("house_server")
def test_what_arrived_instead_is_reported(house, receiver, code):
    """Counts and the newest error; "last seen: None" helped nobody to find a fault."""
    house.endpoint(code, receiver.url, "/missing")
    house.queue(code, 2)
    house.wait_for_end(code)

    with pytest.raises(TimeoutError) as caught:
        house.wait_for_states(code, timeout=0, done=2)

    assert "no {'done': 2}" in str(caught.value)
    assert "last seen: {'dead_letter': 2}" in str(caught.value)
    assert "dead_letter, the newest" in str(caught.value)
    assert "HTTP 404" in str(caught.value)


def test_a_failed_check_is_quoted():
    """Without a text of its own a wait reports what its last check returned."""
    with pytest.raises(TimeoutError, match=r"no job within 0 s; last seen: \[\]"):
        wait_until(list, timeout=0, what="job")


class Server:
    def __init__(self, home):
        self.home = home
        self.log_path = home / "odoo.log"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Needs no server, and has a cache of its own."""
    monkeypatch.setenv("BWT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(server_logs, "_up", [])
    monkeypatch.setattr(server_logs, "_unreported", [])
    home = tmp_path / "shop"
    home.mkdir()
    return Server(home)


def test_the_log_of_a_failure_stays(server, tmp_path):
    """The folder of a server goes with it; its log is needed after a failure."""
    server.log_path.write_text("one\ntwo\n")

    with pytest.raises(ZeroDivisionError):
        with server_logs.kept_on_failure(server):
            raise ZeroDivisionError
    [report] = server_logs.report()

    [kept] = (tmp_path / "cache" / "run" / "failed-live").iterdir()
    assert f"{kept}\none\ntwo" == report
    assert "one\ntwo\n" == kept.read_text()
    assert [] == server_logs.report()


def test_few_logs_stay(server, tmp_path, monkeypatch):
    """The cache doesn't fill with logs; the newest are there, one per failure."""
    monkeypatch.setattr(server_logs, "KEPT", 2)

    with server_logs.kept_on_failure(server):
        for number in range(4):
            server.home = server.home.with_name(f"shop{number}")
            server.log_path.write_text(f"{number}")
            server_logs.report()

    kept = (tmp_path / "cache" / "run" / "failed-live").iterdir()
    assert {"2", "3"} == {path.read_text() for path in kept}
