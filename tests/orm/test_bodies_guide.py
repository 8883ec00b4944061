# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The recipes of docs/bodies.md, and the sample of GraphQL, make what they say."""

import re

from lxml import etree

from odoo.tests import tagged
from odoo.tools import file_path, mute_logger
from odoo.tools.convert import convert_file

from odoo.addons.bwt_webhooks_outbound.models.const import LIST_KIND, SOURCE_KINDS
from odoo.addons.bwt_webhooks_outbound.models.value_format import FORMATS

from ..constants import ENDPOINT
from .test_documented_samples import DOCS, markdown_samples
from .trust_case import TrustCase

ORDER = {
    "order": {
        "number": "S00001",
        "lines": [
            {"sku": "A-1", "qty": 2.0, "price": 10.5},
            {"sku": "B & C", "qty": 1.0, "price": 4.2},
        ],
    }
}
KINDS = {label: value for value, label in [*SOURCE_KINDS, LIST_KIND]}
FORMAT_NAMES = {label: value for value, label in FORMATS}
DEMO = "bwt_webhooks_outbound.demo_endpoint_"


def canonical(xml):
    """XML without declaration and spaces, to compare."""
    parser = etree.XMLParser(remove_blank_text=True)
    root = etree.fromstring(xml.encode() if isinstance(xml, str) else xml, parser)
    for each in root.iter():
        each.text = (each.text or "").strip() or None
    return etree.tostring(root, method="c14n").decode()


@tagged("post_install", "-at_install")
class TestBodiesGuide(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = (DOCS / "bodies.md").read_text()
        cls.samples = {each.heading: each for each in markdown_samples(cls.text)}
        cls.partner.write(
            {
                "name": "Müster & Söhne <GmbH>",
                "country_id": cls.env.ref("base.de").id,
                "child_ids": [(0, 0, {"name": "Ada"})],
            }
        )

    def section(self, heading):
        return self.text.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]

    def expected(self, heading):
        """What the receiver gets, as the guide shows it."""
        after = self.section(heading).partition("receiver gets:\n\n```\n")[2]
        return after.partition("```")[0]

    def by_template(self, heading, **vals):
        template = self.samples[heading].text
        vals = {"request_body_mode": "raw", "body_template": template} | vals
        self.endpoint.write(vals)

    def add_rules(self, heading):
        """The payload rules of the table in a section."""
        lines = re.findall(r"^\|(.*)\|$", self.section(heading), re.MULTILINE)
        rows = [
            [cell.strip().strip("`") for cell in line.split(" | ")] for line in lines
        ]
        for number, (target, kind, source, *formats) in enumerate(rows[2:]):
            vals = {"sequence": number}
            name, *options = formats[0].split(", ") if formats else [""]
            if name:
                vals["value_format"] = FORMAT_NAMES[name]
                vals["format_places"] = int(options[0].split()[0])
                vals["format_as_text"] = "text" in options
            literal = kind == "Literal"
            self.rule(
                *(target, KINDS[kind]),
                expression=not literal and source,
                literal=literal and source,
                **vals,
            )

    def test_xml(self):
        """The body is the one that the guide shows."""
        self.by_template("XML")

        body = self.arrived({}, record=self.partner).body

        expected = self.expected("XML").replace('"7"', f'"{self.partner.id}"')
        self.assertEqual(canonical(expected), canonical(body))

    def test_soap(self):
        """A parser finds the values of the payload; a total is right."""
        self.by_template("SOAP")
        self.header("Content-Type", literal="text/xml; charset=utf-8")
        self.header("SOAPAction", literal='"urn:example:orders/CreateOrder"')

        request = self.arrived(ORDER)

        root = etree.fromstring(request.body)
        texts = [each.strip() for each in root.itertext() if each.strip()]
        self.assertEqual(
            ["S00001", "A-1", "2.0", "10.50", "B & C", "1.0", "4.20", "14.70"], texts
        )
        self.assertEqual(
            '"urn:example:orders/CreateOrder"', request.header("SOAPAction")
        )

    def test_plain_text(self):
        """A line each, in the charset of the header, nothing escaped."""
        self.by_template("Plain text", body_template_type="text")
        self.header("Content-Type", literal="text/plain; charset=iso-8859-1")

        body = self.arrived(ORDER).body

        self.assertEqual(b"Order S00001\nA-1;2.0\nB & C;1.0\nEnd\n", body)

    def test_graphql(self):
        """Query and variables, from the table and from the demo data."""
        self.add_rules("GraphQL")

        found = self.arrived({}, record=self.partner).json()

        expected = {
            "query": "mutation ($input: CustomerInput!) "
            "{ customerUpsert(input: $input) { id } }",
            "variables": {
                "input": {"name": self.partner.name, "email": "ada@example.com"}
            },
        }
        self.assertEqual(expected, found)
        self.load_demo()
        sample = self.env.ref(f"{DEMO}graphql")
        sample.write({"state": "active", "target_hostname": self.receiver.url})
        self.endpoint = sample
        self.assertEqual(expected, self.arrived({}, record=self.partner).json())

    def test_csv(self):
        """The table of the guide, cell by cell."""
        self.add_rules("CSV of lines")
        self.endpoint.write(
            {
                "request_body_mode": "csv",
                "csv_delimiter": "semicolon",
                "csv_decimal_comma": True,
            }
        )

        body = self.arrived({}, record=self.partner).body.decode()

        self.assertEqual(self.expected("CSV of lines"), body.replace("\r\n", "\n"))

    def test_samples_of_the_demo_data_send_nothing(self):
        """They are drafts, whose templates are valid."""
        self.load_demo()

        samples = self.env[ENDPOINT].search([("code", "=like", "sample-%")])

        self.assertEqual(4, len(samples))
        self.assertEqual({"draft"}, set(samples.mapped("state")))

    def load_demo(self):
        file = file_path("bwt_webhooks_outbound/demo/demo_bodies.xml")
        with mute_logger("odoo.tools.convert"):
            convert_file(
                *(self.env, "bwt_webhooks_outbound", file, {}),
                mode="init",
                noupdate=True,
            )
