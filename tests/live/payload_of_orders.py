# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sale orders sent by rules alone; `results(env)` runs inside `odoo shell`.

The rules are those of the operator guide, the payload is the one that it shows.
"""

import gc
import json
import time

from odoo import Command

from odoo.addons.bwt_webhooks_outbound.models.action_queue import compile_action
from odoo.addons.bwt_webhooks_outbound.models.delivery_input import outbound_build

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

    def endpoint(self, code, rules):
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


def results(env):
    """`payloads` and `cost` of a shop."""
    shop = Shop(env)
    return {"payloads": payloads(shop), "cost": cost(shop)}


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
    orders = shop.env["sale.order"].union(
        *(shop.order(10, note=False) for _ in range(ORDERS))
    )
    requests = [{"record": order} for order in orders]
    with_rules = ruled.queue_deliveries(requests).sudo()
    without = plain.queue_deliveries(requests).sudo()
    assert _built(ruled, with_rules) == [json.dumps(_by_hand(each)) for each in orders]
    return {
        "rules": _timed(lambda: _built(ruled, with_rules)),
        "no rules": _timed(lambda: _built(plain, without)),
        "by hand": _timed(lambda: [json.dumps(_by_hand(each)) for each in orders]),
    }


def _built(endpoint, deliveries):
    snapshot, bodies = endpoint._outbound_snapshot(), []
    for scope in deliveries._read_scopes(snapshot).values():
        with outbound_build(scope.delivery.env).of(snapshot, scope):
            request = scope.delivery._build_outbound_request()
        bodies.append(json.dumps(request.payload))
    return bodies


def _timed(build):
    best = 1
    for _ in range(5):
        gc.collect()
        start = time.thread_time()  # CPU: neighbours don't count
        build()
        best = min(best, time.thread_time() - start)
    return round(best / ORDERS * 1000, 3)


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
