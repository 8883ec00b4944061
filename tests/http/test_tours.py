# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What users do, in a real browser."""

import os
from unittest import SkipTest
from unittest.mock import patch

from odoo import Command
from odoo.tests import HttpCase, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

# This folder is deliberately not a package: tests/ is on pytest's path, where a package
# of this name would hide Python's own. Hence the absolute imports.
from odoo.addons.bwt_webhooks_outbound.tests.constants import (
    ALLOWED_NETWORKS,
    ASSIGNMENT,
    CONDITION,
    DELIVERY,
    DRY_RUN,
    ENDPOINT,
    EXPORT_CONFIGURATION,
    HANDLER,
    HANDLER_RULE,
    OPERATOR,
    RECONCILIATION,
    RUN,
)
from odoo.addons.bwt_webhooks_outbound.tests.receiver import Receiver, status


@tagged("post_install", "-at_install", "any_database")
class TourCase(HttpCase):
    """Starts tours against a receiver of this process."""

    # Odoo's own runner would leave out those of Tours.
    allow_inherited_tests_method = True

    def setUp(self):
        super().setUp()
        self.receiver = self.enterContext(Receiver())
        self.env["ir.config_parameter"].sudo().set_param(
            ALLOWED_NETWORKS, "127.0.0.0/8"
        )
        # No worker sees what a test has not committed: queueing sends at once.
        self.enterContext(
            patch.object(
                self.registry[ENDPOINT],
                "_runs_without_jobs",
                autospec=True,
                return_value=True,
            )
        )

    def tour(self, name, login="admin", url="/odoo", **options):
        """Odoo skips tours where no browser is found: a green run that saw nothing."""
        port = self.receiver.url.rpartition(":")[2]
        try:
            self.start_tour(
                url,
                name,
                login=login,
                cookies={"webhooks_receiver_port": port},
                **options,
            )
        except SkipTest as reason:
            self.fail(f"the tour did not run: {reason}")

    def make_endpoint(self, path, **vals):
        return self.env[ENDPOINT].create(
            {
                "name": "Tour: shop orders",
                "code": "tour-shop-orders",
                "target_hostname": self.receiver.url,
                "target_path": path,
                **vals,
            }
        )


class Tours:
    """What users do on a desktop as well as on a phone."""

    def test_first_delivery(self):
        """From the menu to a delivery that is done, with nothing but clicks.

        Otherwise a form that can't be filled in, or a button that isn't there, would
        be found by the first user.
        """
        self.tour("webhooks_first_delivery")

        (request,) = self.receiver.wait_for_requests(1)
        delivery = self.env[DELIVERY].search([("name", "=", "Tour: order S00042")])
        self.assertEqual("/orders/S00042", request.path)
        self.assertEqual(delivery.message_uid, request.webhook_id)
        self.assertEqual("done", delivery.state)

    def test_endpoint_with_rules(self):
        """A first test takes 12 interactions at most; rules shape the next one.

        The tour counts what a newcomer does from the menu to the response 200, so that
        no further field or dialog slips in.
        """
        self.tour("webhooks_endpoint_with_rules")

        first, second = self.receiver.wait_for_requests(2)
        self.assertEqual({"test": True}, first.json())
        self.assertEqual("/orders/S00042", second.path)
        self.assertEqual("order-S00042", second.header("X-Order"))
        self.assertEqual({"order": {"source": "odoo"}}, second.json())

    def test_failed_delivery(self):
        """Read the attempt, fix the endpoint, retry: the dead letter is done."""
        endpoint = self.make_endpoint("/missing")
        delivery = endpoint.queue_delivery({"order": 42}, name="Tour: order S00042")
        self.assertEqual("dead_letter", delivery.state)

        self.tour("webhooks_failed_delivery")

        self.assertEqual("done", delivery.state)
        paths = [request.path for request in self.receiver.wait_for_requests(2)]
        self.assertEqual(["/missing", "/orders"], paths)

    def test_configuration(self):
        """A document is chosen, its difference read, and exactly that imported."""
        endpoint = self.make_endpoint("/orders")

        self.tour("webhooks_configuration")

        new = self.env[ENDPOINT].search([("code", "=", "tour-new")])
        self.assertEqual("/v2", endpoint.target_path)
        self.assertEqual("draft", new.state)
        administrator = self.env.ref("base.user_admin")
        export = self.env[EXPORT_CONFIGURATION].with_user(administrator)
        export = export.create({"endpoint_ids": [Command.set(endpoint.ids)]})
        self.authenticate("admin", "admin")
        answer = self.url_open(export.action_download()["url"])
        self.assertEqual(endpoint.export_configuration(), answer.text)

    def test_run(self):
        """A run over existing records is started, paused and resumed by clicks."""
        endpoint = self.make_endpoint("/orders")
        self.env["ir.actions.server"].create(
            {
                "name": "Tour: contact to the shop",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": endpoint.id,
                "bwt_webhook_field_ids": [
                    Command.create({"usage": "field", "source_expression": "name"})
                ],
            }
        )

        self.tour("webhooks_run", url=f"/odoo/{ENDPOINT}/{endpoint.id}")

        run = self.env[RUN].search([("endpoint_id", "=", endpoint.id)])
        self.assertEqual(("running", 60), (run.state, run.pace))
        run.run_batch()
        self.assertEqual(1, run.queued_count)

    def test_reconciliation(self):
        """What is missing is found, listed and queued by clicks; then nothing is."""
        contact = self.env["res.partner"].create({"name": "Tour: missing contact"})
        action = self.env["ir.actions.server"].create(
            {
                "name": "Tour: contact to the shop",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.make_endpoint("/orders").id,
                "bwt_webhook_field_ids": [
                    Command.create({"usage": "field", "source_expression": "name"})
                ],
            }
        )
        # Checks and runs are jobs, and no worker sees what a test has not committed.
        self.enterContext(patch.dict(os.environ, {"QUEUE_JOB__NO_DELAY": "1"}))

        self.tour("webhooks_reconciliation", url="/odoo/webhooks-reconciliations")

        delivery = self.env[DELIVERY].search(
            [("res_id", "=", contact.id), ("server_action_id", "=", action.id)]
        )
        self.assertEqual(("done", "reconciliation"), (delivery.state, delivery.origin))
        self.tour("webhooks_reconciliation_again", url="/odoo/webhooks-reconciliations")
        self.assertEqual(0, self.env[RECONCILIATION].search([]).missing_count)

    def test_forget(self):
        """A contact is forgotten by clicks: search, counts, confirm, and it is said."""
        # It runs in jobs, and no worker sees what a test has not committed.
        self.enterContext(patch.dict(os.environ, {"QUEUE_JOB__NO_DELAY": "1"}))
        contact = self.env["res.partner"].create(
            {"name": "Tour: contact", "email": "tour.contact@example.com"}
        )
        endpoint = self.make_endpoint("/orders")
        delivery = endpoint.queue_delivery({"email": contact.email})
        self.assertEqual("done", delivery.state)

        self.tour("webhooks_forget", url=f"/odoo/res.partner/{contact.id}")

        self.env.invalidate_all()
        self.assertEqual("{}", delivery.payload_json)
        self.assertIn("webhook deliveries", contact.message_ids[:1].body)

    def test_dry_run(self):
        """A rule is tried on a copy, compared, and what would differ is read."""
        # It runs in a job, and no worker sees what a test has not committed.
        self.enterContext(patch.dict(os.environ, {"QUEUE_JOB__NO_DELAY": "1"}))
        endpoint = self.make_endpoint("/orders")
        for number in (1, 2):
            delivery = endpoint.queue_delivery(
                {"order": number}, name=f"Tour: order {number}"
            )
            self.assertEqual("done", delivery.state)
        handler = self.env[HANDLER].create({"name": "Tour: mark", "code": "tour-mark"})
        rule = self.env[HANDLER_RULE].create(
            {"name": "Second", "handler_id": handler.id, "result_status": "mutate"}
        )
        self.env[CONDITION].create(
            {
                "rule_id": rule.id,
                "source_kind": "request_field",
                "source_expression": "payload.order",
                "operator": "equals",
                "expected_value": "2",
            }
        )
        self.env[ASSIGNMENT].create(
            {
                "rule_id": rule.id,
                "target_scope": "payload",
                "target_expression": "kind",
                "source_kind": "literal",
                "literal_value": "express",
            }
        )

        self.tour("webhooks_dry_run", url=f"/odoo/{ENDPOINT}/{endpoint.id}")

        dry_run = self.env[DRY_RUN].search([("endpoint_id", "=", endpoint.id)])
        self.assertEqual(handler, dry_run.handler_id)
        self.assertEqual(
            (1, 1), (dry_run.changed_count, dry_run.unchanged_count), dry_run.message
        )
        self.receiver.wait_for_requests(2)
        self.assertEqual(2, self.receiver.total)

    def test_replay_of_a_span(self):
        """Accepted deliveries are counted, and sent again as new messages."""
        endpoint = self.make_endpoint("/orders")
        delivery = endpoint.queue_delivery({"order": 42}, name="Tour: order S00042")
        self.assertEqual("done", delivery.state)

        self.tour("webhooks_replay", url=f"/odoo/{ENDPOINT}/{endpoint.id}")

        run = self.env[RUN].search([("endpoint_id", "=", endpoint.id)])
        self.assertEqual(("running", "new"), (run.state, run.replay_with))
        run.run_batch()
        self.assertEqual(("done", 1), (run.state, run.queued_count))
        first, second = self.receiver.wait_for_requests(2)
        self.assertNotEqual(first.webhook_id, second.webhook_id)

    def test_button_on_a_contact(self):
        """The form of a contact shows its deliveries and opens them."""
        endpoint = self.make_endpoint("/contacts")
        contact = self.env["res.partner"].create({"name": "Tour: contact"})
        action = self.env["ir.actions.server"].create(
            {
                "name": "Tour: contact to the shop",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": endpoint.id,
            }
        )
        action.with_context(active_model="res.partner", active_ids=contact.ids).run()

        self.tour("webhooks_record_button", url=f"/odoo/res.partner/{contact.id}")

    def test_refusal(self):
        """What is wrong with an endpoint is read in a dialog, not in a traceback."""
        self.tour("webhooks_refusal")

        self.assertFalse(self.env[ENDPOINT].search([("code", "=", "tour-shop-orders")]))

    def test_the_form_follows_its_delivery(self):
        """A delivery that ends elsewhere shows it without a reload by hand.

        Otherwise users see Queued, press again, and send an order twice.
        """
        endpoint = self.make_endpoint("/orders")
        delivery = self.env[DELIVERY].create(
            {"name": "Tour: order S00042", "endpoint_id": endpoint.id}
        )
        delivery.write({"state": "queued", "next_attempt_at": utcnow()})

        self.tour("webhooks_follow")

        self.assertEqual("canceled", delivery.state)

    def test_bulk_retry(self):
        """Fifty dead letters are retried from the list, and the summary says so."""
        endpoint = self.make_endpoint("/orders")
        self.receiver.script("/orders", *[status(404)] * 50, status(200))
        deliveries = endpoint.queue_deliveries([{"payload": {}} for _ in range(50)])
        self.assertEqual({"dead_letter"}, set(deliveries.mapped("state")))

        self.tour("webhooks_bulk_retry")

        self.assertEqual({"done"}, set(deliveries.mapped("state")))
        self.assertEqual(100, len(self.receiver.wait_for_requests(100)))

    def test_group_retry(self):
        """35 of one endpoint and reason are retried by the button of their group.

        One press on the group, beside other reasons that a retry doesn't help. Groups
        have the buttons that would change a delivery, folded ones too.
        """
        contact = self.env["res.partner"].create({"name": "Tour: Ada"})
        endpoint = self.make_endpoint("/orders")
        self.receiver.script("/orders", *[status(404)] * 35, status(200))
        failed = endpoint.queue_deliveries([{"record": contact} for _ in range(35)])
        other = endpoint.queue_delivery({})
        other.write(
            {
                "state": "error",
                "next_attempt_at": False,
                "failure_reason": "http_4xx",
                "response_status_code": 410,
            }
        )
        self.assertEqual({"dead_letter"}, set(failed.mapped("state")))

        self.tour("webhooks_group_retry")

        self.assertEqual({"done"}, set(failed.mapped("state")))
        self.assertEqual("error", other.state)

    def test_automation_rule(self):
        """A changed contact is delivered by a rule that was made with clicks only.

        base_automation and contacts aren't needed by this addon; the databases of the
        tests have them.
        """
        if "base.automation" not in self.env:
            self.fail("install base_automation and contacts to run this tour")
        self.make_endpoint("/contacts")
        contact = {"name": "Tour: Ada", "email": "ada@old.com"}
        contact = self.env["res.partner"].create(contact)
        attached = {"res_model": contact._name, "res_id": contact.id}
        self.env["ir.attachment"].create({"name": "a.txt", "raw": b"file"} | attached)

        self.tour("webhooks_automation_rule", url="/odoo/automations")

        # Odoo may write a contact twice for one press on Save.
        payloads = [request.json() for request in self.receiver.wait_for_requests(1)]
        self.assertEqual(
            {("Tour: Ada", "ada@new.com")},
            {(payload["name"], payload["email"]) for payload in payloads},
        )
        self.assertEqual([{"content": "ZmlsZQ=="}], payloads[0]["documents"])

    def test_operator(self):
        """An operator works deliveries and sees no secret and no forbidden button."""
        endpoint = self.make_endpoint(
            "/missing",
            auth_mode="bearer",
            auth_secret_input="tour-bearer-secret",
            signing_mode="hmac",
            signing_secret_input="tour-signing-secret",
        )
        endpoint.queue_delivery({"order": 42}, name="Tour: order S00042")
        new_test_user(self.env, "tour_operator", OPERATOR)

        self.tour("webhooks_operator", login="tour_operator")

    def test_overview(self):
        """The first page shows figures, retries a group and closes a circuit.

        As an operator, who may not change endpoints otherwise.
        """
        company = self.env["res.company"].create({"name": "Tour: overview"})
        endpoint = self.make_endpoint("/orders", company_id=company.id)
        self.receiver.script("/orders", status(200), *[status(404)] * 2, status(200))
        deliveries = endpoint.queue_deliveries([{"payload": {}} for _ in range(3)])
        self.assertEqual(
            ["done", "dead_letter", "dead_letter"], deliveries.mapped("state")
        )
        failing = self.make_endpoint(
            "/orders", code="tour-failing", company_id=company.id
        )
        failing.health_ids.sudo().write(
            {"circuit_state": "open", "opened_at": utcnow()}
        )
        new_test_user(self.env, "tour_operator", OPERATOR, company_id=company.id)

        self.tour("webhooks_overview", login="tour_operator", url="/odoo/webhooks")

        self.assertEqual({"done"}, set(deliveries.mapped("state")))
        self.assertTrue(failing.circuit_reset_at)

    def test_answers(self):
        """What a response means and contains, by clicks only, up to the record.

        200 with ok=false is retried, the receiver's ID is written to the contact, and
        its next delivery is an update, whose method and URL the delivery shows.
        """
        contact = self.env["res.partner"].create({"name": "Tour: Ada"})
        self.receiver.script(
            "/orders",
            status(200, b'{"ok": false}'),
            status(201, b'{"ok": true, "id": "R-77"}'),
        )
        self.receiver.script("/orders/R-77", status(200, b'{"id": "R-77"}'))

        self.tour("webhooks_answer")
        endpoint = self.env[ENDPOINT].search([("code", "=", "tour-shop-orders")])
        first = endpoint.queue_delivery({}, record=contact)
        self.assertEqual(("error", "answer"), (first.state, first.failure_reason))
        first.process_delivery()
        second = endpoint.queue_delivery({}, record=contact)

        self.assertEqual(["done", "done"], (first | second).mapped("state"))
        self.assertFalse((first | second).filtered("has_late_note"))
        self.assertEqual("R-77", contact.ref)
        self.assertEqual(
            [("POST", "/orders"), ("POST", "/orders"), ("PUT", "/orders/R-77")],
            [(each.method, each.path) for each in self.receiver.wait_for_requests(3)],
        )
        self.tour("webhooks_answer_delivery", url=f"/odoo/{DELIVERY}/{second.id}")


@tagged("post_install", "-at_install")
class TestDesktopTours(Tours, TourCase):
    browser_size = "1366x768"

    def test_every_choice(self):
        """Each form, new and saved, takes every value of every choice that it shows.

        Choosing OAuth2 on a new endpoint ended in an error dialog.
        """
        endpoint = self.make_endpoint("/missing", name="Tour: failed", code="failed")
        endpoint.queue_delivery({"order": 42}, name="Tour: order S00042")
        self.env["ir.actions.server"].create(
            {
                "name": "Tour: contact to the shop",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": endpoint.id,
            }
        )

        self.tour("webhooks_every_choice", timeout=600)

    def test_order_with_lines(self):
        """An order in the receiver's shape, by clicks only, with any number of lines.

        This is the commonest job of all: before, it needed Python.
        """
        if "shop.sale" not in self.env:
            self.fail("install the addons of tests/addons to run this tour")
        self.tour("webhooks_order_payload", timeout=120)
        endpoint = self.env[ENDPOINT].search([("code", "=", "tour-shop-orders")])
        endpoint.action_activate()

        for count in (0, 1, 3, 500):
            with self.subTest(count):
                self.receiver.clear()
                endpoint.queue_delivery({}, record=self.make_order(count))

                (request,) = self.receiver.wait_for_requests(1)
                line = {"sku": "A-1", "qty": 2.0, "price": "10.50", "tax": ["VAT 19%"]}
                order = {
                    "number": "S00001",
                    "date": "2026-11-24",
                    "currency": "EUR",
                    "customer": {
                        "name": "Müster & Söhne <GmbH>",
                        "vat": None,
                        "country": "DE",
                    },
                    "lines": [line] * count,
                }
                self.assertEqual({"order": order}, request.json())

    def make_order(self, count):
        """An order with this many lines, and a note before them."""
        line = {
            "product_id": self.env["shop.product"]
            .create({"name": "Product", "default_code": "A-1"})
            .id,
            "product_uom_qty": 2.0,
            "price_unit": 10.5,
            "tax_ids": [Command.create({"name": "VAT 19%"})],
        }
        note = {"display_type": "line_note", "name": "A note"}
        return self.env["shop.sale"].create(
            {
                "name": "S00001",
                "date_order": "2026-11-24 10:00:00",
                "currency_id": self.env.ref("base.EUR").id,
                "partner_id": self.env["res.partner"]
                .create(
                    {
                        "name": "Müster & Söhne <GmbH>",
                        "country_id": self.env.ref("base.de").id,
                    }
                )
                .id,
                "order_line": [
                    Command.create(each) for each in [note, *[line] * count]
                ],
            }
        )

    def test_settings_and_field_paths(self):
        """Settings name a wrong line, and new endpoints start with their defaults.

        An endpoint that is left while it is filled in sends nothing: it is a draft. The
        path of a rule is chosen by clicks, `*` included, which nobody has to know.
        """
        endpoint = self.make_endpoint("/orders")
        self.env["ir.actions.server"].create(
            {
                "name": "Tour: tell the shop",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": endpoint.id,
            }
        )

        self.tour("webhooks_settings")

        parameters = self.env["ir.config_parameter"].sudo()
        allowed = parameters.get_param(ALLOWED_NETWORKS)
        self.assertEqual("127.0.0.0/8\nerp.intern", allowed)
        left = self.env[ENDPOINT].search([("code", "=", "tour-new-endpoint")])
        self.assertEqual(("draft", 20), (left.state, left.timeout_seconds))
        [rule] = endpoint.payload_rule_ids
        self.assertEqual("child_ids.*.country_id.code", rule.source_expression)


@tagged("post_install", "-at_install")
class TestPhoneTours(Tours, TourCase):
    browser_size = "375x667"
    touch_enabled = True
