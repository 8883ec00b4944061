# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a starting server does to lane jobs while other servers run them."""

from contextlib import contextmanager

from odoo import SUPERUSER_ID, api

from ..constants import ENDPOINT
from .common import CommittedCase


class TestServerStart(CommittedCase):
    def start(self, env):
        """What Odoo calls once a registry is loaded."""
        env[ENDPOINT]._register_hook()

    @contextmanager
    def killed_job(self):
        """A lane job that is marked as started, and that nobody runs."""
        with self.started_job() as uuid:
            with self.transaction() as env:
                env.cr.execute(
                    "INSERT INTO queue_job_lock (queue_job_id, id) "
                    "SELECT id, id FROM queue_job WHERE uuid = %s",
                    (uuid,),
                )
            yield uuid

    def state(self, uuid):
        with self.transaction() as env:
            env.cr.execute("SELECT state FROM queue_job WHERE uuid = %s", (uuid,))
            return env.cr.fetchone()[0]

    def test_a_killed_lane_starts_again(self):
        """Else queue_job's runner counts it as running for up to a minute."""
        with self.killed_job() as uuid:
            with self.transaction() as env:
                self.start(env)

            self.assertEqual("pending", self.state(uuid))

    def test_a_job_that_changes_meanwhile(self):
        """Loading a registry takes long: what lanes wrote since isn't an error.

        The log of each start beside running lanes had "bad query" in it.
        """
        with self.killed_job() as uuid, self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            env.cr.execute("SELECT count(*) FROM queue_job")  # its snapshot is old
            with self.transaction() as other:
                other.cr.execute(
                    "UPDATE queue_job SET result = 'changed' WHERE uuid = %s", (uuid,)
                )
                other.cr.execute("UPDATE queue_job_lock SET id = id")

            with self.assertNoLogs("odoo.sql_db", "ERROR"):
                self.start(env)

            self.assertEqual("pending", self.state(uuid))

    def test_a_job_that_is_locked(self):
        """A start doesn't wait for a transaction that has the job's row."""
        with self.killed_job() as uuid, self.transaction() as owner:
            owner.cr.execute(
                "SELECT 1 FROM queue_job WHERE uuid = %s FOR UPDATE", (uuid,)
            )
            with self.transaction() as env, self.assertNoLogs("odoo.sql_db", "ERROR"):
                env.cr.execute("SET LOCAL lock_timeout = '5s'")
                self.start(env)

            self.assertEqual("started", self.state(uuid))
