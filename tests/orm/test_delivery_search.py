# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Searches that read a part of the history: by age, by message id, by reason."""

import random
from datetime import timedelta

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models.delivery_record import (
    LONGEST_TRANSACTION,
    first_id,
)
from odoo.addons.bwt_webhooks_outbound.models.queue_request import (
    message_time,
    new_message_uid,
)

from ..constants import DELIVERY
from .common import OutboundCase
from .test_delivery_failures import FAILED


class TestDeliverySearch(OutboundCase):
    def queue_of_days(self, *days):
        """Deliveries that were created so many days ago, the oldest first."""
        deliveries = self.endpoint.queue_deliveries([{"payload": n} for n in days])
        self.env.flush_all()
        for delivery, age in zip(deliveries, days, strict=True):
            self.env.cr.execute(
                "UPDATE bwt_webhook_outbound_delivery SET create_date = %s "
                "WHERE id = %s",
                (utcnow() - timedelta(days=age), delivery.id),
            )
        deliveries.invalidate_recordset()
        return deliveries

    def test_first_id_loses_none(self):
        """Halving the ids finds the first delivery of any period, gaps or not.

        One id too high and a search would leave out deliveries without saying so.
        """
        chance = random.Random(7)
        days = sorted((chance.uniform(0, 60) for _n in range(60)), reverse=True)
        deliveries = self.queue_of_days(*days)
        gaps = chance.sample(deliveries.ids, 25)
        self.env[DELIVERY].browse(gaps).unlink()
        left = self.env[DELIVERY].search([], order="id")
        for _n in range(100):
            since = utcnow() - timedelta(days=chance.uniform(-1, 62))
            found = first_id(self.env, since)

            recent = left.filtered(lambda each, s=since: each.create_date >= s)
            self.assertTrue(all(each.id >= found for each in recent))
            start = since - LONGEST_TRANSACTION
            older = left.filtered(lambda each, s=start: each.create_date < s)
            self.assertTrue(all(each.id < found for each in older))

    def test_by_age(self):
        """The period of the label, in both directions and as numbers."""
        old, young = self.queue_of_days(9, 3)
        search = self.env[DELIVERY].search

        ours = [("id", "in", (old + young).ids)]
        self.assertEqual(young, search([*ours, ("age_days", "<=", 7)]))
        self.assertEqual(old, search([*ours, ("age_days", ">", 7)]))
        self.assertEqual(
            old + young, search([*ours, ("age_days", "<", 1e99)]).sorted("id")
        )
        self.assertAlmostEqual(3, young.age_days, places=2)

    def test_by_message_id(self):
        """The id that a receiver reports finds its delivery, however it was made."""
        first, second, other = self.queue_of_days(0, 0, 0)
        other.write({"message_uid": "msg_5"})
        search = self.env[DELIVERY].search

        self.assertEqual(
            first, search([("message_ref", "=", f" {first.message_uid} ")])
        )
        self.assertEqual(other, search([("message_ref", "=", "msg_5")]))
        both = [first.message_uid, second.message_uid]
        self.assertEqual(
            first + second, search([("message_ref", "in", both)]).sorted("id")
        )
        self.assertFalse(search([("message_ref", "=", new_message_uid())]))

    def test_message_ids_have_their_time(self):
        """Unique, of the known form, growing, and read back as the time they were made.

        Ids of earlier versions have no time.
        """
        before = utcnow() - timedelta(seconds=1)
        ids = [new_message_uid() for _n in range(1000)]

        self.assertEqual(1000, len(set(ids)))
        for each in ids:
            self.assertRegex(each, "^msg_[0-9a-f]{32}$")
            self.assertLess(before, message_time(each))
            self.assertGreater(utcnow() + timedelta(seconds=1), message_time(each))
        self.assertIsNone(message_time("msg_5f1d2c3b4a5948b7a6958473625140ff"))
        self.assertIsNone(message_time("msg_ffffffffffff7000800000000000000f"))
        self.assertIsNone(message_time(""))

    def test_groups_by_reason(self):
        """Each group counts what its own domain finds, and is labelled for people.

        Otherwise a button of a group would act on other deliveries than it shows.
        """
        deliveries = self.env[DELIVERY]
        for vals in (*FAILED.values(), {"failure_reason": "http_4xx"}):
            deliveries += self.in_state("error", **vals)
            deliveries += self.in_state("dead_letter", **vals)
        deliveries += self.in_state("done", response_status_code=200)
        ours = [("id", "in", deliveries.ids)]

        result = deliveries.web_read_group(ours, ["detailed_reason"], ["__count"])

        labels = {group["detailed_reason"] for group in result["groups"]}
        self.assertLessEqual({"HTTP 404 Not Found", "Timeout", "HTTP 4xx"}, labels)
        self.assertEqual(len(FAILED) + 2, len(result["groups"]))
        for group in result["groups"]:
            found = deliveries.search([*ours, *group["__extra_domain"]])
            self.assertEqual(group["__count"], len(found), group)
            label = group["detailed_reason"]
            self.assertEqual({label or False}, set(found.mapped("detailed_reason")))

    def test_search_by_reason(self):
        """By key, by label, by part of a label."""
        missing = self.in_state("dead_letter", **FAILED["http_404"])
        late = self.in_state("error", **FAILED["timeout"])
        ours = [("id", "in", (missing + late).ids)]

        for operator, value, expected in (
            ("=", "http_404", missing),
            ("=", "HTTP 404 Not Found", missing),
            ("in", ["timeout", "http_404"], missing + late),
            ("ilike", "not found", missing),
            ("ilike", "time", late),
            ("not ilike", "time", missing),
            ("=", "no such reason", missing - missing),
        ):
            with self.subTest(operator=operator, value=value):
                domain = [*ours, ("detailed_reason", operator, value)]
                self.assertEqual(
                    expected, self.env[DELIVERY].search(domain).sorted("id")
                )
