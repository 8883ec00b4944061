# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A dump of the database, as a backup has it, before and after content was deleted."""

import subprocess
from datetime import timedelta

from odoo.tests.common import get_db_name
from odoo.tools.misc import exec_pg_environ, find_pg_tool

from odoo.addons.bwt_webhooks_outbound.lane import job_sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models.forget import AT_WORK

from ..constants import DELIVERY, FORGET
from .common import CommittedCase
from .content_case import EMAIL


class TestContentDump(CommittedCase):
    def setUp(self):
        super().setUp()
        with self.transaction() as env:
            contact = env["res.partner"].create({"name": "Zoe", "email": EMAIL})
            self.contact_id = contact.id
        self.addCleanup(self.delete_contact)
        self.set_up(target_path="/{who}", request_body_mode="multipart")

    def delete_contact(self):
        with self.transaction() as env:
            env[FORGET].search([("partner_id", "=", self.contact_id)]).unlink()
            env["res.partner"].browse(self.contact_id).unlink()

    def tables_of_dump(self):
        """Names of the tables in whose dumped rows the e-mail is."""
        dump = subprocess.run(
            [find_pg_tool("pg_dump"), "--data-only", get_db_name()],
            env=exec_pg_environ(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        found, table = set(), None
        for line in dump.splitlines():
            if line.startswith("COPY "):
                table = line.split()[1].removeprefix("public.")
            elif EMAIL in line:
                found.add(table)
        return found

    def plant(self):
        """A delivery that is done and has the e-mail wherever it stores something."""
        ids = self.queue(
            {"email": EMAIL},
            context_lines={"who": EMAIL},
            headers={"X-Mail": EMAIL},
            files={"doc": {"filename": f"{EMAIL}.txt", "content": b"x"}},
            ordering_key=EMAIL,
        )
        self.run_lane()
        self.assertEqual(["done"], self.states(ids))
        with self.transaction() as env:
            delivery = env[DELIVERY].browse(ids)
            delivery.message_post(body=env._("Called %s", EMAIL))
            delivery.activity_schedule("mail.mail_activity_data_todo", note=EMAIL)
            delivery.processed_at = utcnow() - timedelta(days=9)
        found = self.tables_of_dump()
        self.assertLess(4, len(found), found)

    def test_after_content_retention(self):
        """Only the contact itself is left in it."""
        self.plant()
        self.set_up(content_days=5)

        with self.transaction() as env:
            self.assertEqual((1, 0), env[DELIVERY]._gc_content())

        self.assertEqual({"res_partner"}, self.tables_of_dump())

    def test_after_forget(self):
        """The same, and the record of it has no text of the contact."""
        self.plant()

        with self.transaction() as env:
            found = env[FORGET].create({"partner_id": self.contact_id})
            found.action_search()
        self.work_off(found.id)
        with self.transaction() as env:
            env[FORGET].browse(found.id).action_delete_content()
        self.work_off(found.id)

        self.assertEqual({"res_partner"}, self.tables_of_dump())

    def work_off(self, forget_id):
        """Run its jobs, each in a transaction of its own."""
        state = AT_WORK[0]
        while state in AT_WORK:
            with self.transaction() as env:
                found = env[FORGET].browse(forget_id)
                found.run_forget()
                state = found.state
        with self.transaction() as env:
            env.cr.execute(
                "DELETE FROM queue_job WHERE identity_key = %s",
                (job_sql.forget_key(forget_id),),
            )
