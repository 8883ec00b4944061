# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Base of the tests that check what arrives and what must not."""

from odoo.tests.common import new_test_user

from ..constants import ADMINISTRATOR, OPERATOR
from ..receiver import Receiver
from .request_case import RequestCase

GROUPS = {
    "portal": "base.group_portal",
    "internal": "base.group_user",
    "operator": OPERATOR,
    "administrator": ADMINISTRATOR,
}


class TrustCase(RequestCase):
    """A receiver on loopback, which the system parameter allows."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.receiver = cls.enterClassContext(Receiver())
        cls.endpoint.target_hostname = cls.receiver.url

    def setUp(self):
        super().setUp()
        self.receiver.clear()

    def user(self, kind, **values):
        """A new user of one of `GROUPS`."""
        return new_test_user(
            self.env, login=f"webhooks-{kind}", groups=GROUPS[kind], **values
        )

    def process(self, *args, **options):
        """A delivery that was queued and sent at once."""
        delivery = self.deliver(*args, **options).sudo()
        delivery.process_delivery()
        return delivery

    def arrived(self, *args, **options):
        """The request of a new delivery as the receiver got it."""
        before = self.receiver.total
        delivery = self.process(*args, **options)
        self.assertEqual("done", delivery.state, delivery.processing_error)
        return self.receiver.wait_for_requests(before + 1)[-1]

    def generate(self, overlap_hours=24):
        """Press Generate Secret in the dialog; returns the secret that it shows."""
        action = self.endpoint.action_generate_secret()
        dialogs = self.env[action["res_model"]].with_context(**action["context"])
        shown = dialogs.create({"overlap_hours": overlap_hours}).action_generate()
        return shown["context"]["default_secret"]
