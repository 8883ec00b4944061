# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Server action: its filter, and the models that it can't run on."""

from odoo.tests import tagged

from ..constants import DELIVERY, ENDPOINT
from .action_case import ServerActionCase

EVALUATED = (
    "[('create_date', '>=', (context_today() - relativedelta(days=1))"
    ".strftime('%Y-%m-%d')), ('ref', '=', 'A-1')]",
    "[('create_date', '>', datetime.datetime.now() - datetime.timedelta(days=1)), "
    "('ref', '=', 'A-1')]",
    "[('create_uid', '=', user.id), ('ref', '=', 'A-1')]",
    "[('create_uid', '=', uid), ('ref', '=', 'A-1')]",
    "[('write_date', '<', time.strftime('2999-%m-%d')), ('ref', '=', 'A-1')]",
    "[('create_date', '>', (datetime.datetime.now() - "
    "dateutil.relativedelta.relativedelta(months=1)).isoformat(' ')), "
    "('ref', '=', 'A-1')]",
    "[('id', 'in', model.search([('ref', '=', 'A-1')]).ids)]",
    "['|', ('company_id', '=', False), ('company_id', 'in', company_ids), "
    "('ref', '=', 'A-1')]",
    "[('create_date', '>=', 'today -1d'), ('ref', '=', 'A-1')]",
    "[('create_date', '<=', current_date + ' 23:59:59'), ('ref', '=', 'A-1')]",
)
REFUSED = (
    "nonsense",
    "[('ref', '=', unknown_name)]",
    "[('no_such_field', '=', 1)]",
    "[('ref', '=', 'A-1'",
    "[('ref', 'no operator', 'A-1')]",
    "42",
    "[('create_date', '>', 'not a date')]",
)


class TestFilter(ServerActionCase):
    def filtered(self, domain, **values):
        return self.action(
            "name",
            bwt_webhook_without_records="domain",
            bwt_webhook_domain=domain,
            **values,
        )

    def test_what_odoo_offers_to_filters_works(self):
        """Names of automation rules and of the filter editor find the record."""
        for domain in EVALUATED:
            with self.subTest(domain):
                action = self.filtered(domain, bwt_webhook_each_time=True)
                before = self.env[DELIVERY].search([])

                action.run()

                found = self.env[DELIVERY].search([]) - before
                self.assertEqual(["queued"], found.mapped("state"))
                self.assertEqual(self.partner.ids, found.mapped("res_id"))

    def test_what_cannot_work_is_refused_when_saved(self):
        """Otherwise the schedule fails at night, with nobody there."""
        for domain in REFUSED:
            with self.subTest(domain), self.refused("the filter .* Correct it"):
                self.filtered(domain)

    def test_a_filter_that_is_not_used_is_not_checked(self):
        """It may be kept from another setting."""
        action = self.action("name", bwt_webhook_domain="nonsense")

        self.assertEqual("nonsense", action.bwt_webhook_domain)
        with self.refused("the filter nonsense"):
            action.bwt_webhook_without_records = "domain"


# Automation rules hang themselves on models when a registry is complete.
@tagged("post_install", "-at_install")
class TestAutomationOnDeliveries(ServerActionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("base.automation")

    def on_model(self, name, trigger):
        """An automation rule with a Python action on this model."""
        self.model = self.env["ir.model"]._get(name)
        rule = self.env["base.automation"].create(
            {"name": "Rule", "model_id": self.model.id, "trigger": trigger}
        )
        return self.env["ir.actions.server"].create(
            {
                "name": "Run code",
                "model_id": self.model.id,
                "state": "code",
                "usage": "base_automation",
                "base_automation_id": rule.id,
            }
        )

    def test_rules_on_deliveries_are_refused(self):
        """They would never fire: the message names the hook to use instead."""
        for name in (
            DELIVERY,
            f"{DELIVERY}.attempt",
            f"{DELIVERY}.context_line",
            f"{ENDPOINT}.health",
        ):
            with (
                self.subTest(name),
                self.refused("doesn't fire.*_handle_outbound_response"),
                self.env.cr.savepoint(),
            ):
                self.on_model(name, "on_create_or_write")

    def test_an_action_is_not_moved_into_a_rule_on_deliveries(self):
        """Neither by its usage nor by its model or rule."""
        delivery = self.env["ir.model"]._get(DELIVERY)
        action = self.env["ir.actions.server"].create(
            {"name": "Run code", "model_id": delivery.id, "state": "code"}
        )
        rule = self.env["base.automation"].create(
            {"name": "R", "model_id": delivery.id, "trigger": "on_create_or_write"}
        )

        for values in ({"usage": "base_automation"}, {"base_automation_id": rule.id}):
            with self.refused("doesn't fire"), self.env.cr.savepoint():
                action.write(values)

    def test_rules_that_search_records_themselves_work(self):
        """A rule by date reads the database: it is not refused."""
        action = self.on_model(DELIVERY, "on_time_created")

        self.assertEqual(DELIVERY, action.base_automation_id.model_name)

    def test_other_actions_on_deliveries_stay_possible(self):
        """An entry of the Action menu isn't triggered by a change."""
        action = self.env["ir.actions.server"].create(
            {
                "name": "Run code",
                "model_id": self.env["ir.model"]._get_id(DELIVERY),
                "state": "code",
            }
        )

        self.assertEqual("ir_actions_server", action.usage)
