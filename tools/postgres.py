# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A private PostgreSQL: socket only, default durability, shared by all commands.

Each user of the cluster holds a shared lock on a file; the last one to release it
stops the server. A command that was killed leaves the server running for the next one.
With PGHOST set the user's own server is used and nothing is started or stopped.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tools import fetch
from tools.console import Trouble, step
from tools.workspace import cache, exclusive, folder, run_logged

ROLE = "odoo"  # Odoo refuses to run as `postgres`
# A socket's path, `<here>/bwt-postgres-1000-0a1b2c3d/.s.PGSQL.5432`, has 107 at most.
TEMP_FOLDER_MAX = 107 - 50
SETTINGS = {"listen_addresses": "", "max_connections": "200"}


class Cluster:
    """A PostgreSQL server and operations on its databases.

    `with Cluster.running() as cluster:` starts it if needed and keeps it running.
    """

    def __init__(self):
        self.is_own = not os.environ.get("PGHOST")
        if self.is_own:
            self.home = _cluster_home()
            self.data = self.home / "data"
            self.log = self.home / "postgres.log"
            self.binaries = _find_binaries()

    @classmethod
    @contextlib.contextmanager
    def running(cls):
        """The cluster, running as long as the block."""
        cluster = cls()
        if not cluster.is_own:
            yield cluster
            return
        with open(folder("locks") / f"cluster-{cluster.home.name}", "w") as users:
            with exclusive("cluster"):
                cluster._start()
                fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield cluster
            finally:
                with exclusive("cluster"):
                    cluster._stop_unless_used(users)

    def environment(self) -> dict:
        """Variables that point libpq (psql, Odoo) to the cluster."""
        if not self.is_own:
            return {}
        # No PGDATABASE: Odoo would prefer it to the db_name of its odoo.conf.
        return {"PGHOST": str(self.home), "PGPORT": "5432", "PGUSER": ROLE}

    @property
    def place(self) -> str:
        """Where databases are stored and how long, as the end of a sentence."""
        if not self.is_own:
            return f"on your server {os.environ['PGHOST']}"
        return (
            f"until `make clean-env`, or until the\nsystem clears {self.home.parent}: "
            f"it is in {self.home}"
        )

    # --- databases

    def psql_command(self, database, *arguments) -> list[str]:
        """psql on a database, without the user's own start-up file."""
        psql = shutil.which("psql")
        if self.is_own and (self.binaries / "psql").exists():
            psql = str(self.binaries / "psql")
        if not psql:
            raise Trouble("psql is missing: install the package postgresql-client.")
        return [psql, "-X", "-q", "-d", database, *arguments]

    def execute(self, database, statement) -> str:
        """Run SQL outside a transaction block; returns psql's bare output."""
        result = subprocess.run(
            self.psql_command(database, "-At", "-v", "ON_ERROR_STOP=1", "-f", "-"),
            input=statement,
            env=dict(os.environ, **self.environment()),
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise Trouble(f"PostgreSQL refused:\n{statement}\n{result.stderr.strip()}")
        return result.stdout

    def rows(self, database, query) -> list[dict]:
        """The rows of a SELECT, each a dict with JSON's types."""
        query = query.strip().rstrip(";")
        wrapped = f"SELECT coalesce(json_agg(q), '[]') FROM ({query}) AS q"
        return json.loads(self.execute(database, wrapped))

    def databases(self) -> list[str]:
        """Names of all databases but the server's own."""
        listing = "SELECT datname FROM pg_database WHERE NOT datistemplate"
        names = (row["datname"] for row in self.rows("postgres", listing))
        return sorted(name for name in names if name != "postgres")

    def create(self, database, template="template0"):
        """Create a database as a copy of another one without connections."""
        self.execute("postgres", f'CREATE DATABASE "{database}" TEMPLATE "{template}"')

    def drop(self, database):
        """Drop a database, if it exists, and end its connections."""
        self.execute("postgres", f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    # --- the server

    def _start(self):
        if self._accepts_connections():
            return
        self._initialize()
        self._remove_stale_locks()
        options = [f"-c {key}='{value}'" for key, value in SETTINGS.items()]
        start = ["start", "-w", "-t", "60", "-l", self.log]
        self._pg_ctl(*start, "-o", " ".join([f"-k '{self.home}'", *options]))

    def _initialize(self):
        if (self.data / "PG_VERSION").exists():
            return
        fresh = self.home / "data.part"
        shutil.rmtree(fresh, ignore_errors=True)
        with step("making a PostgreSQL cluster"):
            log = folder("logs") / "initdb.log"
            options = ["-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C"]
            initdb = [self.binaries / "initdb", "-D", fresh, *options]
            run_logged(initdb, log, **self._account())
        # Files that remain if the system cleared the temp folder in part.
        shutil.rmtree(self.data, ignore_errors=True)
        fresh.rename(self.data)

    def _remove_stale_locks(self):
        """Remove the lock files of a killed server: its number may be another's now.

        Only if no process of it uses the data folder any more: a backend that
        outlives its server for a moment could still write.
        """
        deadline = time.monotonic() + 15
        while self._processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        if not self._processes():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            (self.home / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _processes(self):
        """Ids of the processes whose working folder is the data folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "cwd").samefile(self.data):
                    found.append(int(entry.name))
        return found

    def _stop_unless_used(self, users):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        self.stop()

    def stop(self):
        """Stop the private server, even if it is in use."""
        if self.is_own and (self.data / "postmaster.pid").exists():
            with contextlib.suppress(Trouble):
                self._pg_ctl("stop", "-w", "-m", "fast")

    def remove(self):
        """Stop the private server and delete its data."""
        self.stop()
        if self.is_own:
            shutil.rmtree(self.home, ignore_errors=True)

    def _accepts_connections(self):
        if not (self.home / ".s.PGSQL.5432").exists():
            return False
        try:
            self.execute("postgres", "SELECT 1")
        except Trouble:
            return False
        return True

    def _pg_ctl(self, *arguments):
        command = [self.binaries / "pg_ctl", "-D", self.data, *arguments]
        log = folder("logs") / "pg_ctl.log"
        # A separate session: the end of a shell must not stop the server.
        run_logged(command, log, **self._account(), start_new_session=True)

    def _account(self):
        """PostgreSQL refuses to run as root: another user's rights then."""
        account = _unprivileged_account()
        if not account:
            return {}
        return {
            "user": account.pw_uid,
            "group": account.pw_gid,
            "extra_groups": [],
            "cwd": self.home,
        }


def _unprivileged_account():
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Trouble("PostgreSQL can't run as root: add a user called postgres.")


def temp_folder() -> Path:
    """A temp folder that can hold a cluster: TMPDIR if suitable, else /tmp.

    A socket's path may have no more than 107 characters, and the user that a root run
    drops to must be able to enter every folder of the path.
    """
    chosen = Path(tempfile.gettempdir()).resolve()
    return chosen if _can_hold_a_cluster(chosen) else Path("/tmp")


def _can_hold_a_cluster(place):
    if len(os.fsencode(place)) > TEMP_FOLDER_MAX:
        return False
    if not _unprivileged_account():
        return True
    return all(folder.stat().st_mode & 0o001 for folder in (place, *place.parents))


def _cluster_home() -> Path:
    """Folder of data and socket, in a temp folder."""
    account = _unprivileged_account()
    owner = account.pw_uid if account else os.getuid()
    mark = hashlib.sha256(str(cache()).encode()).hexdigest()[:8]
    home = temp_folder() / f"bwt-postgres-{os.getuid()}-{mark}"
    with contextlib.suppress(FileExistsError):
        home.mkdir(mode=0o700)
        os.chown(home, owner, -1)
    if home.is_symlink() or home.stat().st_uid not in (owner, os.getuid()):
        raise Trouble(f"{home} belongs to someone else: remove it, or set TMPDIR.")
    os.chown(home, owner, -1)
    return home


def _find_binaries() -> Path:
    """Folder with initdb, postgres and pg_ctl: the machine's, else PyPI's."""
    candidates = []
    if initdb := shutil.which("initdb"):
        candidates.append(Path(initdb).resolve().parent)
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(installed, key=lambda path: -float(path.parent.name))
    for path in candidates:
        if all((path / name).exists() for name in ("initdb", "postgres", "pg_ctl")):
            return path
    return _binaries_from_pypi()


def _binaries_from_pypi():
    fetch.ensure("postgres")
    library = fetch.venv_folder("postgres") / "lib"
    install = next(library.glob("python*/site-packages/*pgserver/pginstall"))
    if not _unprivileged_account():
        return install / "bin"
    # The user that a root run drops to can't read root's cache. The programs find
    # their libraries in a folder beside the package.
    copy = _cluster_home() / "install"
    if not copy.exists():
        fresh = copy.with_suffix(".part")
        shutil.rmtree(fresh, ignore_errors=True)
        for part in install.parent.parent.glob("*pgserver*"):
            if part.suffix in ("", ".libs"):
                shutil.copytree(part, fresh / part.name, symlinks=True)
        fresh.rename(copy)
    return copy / install.parent.name / "pginstall" / "bin"
