# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The recipes of docs/nothing_missing.md, done as they are written."""

from datetime import timedelta

from odoo.tests import Form

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import DELIVERY, RECONCILIATION, RUN
from .run_case import RunCase


class TestRecipes(RunCase):
    def test_a_new_shop_existing_products(self):
        """Existing ones are queued; one that can't be built is, once corrected."""
        bad = self.contacts[3]
        self.fail_to_compute(lambda each: each.id == bad.id and each.name == "Bad")
        bad.name = "Bad"
        self.shop.bwt_webhook_field_ids.source_expression = "email_formatted"
        action = self.endpoint.action_backfill()
        with Form(self.env[RUN].with_context(**action["context"])) as form:
            form.domain = str(self.domain)
            form.pace = 300
        run = form.save()
        run.action_start_run()
        self.work_off(run)

        self.assertEqual((24, 1), (run.queued_count, run.not_built_count))
        not_built = self.env[DELIVERY].search(run.action_view_not_built()["domain"])
        self.assertEqual(bad.id, not_built.res_id)
        bad.name = "Corrected"
        not_built.action_queue_delivery()
        self.assertEqual("queued", not_built.state)

    def test_after_an_outage_of_the_database_of_the_receiver(self):
        """What was written since the backup is sent again; what never left is found."""
        backup = utcnow() - timedelta(hours=8)
        self.env.cr.execute(
            "UPDATE res_partner SET write_date = %s WHERE id = ANY(%s)",
            (backup - timedelta(hours=1), self.contacts[5:].ids),
        )
        self.env.invalidate_all()
        with Form(self.env[RUN]) as form:
            form.action_choice = str(self.shop.id)
            form.domain = str([*self.domain, ("write_date", ">=", str(backup))])
        run = form.save()
        run.action_start_run()
        self.work_off(run)

        self.assertEqual(sorted(self.contacts[:5].ids), self.sent_ids(run))
        reconciliation = self.env[RECONCILIATION].create(
            {"action_id": self.shop.id, "domain": str(self.domain), "since_days": 0}
        )
        reconciliation.action_check()
        reconciliation.run_check()
        self.assertEqual(20, reconciliation.never_queued_count)
