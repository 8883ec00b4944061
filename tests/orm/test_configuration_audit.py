# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Each saved change of the configuration is one message, with old and new values."""

from odoo import Command
from odoo.tests import tagged

from .configuration_case import ConfigurationCase


@tagged("post_install", "-at_install")
class TestConfigurationAudit(ConfigurationCase):
    def setUp(self):
        super().setUp()
        self.endpoint = self.make_all()
        self.handler = self.endpoint.handler_id

    def messages(self, change, record=None):
        """Messages that a change adds to the endpoint, or to another record."""
        record = record or self.endpoint
        before = record.message_ids
        change()
        self.env.flush_all()
        self.env.cr.precommit.run()
        record.invalidate_recordset(["message_ids"])
        return record.message_ids - before

    def values(self, message, user=None):
        """What the chatter shows: (field, old, new) of each change."""
        shown = message.sudo().tracking_value_ids
        shown = shown._filter_has_field_access(self.env(user=user or self.env.user))
        return [
            (each["fieldInfo"]["changedField"], each["oldValue"], each["newValue"])
            for each in shown._tracking_value_format()
        ]

    def test_a_save_is_one_message(self):
        """All fields and rules of one form are in it, not a message per field."""
        rule = self.endpoint.header_rule_ids[0]
        vals = {
            "target_path": "/new",
            "http_method": "put",
            "max_in_flight": 3,
            "rebuild_each_attempt": True,
            "handler_id": False,
            "header_rule_ids": [
                Command.update(rule.id, {"literal_value": "new"}),
                Command.create({"header_name": "X-New", "literal_value": "n"}),
            ],
        }

        message = self.messages(lambda: self.endpoint.write(vals))

        self.assertEqual(1, len(message))
        self.assertEqual(self.env.user.partner_id, message.author_id)
        found = self.values(message)
        self.assertEqual(7, len(found))
        for expected in (
            ("Target Path", "/orders/{order_id}", "/new"),
            ("HTTP Method", "POST", "PUT"),
            ("Max In Flight", 16, 3),
            ("Handler", "filter", ""),
        ):
            with self.subTest(field=expected[0]):
                self.assertIn(expected, found)
        rules = [each[1:] for each in found if each[0] == "Header Rule"]
        self.assertIn(
            ("X-Source: Literal Value: odoo", "X-Source: Literal Value: new"), rules
        )

    def test_a_save_without_a_change_is_no_message(self):
        change = {"name": self.endpoint.name, "target_path": "/orders/{order_id}"}

        self.assertFalse(self.messages(lambda: self.endpoint.write(change)))

    def test_a_change_of_a_rule_alone_is_a_message_on_its_endpoint(self):
        rule = self.endpoint.payload_rule_ids[0]

        changed = self.messages(lambda: rule.write({"literal_value": "invoice"}))
        removed = self.messages(rule.unlink)

        self.assertIn(
            ("Payload Rule", "kind: Literal Value: order")
            + ("kind: Literal Value: invoice",),
            self.values(changed),
        )
        self.assertEqual("", self.values(removed)[0][2])

    def test_a_condition_is_a_message_on_its_handler(self):
        condition = self.handler.outbound_rule_ids.condition_ids

        message = self.messages(
            lambda: condition.write({"expected_value": "99"}), self.handler
        )

        [(field, old, new)] = self.values(message)
        self.assertEqual("Rules", field)
        self.assertIn("Small orders", old)
        self.assertTrue(old.endswith(": 10") and new.endswith(": 99"), (old, new))

    def test_secrets_are_named_and_never_shown(self):
        message = self.messages(
            lambda: self.endpoint.write(
                {"auth_mode": "bearer", "auth_secret_input": "planted-secret"}
            )
        )
        rule = self.endpoint.header_rule_ids[0]
        rule.write({"header_name": "X-Api-Key"})
        masked = self.messages(lambda: rule.write({"literal_value": "planted-key"}))

        self.assertEqual(1, len(message))
        self.assertIn("Secret: changed", message.body)
        everything = (message | masked | self.endpoint.message_ids).sudo()
        shown = str(everything.read(["body"]) + everything.tracking_value_ids.read())
        self.assertNotIn("planted", shown)
        self.assertEqual(1, len(masked.sudo().tracking_value_ids))

    def test_server_action_is_recorded_for_settings_administrators(self):
        """Others may not read server actions: they see only that it was changed."""
        line = self.action.bwt_webhook_rule_ids

        message = self.messages(
            lambda: self.action.write(
                {
                    "bwt_webhook_supersede": True,
                    "bwt_webhook_rule_ids": [Command.update(line.id, {"target": "n"})],
                }
            )
        )
        alone = self.messages(lambda: line.write({"source_expression": "email"}))

        self.assertEqual((1, 1), (len(message), len(alone)))
        self.assertIn("Send contacts", message.body)
        self.assertEqual(2, len(self.values(message)))
        administrator = self.as_administrator().env.user
        self.assertFalse(self.values(message, administrator))

    def test_no_context_switches_it_off(self):
        """A caller could hide a change from others otherwise."""
        endpoint = self.endpoint.with_context(
            tracking_disable=True, mail_notrack=True, mail_create_nolog=True
        )

        message = self.messages(lambda: endpoint.write({"target_path": "/hidden"}))

        self.assertEqual(1, len(self.values(message)))

    def test_state_and_pause_are_recorded(self):
        self.assertTrue(self.values(self.messages(self.endpoint.action_pause)))
        self.assertTrue(self.values(self.messages(self.endpoint.action_archive)))

    def test_a_failed_save_leaves_no_trace(self):
        """The next save is recorded by itself."""
        with self.assertRaises(ValueError):
            self.endpoint.write({"http_method": "nonsense"})

        message = self.messages(lambda: self.endpoint.write({"note": "N"}))

        self.assertEqual(1, len(self.values(message)))
