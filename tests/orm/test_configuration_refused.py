# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Documents and users that an import refuses, with words and without a change."""

import copy
import json

from odoo.exceptions import AccessError
from odoo.service.model import get_public_method
from odoo.tests import new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.exceptions import (
    WebhookProcessingConfigurationError,
)

from ..constants import ENDPOINT, HANDLER
from .configuration_case import ConfigurationCase

REFUSED = WebhookProcessingConfigurationError


@tagged("post_install", "-at_install")
class TestConfigurationRefused(ConfigurationCase):
    def setUp(self):
        super().setUp()
        self.endpoint = self.make_all()
        self.text = self.export()
        self.whole = json.loads(self.text)

    def assertRefused(self, document, *said, **options):
        before = self.export()
        with self.assertRaises(REFUSED) as caught:
            self.load(document, **options)
        for each in said:
            self.assertIn(each, str(caught.exception))
        self.assertEqual(before, self.export())
        return str(caught.exception)

    def changed(self, path, value):
        """The document with another value at a path."""
        document = copy.deepcopy(self.whole)
        *steps, last = path
        place = document
        for step in steps:
            place = place[step]
        place[last] = value
        return document

    def test_not_a_document(self):
        for text, said in (
            ("", "not valid JSON"),
            (self.text[:-200], "truncated"),
            ("[]", "not a configuration"),
            ('{"format": "other"}', "not a configuration"),
            ("[" * 100_000, "nested too deeply"),
            ('{"a": NaN}', "NaN"),
            ('{"a": 1, "a": 2}', '"a" is in one object twice'),
            (b"\xff\xfe", "not UTF-8"),
        ):
            with self.subTest(text=text[:20]):
                self.assertRefused(text, said)

    def test_every_cut_is_refused(self):
        """A file that was cut off is never imported in part."""
        for length in range(0, len(self.text) - 3, len(self.text) // 40):
            self.assertRefused(self.text[:length], "not valid JSON")

    def test_a_newer_version(self):
        document = self.changed(["format_version"], 2)

        self.assertRefused(document, "format version is 2", "Update the addon")
        self.assertRefused(self.changed(["format_version"], "1"), "must be an integer")

    def test_unknown_keys_are_named_together(self):
        document = self.changed(["endpoints", 0, "colour"], "red")
        document["endpoints"][0]["header_rule_ids"][1]["size"] = 1
        document["reports"] = []

        self.assertRefused(
            document,
            "endpoints[0].colour: this key is not known",
            "endpoints[0].header_rule_ids[1].size:",
            "reports:",
        )

    def test_fields_that_are_left_out_can_not_be_imported(self):
        """Otherwise a document could set a secret, a state or another user's rights."""
        for name in ("state", "company_id", "auth_secret", "auth_secret_input", "id"):
            with self.subTest(field=name):
                document = self.changed(["endpoints", 0, name], "active")
                self.assertRefused(document, f"endpoints[0].{name}: this key is not")
        path = ["endpoints", 0, "payload_rule_ids", 0, "limited_to_user_id"]
        self.assertRefused(self.changed(path, False), "is not known")
        path = ["endpoints", 0, "secrets", "auth_secret"]
        self.assertRefused(self.changed(path, "s3cret"), 'only "set" or "not set"')

    def test_wrong_types(self):
        for name, value, said in (
            ("max_in_flight", "7", "an integer"),
            ("max_in_flight", True, "an integer"),
            ("max_in_flight", 2**40, "an integer"),
            ("max_in_flight", None, "an integer"),
            ("rebuild_each_attempt", 1, "true or false"),
            ("name", 5, "a text"),
            ("name", None, "it is empty"),
            ("name", "a\x00b", "a text"),
            ("name", "\ud800", "a text"),
            ("http_method", "fetch", "not one of: post"),
            ("header_rule_ids", {}, "a list"),
            ("header_rule_ids", ["x"], "an object"),
            ("connector_backend_ref", "shop,1", "an object"),
            ("secrets", [], "an object"),
        ):
            with self.subTest(field=name, value=value):
                document = self.changed(["endpoints", 0, name], value)
                self.assertRefused(document, f"endpoints[0].{name}", said)
        self.assertRefused(self.changed(["handlers"], {}), "handlers:", "a list")
        self.assertRefused(self.changed(["handlers"], [1]), "handlers[0]:")

    def test_references_that_do_not_exist_here(self):
        action = ["server_actions", 0]
        value = ["endpoints", 0, "answer_value_ids", 0]
        for path, given, said in (
            (["endpoints", 0, "handler_id"], "gone", "handler gone doesn't exist"),
            (["endpoints", 0, "responsible_id"], "nobody", "user nobody doesn't"),
            ([*value, "target_model"], "x.gone", "model x.gone doesn't exist"),
            ([*value, "target_field"], "x_gone", "has no field x_gone"),
            ([*value, "format_language"], "tlh_TL", "language tlh_TL is not active"),
            ([*action, "model_id"], "x.gone", "model x.gone doesn't exist"),
            ([*action, "bwt_webhook_endpoint_id"], "gone", "endpoint gone doesn't"),
            ([*action, "bwt_webhook_watched_field_ids"], ["x_gone"], "field x_gone"),
            ([*action, "bwt_webhook_skip_user_ids"], ["nobody"], "user nobody"),
            (["handlers", 0, "python_model_name"], "x.gone", "model x.gone"),
        ):
            with self.subTest(path=path):
                place = "".join(
                    f"[{step}]" if isinstance(step, int) else f".{step}"
                    for step in path
                ).lstrip(".")
                self.assertRefused(self.changed(path, given), place, said)
        backend = {"model": "x.gone", "name": "Shop"}
        path = ["endpoints", 0, "connector_backend_ref"]
        self.assertRefused(self.changed(path, backend), "x.gone Shop is not found")

    def test_a_code_of_another_company(self):
        self.assertRefused(
            self.text,
            "endpoints[0].code",
            "used in another company",
            company=self.other,
        )

    def test_two_records_of_one_code(self):
        document = copy.deepcopy(self.whole)
        document["endpoints"] *= 2
        del document["handlers"][0]["code"]

        self.assertRefused(document, "orders is in the list twice", "it needs: code")

    def test_what_saving_refuses_names_its_place(self):
        """One invalid rule at the end, and nothing before it is changed either."""
        document = self.changed(["handlers", 0, "name"], "Changed")
        rule = document["endpoints"][0]["payload_rule_ids"][0]
        rule.update(source_kind="company_field", source_expression="no_such_field")

        for dry_run in (True, False):
            self.assertRefused(
                document, "endpoints[0]:", "no_such_field", dry_run=dry_run
            )

    def test_rights(self):
        """Administrators of webhooks, in their companies; nobody else."""
        for groups in (
            "base.group_user",
            "base.group_user,bwt_webhooks_outbound.group_webhooks_operator",
        ):
            user = new_test_user(self.env, login=groups[-12:], groups=groups)
            with self.subTest(groups=groups), self.assertRaises(AccessError):
                self.env[ENDPOINT].with_user(user).export_configuration()
            with self.subTest(groups=groups), self.assertRaises(AccessError):
                self.env[ENDPOINT].with_user(user).import_configuration(self.text)
        administrator = self.as_administrator(self.other)
        with self.assertRaises(AccessError):
            administrator.export_configuration(self.company)
        with self.assertRaises(AccessError):
            administrator.import_configuration(self.text, company=self.company)
        with self.assertRaises(AccessError):
            self.endpoint.with_env(administrator.env).export_configuration()

    def test_helpers_can_not_be_called_by_rpc(self):
        for name in ("export_configuration", "import_configuration"):
            with self.assertRaises(AccessError):
                get_public_method(self.env[ENDPOINT], name)

    def test_without_settings_rights(self):
        """Server actions and defaults are neither exported nor imported; it says so."""
        endpoints = self.as_administrator()
        exported = json.loads(endpoints.export_configuration(self.company))
        document = self.changed(["endpoints", 0, "note"], "Moved")
        document["server_actions"][0]["bwt_webhook_supersede"] = True
        document["settings"]["timeout_seconds"] = 9

        found = endpoints.import_configuration(
            json.dumps(document), company=self.company, dry_run=False
        )

        self.assertNotIn("server_actions", exported)
        self.assertNotIn("settings", exported)
        self.assertEqual("Moved", self.endpoint.note)
        self.assertFalse(self.action.bwt_webhook_supersede)
        self.assertEqual(2, len(found["warnings"]))
        self.assertNotIn("Send contacts", str(found["records"]))

    def test_paths_read_with_the_rights_of_who_imports(self):
        """A document gives nobody the rights of the user who saved the original."""
        self.take_all(self.endpoint)
        document = copy.deepcopy(self.whole)
        del document["server_actions"]
        del document["endpoints"][0]["answer_value_ids"]  # needs rights on contacts
        endpoints = self.as_administrator()

        endpoints.import_configuration(
            json.dumps(document), company=self.company, dry_run=False
        )

        new = self.env[ENDPOINT].search([("code", "=", "orders")])
        self.assertEqual(endpoints.env.user, new.payload_rule_ids.limited_to_user_id)
        self.assertTrue(self.env[HANDLER].search([("code", "=", "filter")]))
