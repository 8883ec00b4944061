# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an endpoint says in plain language."""

from odoo import fields

from odoo.addons.bwt_webhooks_outbound.models.endpoint_summary import hourly_attempts

from ..constants import ENDPOINT
from ..receiver import status
from .trust_case import TrustCase


class TestEndpointSummary(TrustCase):
    """The endpoint's URL, policy and last day."""

    def test_the_url_shows_its_tokens_while_it_is_typed(self):
        """Tokens are set off and named, before the endpoint is saved."""
        endpoint = self.env[ENDPOINT].new(
            {
                "target_hostname": "https://a.example",
                "target_path": "/o/{order_id}?x={<b>}",
                "http_method": "put",
            }
        )

        self.assertIn("PUT", endpoint.url_preview)
        self.assertIn('<b class="text-info">{order_id}</b>', endpoint.url_preview)
        self.assertIn("Each delivery must provide: order_id", endpoint.url_preview)
        self.assertIn("{&lt;b&gt;}", endpoint.url_preview)

    def test_the_policy_summary_follows_the_fields(self):
        """Schedule and pace are said as what they come to, a bad one as bad."""
        self.endpoint.write({"retry_schedule": "5s, 1h", "rate_limit": 7})

        self.assertIn("Retry delays: 5s, 1h (3 attempts", self.endpoint.policy_summary)
        self.assertIn("Not more than 7 per second.", self.endpoint.policy_summary)
        new = self.env[ENDPOINT].new({"retry_schedule": "5x"})
        self.assertIn('"5x" is not a valid duration', new.policy_summary)

    def test_the_chart_counts_attempts_per_hour(self):
        """Done and failed are in the hour of the clock in which they were made."""
        self.assertFalse(self.endpoint.chart_24h)
        self.receiver.script("/orders", status(200), status(422))
        self.process({})
        self.process({})
        self.env.cr.execute(
            "UPDATE bwt_webhook_outbound_endpoint_hour "
            "SET hour = hour - interval '2 hours' WHERE succeeded > 0"
        )
        self.endpoint.invalidate_recordset()

        hours = hourly_attempts(self.endpoint, fields.Datetime.now())[self.endpoint.id]

        self.assertEqual((0, 1), hours[23])
        self.assertEqual((1, 0), hours[21])
        self.assertEqual((1, 1), tuple(map(sum, zip(*hours, strict=True))))
        self.assertIn("1 with 2xx, 1 failed", self.endpoint.chart_24h)

    def test_endpoints_with_the_same_name_are_shown_with_their_code(self):
        """Choices show the code and find by it; elsewhere the name stays alone."""
        twin = self.endpoint.copy({"code": "shop-twin", "name": "Shop orders"})
        endpoints = self.env[ENDPOINT]

        found = endpoints.web_name_search("shop-twin", {"display_name": {}})

        self.assertEqual([twin.id], [each["id"] for each in found])
        self.assertEqual("Shop orders", found[0]["display_name"])
        self.assertEqual(
            "Shop orders\t--shop-twin--", found[0]["__formatted_display_name"]
        )
