import {
  addLine,
  choose,
  create,
  fillCell,
  newLine,
  openApp,
  openPage,
  outbound,
  save,
  type,
} from "./steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";

// The payload of an order in the receiver's shape, as docs/payloads.md shows it.

const RULES = [
  ["order.number", "name"],
  ["order.date", "date_order", "Date"],
  ["order.currency", "currency_id.name"],
  ["order.customer.name", "partner_id.name"],
  ["order.customer.vat", "partner_id.vat"],
  ["order.customer.country", "partner_id.country_id.code"],
  ["order.lines", "order_line"],
  ["order.lines.*.sku", "order_line.*.product_id.default_code"],
  ["order.lines.*.qty", "order_line.*.product_uom_qty"],
  ["order.lines.*.price", "order_line.*.price_unit", "Decimal"],
  ["order.lines.*.tax", "order_line.*.tax_ids.*", "Name of a Record"],
];
const LISTS = ["order.lines"];

function addRule([target, path, format], index) {
  const kind = LISTS.includes(target) ? "List of Records" : "Record Field";
  return addLine(
    "payload_rule_ids",
    target,
    ...newLine("payload_rule_ids", index),
    fillCell("target_path", target),
    ...choose("source_kind", kind),
    fillCell("source_expression", path),
    ...(format ? choose("value_format", format) : [])
  );
}

// The options that the list doesn't show are in the form of a rule.
function editRule(target, step) {
  return [
    openPage("payload_rules"),
    {
      content: `Open the form of ${target}`,
      trigger: `.o_data_row:has(td[name="target_path"]:text("${target}")) .o_list_record_open_form_view button`,
      run: "click",
    },
    {
      content: `The form of ${target} is open`,
      trigger: `.o_breadcrumb .active:contains("${target}"), .o_last_breadcrumb_item:contains("${target}")`,
    },
    step,
    ...save(),
    {
      content: "Back to the endpoint",
      trigger: '.o_breadcrumb a:contains("Tour: shop orders"), .breadcrumb a:contains("Tour: shop orders")',
      run: "click",
    },
    {
      content: "The endpoint is open",
      trigger: '.o_field_widget[name="target_hostname"]',
    },
  ];
}

registry.category("web_tour.tours").add("webhooks_order_payload", {
  steps: () => [
    ...openApp(),
    ...outbound("endpoints", '.o_breadcrumb:contains("Endpoints")'),
    create("an endpoint"),
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", `http://127.0.0.1:${cookie.get("webhooks_receiver_port")}`),
    type("target_path", "/orders"),
    openPage("payload_rules"),
    ...RULES.flatMap(addRule),
    ...save(),
    ...editRule("order.lines", {
      content: "Leave the notes out",
      trigger: '.o_field_widget[name="list_domain"] input',
      run: 'edit [("display_type", "=", False)]',
    }),
    ...editRule("order.lines.*.price", {
      content: "Keep trailing zeros",
      trigger: '.o_field_widget[name="format_as_text"] input',
      run: "click",
    }),
  ],
});
