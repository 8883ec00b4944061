# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A PostgreSQL of a test's own, to be stopped and killed at will."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.postgres import Cluster, _find_binaries, _unprivileged_account, temp_folder


class PrivateCluster(Cluster):
    """Lies in the temp folder and goes with its block."""

    def __init__(self, home):
        self.is_own = True
        self.home = Path(home)
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"
        self.binaries = _find_binaries()

    @classmethod
    @contextlib.contextmanager
    def running(cls):
        """The cluster, up for as long as the block lasts, then removed."""
        home = tempfile.mkdtemp(prefix="bwt-live-", dir=temp_folder())
        account = _unprivileged_account()
        if account:
            os.chown(home, account.pw_uid, account.pw_gid)
        cluster = cls(home)
        try:
            cluster._start()
            yield cluster
        finally:
            cluster.remove()
            shutil.rmtree(home, ignore_errors=True)

    def restart(self):
        """Stop, cutting off anyone who is connected, and start."""
        self.stop()
        self._start()

    def copy_from(self, other, origin, database):
        """Take a database over from another cluster, by dump and restore."""
        program = self.binaries / "pg_dump"
        dump = subprocess.run(
            [str(program) if program.exists() else "pg_dump", "-d", origin],
            env=dict(os.environ, **other.environment()),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        self.create(database)
        self.execute(database, dump.stdout)
