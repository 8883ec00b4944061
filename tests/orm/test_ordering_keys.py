# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Ordering keys and other arguments at the edge of what can be stored."""

import random
import string
from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.models.queue_request import KEY_BYTES_MAX

from ..constants import DELIVERY
from .common import OutboundCase


def incompressible(size):
    """A text of so many bytes that PostgreSQL cannot shorten."""
    letters = string.ascii_letters + string.digits
    return "".join(random.Random(7).choices(letters, k=size))


@tagged("post_install", "-at_install")
class TestOrderingKeys(OutboundCase):
    def test_the_longest_key(self):
        """A key of the largest size allowed is stored in every index of the queue."""
        key = incompressible(KEY_BYTES_MAX)
        for ordering in ("none", "key"):
            with self.subTest(ordering=ordering):
                self.endpoint.ordering = ordering

                delivery = self.queue({"a": 1}, ordering_key=key, supersede=True)

                self.env.flush_all()
                self.assertEqual(key, delivery.ordering_key)

    def test_a_longer_key_is_refused(self):
        """By every way in, with the number of bytes, before anything is written.

        PostgreSQL refused the index row, and the caller's transaction with it.
        """
        self.endpoint.ordering = "key"
        count = self.env[DELIVERY].search_count([])
        draft = self.env[DELIVERY].create({"endpoint_id": self.endpoint.id})
        vals = {"endpoint_id": self.endpoint.id, "supersede": True}
        for key, size in (
            (incompressible(KEY_BYTES_MAX + 1), KEY_BYTES_MAX + 1),
            ("\u20ac" * 1000, 3000),
        ):
            for way, text in (
                (lambda key=key: self.queue({}, ordering_key=key), 'Endpoint "Orders"'),
                (
                    lambda key=key: self.env[DELIVERY].create(
                        vals | {"ordering_key": key}
                    ),
                    'Endpoint "Orders"',
                ),
                (lambda key=key: draft.write({"ordering_key": key}), "Delivery"),
            ):
                with self.subTest(size=size, text=text):
                    with self.refused(f"{text}.* {size} bytes"):
                        way()
        self.assertEqual(count + 1, self.env[DELIVERY].search_count([]))

    def test_zero_is_a_key(self):
        """`0` orders and supersedes as any other key does."""
        self.endpoint.ordering = "key"

        for zero, text in ((0, "0"), (0.0, "0.0"), ("0", "0")):
            with self.subTest(zero=zero):
                old, new = self.endpoint.queue_deliveries(
                    [{"ordering_key": zero, "supersede": True}] * 2
                )
                self.assertEqual([text, text], (old + new).mapped("ordering_key"))
                self.assertEqual([text, text], (old + new).mapped("ordering_group"))
                (old + new).process_delivery()
                self.assertEqual(["canceled", "done"], (old + new).mapped("state"))

    def test_no_key(self):
        """None, False and an empty text are not a valid key."""
        for absent in (None, False, ""):
            with self.subTest(absent=absent):
                delivery = self.queue({}, ordering_key=absent)
                self.assertFalse(delivery.ordering_key or delivery.ordering_group)

    def test_zero_elsewhere(self):
        """0 is a name and a literal; as eta it is refused, not left out."""
        delivery = self.queue({}, {"n": 0}, name=0)
        listed = self.queue({}, [{"key_name": "n", "literal_value": 0}])

        self.assertEqual("0", delivery.name)
        self.assertEqual({"n": 0}, delivery._get_context_values())
        self.assertEqual({"n": 0}, listed._get_context_values())
        self.assertEqual(0, self.json_of(self.queue(0)))
        for zero in (0, 0.0, timedelta(0)):
            with self.subTest(zero=zero), self.refused("eta="):
                self.queue({}, eta=zero)

    def json_of(self, delivery):
        """What arrives of a delivery."""
        delivery.process_delivery()
        return self.receiver.requests[-1].json()
