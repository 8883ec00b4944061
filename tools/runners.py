# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""pytest and Odoo's own runner, each as a process whose results are counted."""

import re
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from tools import fetch
from tools.odoo_server import (
    free_port,
    odoo_command,
    odoo_environment,
    write_config,
)
from tools.workspace import ADDON, REPOSITORY, addons_folder, child_environment, folder

NO_TESTS = 5  # pytest's exit code when nothing was collected
RESULT = re.compile(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests")
SKIPPED = re.compile(r" odoo\.\S+: skipped ")
# As in: ... ERROR db odoo.addons.x.tests.y: FAIL: TestCase.test_name
BROKEN = re.compile(r"ERROR \S+ \S+: (?:FAIL|ERROR): (?:Subtest )?\w+\.(test_\w+)")
LOGGED = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ \d+ (?P<level>[A-Z]+) \S+ (?P<logger>\S+): (?P<text>.*)"
)
DOCUTILS = re.compile(r"\((?:WARNING|ERROR|SEVERE)/\d\)")
# Warnings of Odoo 19 itself and of substituted packages at each start.
KNOWN_NOISE = (
    "Running as user 'root'",
    "(ERROR/3) Unexpected indentation",  # the description of Odoo's `mail`
    "PyPDF2",
)


# Tags of Odoo's `tagged`, of tests that cost much and that a whole run has once.
ANY_DATABASE = "any_database"  # the same with any other addons: by pytest
OTHER_ADDONS = "other_addons"  # depends on what else is installed: by Odoo's own runner

# Warnings that tests cause on purpose: refused requests, warnings in forms.
REFUSALS = ("odoo.http", "odoo.tests.form.onchange")


@dataclass
class Count:
    """How a run ended; subtests count like tests.

    subtests: how many of the passed are subtests
    broken: names of the tests that failed, as `make one K=` takes them
    complaint: a failure beyond the tests' own
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    complaint: str = ""
    subtests: int = 0
    broken: list[str] = field(default_factory=list)

    def is_bad(self) -> bool:
        """Whether the run fails the whole suite."""
        return bool(self.failed or self.complaint)


def run_unit(python, *arguments, files=()) -> Count:
    """tests/unit with one of our interpreters, and nothing of Odoo in it.

    files: only these of them
    """
    environment = child_environment(NODE_PATH=str(fetch.node_modules()))
    return _run_plain(python, "unit", environment, arguments, files)


def run_live(*arguments, files=()) -> Count:
    """tests/live, which start their own servers; `files`: only these of them."""
    environment = child_environment()
    return _run_plain(fetch.odoo_python(), "live", environment, arguments, files)


def _run_plain(python, kind, environment, arguments, files=()):
    place = f"tests/{kind}"
    tests = [f"{place}/{name}" for name in files] or [place]
    # pytest would import the root's __init__.py, hence Odoo, but for these roots.
    roots = ["--rootdir", place, "--confcutdir", place, "-c", "pyproject.toml"]
    plugins = ["-p", "no:odoo", "-p", "no:cacheprovider"]
    command = [python, "-m", "pytest", *plugins, *roots, *tests, *arguments]
    return _run_pytest(kind, command, REPOSITORY, environment)


def run_orm(cluster, database, kind, *arguments) -> Count:
    """tests/orm or tests/http by pytest-odoo, in a database that has the addon."""
    home = folder("run", f"{database}-pytest")
    config = home / "odoo.conf"
    # Only what the README says: tests set everything else themselves.
    write_config(config, database, allowed_networks=None)
    addon = addons_folder() / ADDON
    plugins = ["-p", "no:cacheprovider", "-p", "tools.pytest_tags"]
    options = [*plugins, "--odoo-config", config]
    if kind == "http":
        options.append("--odoo-http")
    place = addon / "tests" / kind
    command = [fetch.odoo_python(), "-m", "pytest", *options, place, *arguments]
    packages = str(fetch.node_modules())
    environment = odoo_environment(cluster, PWD=str(addon), NODE_PATH=packages)
    return _run_pytest(kind, command, addon, environment)


def _run_pytest(kind, command, place, environment):
    if not any((REPOSITORY / "tests" / kind).glob("**/test_*.py")):
        return Count(complaint=f"tests/{kind} has no tests")
    report = folder("run") / f"{kind}-{uuid.uuid4().hex[:8]}.xml"
    command = [str(part) for part in (*command, f"--junitxml={report}")]
    result = subprocess.run(command, cwd=place, env=environment)
    if result.returncode == NO_TESTS:
        return Count()
    if not report.exists():
        return Count(complaint=f"pytest ended with {result.returncode}")
    count = _read_junit(report)
    report.unlink()
    if result.returncode not in (0, 1) and not count.failed:
        count.complaint = f"pytest ended with {result.returncode}"
    return count


def _read_junit(report):
    count = Count()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        number = {key: int(suite.get(key, 0)) for key in ("tests", "skipped")}
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        count.failed += failed
        count.skipped += number["skipped"]
        # A test whose tear-down fails counts as a failure and an error.
        count.passed += max(number["tests"] - number["skipped"] - failed, 0)
        # Subtests are counted, and have no element of their own.
        whole = [case for case in suite.iter("testcase") if not _ends(case)]
        count.subtests += max(count.passed - len(whole), 0)
        count.broken += [
            _keyword(case)
            for case in suite.iter("testcase")
            if _ends(case) & {"failure", "error"}
        ]
    count.broken = list(dict.fromkeys(count.broken))
    return count


def _ends(case):
    """How a test ended, if it didn't pass."""
    return {child.tag for child in case} & {"failure", "error", "skipped"}


def _keyword(case):
    """A test's name without its parameters; of a file that can't be read, its name."""
    return case.get("name").partition("[")[0].rpartition(".")[2]


def run_odoo_tests(cluster, database, addons) -> Count:
    """Update addons with Odoo's own test runner on; it may log no warning of ours."""
    home = folder("run", f"{database}-tests")
    config = home / "odoo.conf"
    ports = {"http_port": free_port(), "gevent_port": free_port()}
    write_config(config, database, allowed_networks=None, options=ports)
    options = ["-c", config, "--stop-after-init", "-u", ",".join(addons)]
    tags = ["--test-enable", "--test-tags", f"/{ADDON},-{ANY_DATABASE}"]
    tested = _run_shown(cluster, "server", *options, *tags)
    count = Count(skipped=len(SKIPPED.findall(tested.stdout)))
    failed = total = 0
    for failures, errors, tests in RESULT.findall(tested.stdout):
        # One line per phase: those of the last are sums of all.
        failed = max(failed, int(failures) + int(errors))
        total = max(total, int(tests))
    count.broken = list(dict.fromkeys(BROKEN.findall(tested.stdout)))
    count.failed = failed
    count.passed = total - failed - count.skipped
    if tested.returncode:
        count.complaint = "Odoo ended with an error"
    if not total:
        count.complaint = "Odoo's own runner found no test"
    if lines := complaints(tested.stdout, but=REFUSALS):
        count.complaint = complaint_of(lines)
    return count


def complaint_of(lines) -> str:
    """What a step says of these lines of Odoo's log."""
    return "\n  ".join(["in Odoo's log:", *lines[:10]])


def _run_shown(cluster, *arguments):
    process = subprocess.Popen(
        odoo_command(*arguments),
        env=odoo_environment(cluster),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if " INFO " not in line or ": Starting Test" in line or RESULT.search(line):
            sys.stdout.write(line)
            sys.stdout.flush()
    result = process.wait()
    return subprocess.CompletedProcess(process.args, result, "".join(lines))


def complaints(log, but=()) -> list[str]:
    """Lines of an Odoo log that are warnings or worse and not Odoo's known noise.

    but: loggers whose warnings don't count
    """
    found = []
    for line in log.splitlines():
        logged = LOGGED.match(line)
        loud = logged and logged["level"] in ("WARNING", "ERROR", "CRITICAL")
        if loud and logged["level"] == "WARNING" and logged["logger"] in but:
            continue
        if not loud and not DOCUTILS.search(line):
            continue
        if not any(noise in line for noise in KNOWN_NOISE):
            found.append(line[:300])
    return found
