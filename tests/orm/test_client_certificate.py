# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""mTLS against a server that requests a client certificate."""

import os
import pathlib
import tempfile
from unittest.mock import patch

from ..certificates import Authority
from ..receiver import Receiver
from .trust_case import TrustCase


class TestClientCertificate(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.authority = Authority(folder)
        server = folder / "server.pem"
        server.write_text(cls.authority.issue("127.0.0.1"))
        cls.enterClassContext(
            patch.dict(os.environ, REQUESTS_CA_BUNDLE=str(cls.authority.path))
        )
        cls.receiver = cls.enterClassContext(
            Receiver(certificate=server, client_ca=cls.authority.path)
        )
        cls.endpoint.target_hostname = cls.receiver.url

    def test_the_server_sees_the_certificate(self):
        """mTLS beside a bearer token: both arrive."""
        self.endpoint.write(
            {
                "client_certificate_input": self.authority.issue("odoo.example.com"),
                "auth_mode": "bearer",
                "auth_secret_input": "t0ken",
            }
        )

        request = self.arrived({"a": 1})

        subject = dict(pair for [pair] in request.peer_certificate["subject"])
        self.assertEqual("odoo.example.com", subject["commonName"])
        self.assertEqual("Bearer t0ken", request.header("Authorization"))
        self.assertRegex(
            self.endpoint.client_certificate_info, r"odoo\.example\.com, until \d{4}-"
        )

    def test_without_or_with_a_foreign_certificate_nothing_arrives(self):
        """The server ends the handshake; the delivery fails as tls and is retried."""
        foreign = Authority(self.authority.path.parent, "foreign").issue("x.example")
        for pem in (False, foreign):
            with self.subTest(foreign=bool(pem)):
                self.endpoint.write({"client_certificate_input": pem})

                delivery = self.process({"a": 1})

                self.assertEqual("error", delivery.state)
                self.assertIn(delivery.failure_reason, ("tls", "connect"))
        self.assertEqual(0, self.receiver.total)

    def test_it_is_taken_away_by_a_button(self):
        """An empty input keeps what is there; the button takes it away."""
        pem = self.authority.issue("odoo.example.com")
        self.endpoint.client_certificate_input = pem
        self.endpoint.write({"client_certificate_input": ""})
        self.assertTrue(self.endpoint.has_client_certificate)

        self.endpoint.action_remove_client_certificate()

        self.assertFalse(self.endpoint.has_client_certificate)
        self.assertFalse(self.endpoint.client_certificate_info)
