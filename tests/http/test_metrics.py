# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The page that Prometheus reads: who gets it, and what a wrong token costs.

`BWT_WRONG_TOKENS=10000` is the long form.
"""

import os
import tempfile
from pathlib import Path

from odoo.tests import HttpCase, tagged
from odoo.tools import config

from odoo.addons.bwt_webhooks_outbound.tests.constants import ENDPOINT

PATH = "/bwt_webhooks/metrics"
WRONG = int(os.environ.get("BWT_WRONG_TOKENS", 200))
TOKEN = "a long random text, also with ä"


@tagged("post_install", "-at_install")
class TestMetricsPage(HttpCase):
    def setUp(self):
        super().setUp()
        self.env[ENDPOINT].create(
            {
                "name": "Shop",
                "code": "shop-orders",
                "target_hostname": "https://shop.example.com",
            }
        )
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.file = Path(folder, "odoo.conf")
        path = config["config"]
        config["config"] = str(self.file)
        self.addCleanup(config.__setitem__, "config", path)

    def configure(self, text):
        self.file.write_text(f"[options]\n{text}\n", encoding="utf-8")

    def ask(self, authorization=None):
        """The response to a client without a session."""
        given = {"Authorization": authorization.encode()} if authorization else {}
        return self.url_open(PATH, headers=given)

    def test_off_without_a_token(self):
        """No section, no option, an empty one: as if there was no such page."""
        for text in (
            "",
            "metrics_token = x",
            "[bwt_webhooks_outbound]",
            "[bwt_webhooks_outbound]\nmetrics_token =",
        ):
            self.configure(text)
            for given in (None, "Bearer ", "Bearer x", "Bearer"):
                with self.subTest(text=text, given=given):
                    self.assertEqual(404, self.ask(given).status_code)

    def test_wrong_tokens(self):
        """401 without a body, for whatever is given; no session is made."""
        self.configure(f"[bwt_webhooks_outbound]\nmetrics_token = {TOKEN}")
        for given in (
            *(None, "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", TOKEN),
            *(f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer ÿ\x80"),
        ):
            with self.subTest(given):
                response = self.ask(given)
                self.assertEqual(401, response.status_code)
                self.assertEqual("Bearer", response.headers["WWW-Authenticate"])
                self.assertEqual(b"", response.content)
                self.assertFalse(response.cookies)

    def test_the_right_token(self):
        """Text that the parser takes, for no user and without a session."""
        self.configure(f"[bwt_webhooks_outbound]\nmetrics_token = {TOKEN}")

        response = self.ask(f"Bearer {TOKEN}")

        self.assertEqual(200, response.status_code)
        self.assertEqual(
            "text/plain; version=0.0.4; charset=utf-8", response.headers["Content-Type"]
        )
        self.assertIn('bwt_webhooks_due{endpoint="shop-orders"} 0\n', response.text)
        self.assertFalse(response.cookies)

    def test_wrong_tokens_cost_no_query(self):
        """None of ours: what Odoo reads for each request, and nothing more."""
        self.configure(f"[bwt_webhooks_outbound]\nmetrics_token = {TOKEN}")
        self.ask("Bearer x")  # fills caches
        before = self.env.cr.sql_log_count

        for _time in range(WRONG):
            self.assertEqual(401, self.ask("Bearer x").status_code)

        self.assertLessEqual(self.env.cr.sql_log_count - before, WRONG)
