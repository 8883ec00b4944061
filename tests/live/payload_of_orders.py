# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sale orders sent by rules and templates; `results(env)` runs inside `odoo shell`.

The rules are those of the operator guide, the payload is the one that it shows.
"""

import gc
import json
import time
from statistics import median

from odoo import Command
from odoo.tools import file_path
from odoo.tools.convert import convert_file

from odoo.addons.bwt_webhooks_outbound.models.action_queue import compile_action
from odoo.addons.bwt_webhooks_outbound.models.build_scope import outbound_build

ENDPOINT = "bwt.webhook.outbound.endpoint"
NOT_A_NOTE = '[("display_type", "=", False)]'
PRICE = {"value_format": "decimal", "format_places": 2, "format_as_text": True}
RULES = (
    ("order.number", "name", {}),
    ("order.date", "date_order", {"value_format": "date"}),
    ("order.currency", "currency_id.name", {}),
    ("order.customer.name", "partner_id.name", {}),
    ("order.customer.vat", "partner_id.vat", {}),
    ("order.customer.country", "partner_id.country_id.code", {}),
    ("order.lines", "order_line", {"source_kind": "list", "list_domain": NOT_A_NOTE}),
    ("order.lines.*.sku", "order_line.*.product_id.default_code", {}),
    ("order.lines.*.qty", "order_line.*.product_uom_qty", {}),
    ("order.lines.*.price", "order_line.*.price_unit", PRICE),
    ("order.lines.*.tax", "order_line.*.tax_ids.*", {"value_format": "name"}),
)
# The same order as XML, without rules.
XML = """<?xml version="1.0"?>
<order xmlns="urn:example:orders"
       t-att-number="record.name"
       t-att-date="date(record.date_order)"
       t-att-currency="record.currency_id.name">
  <customer t-att-vat="record.partner_id.vat"
            t-att-country="record.partner_id.country_id.code"
            t-out="record.partner_id.name"/>
  <line t-foreach="record.order_line" t-as="line" t-if="not line.display_type"
        t-att-sku="line.product_id.default_code">
    <qty t-out="line.product_uom_qty"/>
    <price t-out="decimal(line.price_unit)"/>
    <tax t-foreach="line.tax_ids" t-as="tax" t-out="tax.name"/>
  </line>
</order>
"""
# One row per line.
CSV_RULES = (
    ("", "order_line", {"source_kind": "list", "list_domain": NOT_A_NOTE}),
    ("*.order", "name", {}),
    ("*.sku", "order_line.*.product_id.default_code", {}),
    ("*.qty", "order_line.*.product_uom_qty", {}),
    ("*.price", "order_line.*.price_unit", PRICE),
    ("*.tax", "order_line.*.tax_ids.0.name", {}),
)
# Twenty rules, ten of them for each line.
COST_OF_ORDER = (
    *("name", "date_order", "currency_id.name", "partner_id.name", "partner_id.vat"),
    *("partner_id.country_id.code", "partner_id.email", "amount_total", "amount_tax"),
    "state",
)
COST_OF_LINE = (
    *("name", "product_uom_qty", "price_unit", "price_subtotal", "price_total"),
    *("discount", "sequence", "product_id.default_code", "product_id.name"),
    "product_id.barcode",
)
ORDERS = 200


class Shop:
    """An endpoint, an action and orders of any number of lines."""

    def __init__(self, env):
        self.env = env(context={"tracking_disable": True, "mail_create_nolog": True})
        self.tax = self.env["account.tax"].create({"name": "VAT 19%", "amount": 19})
        self.partner = self.env["res.partner"].create(
            {"name": "Müster & Söhne <GmbH>", "country_id": env.ref("base.de").id}
        )
        self.product = self.env["product.product"].create(
            {"name": "Product", "default_code": "A-1"}
        )

    def order(self, lines, *, note=True):
        """A sale order with this many lines, and a note before them."""
        line = {
            "product_id": self.product.id,
            "product_uom_qty": 2.0,
            "price_unit": 10.5,
            "tax_ids": [Command.set(self.tax.ids)],
        }
        commands = [Command.create(dict(line)) for _ in range(lines)]
        if note:
            text = {"display_type": "line_note", "name": "A note"}
            commands.insert(0, Command.create(text))
        return self.env["sale.order"].create(
            {
                "partner_id": self.partner.id,
                "date_order": "2026-11-24 10:00:00",
                "order_line": commands,
            }
        )

    def endpoint(self, code, rules, **vals):
        """An endpoint with these rules: (target, path, other values)."""
        return self.env[ENDPOINT].create(
            {
                "name": code,
                "code": code,
                "target_hostname": "https://example.com",
                "payload_rule_ids": [
                    Command.create(_rule("target_path", number, rule))
                    for number, rule in enumerate(rules)
                ],
                **vals,
            }
        )

    def action(self, rules):
        """A server action with these rules."""
        return self.env["ir.actions.server"].create(
            {
                "name": "Tell the shop",
                "model_id": self.env["ir.model"]._get("sale.order").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint("plain", ()).id,
                "bwt_webhook_payload_mode": "rules",
                "bwt_webhook_rule_ids": [
                    Command.create(_rule("target", number, rule) | {"usage": "payload"})
                    for number, rule in enumerate(rules)
                ],
            }
        )


def _rule(target_field, number, rule):
    target, path, vals = rule
    return {
        target_field: target,
        "sequence": number,
        "source_kind": "record_field",
        "source_expression": path,
        **vals,
    }


def queue_all(env, url):
    """Queue orders as JSON, XML and CSV, and commit: code -> name and lines by id."""
    env["ir.config_parameter"].set_param(
        "bwt_webhooks_outbound.allowed_networks", "127.0.0.0/8"
    )
    shop = Shop(env)
    target = {"target_hostname": url}
    endpoints = (
        shop.endpoint("json", RULES, target_path="/json", **target),
        shop.endpoint(
            *("xml", ()),
            target_path="/xml",
            request_body_mode="raw",
            body_template=XML,
            **target,
        ),
        shop.endpoint(
            *("csv", CSV_RULES),
            target_path="/csv",
            request_body_mode="csv",
            csv_delimiter="semicolon",
            csv_decimal_comma=True,
            **target,
        ),
    )
    queued = {}
    for count in (0, 1, 3, 500):
        order = shop.order(count)
        for endpoint in endpoints:
            delivery = endpoint.queue_delivery({}, record=order)
            queued[delivery.message_uid] = [endpoint.code, order.name, count]
    env.cr.commit()
    return queued


def results(env):
    """`payloads`, `cost` and `samples` of a shop."""
    shop = Shop(env)
    return {
        "payloads": payloads(shop),
        "cost": cost(shop),
        "samples": samples(shop),
    }


def samples(shop):
    """The bodies that the samples of the demo data make; code -> body."""
    env = shop.env
    file = file_path("bwt_webhooks_outbound/demo/demo_bodies.xml")
    convert_file(env, "bwt_webhooks_outbound", file, {}, mode="init", noupdate=True)
    line = {
        "name": "Product & Co",
        "product_id": shop.product.id,
        "quantity": 2,
        "price_unit": 10.5,
        "tax_ids": [Command.clear()],
    }
    invoice = env["account.move"].create(
        {
            "move_type": "out_invoice",
            "partner_id": shop.partner.id,
            "invoice_date": "2026-11-24",
            "invoice_line_ids": [
                Command.create(line),
                Command.create({"display_type": "line_note", "name": "A note"}),
            ],
        }
    )
    price = {"product_tmpl_id": shop.product.product_tmpl_id.id, "fixed_price": 9.9}
    prices = env["product.pricelist"].create(
        {"name": "Prices", "item_ids": [Command.create(price)]}
    )
    records = {
        "sample-soap-order": shop.order(1),
        "sample-ubl-invoice": invoice,
        "sample-csv-prices": prices,
    }
    found = {}
    for code, record in records.items():
        endpoint = env[ENDPOINT].search([("code", "=", code)])
        endpoint.state = "active"
        found[code] = _bodies(endpoint, endpoint.queue_delivery({}, record=record))[0]
    return found


def payloads(shop):
    """By number of lines: what is expected, what an endpoint and an action send."""
    endpoint, action = shop.endpoint("orders", RULES), shop.action(RULES)
    found = {}
    for count in (0, 1, 3, 500):
        order = shop.order(count)
        line = {"sku": "A-1", "qty": 2.0, "price": "10.50", "tax": ["VAT 19%"]}
        expected = {
            "order": {
                "number": order.name,
                "date": "2026-11-24",
                "currency": order.currency_id.name,
                "customer": {
                    "name": "Müster & Söhne <GmbH>",
                    "vat": None,
                    "country": "DE",
                },
                "lines": [line] * count,
            }
        }
        [requested] = compile_action(action)(order)
        [by_endpoint] = _built(endpoint, endpoint.queue_delivery({}, record=order))
        found[count] = [expected, json.loads(by_endpoint), requested["payload"]]
    return found


def cost(shop):
    """Milliseconds per delivery: by rules, without rules, by hand in Python."""
    rules = [(f"o.v{n}", path, {}) for n, path in enumerate(COST_OF_ORDER)]
    rules += [
        (f"o.lines.*.v{n}", f"order_line.*.{path}", {})
        for n, path in enumerate(COST_OF_LINE)
    ]
    ruled, plain = shop.endpoint("ruled", rules), shop.endpoint("bare", ())
    templated = shop.endpoint(
        *("templated", ()), request_body_mode="raw", body_template=_cost_template()
    )
    orders = shop.env["sale.order"].union(
        *(shop.order(10, note=False) for _ in range(ORDERS))
    )
    requests = [{"record": order} for order in orders]
    with_rules = ruled.queue_deliveries(requests).sudo()
    without = plain.queue_deliveries(requests).sudo()
    by_template = templated.queue_deliveries(requests).sudo()
    assert _built(ruled, with_rules) == [json.dumps(_by_hand(each)) for each in orders]
    return _timed(
        {
            "rules": lambda: _built(ruled, with_rules),
            "template": lambda: _built(templated, by_template),
            "no rules": lambda: _built(plain, without),
            "by hand": lambda: [json.dumps(_by_hand(each)) for each in orders],
        }
    )


def _cost_template():
    """The twenty values of the rules as XML."""
    order = "".join(f'<v{n} t-out="record.{p}"/>' for n, p in enumerate(COST_OF_ORDER))
    line = "".join(f'<v{n} t-out="line.{p}"/>' for n, p in enumerate(COST_OF_LINE))
    loop = f'<line t-foreach="record.order_line" t-as="line">{line}</line>'
    return f"<o>{order}{loop}</o>"


def _built(endpoint, deliveries):
    return [json.dumps(body) for body in _bodies(endpoint, deliveries)]


def _bodies(endpoint, deliveries):
    snapshot, bodies = endpoint._outbound_snapshot(), []
    for scope in deliveries._read_scopes(snapshot).values():
        with outbound_build(scope.delivery.env).of(snapshot, scope):
            request = scope.delivery._build_outbound_request()
            if snapshot.body is not None:
                request = snapshot.body.apply(request, scope)
        bodies.append(request.payload)
    return bodies


def _timed(builds):
    """The least of some rounds of each, and the median ratio of rules to Python.

    A ratio is that of one round: a machine that is busy is so for both.
    """
    rounds = []
    for _ in range(9):
        took = {}
        for name, build in builds.items():
            gc.collect()
            start = time.thread_time()  # CPU: neighbours don't count
            build()
            took[name] = (time.thread_time() - start) / ORDERS * 1000
        rounds.append(took)
    cost = {name: round(min(took[name] for took in rounds), 3) for name in builds}
    ratios = [(took["rules"] - took["no rules"]) / took["by hand"] for took in rounds]
    return {**cost, "rules : by hand": round(median(ratios), 2)}


def _by_hand(order):
    partner = order.partner_id
    values = [
        order.name,
        order.date_order.isoformat() + "Z",
        order.currency_id.name,
        partner.name,
        partner.vat or None,
        partner.country_id.code,
        partner.email or None,
        order.amount_total,
        order.amount_tax,
        order.state,
    ]
    lines = [
        {
            "v0": line.name,
            "v1": line.product_uom_qty,
            "v2": line.price_unit,
            "v3": line.price_subtotal,
            "v4": line.price_total,
            "v5": line.discount,
            "v6": line.sequence,
            "v7": line.product_id.default_code,
            "v8": line.product_id.name,
            "v9": line.product_id.barcode or None,
        }
        for line in order.order_line
    ]
    return {"o": {f"v{n}": value for n, value in enumerate(values)} | {"lines": lines}}
