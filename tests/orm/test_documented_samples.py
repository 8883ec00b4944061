# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The samples of README and developer guide do what the text around them says."""

import configparser
import io
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools.convert import convert_xml_import

from odoo.addons.bwt_webhooks_outbound.models.endpoint_health import HEALTHS
from odoo.addons.bwt_webhooks_outbound.services.egress.policy import Policy
from odoo.addons.queue_job.jobrunner.channels import ChannelManager

from ..constants import DELIVERY, ENDPOINT, HANDLER, HANDLER_RULE
from ..receiver import status
from .common import OutboundCase
from .request_case import need_test_addon

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LICENSE = """\
# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""
README = "README.rst"
GUIDES = sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md"))
DEVELOPER_GUIDES = [path for path in GUIDES if path.startswith("docs/developer")]
LANGUAGES = ("python", "xml", "csv", "sql", "ini")
# Guides whose samples another test runs.
RUN_ELSEWHERE = {
    "docs/bodies.md": "tests/orm/test_bodies_guide.py",
    "docs/cookbook.md": "tests/orm/test_cookbook.py",
    "docs/ecosystem.md": "tests/orm/test_ecosystem.py",
    "docs/secrets.md": "tests/orm/test_stored_secrets.py",
    "docs/receivers.md": "tests/unit/test_receiver_samples.py",
    "docs/tutorial.md": "tests/live/test_payload_of_orders.py",
}


@dataclass
class Sample:
    """A block of code of a guide."""

    heading: str
    language: str
    text: str
    file: str = ""  # path in tests/addons that the line before the block names


def markdown_samples(text):
    """The fenced blocks of `LANGUAGES`, each with the heading above it."""
    heading = before = ""
    language, lines = None, []
    for line in text.splitlines():
        if line.strip().startswith("```"):
            if language in LANGUAGES:
                named = re.search(r"\]\((?:\.\./)+(tests/addons/\S+)\):$", before)
                block = "\n".join(lines) + "\n"
                yield Sample(heading, language, block, named[1] if named else "")
            language, lines = (None if language is not None else line.strip()[3:]), []
        elif language is not None:
            lines.append(line)
        else:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            before = line.strip() or before


def rst_samples(text):
    """The code-block directives of Python and XML, with their section's heading."""
    lines, heading, place = text.splitlines(), "", 0
    while place < len(lines):
        line = lines[place]
        place += 1
        if place < len(lines) and re.fullmatch(r"(=|-|~){3,}", lines[place]):
            heading = line.strip()
        found = re.fullmatch(r"\.\. code-block:: (python|xml)", line)
        if not found:
            continue
        block = takewhile(lambda each: not each[:1].strip(), lines[place:])
        code = textwrap.dedent("\n".join(block)).strip("\n") + "\n"
        yield Sample(heading, found[1], code)


def samples_of(guide):
    read = rst_samples if guide.endswith(".rst") else markdown_samples
    return list(read((ROOT / guide).read_text()))


def text_of(guides):
    """The pages of a guide as one text."""
    return "\n".join((ROOT / path).read_text() for path in guides)


@tagged("post_install", "-at_install", "any_database")
class TestDocumentedSamples(OutboundCase):
    """Each test runs the blocks of one section, in a database and with a receiver."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for model_name in ("shop.order", "shop.backend"):
            need_test_addon(cls.env, model_name)
        cls.guide = [each for path in DEVELOPER_GUIDES for each in samples_of(path)]
        cls.readme = samples_of(README)

    def setUp(self):
        super().setUp()
        [endpoint] = self.blocks("Ship an endpoint as data")
        self.load(endpoint)
        self.shop = self.env[ENDPOINT].search([("code", "=", "order-changes")])
        self.known = self.env[DELIVERY].search([])
        self.redirect()

    def blocks(self, heading, samples=None):
        """The samples under a heading that are run (files are in the addon already).

        samples: where to look, by default in the developer guide
        """
        samples = self.guide if samples is None else samples
        found = [each for each in samples if each.heading == heading and not each.file]
        self.assertTrue(found, f"no sample under {heading!r}")
        return found

    def samples_in(self, language):
        """The samples of one language in all guides under docs/."""
        samples = [each for guide in GUIDES for each in samples_of(guide)]
        return [each for each in samples if each.language == language]

    def run_block(self, sample, **values):
        """Execute a sample; returns the names that it defines."""
        values["env"] = self.env
        code = compile(sample.text, f"<{sample.heading}>", "exec")
        with patch.object(self.env.cr, "commit"):
            exec(code, values)
        return values

    def load(self, sample):
        """Load an XML sample as a data file of the guide's addon."""
        xml = io.BytesIO(sample.text.encode())
        xml.name = sample.heading  # Odoo names the file in its errors
        convert_xml_import(self.env, "bwt_test_guide", xml, {}, "init")

    def redirect(self):
        """Let every endpoint and backend of the samples send to the receiver."""
        url = self.receiver.url
        endpoints = self.env[ENDPOINT].search([("state", "=", "active")])
        plain = endpoints.filtered(lambda each: not each.connector_backend_ref)
        plain.write({"target_hostname": url})
        self.env["shop.backend"].search([]).write({"api_base_url": url})

    def send(self):
        """Send what the samples queued; returns deliveries and requests, as queued."""
        self.redirect()
        new = self.env[DELIVERY].search([]) - self.known
        new = new.filtered(lambda each: each.state == "queued").sorted("queue_number")
        new.process_delivery()
        return new, self.receiver.requests

    def sent(self):
        """The one request that the samples queued."""
        deliveries, requests = self.send()
        self.assertEqual(["done"], deliveries.mapped("state"), deliveries.mapped(_why))
        self.assertEqual(1, len(requests))
        return requests[0]

    # Every block is accounted for

    def test_files_are_word_for_word(self):
        """A block that names a file of tests/addons is that file below its licence."""
        named = [each for each in self.guide if each.file]

        self.assertGreaterEqual(len(named), 10)
        for sample in named:
            text = (ROOT / sample.file).read_text().removeprefix(LICENSE)
            self.assertEqual(text, sample.text, sample.file)

    def test_every_file_of_the_samples_is_shown(self):
        """No file of the samples' addons is left out of the guide.

        A reader who copies what is shown would have an addon that can't be installed.
        """
        named = {each.file for each in self.guide}
        hidden = ("__init__.py", "callbacks.py", "hazards.py")  # for other tests
        for addon in ("bwt_test_guide", "bwt_test_connector"):
            for pattern in ("*.py", "*.csv", "*.xml"):
                for path in (ROOT / "tests/addons" / addon).rglob(pattern):
                    if path.name not in hidden:
                        self.assertIn(str(path.relative_to(ROOT)), named)

    def test_every_block_is_run(self):
        """A new sample without a test is noticed, whichever guide has it."""
        source = Path(__file__).read_text()
        for path in RUN_ELSEWHERE.values():
            self.assertTrue((ROOT / path).is_file(), path)
        for guide in {README, *GUIDES} - RUN_ELSEWHERE.keys():
            for sample in samples_of(guide):
                if sample.language in ("python", "xml") and not sample.file:
                    self.assertIn(f'"{sample.heading}"', source, f"{guide}: not run")

    def test_sql_samples(self):
        """PostgreSQL takes the statements that operators are given."""
        statements = self.samples_in("sql")

        self.assertTrue(statements)
        for sample in statements:
            self.env.cr.execute(sample.text)
            self.assertTrue(self.env.cr.fetchall(), sample.heading)

    def test_configuration_samples(self):
        """The settings in the samples of odoo.conf are valid."""
        read = 0
        for sample in self.samples_in("ini"):
            parser = configparser.RawConfigParser()
            parser.read_string(textwrap.dedent(sample.text))
            for section, option, use in (
                ("queue_job", "channels", ChannelManager().simple_configure),
                ("bwt_webhooks_outbound", "allowed_networks", Policy.parse),
            ):
                if parser.has_option(section, option):
                    use(parser.get(section, option))
                    read += 1
        self.assertGreaterEqual(read, 3)

    def test_labels_are_those_of_the_forms(self):
        """The labels that the guides name are those of the forms."""
        operator = text_of(["docs/operator.md", "docs/payloads.md"])
        developer = text_of(DEVELOPER_GUIDES)
        for model, name, guides in (
            (HANDLER_RULE, "result_status", 2),
            (HANDLER, "execution_mode", 1),
            ("ir.actions.server", "bwt_webhook_payload_mode", 1),
            ("ir.actions.server", "bwt_webhook_without_records", 1),
        ):
            labels = dict(
                self.env[model]._fields[name]._description_selection(self.env)
            )
            for label in labels.values():
                for guide in (operator, developer)[:guides]:
                    self.assertTrue(f"_{label}_" in guide, label)
        for label in dict(HEALTHS).values():
            self.assertTrue(f"| {label} " in operator, label)

    # README

    def test_readme_first_delivery(self):
        """The first delivery by code arrives at the endpoint of the demo data."""
        if not self.env[ENDPOINT].search([("code", "=", "demo-orders")]):
            # With a rule as the demo's has: it writes into the sample's payload.
            rule = {
                "target_path": "order.id",
                "source_kind": "context_key",
                "source_expression": "order_id",
            }
            self.make_endpoint(
                "demo-orders",
                target_path="/orders/{order_id}",
                payload_rule_ids=[Command.create(rule)],
            )
        [sample] = self.blocks("The first delivery, by code", self.readme)
        self.run_block(sample)

        request = self.sent()
        self.assertEqual("/orders/S00042", request.path)
        self.assertEqual(
            {"number": "S00042", "total": 149.9, "id": "S00042"},
            request.json()["order"],
        )

    # Developer guide

    def test_own_addon(self):
        """The order of a reader's first addon arrives."""
        self.shop.code = "from-data"  # the sample makes its own
        self.env.flush_all()
        [sample] = self.blocks("Send the first delivery")
        self.run_block(sample)

        request = self.sent()
        self.assertRegex(request.path, r"^/orders/\d+$")
        self.assertEqual({"number": "S00042", "total": 149.9}, request.json())

    def test_endpoint_as_data(self):
        """The rules of the data file shape the request."""
        self.shop.queue_delivery({"number": "S1"}, {"order_id": 7})

        request = self.sent()
        self.assertEqual("PUT", request.method)
        self.assertEqual("/orders/7?source=odoo", request.path)
        self.assertEqual("order 7", request.header("X-Order"))
        company = self.shop.company_id.partner_id.name
        self.assertEqual(
            {
                "number": "S1",
                "seller": {"name": company},
                "kind": "update",
                "lines": [{"order": 7}],
            },
            request.json(),
        )

    def test_queue_a_delivery(self):
        """One delivery with all its parts, and a hundred at once."""
        [one] = self.blocks("Queue a delivery")
        [many] = self.blocks("Queue many deliveries")
        self.run_block(one)

        request = self.sent()
        self.assertEqual("/orders/42?source=odoo", request.path)
        self.assertEqual("crm", request.header("X-Source"))
        self.assertRegex(request.json()["created"], r"\d{4}-\d\d-\d\dT.*Z$")
        delivery = self.env[DELIVERY].search([("name", "=", "Order 42")])
        self.assertEqual("res.partner", delivery.res_model)

        jobs = len(self.wake_ups(self.shop))
        deliveries = self.run_block(many)["deliveries"]
        self.assertEqual(100, len(deliveries))
        self.assertLessEqual(len(self.wake_ups(self.shop)) - jobs, 1)

    def test_order_of_the_samples(self):
        """An ordinary user confirms an order, and the shop is notified."""
        user = new_test_user(self.env, "guide_salesperson", "base.group_user")
        orders = self.env["shop.order"].create([{"name": "S1", "total": 9.5}])
        orders.with_user(user).action_confirm()

        request = self.sent()
        self.assertEqual(f"/orders/{orders.id}?source=odoo", request.path)
        self.assertEqual(9.5, request.json()["total"])

    def test_files(self):
        """Fields and file are sent as parts."""
        [sample] = self.blocks("Attach files")
        self.run_block(sample)

        request = self.sent()
        self.assertIn("multipart/form-data", request.header("Content-Type"))
        for part in (
            b'name="document"; filename="invoice.txt"',
            b"three apples",
            b'name="tags[1]"',
        ):
            self.assertIn(part, request.body)

    def test_supersede(self):
        """Three stock levels of one key: only the last one is sent."""
        [sample] = self.blocks("Order and supersede deliveries")
        self.run_block(sample)

        deliveries, requests = self.send()
        self.assertEqual(["canceled", "canceled", "done"], deliveries.mapped("state"))
        self.assertEqual([3], [each.json()["quantity"] for each in requests])
        self.assertIn(deliveries[-1].name, deliveries[0].processing_note)

    def test_draft_first(self):
        """A draft made by hand is queued and sent like any other."""
        [sample] = self.blocks("Create a draft first")
        self.run_block(sample)

        self.assertEqual("/orders/42?source=odoo", self.sent().path)

    def test_context_lines(self):
        """A later line uses an earlier one, and the path is encoded."""
        [sample] = self.blocks("Use context lines")
        self.run_block(sample)

        path = self.sent().path
        self.assertEqual("/orders/A-1%2F2026?source=odoo", path)
        self.assertIn(f"`{path}`", text_of(DEVELOPER_GUIDES))

    def test_services_without_odoo(self):
        """The sample of the services runs in an interpreter that has no Odoo."""
        [sample] = self.blocks("Transport")
        code = "import sys; sys.modules['odoo'] = None\n" + sample.text
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
        )

        self.assertEqual(0, done.returncode, done.stderr)

    def test_handler_by_rules(self):
        """The handler of the data file cancels test orders and marks large ones."""
        [sample] = self.blocks("Decide with rules")
        self.load(sample)
        self.shop.handler_id = self.env.ref("bwt_test_guide.handler_orders")
        for number, total in (("TEST-1", 5), ("S1", 5), ("S2", 5000)):
            self.shop.queue_delivery(
                {"number": number, "total": total}, {"order_id": number}
            )

        deliveries, requests = self.send()
        self.assertEqual(["canceled", "done", "done"], deliveries.mapped("state"))
        self.assertEqual("a test order isn't sent", deliveries[0].processing_note)
        small, large = requests
        self.assertIsNone(small.header("X-Priority"))
        self.assertEqual("high", large.header("X-Priority"))
        self.assertEqual({"large": True}, large.json()["order"])

    def test_handler_in_python(self):
        """The callback cancels, delays, or adds to the payload."""
        [sample] = self.blocks("Decide in Python")
        self.run_block(sample)
        partner = self.env["res.partner"].create({"name": "A", "email": "a@b.example"})
        orders = self.env["shop.order"].create(
            [
                {"name": "S1"},
                {"name": "S2"},
                {"name": "S3", "partner_id": partner.id},
            ]
        )
        orders.action_confirm()
        orders[0].state = "draft"

        deliveries, requests = self.send()
        self.assertEqual(["canceled", "error", "done"], deliveries.mapped("state"))
        self.assertEqual("retry", deliveries[1].attempt_ids.state)
        wait = deliveries[1].next_attempt_at - deliveries[1].attempt_ids.started_at
        self.assertEqual(600, wait.total_seconds())
        self.assertEqual("a@b.example", requests[0].json()["email"])
        self.assertEqual("S3", requests[0].json()["number"])

    def test_delivery_hooks(self):
        """Gate, extra headers and response hook of the guide's addon."""
        self.receiver.script("/warehouse", status(200, headers=[("X-Remote-Id", "W7")]))
        warehouse = self.make_endpoint("warehouse")
        order = self.env["shop.order"].create({"name": "S1"})
        settings = self.env["ir.config_parameter"]
        settings.set_param("shop.warehouse_is_closed", "yes")
        closed = warehouse.queue_delivery({}, record=order)
        closed.process_delivery()
        self.assertEqual("the warehouse is closed", closed.processing_note)
        self.assertEqual("error", closed.state)

        settings.set_param("shop.warehouse_is_closed", False)
        open_again = warehouse.queue_delivery({}, record=order)
        request = self.sent()
        self.assertEqual("main", request.header("X-Warehouse"))
        self.assertEqual(open_again.message_uid, request.header("X-Correlation-Id"))
        self.assertEqual("W7", order.remote_id, open_again.processing_note)

    def test_hostname_hook(self):
        """The host comes from the context value, and none is needed to save."""
        settings = self.env["ir.config_parameter"]
        settings.set_param("shop.host.eu", "https://eu.example.com")
        settings.set_param("shop.host.us", self.receiver.url)
        regions = self.env[ENDPOINT].create(
            {"name": "Regions", "code": "shop-regions", "target_path": "/in"}
        )
        self.assertEqual("https://eu.example.com/in", regions.target_url)
        regions.queue_delivery({}, {"region": "us"}).process_delivery()

        self.assertEqual("/in", self.receiver.requests[0].path)

    def test_connector(self):
        """The connector's token is sent, and the id in the response is stored."""
        self.receiver.script("/orders", status(201, headers=[("X-Shop-Id", "S-77")]))
        [sample] = self.blocks("Create a backend and its endpoint")
        names = self.run_block(sample)

        request = self.sent()
        self.assertEqual("Bearer t0", request.header("Authorization"))
        self.assertEqual({"name": "SO1"}, request.json())
        self.assertEqual("S-77", names["binding"].external_id)
        attempt = names["delivery"].attempt_ids
        self.assertNotIn("t0", attempt.request_headers_json)

    def test_connector_by_clicks(self):
        """Anyone exports a binding from its Action menu; the token stays unread.

        The response has no id here, like that of the receiver of `make serve`.
        """
        [sample] = self.blocks("Create a backend and its endpoint")
        names = self.run_block(sample)
        names["delivery"].action_cancel_delivery()
        user = new_test_user(self.env, "guide_clerk", "base.group_user")
        action = self.env.ref("bwt_test_connector.action_export").with_user(user)
        binding = names["binding"].with_user(user)
        chosen = {"active_model": binding._name, "active_ids": binding.ids}
        action.with_context(active_id=binding.id, **chosen).run()

        request = self.sent()
        self.assertEqual("Bearer t0", request.header("Authorization"))
        last = self.env[DELIVERY].search([("state", "=", "done")], limit=1)
        self.assertFalse(last.processing_note)
        self.assertEqual("export", binding.last_operation)
        with self.assertRaises(AccessError):
            names["backend"].with_user(user).read(["token"])

    def test_external_reference(self):
        """The sample of external references finds what it has stored."""
        [sample] = self.blocks(
            "For code", [each for each in samples_of("docs/answers.md")]
        )

        names = self.run_block(sample)

        self.assertEqual("R-77", names["reference"].external_id)

    def test_backfill(self):
        """The sample of a run queues existing records."""
        [sample] = self.blocks("By code", samples_of("docs/nothing_missing.md"))
        action = self.env["ir.actions.server"].create(
            {
                "name": "Contacts to the shop",
                "model_id": self.env.ref("base.model_res_partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.shop.id,
            }
        )
        count = self.env["res.partner"].search_count([])

        run = self.run_block(sample, endpoint=self.shop, action=action)["run"]

        self.assertEqual(("running", count), (run.state, run.total_count))

    def test_callback_of_a_dry_run(self):
        """A callback that follows the sample does nothing in a dry run."""
        [sample] = self.blocks(
            "Nothing is sent or changed", samples_of("docs/dry_run.md")
        )
        body = textwrap.indent(sample.text + 'return "sent"', "    ")
        names = {}
        exec(f"def callback(self):\n{body}", names)

        self.assertEqual("sent", names["callback"](self.shop))
        dry = self.shop.with_context(webhook_dry_run=True)
        self.assertIsNone(names["callback"](dry))

    def test_moving_configuration(self):
        """The sample of CI exports, shows no difference and imports."""
        [sample] = self.blocks("By code, in CI", samples_of("docs/moving.md"))

        names = self.run_block(sample)

        records = names["difference"]["records"]
        self.assertEqual({"unchanged"}, {each["status"] for each in records})

    def test_testing(self):
        """Every way to send at once does so."""
        for sample in self.blocks("Test your addon"):
            self.run_block(sample)

        self.assertEqual(3, len(self.receiver.requests))


def _why(delivery):
    return f"{delivery.name}: {delivery.processing_error or delivery.processing_note}"
