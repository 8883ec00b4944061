# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A system parameter that another process changes takes effect in this one."""

from odoo.addons.bwt_webhooks_outbound.models.res_config_settings import (
    PROXY_PARAMETER,
    egress_policy,
    egress_proxy,
)

from ..constants import ALLOWED_NETWORKS
from .common import CommittedCase


class TestParameters(CommittedCase):
    def change(self, key, value):
        """What `odoo shell` or psql on another server does: nobody is notified."""
        with self.registry.cursor() as cr:
            cr.execute("DELETE FROM ir_config_parameter WHERE key = %s", (key,))
            if value:
                cr.execute(
                    "INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s)",
                    (key, value),
                )

    def test_addresses_that_are_allowed_elsewhere(self):
        """A host that an administrator no longer allows gets no request more."""
        with self.transaction() as env:
            before = egress_policy(env)
        self.addCleanup(self.change, ALLOWED_NETWORKS, self.allowed_before)

        self.change(ALLOWED_NETWORKS, "10.1.0.0/16, 127.0.0.0/8")

        with self.transaction() as env:
            self.assertNotIn("10.1.0.0/16", map(str, before.allowed_networks))
            after = map(str, egress_policy(env).allowed_networks)
            self.assertIn("10.1.0.0/16", after)

    def test_a_proxy_that_is_set_elsewhere(self):
        """A request doesn't leave by the old way."""
        with self.transaction() as env:
            self.assertIsNone(egress_proxy(env))
        self.addCleanup(self.change, PROXY_PARAMETER, None)

        self.change(PROXY_PARAMETER, "http://proxy.example:3128")

        with self.transaction() as env:
            self.assertEqual("proxy.example", egress_proxy(env).host)

    def test_the_next_lane(self):
        """A lane lasts half a minute at most: the next one goes by today's value."""
        before = self.queue({"n": 1})
        self.run_lane()
        self.addCleanup(self.change, PROXY_PARAMETER, None)

        self.change(PROXY_PARAMETER, "http://127.0.0.1:9")
        after = self.queue({"n": 2})
        self.run_lane()

        self.assertEqual(["done"], self.states(before))
        self.assertEqual(["error"], self.states(after))
        self.assertEqual(1, self.receiver.total)
