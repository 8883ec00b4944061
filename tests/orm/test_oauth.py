# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""OAuth2 client credentials against a real token server; lanes: tests/live."""

import time
from unittest import skipUnless

from odoo.addons.bwt_webhooks_outbound.lane.batch import Claim
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.lane.health import Health
from odoo.addons.bwt_webhooks_outbound.lane.pacing import Position

from ..constants import ALLOWED_NETWORKS, TOKEN
from ..receiver import close, status
from .trust_case import TrustCase

try:
    from ..token_server import TokenServer
except ImportError:
    TokenServer = None

SECRET = "cl1ent:s3cret+ü"


@skipUnless(TokenServer, "needs authlib")
class TestOauth(TrustCase):
    def setUp(self):
        super().setUp()
        self.tokens = TokenServer("shop", SECRET)
        self.receiver.script("/token", self.tokens.response)
        self.receiver.script("/orders", self.tokens.guard)
        self.endpoint.write(
            {
                "auth_mode": "oauth2",
                "oauth_token_url": f"{self.receiver.url}/token",
                "oauth_client_id": "shop",
                "auth_secret_input": SECRET,
                "oauth_scope": "orders",
            }
        )

    def orders(self):
        return self.receiver.requests_to("/orders")

    def row(self):
        tokens = self.env[TOKEN].sudo()
        return tokens._row(self.endpoint.id)

    def reader(self):
        """A claim of a lane that reads the endpoint's snapshot now."""
        endpoint = self.endpoint._for_lane()
        snapshot = endpoint._outbound_snapshot()
        health = Health(self.env.cr, endpoint.id, snapshot.policy, False)
        claim = Claim(endpoint, snapshot, health, Position(), "j")
        return lambda: claim.take(10, utcnow(), alone=False)

    def test_one_token_for_many_deliveries(self):
        """The token is stored: one request to the server."""
        for _number in range(5):
            self.assertEqual("done", self.process({"a": 1}).state)

        self.assertEqual(1, self.tokens.request_count)
        sent = {each.header("Authorization") for each in self.orders()}
        self.assertEqual({f"Bearer {token}" for token in self.tokens.issued}, sent)

    def test_secret_in_the_body(self):
        """For servers that know no HTTP Basic."""
        self.endpoint.oauth_in_body = True

        self.assertEqual("done", self.process({"a": 1}).state)

        [request] = self.receiver.requests_to("/token")
        self.assertIsNone(request.header("Authorization"))
        self.assertIn(b"client_secret=", request.body)

    def test_renewed_shortly_before_it_ends(self):
        """A token of ten seconds is used for nine: no request with a dead one."""
        self.tokens.lifetime = 10
        self.process({"a": 1})
        row = self.row()
        self.assertAlmostEqual(9, row.renew_at - time.time(), delta=2)

        tokens = self.env[TOKEN].sudo()
        tokens._keep(self.endpoint.id, renew_at=time.time() - 0.1)
        self.process({"a": 1})

        self.assertEqual(2, self.tokens.request_count)
        first, second = (each.header("Authorization") for each in self.orders())
        self.assertNotEqual(first, second)

    def test_a_refused_token_is_renewed_once(self):
        """401: the delivery goes again at once with a new token, using no retry."""
        self.endpoint.retry_schedule = ""
        self.process({"a": 1})
        self.tokens.issued.clear()  # revoked

        delivery = self.process({"a": 2})

        self.assertEqual(
            ("error", 401), (delivery.state, delivery.response_status_code)
        )
        self.assertEqual(0, delivery.retry_number)
        self.assertTrue(delivery.next_attempt_at)
        self.assertIn("A new one is requested", delivery.processing_error)
        delivery.process_delivery()
        self.assertEqual("done", delivery.state)
        self.assertEqual(2, self.tokens.request_count)

    def test_a_second_401_is_final(self):
        """If a new token doesn't help it isn't the token: no endless renewing."""
        self.receiver.script("/orders", status(401))

        delivery = self.process({"a": 1})
        self.assertEqual("error", delivery.state)
        delivery.process_delivery()

        self.assertEqual("dead_letter", delivery.state)
        self.assertEqual(2, len(self.orders()))
        self.assertEqual(2, self.tokens.request_count)

    def test_a_401_long_before_doesnt_count(self):
        """After an attempt that ended otherwise a 401 renews the token once more.

        A token revoked twice within a delivery's retries would make it a dead letter.
        """
        responses = (status(401), close(), status(401), status(200))
        self.receiver.script("/orders", *responses)

        delivery = self.process({"a": 1})
        for _attempt in responses[1:]:
            delivery.process_delivery()

        self.assertEqual(("done", 4), (delivery.state, delivery.attempt_count))

    def test_nothing_is_claimed_after_the_access_token_failed_permanently(self):
        """A lane that read the token before another lane's 401 doesn't send with it.

        What that 401 stopped is due at once: refused twice by one token, it would
        be a dead letter.
        """
        self.endpoint.queue_delivery({"a": 1})
        take = self.reader()
        [prepared] = take().prepared
        self.endpoint._renews_token(prepared.encoded, prepared.claimed.id)  # the 401

        failed_permanently = take()
        renewed = self.reader()()
        replaced = take()

        self.assertEqual(
            [True, False, True],
            [each.needs_token for each in (failed_permanently, renewed, replaced)],
        )
        self.assertEqual(
            [0, 1, 0],
            [len(each.prepared) for each in (failed_permanently, renewed, replaced)],
        )

    def test_a_server_that_refuses_the_client(self):
        """The delivery stops with the server's message; the next request waits, too."""
        self.endpoint.auth_secret_input = "wr0ng secret"

        deliveries = [self.process({"a": number}) for number in range(3)]

        for delivery in deliveries:
            self.assertEqual("error", delivery.state)
            self.assertFalse(delivery.next_attempt_at)
            self.assertIn("invalid_client", delivery.processing_error)
            self.assertNotIn("wr0ng", delivery.processing_error)
        self.assertEqual(1, self.tokens.request_count)
        self.assertEqual([], self.orders())
        self.assertIn("invalid_client", self.endpoint.oauth_problem)
        self.assertIn("invalid_client", self.endpoint.message_ids[:1].body)

        self.endpoint.auth_secret_input = SECRET  # corrected: requested immediately
        deliveries[0].process_delivery()
        self.assertEqual("done", deliveries[0].state)
        self.assertFalse(self.endpoint.oauth_problem)

    def test_a_server_that_echoes_the_secret(self):
        """A description that quotes the secret is masked wherever it is shown."""
        self.receiver.script(
            "/token",
            status(400, b'{"error": "x", "error_description": "bad cl1ent:s3cret+"}'),
        )
        self.endpoint.auth_secret_input = "cl1ent:s3cret+"

        delivery = self.process({"a": 1})

        for text in (
            delivery.processing_error,
            self.endpoint.oauth_problem,
            self.endpoint.message_ids[:1].body,
        ):
            self.assertIn("bad ***", text)

    def test_a_server_that_is_down_is_waited_for(self):
        """A temporary failure needs no attention: the snapshot says when to retry."""
        self.receiver.script("/token", status(503))

        trust = self.endpoint._trust()

        self.assertGreater(trust.not_before, time.time() + 3)
        self.assertIn("503", str(trust.fault))
        self.assertEqual(trust.not_before, self.endpoint._trust().not_before)
        self.assertEqual(1, len(self.receiver.requests_to("/token")))

    def test_the_egress_policy_applies_to_the_token_url(self):
        """Else a token URL would be a way to addresses inside."""
        self.env["ir.config_parameter"].set_param(ALLOWED_NETWORKS, "127.0.0.0/8")
        self.endpoint.write(
            {
                "oauth_token_url": "http://10.1.2.3/token",
                "auth_secret_input": SECRET,  # another host forgets the one before
            }
        )

        delivery = self.process({"a": 1})

        self.assertEqual("error", delivery.state)
        self.assertIn('"10.1.2.3" is refused', delivery.processing_error)

    def test_other_settings_need_another_token(self):
        """A token got with the old scope or client must not be used on."""
        self.process({"a": 1})

        self.endpoint.oauth_scope = False
        self.process({"a": 1})

        self.assertEqual(2, self.tokens.request_count)
