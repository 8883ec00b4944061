# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The button Webhooks on forms of models whose records are sent."""

from lxml import etree

from odoo.exceptions import AccessError
from odoo.tests import new_test_user

from ..constants import DELIVERY, OPERATOR
from .run_case import RunCase

BUTTON = "bwt.webhook.outbound.record.button"
WIDGET = "//widget[@name='webhook_record_button']"


class TestRecordButton(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contact = cls.contacts[0]
        cls.operator = new_test_user(
            cls.env, "button-operator", f"base.group_user,{OPERATOR}"
        )
        cls.employee = new_test_user(cls.env, "button-employee", "base.group_user")

    def widgets(self, model="res.partner", user=None, **options):
        view = self.env[model].with_user(user or self.operator).get_view(**options)
        return etree.fromstring(view["arch"]).xpath(WIDGET)

    def figures(self, record=None, user=None, **context):
        record = record or self.contact
        button = self.env[BUTTON].with_user(user or self.operator)
        return button.with_context(**context).action_read_button(
            record._name, record.id
        )

    def queue(self, record=None):
        self.shop.with_context(
            active_model="res.partner", active_ids=(record or self.contact).ids
        ).run()
        return self.env[DELIVERY].search(
            [("res_id", "=", (record or self.contact).id)], limit=1, order="id desc"
        )

    def test_forms_of_named_models_have_it(self):
        """One widget in the button box; operators alone."""
        [widget] = self.widgets()
        self.assertEqual("button_box", widget.getparent().get("name"))
        self.assertEqual("not id", widget.get("invisible"))
        self.assertFalse(self.widgets(user=self.employee))
        self.assertFalse(self.widgets(view_type="list"))
        self.assertFalse(self.widgets("res.country"))

    def test_it_comes_and_goes_with_the_action(self):
        """Without a restart: cached views are renewed."""
        self.assertTrue(self.widgets())
        self.shop.write({"state": "code"})
        self.assertFalse(self.widgets())
        self.shop.write({"state": "bwt_webhook_outbound"})
        self.assertTrue(self.widgets())
        self.shop.model_id = self.env["ir.model"]._get("res.company")
        self.assertFalse(self.widgets())
        self.shop.model_id = self.env["ir.model"]._get("res.partner")
        self.assertTrue(self.widgets())
        self.shop.unlink()
        self.assertFalse(self.widgets())

    def test_a_cached_view_costs_no_statement(self):
        """Models that nobody names pay nothing; the set of models is cached too."""
        country = self.env["res.country"]
        country._get_view()
        country.env["ir.actions.server"]._bwt_webhook_models()
        with self.assertQueryCount(0):
            self.env["ir.actions.server"]._bwt_webhook_models()

    def test_it_counts_and_tells_the_last_state(self):
        """Of this record alone."""
        self.assertEqual((0, False), (self.figures()["count"], self.figures()["state"]))
        self.queue(self.contacts[1])
        self.queue().write({"state": "done", "next_attempt_at": False})
        self.queue().write({"state": "dead_letter", "next_attempt_at": False})

        figures = self.figures()

        self.assertEqual((2, "dead_letter"), (figures["count"], figures["state"]))
        self.assertEqual("Dead Letter", figures["label"])
        action = self.env[BUTTON].action_open_deliveries("res.partner", self.contact.id)
        found = self.env[DELIVERY].search(action["domain"])
        self.assertEqual(self.contact.ids * 2, found.mapped("res_id"))

    def test_others_see_nothing(self):
        """Users without the group, odd arguments, deliveries of another company."""
        self.queue()
        self.assertEqual({}, self.figures(user=self.employee))
        with self.assertRaisesRegex(AccessError, "Ask an administrator"):
            self.env[BUTTON].with_user(self.employee).action_open_deliveries(
                "res.partner", self.contact.id
            )
        button = self.env[BUTTON].with_user(self.operator)
        for arguments in (
            ("res.partner", 0),
            ("res.partner", "1"),
            ("res.partner", True),
            ("res.partner", [1]),
            ("res.partner", 2**31),
            ("res.partner", 2**31 - 1),
            ("no.model", 1),
            ("mail.thread", 1),
            ([], 1),
            (False, False),
        ):
            self.assertEqual({}, button.action_read_button(*arguments), arguments)
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env,
            "button-stranger",
            f"base.group_user,{OPERATOR}",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        self.assertEqual(0, self.figures(user=stranger)["count"])

    def test_not_delivered_since_the_last_change(self):
        """What a check has found, until a delivery is on its way or done."""
        check = self.env["bwt.webhook.outbound.reconciliation"].create(
            {"action_id": self.shop.id, "domain": str(self.domain)}
        )
        self.assertFalse(self.figures()["missing"])
        check.action_check()
        while check.state == "checking":
            check.run_check()

        self.assertIn(check.name, self.figures()["missing"])
        delivery = self.queue()
        self.assertFalse(self.figures()["missing"])  # it is on its way
        delivery.write({"state": "dead_letter", "next_attempt_at": False})
        self.assertTrue(self.figures()["missing"])
        delivery.write({"state": "done"})
        self.assertFalse(self.figures()["missing"])

    def test_ids_at_receivers_are_shown(self):
        """Beside the deliveries."""
        self.endpoint._set_external_ref(self.contact, external_id="R-7")

        self.assertEqual(["R-7"], self.figures()["references"])

    def test_few_statements(self):
        """One call when the form is opened."""
        self.queue()
        self.figures()
        self.env.invalidate_all()
        with self.assertQueryCount(10):
            self.figures()
