# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Export and import of configuration: round trip, difference, apply."""

import json

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.models.configuration_document import (
    PARENTS,
    SECTIONS,
    document_fields,
    export_value,
    why_left_out,
)

from ..constants import ENDPOINT, HANDLER
from .configuration_case import ConfigurationCase

SECRETS = ("auth_secret", "signing_secret", "client_certificate")


@tagged("post_install", "-at_install")
class TestConfiguration(ConfigurationCase):
    # Export

    def test_export_import_export_is_equal(self):
        """What is moved is what was there, also into another, empty company."""
        endpoint = self.make_all()
        text = self.export()
        self.take_all(endpoint)

        self.load(text, self.other)

        self.assertEqual(json.loads(text), json.loads(self.export(self.other)))
        self.assertEqual(text, self.export(self.other))

    def test_every_field_is_exported_or_has_a_reason(self):
        """A new field can't be forgotten: it is in the document by itself.

        A field of a type that can't be exported fails here, until it is named with the
        reason why it isn't part of the configuration.
        """
        for model_name in (*SECTIONS.values(), *PARENTS):
            model = self.env[model_name]
            values, parts = document_fields(model)
            for name in values:
                with self.subTest(model=model_name, field=name):
                    export_value(model.new({}), name)
            for name in parts:
                with self.subTest(model=model_name, field=name):
                    self.assertIn(model._fields[name].comodel_name, PARENTS)
            reasons = {name: why_left_out(model, name) for name in model._fields}
            left_out = {name for name, reason in reasons.items() if reason}
            self.assertEqual(set(model._fields), {*values, *parts, *left_out})

    def test_what_moves_is_what_shapes_requests(self):
        """The fields that a request is built from are in the document, by name."""
        values, parts = document_fields(self.env[ENDPOINT])

        self.assertLessEqual(
            {"code", "name", "target_hostname", "target_path", "auth_mode"}
            | {"signing_mode", "retry_schedule", "ordering", "handler_id", "note"}
            | {"body_template", "connector_backend_ref", "code_suffix"},
            set(values),
        )
        self.assertEqual(
            ["answer_rule_ids", "answer_value_ids"]
            + ["header_rule_ids", "payload_rule_ids"],
            parts,
        )

    def test_no_secret_and_no_id_is_in_the_document(self):
        """Secrets are listed as set or not set; credentials in headers are masked."""
        endpoint = self.make_all()
        endpoint.write(
            {
                "auth_mode": "bearer",
                "auth_secret_input": "planted-secret-1",
                "signing_mode": "hmac",
                "hmac_header_name": "X-Sig",
                "signing_secret_input": "planted-secret-2" * 3,
                "header_rule_ids": [
                    (
                        *(0, 0),
                        {"header_name": "X-Api-Key", "literal_value": "planted-3"},
                    )
                ],
            }
        )
        endpoint.handler_id.outbound_rule_ids.assignment_ids.write(
            {"target_expression": "Authorization", "literal_value": "planted-4"}
        )

        text = self.export()

        self.assertNotIn("planted", text)
        [found] = json.loads(text)["endpoints"]
        self.assertEqual(
            dict(zip(SECRETS, ("set", "set", "not set"), strict=True)), found["secrets"]
        )
        for key in ('"id":', "limited_to_user_id", "company_id", '"state"'):
            self.assertNotIn(key, text)

    def test_selected_endpoints_bring_what_they_use(self):
        """The document of one endpoint has its handler and its server actions only."""
        endpoint = self.make_all()
        endpoint.copy({"code": "second", "name": "Second"})

        document = json.loads(endpoint.export_configuration())

        codes = {
            section: [each.get("code", each["name"]) for each in document[section]]
            for section in SECTIONS
        }
        expected = {"handlers": ["filter"], "endpoints": ["orders"]}
        self.assertEqual(expected | {"server_actions": ["Send contacts"]}, codes)
        self.assertNotIn("settings", document)
        self.load(json.dumps(document))
        self.assertEqual("selection", document["scope"])

    # Import

    def test_import_of_what_is_there_changes_nothing(self):
        endpoint = self.make_all()
        version = endpoint.config_version
        messages = endpoint.message_ids

        found = self.load(self.export(), delete=True)

        self.assertEqual({"unchanged"}, set(self.statuses(found).values()))
        self.assertFalse(found["settings"])
        self.assertEqual(version, endpoint.config_version)
        self.assertEqual(messages, endpoint.message_ids)

    def test_new_endpoints_arrive_in_draft_and_say_what_is_missing(self):
        endpoint = self.make_all()
        endpoint.write({"auth_mode": "bearer", "auth_secret_input": "planted-secret"})
        text = self.export()
        self.take_all(endpoint)

        found = self.load(text)

        new = self.env[ENDPOINT].search([("code", "=", "orders")])
        self.assertEqual("draft", new.state)
        self.assertFalse(new.has_auth_secret)
        [entry] = [each for each in found["records"] if each["record"] == "orders"]
        self.assertEqual("new", entry["status"])
        self.assertIn("Enter here, the document has none: Secret", entry["notes"])
        self.assertIn("document has none: Secret", str(new.message_ids.mapped("body")))

    def test_existing_secrets_and_states_stay(self):
        endpoint = self.make_all()
        endpoint.write({"auth_mode": "bearer", "auth_secret_input": "planted-secret"})
        document = self.document()
        document["endpoints"][0]["target_path"] = "/other"

        self.load(document)

        self.assertEqual("/other", endpoint.target_path)
        self.assertEqual("active", endpoint.state)
        self.assertEqual("planted-secret", endpoint.sudo().auth_secret)

    def test_secrets_that_are_removed_are_said_before(self):
        """Another host or authentication removes them, as when it is saved by hand."""
        endpoint = self.make_all()
        endpoint.write({"auth_mode": "bearer", "auth_secret_input": "planted-secret"})
        for name, value in (
            ("target_hostname", "https://other.example.com"),
            ("auth_mode", "none"),
        ):
            document = self.document()
            document["endpoints"][0][name] = value

            found = self.load(document, dry_run=True)

            self.assertIn("are removed", str(found["records"]), name)
        self.assertNotIn("are removed", str(self.load(self.document())["records"]))

    def test_a_masked_header_keeps_its_value(self):
        """*** in the document means: as it is here; a new one is named."""
        endpoint = self.make_all()
        rule = endpoint.header_rule_ids[0]
        rule.write({"header_name": "X-Api-Key", "literal_value": "planted"})
        document = self.document()
        document["endpoints"][0]["header_rule_ids"][0]["if_empty"] = "null"

        self.load(document)

        self.assertEqual(("planted", "null"), (rule.literal_value, rule.if_empty))
        self.take_all(endpoint)
        found = self.load(document)
        self.assertIn("value of header X-Api-Key", str(found))

    def test_nothing_is_deleted_unless_chosen(self):
        endpoint = self.make_all()
        document = self.document()
        del document["endpoints"][0]["header_rule_ids"][1]
        del document["server_actions"][0]
        more = endpoint.copy({"code": "more", "name": "More"})

        kept = self.load(document)
        rules, action = endpoint.header_rule_ids, self.action.exists()
        gone = self.load(document, delete=True)
        after = self.load(document, delete=True)

        self.assertEqual("only_here", self.statuses(kept)["more"])
        self.assertEqual(2, len(rules))
        self.assertTrue(action)
        self.assertEqual("only_here", self.statuses(gone)["more"])
        self.assertEqual(1, len(endpoint.header_rule_ids))
        self.assertFalse(self.action.exists())
        self.assertEqual("archived", more.state)
        self.assertEqual({"unchanged"}, set(self.statuses(after).values()))

    def test_a_selection_removes_no_other_record(self):
        """A document of some endpoints says nothing about the others."""
        endpoint = self.make_all()
        more = endpoint.copy({"code": "more", "name": "More"})
        text = endpoint.export_configuration()

        found = self.load(text, delete=True)

        self.assertNotIn("more", self.statuses(found))
        self.assertEqual("active", more.state)

    def test_a_dry_run_changes_nothing(self):
        endpoint = self.make_all()
        document = self.document()
        document["endpoints"][0]["target_hostname"] = "https://new.example.com"
        document["handlers"].append({"code": "new", "name": "New"})
        before = endpoint.message_ids

        found = self.load(document, dry_run=True)

        self.assertEqual("new", self.statuses(found)["new"])
        self.assertEqual("https://shop.example.com", endpoint.target_hostname)
        self.assertFalse(self.env[HANDLER].search([("code", "=", "new")]))
        self.assertEqual(before, endpoint.message_ids)

    def test_rules_get_the_order_of_the_document(self):
        """Their order decides which of two wins, so it is part of the difference."""
        endpoint = self.make_all()
        document = self.document()
        rules = document["endpoints"][0]["header_rule_ids"]
        rules.reverse()
        rules.insert(1, {"header_name": "X-New", "literal_value": "n"})

        found = self.load(document)

        names = ["X-Total", "X-New", "X-Source"]
        ordered = endpoint.header_rule_ids.sorted(lambda each: (each.sequence, each.id))
        self.assertEqual(names, ordered.mapped("header_name"))
        paths = [path for path, _old, _new in self.changes(found)["orders"]]
        self.assertEqual(["header_rule_ids[X-New]", "header_rule_ids"], paths)
        self.assertEqual(
            rules[0], self.document()["endpoints"][0]["header_rule_ids"][0]
        )

    def test_ten_changes_by_hand_are_shown_exactly(self):
        """Each with its record, field, old and new value, and nothing else."""
        self.make_all()
        document = self.document()
        [handler], [endpoint] = document["handlers"], document["endpoints"]
        [action] = document["server_actions"]
        endpoint["target_path"] = "/v2/orders/{order_id}"
        endpoint["max_in_flight"] = 7
        endpoint["rebuild_each_attempt"] = True
        endpoint["note"] = "Moved"
        endpoint["header_rule_ids"][0]["literal_value"] = "odoo-19"
        del endpoint["payload_rule_ids"][0]
        endpoint["answer_rule_ids"][0]["outcome"] = "dead_letter"
        small = handler["outbound_rule_ids"][0]
        small["condition_ids"][0]["expected_value"] = "20"
        new = {"target": "contact.city", "source_expression": "city"}
        action["bwt_webhook_rule_ids"].append(new)
        document["settings"]["timeout_seconds"] = 25
        before = self.document()["endpoints"][0]

        found = self.load(document)

        changed = self.changes(found)
        [filter_change] = changed.pop("filter")
        rule = "outbound_rule_ids[Small orders]"
        self.assertEqual(
            (f"{rule}.condition_ids[context_key total].expected_value", "10", "20"),
            filter_change,
        )
        [(path, old, added)] = changed.pop("Send contacts res.partner")
        self.assertEqual("bwt_webhook_rule_ids[contact.city]", path)
        self.assertEqual((None, new), (old, added))
        removed = before["payload_rule_ids"][0]
        self.assertEqual(
            [
                ("max_in_flight", before["max_in_flight"], 7),
                ("note", None, "Moved"),
                ("rebuild_each_attempt", False, True),
                ("target_path", "/orders/{order_id}", "/v2/orders/{order_id}"),
                ("answer_rule_ids[409].outcome", "done", "dead_letter"),
                ("header_rule_ids[X-Source].literal_value", "odoo", "odoo-19"),
                ("payload_rule_ids[kind]", removed, None),
            ],
            changed.pop("orders"),
        )
        self.assertFalse(changed)
        self.assertEqual({"timeout_seconds": {"old": 30, "new": 25}}, found["settings"])
        again = self.load(document)
        self.assertEqual(["payload_rule_ids[kind]"], self.paths(again))

    def paths(self, found):
        return [
            path
            for changes in self.changes(found).values()
            for path, _old, _new in changes
        ]
