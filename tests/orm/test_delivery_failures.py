# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The reason by which failed deliveries are grouped."""

from odoo.tools import SQL

from odoo.addons.bwt_webhooks_outbound.models.delivery_failures import (
    reason_domain,
    reason_label,
    reason_of,
    reason_sql,
)

from ..constants import DELIVERY
from .common import OutboundCase

FAILED = {
    "http_404": {"failure_reason": "http_4xx", "response_status_code": 404},
    "http_503": {"failure_reason": "http_5xx", "response_status_code": 503},
    "http_301": {"failure_reason": "redirect", "response_status_code": 301},
    # The status is that of the attempt before.
    "timeout": {"failure_reason": "timeout", "response_status_code": 503},
    "build": {"failure_reason": "build", "processing_error": "No value for {id}."},
    "by_hand": {},
    "other": {"processing_error": "The database refuses to store that."},
}


class TestDeliveryFailures(OutboundCase):
    def test_every_failure_has_one_reason(self):
        """SQL, Python and the domain of a reason agree on each kind of failure.

        Otherwise a group would count deliveries that its buttons don't act on.
        """
        deliveries = self.env[DELIVERY]
        for reason, vals in FAILED.items():
            for state in ("error", "dead_letter"):
                with self.subTest(reason=reason, state=state):
                    delivery = self.in_state(state, **vals)
                    deliveries += delivery
                    self.assertEqual(reason, reason_of(delivery))
                    query = delivery._as_query()
                    expression = reason_sql(delivery, query.table, query)
                    [[found]] = self.env.execute_query(query.select(expression))
                    self.assertEqual(reason, found)
        ours = [("id", "in", deliveries.ids)]
        for reason in FAILED:
            found = deliveries.search([*ours, *reason_domain(reason)])
            self.assertEqual({reason}, set(map(reason_of, found)))
            self.assertEqual(2, len(found))

    def test_what_did_not_fail_has_no_reason(self):
        """A delivery that is done has none, whatever it went through before."""
        delivery = self.in_state("done", response_status_code=200)

        self.assertFalse(reason_of(delivery))
        query = delivery._as_query()
        expression = SQL("%s", reason_sql(delivery, query.table, query))
        self.assertEqual([(None,)], self.env.execute_query(query.select(expression)))

    def test_reasons_are_shown_as_people_know_them(self):
        """A status is shown with its name, any other reason with its label."""
        shown = {reason: reason_label(self.env, reason) for reason in FAILED}

        self.assertEqual("HTTP 404 Not Found", shown["http_404"])
        self.assertEqual("Timeout", shown["timeout"])
        self.assertEqual("Dead-lettered by hand", shown["by_hand"])
        self.assertEqual("Other", shown["other"])
