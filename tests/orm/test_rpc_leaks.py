# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What users of another company, or without a role, get by calls from outside."""

from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from ..constants import (
    ADMINISTRATOR,
    ANSWER_RULE,
    ANSWER_VALUE,
    ATTEMPT,
    DELIVERY,
    ENDPOINT,
    EXTERNAL_REF,
    GROUP_OPERATOR,
)
from .answer_case import AnswerCase

OVERVIEW = "bwt.webhook.outbound.overview"
HOUR = "bwt.webhook.outbound.endpoint.hour"
SETTINGS = "res.config.settings"


@tagged("post_install", "-at_install")
class TestRpcLeaks(AnswerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env["res.company"].create({"name": "Other"})
        theirs = {
            "company_id": cls.company.id,
            "company_ids": [(6, 0, cls.company.ids)],
        }
        cls.stranger = new_test_user(cls.env, "l_stranger", ADMINISTRATOR, **theirs)
        groups = f"{GROUP_OPERATOR},base.group_allow_export"
        cls.operator = new_test_user(cls.env, "l_operator", groups)
        cls.plain = new_test_user(cls.env, "l_plain", "base.group_user")
        cls.portal = new_test_user(cls.env, "l_portal", "base.group_portal")

    def call(self, user, model, name, *args, **kwargs):
        self.env.invalidate_all()
        return call_kw(self.env[model].with_user(user), name, list(args), kwargs)

    def failed(self):
        """A delivery that needs attention, with a value and a reference."""
        self.value("ref")
        self.external_id()
        self.respond((404, {"id": "R-77"}))
        delivery = self.send()
        self.endpoint._set_external_ref(self.partner, "R-77", {"url": "secret"})
        return delivery

    def test_another_company_gets_nothing(self):
        """Lists, groups and questions of another company are empty, and say no name."""
        delivery = self.failed()
        for model in (DELIVERY, ATTEMPT, EXTERNAL_REF, ANSWER_VALUE, HOUR):
            with self.subTest(model):
                found = self.call(self.stranger, model, "search_read", [], ["id"])
                ours = self.env[model].search([]).ids
                self.assertTrue(ours)
                self.assertFalse({each["id"] for each in found} & set(ours))
        groups = self.call(
            self.stranger,
            DELIVERY,
            "formatted_read_group",
            [],
            ["detailed_reason", "endpoint_id"],
            ["__count"],
        )
        self.assertNotIn("orders", str(groups))
        question = self.call(
            self.stranger,
            DELIVERY,
            "action_bulk_question",
            [("id", "=", delivery.id)],
            "retry_now",
        )
        self.assertEqual(0, question["count"])
        self.assertNotIn(self.endpoint.name, question["message"])
        shown = self.call(self.stranger, OVERVIEW, "action_read_overview")
        self.assertNotIn(delivery.name, str(shown))
        for name in ("action_open_failures", "action_retry_failures"):
            with self.subTest(name), self.assertRaises(AccessError):
                arguments = (self.endpoint.id, "http_404")
                self.call(self.stranger, OVERVIEW, name, *arguments)
        for search in (
            [("record_name", "ilike", "Ada")],
            [("record_name", "=", f"res.partner,{self.partner.id}")],
            [("message_ref", "=", delivery.message_uid)],
            [("age_days", "<", 1)],
        ):
            with self.subTest(search):
                count = self.call(self.stranger, DELIVERY, "search_count", search)
                self.assertEqual(0, count)

    def test_a_reference_names_no_delivery_of_another_company(self):
        """Odoo shows the name of a linked record without regard to access."""
        delivery = self.failed()
        vals = {
            "reference_scope": "their-shop",
            "res_model": "res.partner",
            "res_id": self.stranger.partner_id.id,
            "external_id": "R-1",
            "company_id": self.company.id,
        }
        for link in ("create", "write"):
            with self.subTest(link), self.assertRaises(UserError):
                if link == "create":
                    given = {**vals, "last_delivery_id": delivery.id}
                    self.call(self.stranger, EXTERNAL_REF, "create", given)
                ref = self.call(self.stranger, EXTERNAL_REF, "create", vals)
                given = {"last_delivery_id": delivery.id}
                self.call(self.stranger, EXTERNAL_REF, "write", [ref], given)

    def test_who_has_no_role_calls_nothing(self):
        """Portal and internal users get an AccessError, whatever the method."""
        delivery = self.failed()
        for user in (self.portal, self.plain):
            for model, name, *arguments in (
                (OVERVIEW, "action_read_overview"),
                (OVERVIEW, "action_open_failures", self.endpoint.id, "http_404"),
                (OVERVIEW, "action_retry_failures", self.endpoint.id, "http_404"),
                (DELIVERY, "action_bulk_question", [], "cancel"),
                (DELIVERY, "action_bulk_search", [], "cancel"),
                (DELIVERY, "read", delivery.ids, ["record_name"]),
                (ATTEMPT, "read", delivery.attempt_ids.ids, ["response_body"]),
                (EXTERNAL_REF, "search_read", [], ["external_id"]),
                (ANSWER_RULE, "search_read", [], ["name"]),
                (ANSWER_VALUE, "search_read", [], ["target_field"]),
                (HOUR, "search_read", [], ["failed"]),
                (ENDPOINT, "read", self.endpoint.ids, ["body_template"]),
                (ENDPOINT, "read", self.endpoint.ids, ["answer_value_ids"]),
            ):
                with (
                    self.subTest(user=user.login, method=f"{model}.{name}"),
                    self.assertRaises(AccessError),
                ):
                    self.call(user, model, name, *arguments)
        self.assertEqual("dead_letter", delivery.state)

    def test_values_on_their_way_are_in_no_answer(self):
        """Responses are stored in clear until their values are: nobody reads those."""
        attempt = self.failed().attempt_ids
        for name, *arguments in (
            ("read", attempt.ids, ["hook_values"]),
            ("search", [("hook_values", "ilike", "R")]),
            ("search", [], 0, None, "hook_values"),
            ("formatted_read_group", [], ["hook_values"], ["__count"]),
            ("export_data", attempt.ids, ["hook_values"]),
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                self.call(self.operator, ATTEMPT, name, *arguments)

    def test_operators_change_no_answers(self):
        """They read conditions, values and references, and write none of them."""
        self.failed()
        for model in (ANSWER_VALUE, EXTERNAL_REF):
            found = self.env[model].search([], limit=1)
            for name, *arguments in (
                ("write", found.ids, {"company_id": self.env.company.id}),
                ("unlink", found.ids),
                ("create", {}),
                ("copy", found.ids),
            ):
                with self.subTest(f"{model}.{name}"), self.assertRaises(AccessError):
                    self.call(self.operator, model, name, *arguments)

    def test_the_template_keeps_its_reader(self):
        """Nobody removes the limit of a template by naming its field."""
        admin = new_test_user(self.env, "l_admin", ADMINISTRATOR)
        vals = {"request_body_mode": "raw", "body_template": "<a/>"}
        self.call(admin, ENDPOINT, "write", self.endpoint.ids, vals)
        for given in (False, self.env.ref("base.user_admin").id):
            vals = {"body_limited_to_user_id": given}
            self.call(admin, ENDPOINT, "write", self.endpoint.ids, vals)
            self.assertEqual(admin, self.endpoint.body_limited_to_user_id)
        vals = {"body_limited_to_user_id": False, "body_template": "<b/>"}
        self.call(admin, ENDPOINT, "write", self.endpoint.ids, vals)
        self.assertEqual(admin, self.endpoint.body_limited_to_user_id)
        copied = self.call(admin, ENDPOINT, "copy", self.endpoint.ids)
        copied = self.env[ENDPOINT].browse(copied)
        self.assertEqual(admin, copied.body_limited_to_user_id)

    def test_settings_are_for_settings_administrators(self):
        """A webhooks administrator reads no network and no proxy from that page."""
        parameters = self.env["ir.config_parameter"]
        name = "bwt_webhooks_outbound.proxy"
        parameters.set_param(name, "http://u:hidden-pw@proxy.example:3128")
        system = new_test_user(self.env, "l_system", "base.group_system")
        for user in (self.stranger, self.operator, self.plain, self.portal, system):
            with self.subTest(user=user.login):
                try:
                    fields = ["bwt_webhook_proxy", "bwt_webhook_allowed_networks"]
                    found = self.call(user, SETTINGS, "default_get", fields)
                except AccessError:
                    continue
                self.assertNotIn("hidden-pw", str(found))
                if user != system:
                    self.assertNotIn("proxy.example", str(found))
