# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What people do, in a real browser."""

from unittest import SkipTest
from unittest.mock import patch

from odoo.tests import HttpCase, tagged

# This folder is no package on purpose: tests/ is on pytest's path, where a package of
# this name would hide Python's own. Hence the absolute import.
from odoo.addons.bwt_webhooks_outbound.tests.receiver import Receiver

ENDPOINT = "bwt.webhook.outbound.endpoint"


@tagged("post_install", "-at_install")
class TestTours(HttpCase):
    def setUp(self):
        super().setUp()
        self.receiver = self.enterContext(Receiver())
        self.env["ir.config_parameter"].sudo().set_param(
            "bwt_webhooks_outbound.allowed_networks", "127.0.0.0/8"
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

    def tour(self, name, login):
        """Odoo skips tours where no browser is found: a green run that saw nothing."""
        port = self.receiver.url.rpartition(":")[2]
        try:
            self.start_tour(
                "/odoo", name, login=login, cookies={"webhooks_receiver_port": port}
            )
        except SkipTest as reason:
            self.fail(f"the tour did not run: {reason}")

    def test_first_delivery(self):
        """From the menu to a delivery that is done, with nothing but clicks.

        Otherwise a form that can't be filled in, or a button that isn't there, would
        be found by the first user.
        """
        self.tour("webhooks_first_delivery", "admin")

        (request,) = self.receiver.wait_for_requests(1)
        delivery = self.env["bwt.webhook.outbound.delivery"].search(
            [("name", "=", "Tour: order S00042")]
        )
        self.assertEqual("/orders/S00042", request.path)
        self.assertEqual(delivery.message_uid, request.webhook_id)
        self.assertEqual("done", delivery.state)
