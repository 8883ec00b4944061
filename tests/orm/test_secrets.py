# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets go in and never come out."""

import base64
import json
import secrets as random_secrets

from odoo.exceptions import AccessError, UserError
from odoo.modules.neutralize import get_neutralization_queries

from ..constants import TOKEN
from ..receiver import echo
from .trust_case import TrustCase

COLUMNS = ("auth_secret", "signing_secret", "old_secret", "client_certificate")
INPUTS = ("auth_secret_input", "signing_secret_input", "client_certificate_input")


def _ways(endpoint, name):
    """Calls that would disclose a column's value, or let a user guess it."""
    deliveries = endpoint.outbound_delivery_ids
    return (
        lambda: endpoint.read([name]),
        lambda: endpoint.web_read({name: {}}),
        lambda: endpoint.web_search_read([], {name: {}}),
        lambda: endpoint.search([(name, "=like", "a%")]),
        lambda: endpoint.search([(name, "!=", False)]),
        lambda: endpoint.search([], order=name),
        lambda: endpoint.filtered_domain([(name, "=like", "a%")]),
        lambda: endpoint.formatted_read_group([], [name], ["__count"]),
        lambda: endpoint.formatted_read_group([], [], [f"{name}:max"]),
        lambda: endpoint.export_data([name]),
        lambda: endpoint.mapped(name),
        lambda: endpoint.write({name: "x"}),
        lambda: deliveries.search([(f"endpoint_id.{name}", "=like", "a%")]),
        lambda: deliveries.search([("endpoint_id", "any", [(name, "!=", False)])]),
        lambda: deliveries.search([], order=f"endpoint_id.{name}"),
    )


class TestSecrets(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.secret = f"auth-{random_secrets.token_hex(8)}"
        cls.key = f"sign-{random_secrets.token_hex(8)}"
        cls.endpoint.write(
            {
                "auth_mode": "basic",
                "auth_user": "ada",
                "auth_secret_input": cls.secret,
                "signing_mode": "hmac",
                "signing_secret_input": cls.key,
            }
        )
        cls.env[TOKEN]._keep(cls.endpoint.id, value="a-t0ken-in-force")

    def as_user(self, kind):
        return self.endpoint.with_user(self.user(kind)).with_context(lang=None)

    def assertHidden(self, value):
        text = json.dumps(value, default=str)
        for secret in (self.secret, self.key, "a-t0ken-in-force"):
            self.assertNotIn(secret, text)

    def test_no_way_out_for_anyone(self):
        """Not for an administrator either: each way to a column is refused."""
        for kind in ("operator", "administrator"):
            endpoint = self.as_user(kind)
            for name in COLUMNS:
                self.assertNotIn(name, endpoint.fields_get())
                for number, way in enumerate(_ways(endpoint, name)):
                    with self.subTest(kind=kind, name=name, way=number):
                        self.assertTrue(self._is_refused(way))

    def _is_refused(self, way):
        try:
            with self.env.cr.savepoint():
                way()
        except (AccessError, UserError, ValueError):
            return True
        return False

    def test_what_is_read_contains_no_secret(self):
        """All that an administrator may read together, messages and copy included."""
        endpoint = self.as_user("administrator")
        endpoint.env.user.sudo().group_ids += self.env.ref("base.group_allow_export")
        readable = list(endpoint.fields_get())

        self.assertHidden(endpoint.read(readable))
        self.assertHidden(endpoint.export_data(readable))
        self.assertHidden(endpoint.copy_data())
        self.assertHidden(endpoint.message_ids.read(["body", "subject"]))
        self.assertHidden(endpoint.sudo().message_ids.tracking_value_ids.read())
        copied = endpoint.copy().sudo()
        self.assertEqual([False] * 4, [copied[name] for name in COLUMNS])
        self.assertTrue(endpoint.has_auth_secret)

    def test_the_response_to_a_save_contains_no_secret(self):
        """The web client reads back what it wrote: the inputs come back empty."""
        endpoint = self.as_user("administrator")
        specification = {name: {} for name in (*INPUTS, "has_auth_secret")}

        [saved] = endpoint.web_save({"auth_secret_input": "n3w one"}, specification)

        self.assertEqual("n3w one", self.endpoint.sudo().auth_secret)
        self.assertEqual([False] * 3, [saved[name] for name in INPUTS])
        [created] = endpoint.browse().web_save(
            {
                "name": "Other",
                "code": "other",
                "target_hostname": "https://x.example.com",
                "auth_mode": "bearer",
                "auth_secret_input": "s3cond",
            },
            specification,
        )
        self.assertEqual([False] * 3, [created[name] for name in INPUTS])
        self.assertTrue(created["has_auth_secret"])

    def test_an_operator_can_not_write_inputs(self):
        """Nor see them: they are fields of the administrators."""
        endpoint = self.as_user("operator")

        for name in INPUTS:
            with self.assertRaises(AccessError), self.env.cr.savepoint():
                endpoint.write({name: "x" * 9})
            self.assertNotIn(name, endpoint.fields_get())
        with self.assertRaises(AccessError):
            endpoint.action_generate_secret()
        with self.assertRaises(AccessError):
            endpoint._generate_secret(1)

    def test_forms_of_operators_have_no_input(self):
        """The view that the server sends has no place for a secret."""
        view = self.as_user("operator").get_view(view_type="form")

        for name in (*INPUTS, *COLUMNS):
            self.assertNotIn(f'<field name="{name}"', view["arch"])

    def test_no_rule_reads_a_secret(self):
        """What is sent is on the attempt, which operators read."""
        for name in COLUMNS:
            with self.refused("limited to groups"), self.env.cr.savepoint():
                self.rule("a", kind="endpoint_field", expression=name)
        with self.refused("limited to groups|has no field"):
            self.rule("a", kind="endpoint_field", expression="auth_secret_input")

    def test_masked_in_attempts_responses_and_notes(self):
        """Even when the payload holds it, and the receiver sends all of it back."""
        self.receiver.script("/orders", echo())
        basic = base64.b64encode(f"ada:{self.secret}".encode()).decode()

        delivery = self.process(
            {"own": self.secret, "key": self.key, "header": f"Basic {basic}"}
        )

        self.assertEqual("done", delivery.state)
        attempt = delivery.attempt_ids
        self.assertHidden(attempt.read())
        self.assertNotIn(basic, json.dumps(attempt.read(), default=str))
        self.assertHidden(
            delivery.read(["response_body", "processing_note", "processing_error"])
        )
        headers = json.loads(attempt.request_headers_json)
        self.assertEqual("***", headers["Authorization"])
        self.assertEqual("***", headers["X-Hub-Signature-256"])
        sent = {"own": "***", "key": "***", "header": "Basic ***"}
        self.assertEqual(sent, json.loads(attempt.payload_json))
        self.assertEqual(sent, json.loads(delivery.response_body))

    def test_masked_when_a_hook_quotes_it(self):
        """A handler's note goes through the same mask."""
        handler = self.handler(
            {"result_status": "dead_letter", "note": f"token {self.secret} is bad"}
        )
        self.assertTrue(handler)

        delivery = self.process({"a": 1})

        self.assertEqual("token *** is bad", delivery.processing_error)
        self.assertHidden(delivery.attempt_ids.read())

    def test_not_in_any_other_column(self):
        """The whole database, column by column, after deliveries were sent."""
        self.receiver.script("/orders", echo())
        self.process({"a": 1})
        self.env.flush_all()
        self.env.cr.execute(
            """SELECT table_name, column_name FROM information_schema.columns
            JOIN information_schema.tables USING (table_schema, table_name)
            WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
            AND data_type IN ('text', 'character varying', 'jsonb', 'json')"""
        )
        found = set()
        for table, column in self.env.cr.fetchall():
            self.env.cr.execute(
                f"""SELECT 1 FROM "{table}"
                WHERE "{column}"::text LIKE ANY(%s) LIMIT 1""",
                [[f"%{secret}%" for secret in (self.secret, self.key)]],
            )
            if self.env.cr.fetchone():
                found.add((table, column))

        self.assertEqual(
            {
                ("bwt_webhook_outbound_endpoint", "auth_secret"),
                ("bwt_webhook_outbound_endpoint", "signing_secret"),
            },
            found,
        )

    def test_a_generated_secret_is_shown_once_and_stored_nowhere_else(self):
        """It is in the response to the button, and the dialog has no column for it."""
        self.endpoint.signing_mode = "standard"

        shown = self.generate()

        self.assertTrue(shown.startswith("whsec_"))
        self.assertEqual(shown, self.endpoint.sudo().signing_secret)
        self.env.cr.execute("SELECT * FROM bwt_webhook_outbound_secret")
        self.assertNotIn(shown, str(self.env.cr.fetchall()))
        action = self.endpoint.action_generate_secret()
        self.assertNotIn("default_secret", action["context"])

    def test_a_neutralized_copy_contains_no_secret_and_sends_nothing(self):
        """The statements of Odoo's own `neutralize` for this addon."""
        delivery = self.deliver({"a": 1}).sudo()
        self.env.flush_all()

        for query in get_neutralization_queries(["bwt_webhooks_outbound"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()

        endpoint = self.endpoint.sudo()
        self.assertEqual([False] * 4, [endpoint[name] for name in COLUMNS])
        self.assertEqual("draft", endpoint.state)
        self.assertFalse(self.env[TOKEN]._row(endpoint.id).value)
        with self.refused("in state Draft|draft"):
            delivery.process_delivery()
        with self.refused("no secret yet"):
            endpoint.action_activate()
        self.assertEqual(0, self.receiver.total)
