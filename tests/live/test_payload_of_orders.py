# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A sale order with its lines in the receiver's shape: JSON, XML and CSV."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from lxml import etree
from stage import database_name, serving

from tools.databases import SHOP_MODULES, Databases
from tools.workspace import REPOSITORY

SCRIPT = Path(__file__).with_name("payload_of_orders.py")
PER_HAND_MAX = 3.0
TUTORIAL = REPOSITORY / "docs" / "tutorial.md"
# An order as the tutorial shows it, confirmed: its rule and its method queue it.
CONFIRM = """
from odoo import Command

env["ir.config_parameter"].set_param(
    "bwt_webhooks_outbound.allowed_networks", "127.0.0.0/8"
)
endpoint = env.ref("shop_tutorial.endpoint_orders")
endpoint.target_hostname = {url!r}
products = env["product.product"].create(
    [{{"name": code, "default_code": code, "taxes_id": [Command.clear()]}}
     for code in ("CHAIR-1", "DESK-2")]
)
order = env["sale.order"].create({{
    "name": "S00042",
    "partner_id": env["res.partner"].create({{"name": "Azure Interior"}}).id,
    "order_line": [
        Command.create({{"display_type": "line_note", "name": "A note"}}),
        *[Command.create({{
            "product_id": product.id, "product_uom_qty": count, "price_unit": 10.5,
            "tax_ids": [Command.clear()],
        }}) for count, product in enumerate(products, 1)],
    ],
}})
order.action_confirm()
queued = [("endpoint_id", "=", endpoint.id)]
env["bwt.webhook.outbound.delivery"].search(queued).process_delivery()
print(str(order.date_order.date()))
"""
CUSTOMER = "Müster & Söhne <GmbH>"
SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
    targetNamespace="urn:example:orders" elementFormDefault="qualified">
  <xs:element name="order"><xs:complexType>
    <xs:sequence>
      <xs:element name="customer"><xs:complexType><xs:simpleContent>
        <xs:extension base="xs:string">
          <xs:attribute name="vat" type="xs:string"/>
          <xs:attribute name="country" type="xs:string" use="required"/>
        </xs:extension>
      </xs:simpleContent></xs:complexType></xs:element>
      <xs:element name="line" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
        <xs:sequence>
          <xs:element name="qty" type="xs:decimal"/>
          <xs:element name="price" type="xs:decimal"/>
          <xs:element name="tax" type="xs:string" minOccurs="0" maxOccurs="unbounded"/>
        </xs:sequence>
        <xs:attribute name="sku" type="xs:string" use="required"/>
      </xs:complexType></xs:element>
    </xs:sequence>
    <xs:attribute name="number" type="xs:string" use="required"/>
    <xs:attribute name="date" type="xs:date" use="required"/>
    <xs:attribute name="currency" type="xs:string" use="required"/>
  </xs:complexType></xs:element>
</xs:schema>"""


@pytest.fixture(scope="module")
def shop(cluster):
    """Name of a database with Sales and this addon."""
    databases = Databases(cluster)
    name = database_name("orders")
    try:
        databases.fresh(name, beside=SHOP_MODULES)
        yield name
    finally:
        databases.drop(name)


def _run(cluster, database, call):
    """What a function of the script returns, inside Odoo."""
    script = f"{SCRIPT.read_text()}\nprint(json.dumps({call}))\n"
    printed = Databases(cluster).shell(database, f"exec({script!r})\n")
    return json.loads(printed.splitlines()[-1])


def test_orders_of_any_length(cluster, shop, capsys):
    """0, 1, 3 and 500 lines without notes, from an endpoint and from an action.

    Twenty rules with ten lines cost less than three times of the same dict written in
    Python. The samples of the demo data make bodies of an order, an invoice and prices.
    """
    found = _run(cluster, shop, "results(env)")

    for expected, by_endpoint, by_action in found["payloads"].values():
        assert expected == by_endpoint
        assert expected == by_action
    _check_samples(found["samples"])
    cost = found["cost"]
    with capsys.disabled():
        print(f"\nms per delivery, 20 rules with 10 lines: {cost}")
    assert cost["rules : by hand"] < PER_HAND_MAX


def _check_samples(samples):
    soap, ubl = (
        etree.fromstring(samples[code].encode())
        for code in ("sample-soap-order", "sample-ubl-invoice")
    )
    assert [each.text for each in soap.iter("{*}Sku", "{*}Price", "{*}Tax")] == [
        "A-1",
        "10.50",
        "VAT 19%",
    ]
    names = ("IssueDate", "PayableAmount", "LineExtensionAmount", "PriceAmount")
    texts = [each.text for name in names for each in ubl.iter(f"{{*}}{name}")]
    assert texts == ["2026-11-24", "21.00", "21.00", "10.50"]
    assert CUSTOMER in [each.text for each in ubl.iter("{*}Name")]
    sku, price, currency = samples["sample-csv-prices"].splitlines()[1].split(";")
    assert (sku, price, len(currency)) == ("A-1", "9,90", 3)


def test_orders_as_json_xml_and_csv(cluster, shop, receiver):
    """Lanes of a real server send them; the receiver reads each by its own parser.

    The XML is valid by a schema, and a customer with special characters breaks nothing.
    """
    queued = _run(cluster, shop, f"queue_all(env, {receiver.url!r})")

    with serving(cluster, shop, channels="root:4"):
        requests = receiver.wait_for_requests(len(queued), timeout=60)

    assert {each.webhook_id for each in requests} == set(queued)
    for request in requests:
        code, name, count = queued[request.webhook_id]
        READERS[code](request.body, name, count)


def _read_json(body, name, count):
    order = json.loads(body)["order"]
    assert (order["number"], order["customer"]["name"]) == (name, CUSTOMER)
    assert len(order["lines"]) == count


def _read_xml(body, name, count):
    root = etree.fromstring(body)
    etree.XMLSchema(etree.fromstring(SCHEMA)).assertValid(root)
    customer, *lines = root
    assert (root.get("number"), root.get("date")) == (name, "2026-11-24")
    assert (customer.text, customer.get("vat")) == (CUSTOMER, None)
    expected = ["A-1", "2.0", "10.50", "VAT 19%"]
    assert [[line.get("sku"), *(each.text for each in line)] for line in lines] == [
        expected
    ] * count


def _read_csv(body, name, count):
    text = io.StringIO(body.decode(), newline="")
    header, *rows = csv.reader(text, delimiter=";")
    assert header == ["order", "sku", "qty", "price", "tax"]
    assert rows == [[name, "A-1", "2,0", "10,50", "VAT 19%"]] * count


READERS = {"json": _read_json, "xml": _read_xml, "csv": _read_csv}


def test_tutorial(cluster, shop, receiver, tmp_path, monkeypatch):
    """The addon of the tutorial sends an order as it is shown, by rule and by code."""
    blocks = dict(
        re.findall(
            r"^```(\w+)\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL
        )
    )
    depends = ["sale", "base_automation", "bwt_webhooks_outbound"]
    files = {
        "__init__.py": "from . import order\n",
        "__manifest__.py": repr(
            {"name": "Tutorial", "depends": depends, "data": ["orders.xml"]}
            | {"license": "LGPL-3"}
        ),
        "order.py": blocks["python"],
        "orders.xml": blocks["xml"],
    }
    addon = tmp_path / "addons" / "shop_tutorial"
    addon.mkdir(parents=True)
    for name, text in files.items():
        (addon / name).write_text(text)
    monkeypatch.setenv("ODOO_ADDONS_PATH", str(addon.parent))
    databases = Databases(cluster)
    databases.install(shop, addon.name)

    printed = databases.shell(shop, CONFIRM.format(url=receiver.url))

    expected = json.loads(blocks["json"])
    expected["order"]["date"] = printed.split()[-1]
    by_rule, by_code = receiver.wait_for_requests(2)
    for request in (by_rule, by_code):
        assert "PUT /orders/S00042" == f"{request.method} {request.path}"
        assert expected == request.json()
