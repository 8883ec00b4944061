# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Messages of services and of the lane reach users in their language, every part."""

from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools.translate import code_translations

from odoo.addons.bwt_webhooks_outbound.lane.translation import translate
from odoo.addons.bwt_webhooks_outbound.models.errors import misconfigured
from odoo.addons.bwt_webhooks_outbound.services.egress.policy import Policy, check_url
from odoo.addons.bwt_webhooks_outbound.services.errors import (
    ConfigurationError,
    ServiceError,
)

from ..receiver import close, garbage
from .common import OutboundCase

LANGUAGE = "fr_FR"


class Marked(dict):
    """A language in which every text of this addon is marked as translated."""

    def get(self, source, default=None):
        return f"«{source}»"


@tagged("post_install", "-at_install")
class TestTranslation(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang(LANGUAGE)
        # A translation of code is read from the addon's i18n folder, once.
        cls.enterClassContext(
            patch.dict(
                code_translations.python_translations,
                {("bwt_webhooks_outbound", LANGUAGE): Marked()},
            )
        )

    def setUp(self):
        super().setUp()
        self.french = self.env(context=dict(self.env.context, lang=LANGUAGE))
        self.endpoint.company_id.partner_id.lang = LANGUAGE

    def said(self, call, *arguments):
        """The message of the error that this call raises, in the language."""
        with self.assertRaises(ServiceError) as caught:
            call(*arguments)
        return translate(self.french, caught.exception)

    def sent(self):
        """A delivery after its attempt, in the language of its company."""
        delivery = self.queue({"a": 1})
        delivery.process_delivery()
        return delivery

    def test_address(self):
        """Why a URL is refused, and of what kind an address is."""
        self.assertEqual(
            '«the URL "ftp://a" is refused: «it must begin with https:// or http://». '
            "Correct it.»",
            self.said(check_url, "ftp://a"),
        )
        self.assertIn(
            "is not public («private»)",
            self.said(Policy().check, "intern", ["10.1.2.3"]),
        )

    def test_sender(self):
        """What the sender says of a response, within the delivery's error."""
        self.receiver.script("/orders", garbage())

        error = self.sent().processing_error

        self.assertRegex(
            error, r"^«127\.0\.0\.1:\d+ sent no valid response: «.+»\. .+»$"
        )

    def test_access_token(self):
        """Why the token server returned no token, within the delivery's error."""
        self.receiver.script("/token", close())
        self.endpoint.write(
            {
                "auth_mode": "oauth2",
                "oauth_token_url": f"{self.receiver.url}/token",
                "oauth_client_id": "shop",
                "auth_secret_input": "secret",
            }
        )

        self.endpoint._for_lane()._trust()

        self.assertRegex(
            self.endpoint.oauth_problem,
            r"^«no OAuth2 token from http://127\.0\.0\.1:\d+/token: "
            r"«127\.0\.0\.1:\d+ closed the connection without a response\. .+»»$",
        )

    def test_retry_description(self):
        """The summary of a schedule, alone and within the endpoint's summary."""
        endpoint = self.endpoint.with_env(self.french)
        endpoint.retry_schedule = "5s,1h"

        self.assertEqual("«3 attempts over 60 m»", endpoint.retry_description)
        self.assertIn("«3 attempts over 60 m»", endpoint.policy_summary)

    def test_place(self):
        """The place of an error and its record surround what is wrong."""
        error = ConfigurationError("the part %(part)s is wrong", part=1)
        error.where = "line 2"

        message = str(misconfigured(self.endpoint.with_env(self.french), error))

        self.assertRegex(message, r'"Orders" \(orders\): «line 2: «the part 1 is w')

    def test_values_of_users_stay(self):
        """A text that a user wrote is not a template, whatever it contains."""
        self.assertEqual(
            "«path 100 % is wrong»",
            translate(self.french, "path %(path)s is wrong", path="100 %"),
        )
