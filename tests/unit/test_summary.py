# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The summary of `make test`: what is counted, what failed, how to run it again."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from tools import runners, suite
from tools.runners import Count

SOURCE = """
import unittest, pytest

class TestShop(unittest.TestCase):
    def test_whole(self):
        for number in range(3):
            with self.subTest(number=number):
                pass

    def test_part(self):
        with self.subTest(part="a"):
            pass
        with self.subTest(part="b"):
            self.fail()

@pytest.mark.parametrize("size", [1, 2])
def test_size(size):
    assert size == 1
"""

ODOO_LOG = """\
2026-11-24 10:00:00,000 7 ERROR db odoo.addons.x.a: FAIL: Subtest TestA.test_b (n=1)
2026-11-24 10:00:00,000 7 ERROR db odoo.addons.x.a: FAIL: Subtest TestA.test_b (n=2)
2026-11-24 10:00:00,000 7 ERROR db odoo.addons.x.a: ERROR: TestA.test_c
"""


@pytest.fixture
def count(tmp_path):
    """How a run of pytest over `SOURCE`, or over a part of it, is counted."""
    # pytest's -k also matches the names of the folders between `confcutdir` and the
    # file, and pytest numbers its temporary folders.
    place = tmp_path / "pytest-1-test_whole-test_part"
    place.mkdir()
    path, report = place / "test_shop.py", place / "report.xml"
    path.write_text(SOURCE)
    roots = ["-c", os.devnull, "--rootdir", place, "--confcutdir", place]
    command = [sys.executable, "-m", "pytest", *roots, path]
    environment = dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    def run(keyword):
        options = ["-k", keyword, f"--junitxml={report}"]
        subprocess.run([*command, *options], env=environment, cwd=place)
        return runners._read_junit(report)

    return run


def summary(capsys, **counts):
    made = suite.Suite(cluster=None)
    for name, count in counts.items():
        made.step(name, lambda count=count: count)
    capsys.readouterr()
    made.close()
    return capsys.readouterr().out.splitlines()


def test_what_pytest_counts(count):
    """Subtests count like tests, and it is known how many there are.

    Whatever the folders above are called: a machine that has never run pytest names
    them otherwise than one that has.
    """
    assert Count(passed=5, subtests=3) == count("test_whole or 1")


def test_what_pytest_names(count):
    """A failed test has one name, without parameters and for all its subtests."""
    counted = count("test")

    assert 2 == counted.failed
    assert ["test_part", "test_size"] == counted.broken


def test_what_odoo_names():
    """Odoo's own runner names a test once per subtest that failed."""
    assert ["test_b", "test_b", "test_c"] == runners.BROKEN.findall(ODOO_LOG)


def test_failed_tests_are_named(capsys):
    """Otherwise the reader must search thousands of lines for the fault."""
    lines = summary(
        capsys, orm=Count(passed=3), live=Count(passed=1, failed=1, broken=["test_a"])
    )

    assert "  make one K=test_a   (live)" in lines
    assert "4 passed, 1 failed, 0 skipped" == lines[-1]


def test_subtests_are_reported(capsys):
    """pytest counts them apart: its numbers and ours must fit together."""
    lines = summary(capsys, orm=Count(passed=7, subtests=4), live=Count(passed=1))

    assert [line for line in lines if "4 of them subtests" in line]
    assert "Passed are 4 tests and 4 subtests:" == lines[-2]
    assert "8 passed, 0 failed, 0 skipped" == lines[-1]


def test_steps_of_another_process(capsys, tmp_path):
    """Their results count like others; a step without a result has failed.

    Else a process that is killed would make a green run.
    """
    made = suite.Suite(cluster=None)
    done = suite.Row("orm", Count(passed=2, broken=[]), 1.5)
    result = tmp_path / "rows.json"
    result.write_text(json.dumps([asdict(done)]))

    made._add_rows(["orm", "http"], result)

    assert 1 == made.close()
    lines = capsys.readouterr().out.splitlines()
    assert "2 passed, 1 failed, 0 skipped" == lines[-1]
    assert "http: it ended without a result" in lines


def test_many_failures_leave_room_for_the_table(capsys):
    """The closing table stays on the screen."""
    names = [f"test_{number}" for number in range(suite.NAMED + 3)]

    lines = summary(capsys, orm=Count(failed=len(names), broken=names))

    assert "  ... and 3 more, see above" in lines


def test_refusals_of_tests_are_no_complaint():
    """A test that provokes a refusal isn't a failure; an error there still is."""
    log = (
        "2026-11-24 10:00:00,000 7 WARNING db odoo.http: refused\n"
        "2026-11-24 10:00:00,000 7 WARNING db odoo.domains: bad domain\n"
        "2026-11-24 10:00:00,000 7 ERROR db odoo.http: failed\n"
    )

    lines = runners.complaints(log, but=runners.REFUSALS)

    assert ["odoo.domains", "odoo.http"] == [line.split()[5][:-1] for line in lines]
    assert 3 == len(runners.complaints(log))
