# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What users do, in a real browser."""

from unittest import SkipTest
from unittest.mock import patch

from odoo.tests import HttpCase, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

# This folder is no package on purpose: tests/ is on pytest's path, where a package of
# this name would hide Python's own. Hence the absolute imports.
from odoo.addons.bwt_webhooks_outbound.tests.constants import (
    ALLOWED_NETWORKS,
    DELIVERY,
    ENDPOINT,
    OPERATOR,
)
from odoo.addons.bwt_webhooks_outbound.tests.receiver import Receiver, status


@tagged("post_install", "-at_install")
class TourCase(HttpCase):
    """Starts tours against a receiver of this process."""

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

    def test_automation_rule(self):
        """A changed contact is delivered by a rule that was made with clicks only.

        base_automation and contacts aren't needed by this addon; the databases of the
        tests have them.
        """
        if "base.automation" not in self.env:
            self.fail("install base_automation and contacts to run this tour")
        self.make_endpoint("/contacts")
        self.env["res.partner"].create({"name": "Tour: Ada", "email": "ada@old.com"})

        self.tour("webhooks_automation_rule", url="/odoo/automations")

        # Odoo may write a contact twice for one press on Save.
        payloads = [request.json() for request in self.receiver.wait_for_requests(1)]
        self.assertEqual(
            {("Tour: Ada", "ada@new.com")},
            {(payload["name"], payload["email"]) for payload in payloads},
        )

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


@tagged("post_install", "-at_install")
class TestDesktopTours(Tours, TourCase):
    browser_size = "1366x768"

    def test_every_choice(self):
        """Each form, new and saved, takes every value of every choice that it shows.

        Choosing OAuth2 on a new endpoint ended in an error dialog.
        """
        endpoint = self.make_endpoint("/missing", name="Tour: failed", code="failed")
        endpoint.queue_delivery({"order": 42}, name="Tour: order S00042")

        self.tour("webhooks_every_choice", timeout=300)


@tagged("post_install", "-at_install")
class TestPhoneTours(Tours, TourCase):
    browser_size = "375x667"
    touch_enabled = True
