# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The recipes of the cookbook do what the text around them says."""

import base64
import json
import re
from datetime import timedelta
from unittest import skipUnless

from lxml import etree

from odoo import fields
from odoo.tests import Form, tagged

from odoo.addons.bwt_webhooks_outbound.services.signing import (
    standard_webhooks_headers,
)

from ..constants import ACTION_FILE, DELIVERY, ENDPOINT
from .common import OutboundCase
from .request_case import need_test_addon
from .test_documented_samples import ROOT, samples_of

try:
    from ..token_server import TokenServer
except ImportError:
    TokenServer = None

PAGE = "docs/cookbook.md"
# A PNG of one pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
SECTION = re.compile(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@tagged("post_install", "-at_install")
class TestCookbook(OutboundCase):
    """Each test fills in the form as its recipe says, and sends."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        text = (ROOT / PAGE).read_text()
        cls.sections = dict(SECTION.findall(text))
        cls.samples = {each.heading: each.text for each in samples_of(PAGE)}

    def cells(self, heading):
        """The rows of the first table of a recipe, without its head."""
        lines = [
            line for line in self.sections[heading].splitlines() if line[:2] == "| "
        ]
        return [
            [cell.strip(" `") for cell in line[1:-1].split("|")] for line in lines[2:]
        ]

    def block(self, heading, language):
        """The text of the block in this language."""
        pattern = rf"^```{language}\n(.*?)\n```"
        return re.search(
            pattern, self.sections[heading], re.MULTILINE | re.DOTALL
        ).group(1)

    def cook(self, heading, **known):
        """An endpoint whose form is filled in as the recipe says.

        known: values for this test's receiver, by field
        """
        with Form(self.env[ENDPOINT]) as form:
            form.name = "Cookbook"
            form.code = "cookbook"
            form.target_hostname = self.receiver.url
            for label, value in self.cells(heading):
                name, value = self.meant(label, value)
                form[name] = known.get(name, value)
        return form.record

    def meant(self, label, value):
        """Name and value of a field of the form from what its user sees."""
        known = self.env[ENDPOINT]._fields
        found = {
            field.string: field
            for field in known.values()
            if not field.compute or field.name.endswith("_input")
        }
        if label not in found:  # the form names one field by what it is for
            arch = self.env[ENDPOINT].get_view(view_type="form")["arch"]
            [node] = etree.fromstring(arch).xpath(
                "//field[@string=$label]", label=label
            )
            found[label] = known[node.get("name")]
        field = found[label]
        if field.type == "selection":
            choices = field._description_selection(self.env)
            [value] = [key for key, shown in choices if shown == value]
        elif field.type == "integer":
            value = int(value)
        elif field.type == "boolean":
            value = value == "yes"
        return field.name, value

    def run_sample(self, heading):
        """Run the code of a recipe, and send what it queued."""
        before = self.env[DELIVERY].search([])
        code = compile(self.samples[heading], f"<{heading}>", "exec")
        exec(code, {"env": self.env})
        new = (self.env[DELIVERY].search([]) - before).sorted("queue_number")
        soon = fields.Datetime.now() + timedelta(minutes=1)
        new.filtered(lambda each: each.next_attempt_at < soon).process_delivery()
        return new

    def sent(self, endpoint, payload=None):
        """The request that arrives for a delivery of the endpoint."""
        delivery = endpoint.queue_delivery(payload or {"number": "S00042"})
        delivery.process_delivery()
        self.assertEqual("done", delivery.state, delivery.processing_error)
        return self.receiver.requests[-1]

    def test_every_recipe_with_a_sample_is_run(self):
        """A recipe that is added gets a test."""
        source = open(__file__).read()
        for heading in self.samples:
            self.assertIn(f'"{heading}"', source)
        for heading, text in self.sections.items():
            if "| Field" in text:
                self.assertIn(f'"{heading}"', source)

    def test_order(self):
        """The second delivery of a key waits for the first."""
        self.cook("Send in order")
        deliveries = self.run_sample("Send in order")

        self.assertEqual(["done", "done"], deliveries.mapped("state"))
        steps = [each.json()["step"] for each in self.receiver.requests]
        self.assertEqual(["create", "update"], steps)

    def test_latest_value(self):
        """Only the last quantity arrives; the others say what superseded them."""
        self.make_endpoint("cookbook", target_path="/")
        heading = "Send only the latest value"
        deliveries = self.run_sample(heading)

        self.assertEqual(["canceled", "canceled", "done"], deliveries.mapped("state"))
        expected = json.loads(self.block(heading, "json"))
        self.assertEqual([expected], [each.json() for each in self.receiver.requests])
        self.assertIn(deliveries[-1].name, deliveries[0].processing_note)

    def test_settle_window(self):
        """The form takes the window; in code, the last quantity waits for its own."""
        heading = "Wait until a record settles"
        endpoint = self.cook(heading)
        window = endpoint.settle_seconds, endpoint.settle_max_seconds
        self.assertEqual((30, 300), window)
        deliveries = self.run_sample(heading)

        self.assertEqual(["canceled", "canceled", "done"], deliveries.mapped("state"))
        expected = json.loads(self.block(heading, "json"))
        self.assertEqual([expected], [each.json() for each in self.receiver.requests])

    def test_retry_policies(self):
        """Each row is accepted, and the form describes it like this."""
        rows = self.cells("Choose a retry policy")
        self.assertGreaterEqual(len(rows), 4)
        default = self.env[ENDPOINT].new({})
        self.assertEqual(
            [default.retry_schedule, default.retry_on_status, "10"], rows[0][1:4]
        )
        for number, (_what, schedule, statuses, threshold, description) in enumerate(
            rows
        ):
            endpoint = self.make_endpoint(
                f"policy-{number}",
                retry_schedule=schedule,
                retry_on_status=statuses,
                circuit_threshold=int(threshold),
            )
            self.assertEqual(description, endpoint.retry_description)

    def test_rate_limit(self):
        """The fields fit together."""
        endpoint = self.cook("Limit the rate")

        self.assertEqual((60, "minute"), (endpoint.rate_limit, endpoint.rate_period))

    def test_token(self):
        """The header is the one that the recipe shows."""
        heading = "Authenticate with a token or key"
        request = self.sent(self.cook(heading))

        name, _colon, value = self.block(heading, "http").partition(": ")
        self.assertEqual(value, request.header(name))

    @skipUnless(TokenServer, "needs authlib")
    def test_oauth2(self):
        """The token server's token is sent."""
        heading = "Authenticate with OAuth2"
        values = dict(self.cells(heading))
        tokens = TokenServer(values["Client ID"], values["Client Secret"])
        self.receiver.script("/token", tokens.response)
        self.receiver.script("/", tokens.guard)
        url = f"{self.receiver.url}/token"
        request = self.sent(self.cook(heading, oauth_token_url=url))

        [token] = tokens.issued
        self.assertEqual(f"Bearer {token}", request.header("Authorization"))

    def test_standard_webhooks(self):
        """The shown headers are valid, and such are sent."""
        heading = "Sign by Standard Webhooks"
        secret = dict(self.cells(heading))["Signing Secret"]
        shown = dict(
            line.split(": ", 1) for line in self.block(heading, "http").splitlines()
        )
        body = re.search(r"for the body `(.*)`", self.sections[heading]).group(1)

        self.assertEqual(
            shown,
            standard_webhooks_headers(
                [secret], shown["webhook-id"], shown["webhook-timestamp"], body
            ),
        )
        request = self.sent(self.cook(heading))
        for name in shown:
            self.assertTrue(request.header(name), name)

    def test_github(self):
        """The signature is that of the example in GitHub's documentation."""
        heading = "Sign as GitHub does"
        endpoint = self.cook(heading)
        endpoint.request_body_mode = "raw"
        request = self.sent(endpoint, "Hello, World!")

        name, _colon, value = self.block(heading, "http").partition(": ")
        self.assertEqual(b"Hello, World!", request.body)
        self.assertEqual(value, request.header(name))

    def test_shopify(self):
        """The header has the base64 text of 32 bytes and no prefix."""
        request = self.sent(self.cook("Sign as Shopify does"))

        self.assertRegex(request.header("X-Shopify-Hmac-Sha256"), r"^[\w+/]{43}=$")

    def test_values_of_the_record(self):
        """Path and header have the values, encoded."""
        heading = "Values of the record in path and headers"
        self.cook(heading)
        self.run_sample(heading)

        [request] = self.receiver.requests
        self.assertEqual("PUT", request.method)
        self.assertEqual("azure@example.com", request.header("X-Customer"))
        self.assertIn(f"`{request.path}`", self.sections[heading])

    def test_pdf(self):
        """The file arrives with its bytes and its type."""
        self.cook("Send a PDF")
        self.run_sample("Send a PDF")

        [request] = self.receiver.requests
        for part in (b"%PDF-1.4", b"application/pdf", b'filename="terms.pdf"'):
            self.assertIn(part, request.body)

    def file_lines(self, heading):
        """Values of the file lines that the tables of a recipe describe."""
        fields_ = self.env[ACTION_FILE]._fields
        by_label = {field.string: field for field in fields_.values()}
        lines = []
        for line in self.sections[heading].splitlines():
            if not line.startswith("   | ") or line.startswith("   | -"):
                continue
            label, value = (cell.strip(" `") for cell in line.strip(" |").split("|"))
            if label == "Files":
                lines.append({})
                continue
            field = by_label[label]
            if field.type == "selection":
                value = {shown: key for key, shown in field.selection}[value]
            lines[-1][field.name] = value
        return lines

    def test_files_of_a_record(self):
        """The PDF arrives as a part, and in JSON as the recipe shows."""
        heading = "Send the files of a record"
        as_parts, as_base64 = self.file_lines(heading)
        partner = self.env["res.partner"].create({"name": "Azure"})
        file = {"name": "terms.pdf", "raw": b"%PDF-1.4"}
        about = {"res_model": partner._name, "res_id": partner.id}
        self.env["ir.attachment"].create(file | about)
        endpoint = self.cook(heading)
        action = self.automation(
            endpoint, "on_create_or_write", bwt_webhook_file_ids=[(0, 0, as_parts)]
        )

        partner.name = "Azure Interior"
        self.about(partner).process_delivery()
        [request] = self.receiver.requests
        for part in (
            b'name="document"; filename="Azure Interior-1.pdf"',
            b"Content-Type: application/pdf",
            b"%PDF-1.4",
        ):
            self.assertIn(part, request.body)

        action.bwt_webhook_file_ids = [(5, 0, 0)]
        endpoint.request_body_mode = "json"
        action.bwt_webhook_file_ids = [(0, 0, as_base64)]
        action.bwt_webhook_each_time = True
        partner.name = "Azure"
        self.about(partner)[1:].process_delivery()
        found = self.receiver.requests[-1].json()
        shown = json.loads(self.block(heading, "json"))
        self.assertEqual(shown["documents"], found["documents"])

    def test_pdf_of_an_invoice(self):
        """The file of an invoice's field arrives with its bytes.

        Without Odoo's addon Invoicing, a field of a contact stands for it.
        """
        heading = "Send the files of a record"
        path, content, kind = "invoice_pdf_report_file", b"%PDF-1.4", "application/pdf"
        self.assertIn(f"the path is `{path}`", self.sections[heading])
        partner = self.env["res.partner"].create({"name": "Azure"})
        if "account.move" in self.env:
            journal = {"name": "Cookbook", "code": "COOK", "type": "sale"}
            journal = self.env["account.journal"].create(journal)
            invoice = {"move_type": "out_invoice", "partner_id": partner.id}
            record = self.env["account.move"].create(
                invoice | {"journal_id": journal.id}
            )
        else:
            path, record = "image_1920", partner
            content, kind = base64.b64decode(PIXEL), "image/png"
        record[path] = base64.b64encode(content)
        line = {
            "source_kind": "binary_field",
            "source_expression": path,
            "send_as": "multipart",
            "part_name": "document",
        }
        endpoint = self.cook(heading)
        action = self.env["ir.actions.server"].create(
            {
                "name": "Queue",
                "model_id": self.env["ir.model"]._get(record._name).id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": endpoint.id,
                "bwt_webhook_file_ids": [(0, 0, line)],
            }
        )

        action.with_context(active_model=record._name, active_ids=record.ids).run()
        endpoint.outbound_delivery_ids.process_delivery()

        [request] = self.receiver.requests
        for part in (b'name="document"', f"Content-Type: {kind}".encode(), content):
            self.assertIn(part, request.body)

    def test_form(self):
        """The body is the one that the recipe shows."""
        self.cook("Send a form")
        self.run_sample("Send a form")

        [request] = self.receiver.requests
        self.assertEqual(self.block("Send a form", "text"), request.body.decode())

    def automation(self, endpoint, trigger, **values):
        """A server action in an automation rule on contacts."""
        need_test_addon(self.env, "base.automation")
        model = self.env["ir.model"]._get("res.partner")
        rule = self.env["base.automation"].create(
            {"name": "Contact", "model_id": model.id, "trigger": trigger}
        )
        return self.env["ir.actions.server"].create(
            {
                "name": "Queue",
                "model_id": model.id,
                "state": "bwt_webhook_outbound",
                "usage": "base_automation",
                "base_automation_id": rule.id,
                "bwt_webhook_endpoint_id": endpoint.id,
                **values,
            }
        )

    def about(self, record):
        return self.env[DELIVERY].search([("res_id", "=", record.id)], order="id")

    def test_only_what_changed(self):
        """The payload has the changes that the recipe shows, and only if there are."""
        heading = "Send only what changed"
        [(_watched, names), (_add, value)] = [
            [cell.strip() for cell in line.strip(" |").split("|")]
            for line in self.sections[heading].splitlines()
            if line.startswith(("   | Watched", "   | Add"))
        ]
        watched = [
            self.env["ir.model.fields"]._get("res.partner", name).id
            for name in names.split(", ")
        ]
        old = {"name": "Ada", "email": "old@example.com"}
        partner = self.env["res.partner"].create(old)
        self.env.flush_all()
        self.automation(
            self.make_endpoint("cookbook"),
            "on_create_or_write",
            bwt_webhook_watched_field_ids=[(6, 0, watched)],
            bwt_webhook_add_changes=value == "yes",
        )

        partner.write({"name": "Ada Lovelace", "email": "old@example.com"})
        self.assertFalse(self.about(partner))
        partner.email = "new@example.com"

        payload = json.loads(self.about(partner).payload_json)
        shown = json.loads(self.block(heading, "json"))
        self.assertEqual(shown["changes"], payload["changes"])

    def test_loop_of_two_systems(self):
        """The equal request isn't sent."""
        heading = "End a loop of two systems"
        self.assertTrue(self.cook(heading).skip_if_unchanged)

        deliveries = self.run_sample(heading)

        self.assertEqual(["done", "canceled"], deliveries.mapped("state"))
        self.assertEqual(1, self.receiver.total)

    def test_on_deletion(self):
        """The path has a value of the record that is gone."""
        heading = "On deletion"
        endpoint = self.cook(heading)
        line = {"usage": "context", "target": "ref", "source_expression": "ref"}
        self.automation(endpoint, "on_unlink", bwt_webhook_context_ids=[(0, 0, line)])
        partner = self.env["res.partner"].create({"name": "Ada", "ref": "REF-1"})

        partner.unlink()
        self.about(partner).process_delivery()

        [request] = self.receiver.requests
        shown = f"`{request.method} {request.path}`"
        self.assertIn(shown, self.sections[heading])

    def test_later(self):
        """It waits for two hours."""
        self.make_endpoint("cookbook")
        delivery = self.run_sample("Queue for later")

        self.assertEqual("queued", delivery.state)
        wait = delivery.next_attempt_at - fields.Datetime.now()
        self.assertAlmostEqual(timedelta(hours=2), wait, delta=timedelta(minutes=1))
