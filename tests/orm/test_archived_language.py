# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A company whose language was archived."""

from odoo.tests import tagged

from odoo.addons.bwt_webhooks_outbound.models.endpoint_snapshot import company_lang

from ..constants import DELIVERY
from .common import CommittedCase, OutboundCase


@tagged("post_install", "-at_install")
class TestArchivedLanguage(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.endpoint.company_id

    def set_language(self, code):
        """By SQL: Odoo refuses to archive a language that someone uses."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_partner SET lang = %s WHERE id = %s",
            (code, self.company.partner_id.id),
        )
        self.env.invalidate_all()

    def test_an_active_one_instead(self):
        """English where it is active, else any active language."""
        self.env["res.lang"]._activate_lang("fr_FR")
        for code, expected in (
            ("fr_FR", "fr_FR"),
            ("xx_XX", "en_US"),
            ("de_DE", "en_US"),
            (None, "en_US"),
        ):
            with self.subTest(code=code):
                self.set_language(code)
                self.assertEqual(expected, company_lang(self.endpoint))

    def test_sent_directly(self):
        """`process_delivery` sends for such a company."""
        self.set_language("de_DE")
        delivery = self.queue({"a": 1})

        delivery.process_delivery()

        self.assertEqual("done", delivery.state)

    def test_refusal_is_said(self):
        """A delivery that cannot be built has its message, in English."""
        self.set_language("de_DE")
        self.endpoint.target_path = "/orders/{order_id}"
        delivery = self.queue({"a": 1})

        delivery.process_delivery()

        self.assertEqual("error", delivery.state)
        self.assertIn("order_id", delivery.processing_error)


@tagged("post_install", "-at_install")
class TestArchivedLanguageInALane(CommittedCase):
    def setUp(self):
        super().setUp()
        with self.transaction() as env:
            partner = self.endpoint(env).company_id.partner_id
            before, partner_id = partner.lang, partner.id
            env.cr.execute(
                "UPDATE res_partner SET lang = 'de_DE' WHERE id = %s", (partner_id,)
            )
        self.addCleanup(self._restore_language, partner_id, before)

    def test_superseded_and_interrupted(self):
        """What needs a message is recorded, the rest is sent.

        Every job of the endpoint failed at the first message, for ever.
        """
        old, new = self.queue(1, 2, ordering_key="k", supersede=True)
        [interrupted] = self.queue(3)
        with self.transaction() as env:
            env[DELIVERY].browse(interrupted).write(
                {"state": "processing", "lane_slot": 0}
            )

        self.run_lane()

        self.assertEqual(
            ["canceled", "done", "done"], self.states([old, new, interrupted])
        )

    def _restore_language(self, partner_id, lang):
        with self.transaction() as env:
            env.cr.execute(
                "UPDATE res_partner SET lang = %s WHERE id = %s",
                (lang or None, partner_id),
            )
