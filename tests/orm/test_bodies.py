# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bodies that a template or CSV makes of payload and record."""

import csv
import io
import json

from lxml import etree

from odoo.tests import Form, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane.attempt_result import Claimed
from odoo.addons.bwt_webhooks_outbound.lane.batch import prepare_batch

from ..constants import ADMINISTRATOR, DELIVERY, ENDPOINT, SEND_TEST
from .request_case import assignment, condition
from .trust_case import TrustCase

SOAP = """<?xml version="1.0"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">
  <soap:Body>
    <Customer xmlns="urn:shop" t-att-ref="record.ref">
      <Name t-out="record.name"/>
      <Vat t-out="record.vat"/>
      <Country t-out="record.country_id.code">none</Country>
      <Contact t-foreach="record.child_ids" t-as="contact">
        <t t-out="contact.name"/> (<t t-out="contact.parent_id == record"/>)
      </Contact>
      <Shop t-out="payload.shop"/>
      <Order t-out="context.order"/>
      <Seller t-out="company.partner_id.name"/>
      <Id t-out="delivery.message_uid"/>
      <Since t-out="date(record.create_date, 'yyyy')"/>
    </Customer>
  </soap:Body>
</soap:Envelope>"""
NAMESPACE = {"s": "urn:shop"}


def of(element, path):
    """The texts at a path of a SOAP body, without spaces around them."""
    return [each.text.strip() for each in element.iterfind(f".//s:{path}", NAMESPACE)]


@tagged("post_install", "-at_install")
class BodyCase(TrustCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner.write(
            {
                "name": "Müster & Söhne <GmbH>",
                "child_ids": [(0, 0, {"name": name}) for name in ("Bob", "Carl")],
            }
        )

    def template(self, body, **vals):
        self.endpoint.write({"request_body_mode": "raw", "body_template": body, **vals})

    def failed(self, *args, **options):
        """Why a delivery that was queued in Error, could not be built."""
        delivery = self.process(*args, **options)
        self.assertEqual("error", delivery.state)
        self.assertFalse(self.receiver.total)
        return delivery.processing_error


class TestBodyTemplates(BodyCase):
    def test_soap_of_record_payload_and_context(self):
        """The receiver parses it, and the attempt shows what was sent."""
        self.template(SOAP)

        request = self.arrived({"shop": 7}, {"order": "S1"}, record=self.partner)

        self.assertEqual(
            "application/xml; charset=utf-8", request.header("Content-Type")
        )
        root = etree.fromstring(request.body)
        self.assertEqual(["Müster & Söhne <GmbH>"], of(root, "Name"))
        self.assertEqual(["Bob (true)", "Carl (true)"], _contacts(root))
        self.assertEqual([], of(root, "Vat"))
        self.assertEqual(["none"], of(root, "Country"))
        self.assertEqual(["7", "S1"], of(root, "Shop") + of(root, "Order"))
        self.assertEqual([self.env.company.partner_id.name], of(root, "Seller"))
        self.assertEqual([request.webhook_id], of(root, "Id"))
        self.assertEqual("A-1", root.find(".//s:Customer", NAMESPACE).get("ref"))
        delivery = self.env[DELIVERY].search([("message_uid", "=", request.webhook_id)])
        self.assertEqual(request.body.decode(), delivery.attempt_ids.payload_json)
        self.assertEqual({"shop": 7}, json.loads(delivery.payload_json))
        self.assertIn("Müster", delivery.attempt_ids.curl_command)

    def test_the_charset_of_the_header_is_that_of_the_bytes(self):
        """XML writes what it lacks as a reference, plain text names it."""
        self.template('<?xml version="1.0"?><a t-out="payload.x"/>')
        self.header("Content-Type", literal="text/xml; charset=ISO-8859-1")

        body = self.arrived({"x": "ü€"}).body

        self.assertEqual(
            b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<a>\xfc&#8364;</a>', body
        )
        self.template('<t t-out="payload.x"/>', body_template_type="text")
        self.receiver.clear()
        self.assertIn("can't encode", self.failed({"x": "ü€"}))

    def test_values_of_rules_are_escaped_once(self):
        """A payload rule writes JSON, which only the template makes XML of."""
        self.template('<a t-out="payload.name"/>')
        self.header("Content-Type", literal="text/xml")
        self.rule("name", literal="{record.name} & {order}")

        body = self.arrived({}, {"order": "<1>"}, record=self.partner).body

        self.assertEqual("Müster & Söhne <GmbH> & <1>", etree.fromstring(body).text)

    def test_a_handler_decides_on_the_payload_before(self):
        """Its conditions and changes are about JSON; a text of it is the body."""
        self.template('<a><b t-out="payload.total"/><c t-out="payload.seen"/></a>')
        rules = [
            {
                "result_status": "cancel",
                "condition_ids": [condition("payload.total", "greater", "10")],
            },
            {
                "result_status": "mutate",
                "condition_ids": [condition("payload.total", "equals", "5")],
                "assignment_ids": [assignment("payload", "seen", "a & {key}")],
            },
            {
                "result_status": "mutate",
                "assignment_ids": [assignment("payload", "", "<own/>")],
            },
        ]
        self.handler(*rules)

        self.assertEqual("canceled", self.process({"total": 11}).state)
        body = self.arrived({"total": 5}, {"key": "<k>"}).body
        self.assertEqual(b"<a><b>5</b><c>a &amp; &lt;k&gt;</c></a>", body)
        self.assertEqual(b"<own/>", self.arrived({"total": 1}).body)

    def test_what_is_known_to_be_wrong_is_refused_when_saved(self):
        """With endpoint and line; the form warns before."""
        for body, complaint in (
            ("<a>\n<b></a>", "Shop orders.*body template: line 2: .*not valid XML"),
            ('<a>\n<b t-out="nmae"/></a>', 'line 2: "nmae" is not known'),
            ('<a t-out="company.nmae"/>', 'line 1: .*no field "nmae".*name'),
            ('<a t-out="delivery.endpoint_id.cdoe"/>', "Did you mean code"),
            (
                '<a><b t-foreach="company.child_ids" t-as="c" t-out="c.nope"/></a>',
                'no field "nope"',
            ),
            ('<a t-out="delivery.endpoint_id.auth_secret"/>', "limited to groups"),
            ('<a t-out="delivery.create_uid.password"/>', "holds a password"),
            ('<a t-out="record.env.cr.execute(1)"/>', "calls no methods"),
            ('<a t-call="web.layout"/>', "t-call is not allowed"),
        ):
            with self.subTest(body), self.refused(complaint), self.cr.savepoint():
                self.template(body)
        form = Form(self.endpoint)
        form.request_body_mode = "raw"
        with self.assertLogs("odoo.tests.form.onchange", "WARNING") as warned:
            form.body_template = '<a t-out="nmae"/>'
        self.assertIn("is not known here", str(warned.output))

    def test_what_only_the_record_shows_stops_the_delivery(self):
        """Never the user's save: queueing succeeds, the delivery names the line."""
        user = self.env.ref("base.user_admin")
        vat = self.env["res.partner"]._fields["vat"]
        self.patch(vat, "groups", "base.group_system")
        for expression, complaint, record in (
            ("record.nmae", 'no field "nmae"', self.partner),
            ("record.env", 'no field "env"', self.partner),
            ("record.unlink", 'no field "unlink"', self.partner),
            ("record['sudo']", 'no field "sudo"', self.partner),
            ("record[payload.p]", "private name", self.partner),
            ("record[payload.q]", "not the name of a field", self.partner),
            ("record.vat", "limited to groups", self.partner),
            ("record.password", "holds a password", user),
            ("record.child_ids.name", "2 records before", self.partner),
            ("record.child_ids", "2 records can't be written", self.partner),
            ("record.name", "no record", None),
        ):
            with self.subTest(expression):
                self.template(f'<a>\n<b t-out="{expression}"/></a>')
                payload = {"p": "_name", "q": "parent_id.name"}

                error = self.failed(payload, record=record)

                self.assertRegex(error, f"body template: line 2: .*{complaint}")

    def test_it_reads_what_the_user_who_saved_it_may_read(self):
        """Record rules bind as for paths; a Settings user isn't bound by them."""
        other = self.env["res.company"].create({"name": "Other"})
        self.partner.child_ids[0].company_id = other
        names = '<a><b t-foreach="record.child_ids" t-as="c" t-out="c.name"/></a>'
        writer = new_test_user(self.env, "body-writer", ADMINISTRATOR)
        self.endpoint.request_body_mode = "raw"

        self.endpoint.with_user(writer).body_template = names

        self.assertEqual(writer, self.endpoint.body_limited_to_user_id)
        error = self.failed({}, record=self.partner)
        self.assertIn("may not read the record", error)
        endpoint = self.endpoint.with_user(writer)
        endpoint.payload_sample_ref = f"res.partner,{self.partner.id}"
        self.assertIn("may not read the record", endpoint.body_sample)
        self.endpoint.with_user(writer).write({"body_limited_to_user_id": False})
        self.assertEqual(writer, self.endpoint.body_limited_to_user_id)

        self.endpoint.body_template = names

        self.assertFalse(self.endpoint.body_limited_to_user_id)
        body = self.arrived({}, record=self.partner).body
        self.assertEqual(b"<a><b>Bob</b><b>Carl</b></a>", body)

    def test_same_queries_for_ten_and_a_hundred(self):
        """The records of a batch are read together, with all their contacts."""
        self.template(SOAP)
        partners = self.env["res.partner"].create(
            [
                {"name": f"P{n}", "child_ids": [(0, 0, {"name": f"C{n}"})]}
                for n in range(100)
            ]
        )

        def queries(count):
            deliveries = self.endpoint.queue_deliveries(
                [{"payload": {}, "record": partners[n]} for n in range(count)]
            ).sudo()
            self.env.flush_all()
            self.env.invalidate_all()
            claimed = [
                Claimed(each, "", "queued", 0, 0, 0, None) for each in deliveries.ids
            ]
            before = self.cr.sql_log_count
            snapshot = self.endpoint._outbound_snapshot()
            for each in prepare_batch(deliveries, snapshot, claimed):
                self.assertIn(b"<soap:Body>", each.encoded.body)
            return self.cr.sql_log_count - before

        queries(1)  # fills Odoo's own caches
        self.assertEqual(queries(10), queries(100))

    def test_preview_and_send_test_show_the_body(self):
        """For the chosen record, while the template is edited, and before sending."""
        self.template('<a><b t-out="record.name"/></a>')
        with Form(self.endpoint) as form:
            form.payload_sample_ref = f"res.partner,{self.partner.id}"
            self.assertIn("&lt;b&gt;Müster &amp;amp; Söhne", form.body_sample)
            form.body_template = '<a t-out="record.nmae"/>'
            self.assertIn("Line 1: path", form.body_sample)
            form.body_template = '<a><b t-out="record.name"/></a>'
        test = self.env[SEND_TEST].create(
            {
                "endpoint_id": self.endpoint.id,
                "record_ref": f"res.partner,{self.partner.id}",
            }
        )

        test.action_preview()

        self.assertEqual(
            "<a><b>Müster &amp; Söhne &lt;GmbH&gt;</b></a>", test.request_body
        )


class TestCsvBodies(BodyCase):
    def setUp(self):
        super().setUp()
        self.endpoint.request_body_mode = "csv"

    def test_a_table_of_the_lines_of_a_record(self):
        """Columns are in the order of the rules, and options are applied."""
        self.rule("*.name", "record_field", "child_ids.*.name", sequence=2)
        self.rule(
            "*.price",
            literal="10.5",
            value_format="decimal",
            format_places=2,
            format_as_text=True,
            sequence=1,
        )
        self.endpoint.write(
            {
                "csv_delimiter": "semicolon",
                "csv_decimal_comma": True,
                "csv_charset": "iso-8859-15",
            }
        )
        self.partner.child_ids[0].name = 'B€"b;'

        request = self.arrived({}, record=self.partner)

        self.assertEqual(
            "text/csv; charset=iso-8859-15", request.header("Content-Type")
        )
        text = request.body.decode("iso-8859-15")
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=";")
        self.assertEqual(
            [["price", "name"], ["10,50", 'B€"b;'], ["10,50", "Carl"]], list(rows)
        )
        self.partner.child_ids.unlink()
        self.assertEqual(b"price;name\r\n", self.arrived({}, record=self.partner).body)

    def test_what_is_not_a_table_stops_the_delivery(self):
        """With the row and the column."""
        error = self.failed([{"a": 1}, {"a": [1]}])

        self.assertRegex(error, 'CSV body: row 2, column "a": a list')
        self.assertRegex(self.failed({}), "no rows and no columns")

    def test_the_sample_is_the_table(self):
        """While its options are edited."""
        self.rule("*.name", "record_field", "child_ids.*.name")
        with Form(self.endpoint) as form:
            form.payload_sample_ref = f"res.partner,{self.partner.id}"
            form.csv_quote_all = True
            self.assertIn("&#34;name&#34;\r\n&#34;Bob&#34;", form.body_sample)

    def test_a_copy_has_the_same_body(self):
        """Template and options are part of the endpoint."""
        self.endpoint.write(
            {"csv_delimiter": "tab", "body_template": "<a/>", "csv_header": False}
        )

        copied = self.endpoint.copy({"code": "copied"})

        self.assertEqual(
            ("tab", "<a/>", False),
            (copied.csv_delimiter, copied.body_template, copied.csv_header),
        )
        self.assertEqual(ENDPOINT, copied._name)


def _contacts(root):
    return [
        " ".join("".join(each.itertext()).split())
        for each in root.iterfind(".//s:Contact", NAMESPACE)
    ]
