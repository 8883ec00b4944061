# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Credentials and signatures on requests that really arrived."""

import base64
import shutil
import subprocess
from datetime import timedelta
from itertools import product
from unittest import skipUnless
from unittest.mock import patch

from odoo import fields

from ..constants import ALLOWED_NETWORKS
from ..receiver import status
from .trust_case import TrustCase

try:
    import standardwebhooks
except ImportError:
    standardwebhooks = None


class TestAuthentication(TrustCase):
    def test_bearer_basic_and_api_key_arrive(self):
        """Each mode puts its header on the request, and none of the others'."""
        basic = base64.b64encode("ada:pä:ss".encode()).decode()
        for values, expected in (
            (
                {"auth_mode": "bearer", "auth_secret_input": "t0ken"},
                ("Bearer t0ken", None),
            ),
            (
                {
                    "auth_mode": "basic",
                    "auth_user": "ada",
                    "auth_secret_input": "pä:ss",
                },
                (f"Basic {basic}", None),
            ),
            (
                {
                    "auth_mode": "api_key",
                    "auth_header_name": "X-Shop-Key",
                    "auth_secret_input": "k3y5",
                },
                (None, "k3y5"),
            ),
            ({"auth_mode": "none"}, (None, None)),
        ):
            with self.subTest(values["auth_mode"]):
                self.endpoint.write(values)

                request = self.arrived({"a": 1})

                seen = request.header("Authorization"), request.header("X-Shop-Key")
                self.assertEqual(expected, seen)

    def test_a_rule_wins_over_the_credential(self):
        """Headers of rules, handler and backend come first; the mode fills a gap."""
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "t0ken"})
        self.header("authorization", literal="Custom abc")

        request = self.arrived({"a": 1})

        values = [v for k, v in request.headers if k.lower() == "authorization"]
        self.assertEqual(["Custom abc"], values)

    def test_another_mode_forgets_the_secret(self):
        """Else a password would be sent as an API key by one click."""
        self.endpoint.write(
            {"auth_mode": "basic", "auth_user": "a", "auth_secret_input": "passw0rd"}
        )

        with self.refused("authentication has no secret yet"), self.env.cr.savepoint():
            self.endpoint.write({"auth_mode": "api_key"})
        self.endpoint.write({"auth_mode": "none"})

        self.assertFalse(self.endpoint.sudo().auth_secret)

    def test_incomplete_settings_are_refused_on_an_active_endpoint(self):
        """The message names the endpoint and says what is missing; a draft may wait."""
        for values, message in (
            ({"auth_mode": "bearer"}, "no secret yet"),
            ({"auth_mode": "basic", "auth_secret_input": "x"}, "user name"),
            (
                {
                    "auth_mode": "api_key",
                    "auth_header_name": "X Key",
                    "auth_secret_input": "x",
                },
                '"X Key" is not a valid header name',
            ),
            (
                {
                    "auth_mode": "api_key",
                    "auth_header_name": "Host",
                    "auth_secret_input": "x",
                },
                "is set by the sender",
            ),
            ({"auth_mode": "oauth2"}, "OAuth2 needs the token URL"),
            (
                {"signing_mode": "standard", "signing_secret_input": "whsec_%%"},
                "whsec_",
            ),
            (
                {"signing_mode": "hmac", "hmac_header_name": ""},
                "is not a valid header name",
            ),
            (
                {"client_certificate_input": "not a valid PEM"},
                "client certificate can't be",
            ),
        ):
            with self.subTest(values), self.refused(message):
                with self.env.cr.savepoint():
                    self.endpoint.write(values)
        self.endpoint.action_set_draft()
        self.endpoint.write({"auth_mode": "bearer"})
        with self.refused('"Shop orders" \\(shop-orders\\): .*no secret yet'):
            self.endpoint.action_activate()

    def test_settings_that_became_incomplete_stop_the_delivery(self):
        """A restored or neutralised copy sends nothing without its credential."""
        self.endpoint.write({"auth_mode": "bearer", "auth_secret_input": "t0ken"})
        self.env.flush_all()
        self.env.cr.execute("UPDATE bwt_webhook_outbound_endpoint SET auth_secret=NULL")
        self.env.invalidate_all()

        delivery = self.process({"a": 1})

        self.assertEqual(("error", "build"), (delivery.state, delivery.failure_reason))
        self.assertIn("no secret yet", delivery.processing_error)
        self.assertEqual(0, self.receiver.total)

    def test_allowed_networks_that_can_not_be_read_stop_the_delivery(self):
        """A typing error in the system parameter must not take the lanes down."""
        self.env["ir.config_parameter"].set_param(
            ALLOWED_NETWORKS, "127.0.0.0/8, 10.0.0.0/99"
        )

        delivery = self.process({"a": 1})

        self.assertEqual("error", delivery.state)
        self.assertIn("10.0.0.0/99", delivery.processing_error)
        self.assertEqual(0, self.receiver.total)


class TestSigning(TrustCase):
    @skipUnless(standardwebhooks, "needs standardwebhooks")
    def test_before_during_and_after_a_rotation(self):
        """The public package verifies each request with the secrets that hold then."""
        self.endpoint.signing_mode = "standard"

        def holds(request, secret):
            webhook = standardwebhooks.Webhook(secret)
            headers = {name.lower(): value for name, value in request.headers}
            try:
                return webhook.verify(request.body, headers) == {"größe": 1}
            except standardwebhooks.WebhookVerificationError:
                return False

        old = self.generate()
        before = self.arrived({"größe": 1})
        new = self.generate(overlap_hours=2)
        during = self.arrived({"größe": 1})
        self.endpoint.secret_expires_at = fields.Datetime.now() - timedelta(seconds=1)
        after = self.arrived({"größe": 1})

        seen = [
            (holds(request, old), holds(request, new))
            for request in (before, during, after)
        ]
        self.assertEqual([(True, False), (True, True), (False, True)], seen)

    def test_without_overlap_the_old_secret_ends_at_once(self):
        """After a leak nobody wants the old one to count for another day."""
        self.endpoint.signing_mode = "standard"
        self.generate()

        self.generate(overlap_hours=0)

        signature = self.arrived({"a": 1}).header("webhook-signature")
        self.assertEqual(1, len(signature.split()))
        self.assertFalse(self.endpoint.sudo().old_secret)

    def test_an_old_secret_is_forgotten_after_its_end(self):
        """What no longer signs has no business in the database."""
        self.endpoint.signing_mode = "standard"
        self.generate()
        new = self.generate(overlap_hours=1)
        self.endpoint._gc_old_secrets()
        self.assertTrue(self.endpoint.sudo().old_secret)

        self.endpoint.secret_expires_at = fields.Datetime.now()
        self.endpoint._gc_old_secrets()

        endpoint = self.endpoint.sudo()
        self.assertEqual((new, False), (endpoint.signing_secret, endpoint.old_secret))
        self.assertFalse(endpoint.secret_expires_at)

    def test_each_attempt_is_signed_again(self):
        """A receiver refuses an old timestamp, so a retry needs its own."""
        self.endpoint.signing_mode = "standard"
        self.generate()
        self.receiver.script("/orders", status(503), status(200))
        delivery = self.deliver({"a": 1}).sudo()

        with patch("time.time", return_value=1_700_000_000.0):
            delivery.process_delivery()
        with patch("time.time", return_value=1_700_000_060.0):
            delivery.process_delivery()

        first, second = self.receiver.wait_for_requests(2)
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        first, second = ([each.header(n) for n in names] for each in (first, second))
        self.assertEqual(first[0], second[0])
        self.assertEqual("1700000000", first[1])
        self.assertEqual("1700000060", second[1])
        self.assertNotEqual(first[2], second[2])

    @skipUnless(shutil.which("openssl"), "needs openssl")
    def test_hmac_is_what_openssl_computes(self):
        """Over the bytes that arrived, in every encoding and body mode."""
        self.endpoint.write(
            {"signing_mode": "hmac", "signing_secret_input": "Jefe's longer key"}
        )
        for algorithm, encoding, mode in product(
            ("sha256", "sha512"),
            ("hex", "base64"),
            ("json", "form_urlencoded", "multipart"),
        ):
            with self.subTest(algorithm=algorithm, encoding=encoding, mode=mode):
                self.endpoint.write(
                    {
                        "hmac_algorithm": algorithm,
                        "hmac_encoding": encoding,
                        "hmac_prefix": f"{algorithm}=",
                        "request_body_mode": mode,
                    }
                )

                request = self.arrived({"größe": "x&y"})

                expected = self._openssl(algorithm, encoding, request.body)
                self.assertEqual(
                    f"{algorithm}={expected}", request.header("X-Hub-Signature-256")
                )

    def _openssl(self, algorithm, encoding, body):
        digest = subprocess.run(
            [
                "openssl",
                "dgst",
                f"-{algorithm}",
                "-hmac",
                "Jefe's longer key",
                "-binary",
            ],
            input=body,
            capture_output=True,
            check=True,
        ).stdout
        return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()

    def test_signing_without_a_secret_stops_the_delivery(self):
        """An unsigned request would be refused later, or worse, taken."""
        for mode in ("standard", "hmac"):
            with self.subTest(mode):
                self.endpoint.signing_mode = mode

                delivery = self.process({"a": 1})

                self.assertEqual("error", delivery.state)
                self.assertIn("signing secret is missing", delivery.processing_error)
        self.assertEqual(0, self.receiver.total)

    def test_snippets_follow_the_settings(self):
        """The form shows code that fits the endpoint, none when nothing is signed."""
        self.assertFalse(self.endpoint.verify_python)
        self.endpoint.signing_mode = "standard"
        self.assertIn("standardwebhooks", self.endpoint.verify_node)
        self.endpoint.write({"signing_mode": "hmac", "hmac_header_name": "X-My-Sig"})
        self.assertIn('"x-my-sig"', self.endpoint.verify_python)
