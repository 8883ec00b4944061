# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The commands of the Makefile."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True  # the repository stays as it is
sys.path[0] = str(REPOSITORY)

from tools import demo, fetch, locking, suite, translations
from tools.console import Trouble, say, step
from tools.databases import Databases
from tools.odoo_server import odoo_command, odoo_environment, write_config
from tools.postgres import Cluster
from tools.workspace import ADDON, cache, child_environment, folder

HELP = """\
make demo           five deliveries from a fresh Odoo 19, seen from both sides
make serve          web client on port 18070, worker and receiver, until Ctrl-C
make shell          Python with `env` in the database of `make serve`
make test           all tests: unit, orm, http, live, Odoo's own runner, uninstall
make unit           the tests that need neither Odoo nor a database (seconds)
make one K=killed   tests whose name contains K [SEED=7: draw the same faults again]
make lint           ruff and pylint-odoo, the checks that block
make bench          measure the lane, see below
make soak SEED=7    deliveries under many faults drawn from the seed, see below
make lane CODE=x    one lane of endpoint x in the foreground, its log on the terminal
make psql           SQL in the database of `make serve`
make pot            export the translatable texts to i18n/
make readme         write README.rst, the page of the Apps list, docs/messages*.md
make screenshots    take the pictures of README, Apps list and tutorial again
make lock           pin the newest versions of what comes from PyPI and npm
make clean-env      stop PostgreSQL, remove the cache and all databases

How long the long ones take on 2 cores, and what they count:
make test   14 minutes; tests passed, failed and skipped of each runner
make bench  45 minutes; deliveries per second (c: a lane, a: a requests.Session loop,
            b: a queue job for each, b2: queue_job's own benchmark), milliseconds from
            commit to arrival and per queued delivery, 15 minutes beside a held
            snapshot, processor time, memory and disk per delivery, server time of the
            screens; fails if a figure misses its minimum. ARGS=--quick: 8 minutes;
            ARGS="--only compare": a part
make soak   20 minutes; deliveries queued, arrived, repeated and lost over 100 kills and
            restarts, and the seconds until sending continued; fails if one is lost.
            ARGS="--faults 5 --deliveries 500 server-killed": 1 minute. MINUTES=30: one
            run of that length, with an upgrade in the middle and figures of vacuum

Variables, set before the command as in `ODOO_ADDONS_PATH=/my/addons make serve`:
ODOO_ADDONS_PATH=/my/addons   your addons beside this one, for serve, shell and lane;
                              install them in Apps
ODOO_PYTHON=/path/to/python   your own Odoo 19, with queue_job
PGHOST=...                    your own PostgreSQL, with PGPORT, PGUSER, PGPASSWORD
BWT_CACHE=/elsewhere          another folder for downloads and databases"""

# Plain programs and substitutes of other addons, as in .pre-commit-config.yaml.
NOT_LOADED = (
    *("tools/", "benchmarks/", "tests/live/", "tests/unit/", "tests/addons/"),
    "tests/receiver.py",
)

LANE = """
import logging
from odoo.addons.queue_job.job import Job

logging.getLogger("odoo.addons.bwt_webhooks_outbound").setLevel(logging.DEBUG)
endpoint = env["bwt.webhook.outbound.endpoint"].search([("code", "=", {code!r})])
if not endpoint:
    raise SystemExit("no endpoint has the code " + {code!r})
# A lane commits only inside a started job of its own: this shell plays the worker.
job = Job.load(env, endpoint.with_delay(max_retries=0).run_lane().uuid)
job.set_started()
job.store()
env.cr.commit()
try:
    print(job.perform())
finally:
    job.set_done()
    job.store()
    env.cr.commit()
"""


def show_help(_options):
    """List the commands."""
    say(HELP)


def lint(_options):
    """Run the linters that block a merge; print how to fix."""
    fetch.ensure("lint")
    binaries = fetch.venv_folder("lint") / "bin"
    commands = (
        ["ruff", "check", "--no-cache", "--no-fix", "."],
        ["ruff", "format", "--no-cache", "--check", "--diff", "--quiet", "."],
        ["pylint", "--rcfile=.pylintrc-mandatory", *_files_that_odoo_loads()],
    )
    environment = child_environment(PYLINTHOME=str(folder("pylint")))
    failed = 0
    for name, *arguments in commands:
        with step(f"{name} {arguments[0]}" if name == "ruff" else "pylint-odoo"):
            done = subprocess.run(
                [binaries / name, *arguments],
                cwd=REPOSITORY,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        if done.returncode:
            failed += 1
            say(done.stdout)
    if failed:
        say(f"To fix automatically: {binaries}/ruff check --fix; ruff format")
    return int(bool(failed))


def _files_that_odoo_loads():
    """Python files that pylint-odoo's rules apply to."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    ).stdout
    paths = (path for path in listed.split() if not path.startswith(NOT_LOADED))
    return [path for path in paths if (REPOSITORY / path).exists()]


def shell(_options):
    """Python with `env`, interactive."""
    return _in_playground("shell", "--no-http", "--log-level=warn")


def lane(options):
    """Run one lane in the foreground."""
    if not options.code:
        raise Trouble("Say which endpoint: make lane CODE=demo-orders")
    script = LANE.format(code=options.code)
    return _in_playground("shell", "--no-http", script=script)


def psql(_options):
    """SQL, interactive."""
    fetch.ensure("odoo")
    with Cluster.running() as cluster:
        command = cluster.psql_command(demo.prepare_playground(cluster))
        command.remove("-q")
        environment = dict(os.environ, **cluster.environment())
        return subprocess.run(command, env=environment).returncode


def pot(_options):
    """Export the translatable texts, and give them to all languages."""
    fetch.ensure("odoo")
    target = REPOSITORY / "i18n" / f"{ADDON}.pot"
    target.parent.mkdir(exist_ok=True)
    before = target.read_text() if target.exists() else ""
    database = suite.database_name("pot")
    with Cluster.running() as cluster:
        databases = Databases(cluster)
        databases.template()
        with step(f"installing {ADDON} in a fresh database"):
            databases.fresh(database)
        try:
            databases.run(database, "i18n export", "-o", target, ADDON)
        finally:
            databases.drop(database)
    command = [fetch.odoo_python(), "-m", "tools.translations"]
    subprocess.run(command, cwd=REPOSITORY, env=child_environment(), check=True)
    if translations.only_dates_differ(before, target.read_text()):
        target.write_text(before)
        say(f"{target.relative_to(REPOSITORY)} is up to date")
    else:
        say(f"wrote {target.relative_to(REPOSITORY)}")


def readme(_options):
    """Write README.rst, the page of the Apps list and the lists of messages."""
    fetch.ensure("odoo")
    command = [fetch.odoo_python(), "-m", "tools.readme"]
    subprocess.run(command, cwd=REPOSITORY, env=child_environment(), check=True)
    say("wrote README.rst, static/description/index.html and docs/messages*.md")


def screenshots(_options):
    """Take the pictures of README, Apps list and tutorial from the screens."""
    fetch.ensure("odoo", "browser")
    failed = 0
    for module in ("tools.screenshots", "tools.guide_pictures"):
        command = [fetch.odoo_python(), "-m", module]
        done = subprocess.run(command, cwd=REPOSITORY, env=child_environment())
        failed |= done.returncode
    return failed


def bench(options):
    """Compare the lane with a script and with jobs."""
    return _program("benchmarks/cli.py", "bench", *options.rest)


def soak(options):
    """Random faults from a seed, for any length of time."""
    seed = ["--seed", options.seed] if options.seed else []
    if not seed and "--minutes" not in options.rest:
        raise Trouble("Say from which seed the faults are drawn: make soak SEED=7")
    return _program("tests/live/soak.py", *seed, *options.rest)


def _program(script, *arguments):
    """Run a program that starts its own servers, and stops them when it ends."""
    fetch.ensure("odoo")
    command = [fetch.odoo_python(), REPOSITORY / script, *arguments]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=child_environment())
    try:
        return process.wait()
    except SystemExit:
        process.terminate()  # killed, it would leave its servers behind
        raise
    finally:
        process.wait()  # Ctrl-C reaches both


def lock(_options):
    """Update the versions in tools/lock."""
    locking.renew()


def clean_env(_options):
    """Stop the cluster; remove its data and the cache."""
    if os.environ.get("PGHOST"):
        say("PGHOST is set: databases on that server stay.")
    else:
        Cluster().remove()
    place = cache()
    with step(f"removing {place}"):
        shutil.rmtree(place)


def _in_playground(command, *arguments, script=None):
    fetch.ensure("odoo")
    with Cluster.running() as cluster:
        database = demo.prepare_playground(cluster)
        config = folder("run", f"{database}-{command}") / "odoo.conf"
        write_config(config, database)
        return subprocess.run(
            odoo_command(command, "-c", config, *arguments),
            env=odoo_environment(cluster),
            input=script,
            text=True,
        ).returncode


COMMANDS = {
    "help": show_help,
    "demo": lambda _options: demo.run_demo(),
    "serve": lambda _options: demo.serve(),
    "shell": shell,
    "test": lambda _options: suite.run_all(),
    "unit": lambda _options: suite.run_unit(),
    "one": lambda options: suite.run_one(_keyword(options), options.seed),
    "lint": lint,
    "bench": bench,
    "soak": soak,
    "lane": lane,
    "psql": psql,
    "pot": pot,
    "readme": readme,
    "screenshots": screenshots,
    "lock": lock,
    "clean-env": clean_env,
}


def _keyword(options):
    if not options.keyword:
        raise Trouble("Say which test: make one K=killed_worker")
    return options.keyword


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, usage="make COMMAND")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("--keyword")
    parser.add_argument("--seed")
    parser.add_argument("--code")
    options, options.rest = parser.parse_known_args()
    # This way servers that were started are stopped too.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    try:
        return COMMANDS[options.command](options) or 0
    except Trouble as trouble:
        say(f"\n{trouble}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
