# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The samples of the guide on other addons, and the components of OCA's connector."""

import configparser

from odoo.tests import tagged

from ..constants import DELIVERY, ENDPOINT
from .test_documented_samples import LICENSE, ROOT, samples_of
from .trust_case import TrustCase

GUIDE = "docs/ecosystem.md"
FOLDER = "tests/addons/bwt_test_connector_oca"


@tagged("post_install", "-at_install")
class TestEcosystem(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.need_test_addon("test.oca.product")
        cls.backend = cls.env["test.oca.backend"].create(
            {"name": "Oca", "token": "t1", "api_base_url": cls.receiver.url}
        )
        cls.products = cls.env[ENDPOINT].create(
            {
                "name": "Oca products",
                "code_suffix": "products",
                "connector_backend_ref": cls.backend._get_connector_backend_reference(),
                "target_path": "/products",
            }
        )

    def queued(self):
        return self.env[DELIVERY].search(
            [("endpoint_id", "=", self.products.id)], order="queue_number"
        )

    def test_component_listener(self):
        """A listener queues a delivery per change, which arrives by the backend."""
        product = self.env["test.oca.product"].create(
            {"name": "Chair", "backend_id": self.backend.id}
        )
        product.name = "Table"
        product.write({"backend_id": self.backend.id})  # no change of the name
        deliveries = self.queued()

        self.assertEqual(2, len(deliveries))
        self.assertEqual([product.id] * 2, deliveries.mapped("res_id"))
        deliveries.process_delivery()

        requests = self.receiver.wait_for_requests(2, path="/products")
        self.assertEqual(["done"] * 2, deliveries.mapped("state"))
        self.assertEqual(["Chair", "Table"], [each.json()["name"] for each in requests])
        self.assertEqual(
            {"Bearer t1"}, {each.header("Authorization") for each in requests}
        )

    def test_component_listener_in_a_mass_write(self):
        """Each record has a delivery of its own; all are queued in one transaction."""
        self.env["test.oca.product"].create(
            [{"name": f"P{each}", "backend_id": self.backend.id} for each in range(20)]
        )
        jobs = self.env["queue.job"].search_count([])

        self.assertEqual(20, len(self.queued()))
        self.env["test.oca.product"].search([]).write({"name": "Same"})
        self.assertEqual(40, len(self.queued()))
        self.assertLessEqual(self.env["queue.job"].search_count([]) - jobs, 1)

    def test_samples(self):
        """Python of the guide is the tests' addon, its configuration can be read."""
        samples = samples_of(GUIDE)
        python = [each for each in samples if each.language == "python"]
        self.assertEqual(
            [f"{FOLDER}/backend.py", f"{FOLDER}/listener.py"],
            [each.file for each in python],
        )
        for sample in python:
            text = (ROOT / sample.file).read_text().removeprefix(LICENSE)
            self.assertEqual(text, sample.text, sample.file)
        settings = [each for each in samples if each.language == "ini"]
        self.assertTrue(settings)
        for sample in settings:
            # As server_environment reads it: a % alone would raise.
            parser = configparser.ConfigParser()
            parser.read_string(sample.text)
            for section in parser.sections():
                self.assertTrue(parser.items(section))
