# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""`make test`: all kinds of tests, then a table and a summary.

    python -m tools.suite FILE NAME ...

runs single steps in a process of its own, beside the others, and writes their results
to a file.

Tests of models run twice, by pytest and by Odoo's own runner, on a database with more
addons. Those that cost much run once, see `runners.ANY_DATABASE` and `OTHER_ADDONS`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tools import fetch, runners
from tools.console import Trouble, duration, say, step
from tools.databases import SHOP_MODULES, Databases, source_mark
from tools.postgres import Cluster
from tools.reach import files_that_reach
from tools.runners import Count, complaint_of, complaints
from tools.workspace import (
    ADDON,
    REPOSITORY,
    addons_folder,
    exclusive,
    test_addons,
)

TEST_FOLDERS = ("unit", "orm", "http", "live")
# About half of the live tests, by time: a step of their own.
FAULTS = ("test_building", "test_faults", "test_hooks", "test_time", "test_workers")
HTTP_LIBRARIES = ("urllib3", "requests")  # an older line of urllib3 changes these alone
WHOLE = ("-q",)  # pytest's arguments for a whole run
# Steps that the table doesn't call by their method's name.
LABELS = {"odoo": "Odoo's own runner", "unit_old_urllib3": "unit, urllib3 1.26"}
# A browser test rolls back, and would make the web client's files again each time.
BUNDLES = "env['ir.qweb']._pregenerate_assets_bundles(); env.cr.commit()\n"
NAMED = 20  # failed tests in the summary; the output above has all


def database_name(purpose) -> str:
    """Name of this clone's database for a purpose."""
    return f"bwt_{addons_folder().name}_{purpose}"


@dataclass
class Row:
    """One line of the final table."""

    name: str
    count: Count
    seconds: float


def run_all() -> int:
    """Run everything; returns the exit code."""
    fetch.ensure("odoo", "urllib3_1", "npm", "browser", "haproxy")
    with Cluster.running() as cluster:
        suite = Suite(cluster)
        # Four groups that take about as long. Live tests mostly wait, tours never.
        old = () if os.environ.get("ODOO_PYTHON") else ("unit_old_urllib3",)
        with (
            suite.beside("unit", "faults"),
            suite.beside(*old, "live"),
            suite.beside("http"),
        ):
            suite.step(LABELS["odoo"], suite.odoo)
            suite.step("uninstall", suite.uninstall)
            suite.step("orm", suite.orm)
        return suite.close()


def run_unit() -> int:
    """Run only the unit tests, in seconds; returns the exit code."""
    fetch.ensure("odoo", "npm")
    suite = Suite(cluster=None)
    suite.step("unit", suite.unit)
    return suite.close()


def run_one(keyword, seed=None) -> int:
    """The tests that pytest's -k finds, in the folders that contain such names."""
    kinds = [kind for kind in TEST_FOLDERS if _mentions(kind, keyword)]
    if not kinds:
        raise Trouble(f"No test matches K={keyword}: name a part of a test's name.")
    if seed:
        os.environ["BWT_SEED"] = str(seed)
    fetch.ensure("odoo", *(["browser", "npm"] if "http" in kinds else []))
    with Cluster.running() as cluster:
        suite = Suite(cluster, ["-k", keyword, "-x"])
        for kind in kinds:
            suite.step(kind, getattr(suite, kind))
        return suite.close()


def run_beside(result, *names):
    """Run these steps and write their rows to the file `result`."""
    with Cluster.running() as cluster:
        suite = Suite(cluster)
        for name in names:
            suite.step(LABELS.get(name, name), getattr(suite, name))
    Path(result).write_text(json.dumps([asdict(row) for row in suite.rows]))


class Suite:
    """Steps that were run, each with its count and its time."""

    def __init__(self, cluster, arguments=WHOLE):
        self.cluster = cluster
        self.arguments = arguments
        self.rows = []
        if cluster:
            self.databases = Databases(cluster)

    def step(self, name, run):
        """Run one step under a heading of its own; a Trouble fails only this one."""
        say(f"\n=== {name}")
        started = time.monotonic()
        try:
            count = run()
        except Trouble as trouble:
            count = Count(failed=1, complaint=str(trouble))
        if count.complaint:
            say(f"{name}: {count.complaint}")
            count.failed = count.failed or 1
        self.rows.append(Row(name, count, time.monotonic() - started))

    @contextmanager
    def beside(self, *names):
        """Run these steps in a process of its own while the block runs.

        What they print follows after the block.
        """
        labels = ", ".join(LABELS.get(name, name) for name in names)
        say(f"\nbeside the next steps, shown after them: {labels}")
        with tempfile.TemporaryDirectory() as home:
            result, output = Path(home, "rows.json"), Path(home, "output")
            command = [sys.executable, "-m", "tools.suite", result, *names]
            with output.open("w") as stream:
                process = subprocess.Popen(
                    [str(word) for word in command],
                    cwd=REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                )
            try:
                yield
                if process.poll() is None:
                    say(f"\nwaiting for: {labels}")
                process.wait()
            finally:
                process.terminate()
                process.wait()
                say(output.read_text(errors="replace"))
            self._add_rows(names, result)

    def _add_rows(self, names, result):
        rows = json.loads(result.read_text()) if result.exists() else []
        for row in rows:
            self.rows.append(Row(row["name"], Count(**row["count"]), row["seconds"]))
        for name in names[len(rows) :]:
            lost = Count(failed=1, complaint="it ended without a result")
            self.rows.append(Row(LABELS.get(name, name), lost, 0))

    def close(self) -> int:
        """Print the table and the summary; returns the exit code."""
        say("\n=== summary")
        for row in self.rows:
            count = row.count
            result = "FAILED" if count.is_bad() else "ok"
            numbers = f"{count.passed:5} passed {count.failed:3} failed"
            subtests = f"   {count.subtests} of them subtests" * bool(count.subtests)
            say(
                f"{row.name:20} {numbers} {count.skipped:3} skipped "
                f"{duration(row.seconds):>12}  {result:6}{subtests}".rstrip()
            )
        for row in self.rows:
            if row.count.complaint:
                say(f"{row.name}: {row.count.complaint}")
        self._name_the_broken()
        counts = [row.count for row in self.rows]
        passed, failed, skipped, subtests = (
            sum(getattr(count, key) for count in counts)
            for key in ("passed", "failed", "skipped", "subtests")
        )
        if not passed + failed:
            say("No test was run.")
        if subtests:
            say(f"Passed are {passed - subtests} tests and {subtests} subtests:")
        say(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 0 if passed and not any(count.is_bad() for count in counts) else 1

    def _name_the_broken(self):
        broken = [(row.name, test) for row in self.rows for test in row.count.broken]
        if broken:
            say("\nFailed; to run one again:")
        for name, test in broken[:NAMED]:
            say(f"  make one K={test}   ({name})")
        if len(broken) > NAMED:
            say(f"  ... and {len(broken) - NAMED} more, see above")
        if broken:
            say()

    # --- the steps

    def unit(self):
        """Services with what Odoo's own venv has."""
        return runners.run_unit(fetch.odoo_python(), *self.arguments)

    def unit_old_urllib3(self):
        """Services that use urllib3 or requests, with the older line of urllib3."""
        found = files_that_reach(REPOSITORY / "tests" / "unit", HTTP_LIBRARIES)
        files = [path.name for path in found]
        python = fetch.venv_python("urllib3_1")
        return runners.run_unit(python, *self.arguments, files=files)

    def orm(self):
        """Models in a transaction that is rolled back."""
        database = self._warm_database("test")
        arguments = self.arguments
        if arguments == WHOLE:
            arguments = (*arguments, f"--without-tag={runners.OTHER_ADDONS}")
        return runners.run_orm(self.cluster, database, "orm", *arguments)

    def http(self):
        """The web client in a real browser; a skip is a failure here."""
        # Its own: tests with several transactions would wait for the browser's.
        database = self._warm_database("http", script=BUNDLES)
        count = runners.run_orm(self.cluster, database, "http", *self.arguments)
        if count.skipped:
            count.complaint = f"{count.skipped} browser tests were skipped"
        return count

    def live(self):
        """Real server and worker; in a whole run without the files of `faults`."""
        arguments = self.arguments
        if arguments == WHOLE:
            left_out = (f"--ignore=tests/live/{name}.py" for name in FAULTS)
            arguments = (*arguments, *left_out)
        return runners.run_live(*arguments)

    def faults(self):
        """Real server and worker: kills, and what stops or slows a lane."""
        files = [f"{name}.py" for name in FAULTS]
        return runners.run_live(*self.arguments, files=files)

    def odoo(self):
        """Odoo's own runner, on a fresh database with sale, account, stock, crm."""
        database = database_name("odoo")
        addons = (ADDON, *test_addons())
        try:
            with step(f"installing {ADDON} beside {', '.join(SHOP_MODULES)}"):
                log = self.databases.fresh(
                    database, install=addons, beside=SHOP_MODULES
                )
            if lines := complaints(log):
                return Count(complaint=complaint_of(lines))
            return runners.run_odoo_tests(self.cluster, database, addons)
        finally:
            self.databases.drop(database)

    def uninstall(self):
        """Install with demo data, then uninstall: no remains, no warnings."""
        database = database_name("uninstall")
        try:
            log = self.databases.fresh(database, demo=True)
            log += self.databases.uninstall(database, ADDON)
            left = self.cluster.rows(
                database,
                "SELECT relname FROM pg_class WHERE relkind = 'r' "
                "AND (relname LIKE 'bwt_webhook%' OR relname LIKE 'bwt_connector%')",
            )
        finally:
            self.databases.drop(database)
        if lines := complaints(log):
            return Count(complaint=complaint_of(lines))
        if left:
            return Count(complaint=f"tables are left: {left}")
        return Count(passed=1)

    def _warm_database(self, purpose, script=None):
        """The database of a kind of test, created again when installed files changed.

        script: what `odoo shell` runs in it once
        """
        database = database_name(purpose)
        folders = [REPOSITORY, *(REPOSITORY / "tests" / "addons").glob("*")]
        mark = f"bwt {source_mark(folders)} {test_addons()}"
        with exclusive(database):
            if self.databases.mark(database) != mark:
                self.databases.template()
                with step(f"installing {ADDON} and the tests' addons in {database}"):
                    self.databases.fresh(database, install=(ADDON, *test_addons()))
                    if script:
                        self.databases.shell(database, script)
                self.databases.set_mark(database, mark)
        return database


def _mentions(kind, keyword):
    """Whether test files of a folder contain a name of a -k expression."""
    names = set(re.findall(r"\w+", keyword.lower())) - {"and", "or", "not"}
    for path in (REPOSITORY / "tests" / kind).glob("**/*.py"):
        text = f"{path.name} {path.read_text()}".lower()
        if any(name in text for name in names):
            return True
    return False


if __name__ == "__main__":
    run_beside(*sys.argv[1:])
