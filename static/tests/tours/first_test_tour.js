import {
  addLine,
  create,
  fillCell,
  keepLine,
  openApp,
  openLine,
  openPage,
  outbound,
  press,
  pressInDialog,
  save,
  stateIs,
  type,
} from "./steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";

const MOST = 12; // Interactions that a newcomer needs at most.

function newcomer() {
  const steps = [
    ...openApp(),
    ...outbound("endpoints", '.o_breadcrumb:contains("Endpoints")'),
    create("an endpoint"),
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", `http://127.0.0.1:${cookie.get("webhooks_receiver_port")}`),
    ...press("action_activate"),
    ...press("action_send_test"),
    pressInDialog("action_preview"),
    {
      content: "The guard allows the target",
      trigger: '.modal div[name="alert_allowed"]:visible',
    },
    {
      content: "The request is shown as it is sent",
      trigger: '.modal .o_field_widget[name="request_line"]:contains("POST http")',
    },
    pressInDialog("action_send"),
    {
      content: "The target responded with 200",
      trigger: '.modal .o_field_widget[name="response_status"]:contains("200")',
    },
  ];
  const counted = steps.filter(
    (step) => step.run && !step.isActive?.includes("mobile")
  );
  if (counted.length > MOST) {
    throw new Error(`${counted.length} interactions, not ${MOST}`);
  }
  return steps;
}

// The test's receiver listens on a port of its own; a cookie says which.
registry.category("web_tour.tours").add("webhooks_endpoint_with_rules", {
  steps: () => [
    ...newcomer(),
    {
      content: "Close the dialog",
      trigger: ".modal footer button[special=cancel]:visible",
      run: "click",
    },
    {content: "It is closed", trigger: "body:not(:has(.modal))"},
    type("target_path", "/orders/{order_id}"),
    openPage("header_rules"),
    ...addLine(
      "header_rule_ids",
      "X-Order",
      fillCell("header_name", "X-Order"),
      fillCell("literal_value", "order-{order_id}", "textarea")
    ),
    openPage("payload_rules"),
    ...addLine(
      "payload_rule_ids",
      "order.source",
      fillCell("target_path", "order.source"),
      fillCell("literal_value", "odoo", "textarea")
    ),
    ...save(),
    ...press("action_set_draft"),
    stateIs("draft"),
    ...press("action_activate"),
    stateIs("active"),
    ...press("action_send_test"),
    openLine("line_ids", "order_id", "literal_value"),
    fillCell("literal_value", "S00042", "textarea"),
    ...keepLine("line_ids", "S00042"),
    pressInDialog("action_preview"),
    {
      content: "The path is filled in",
      trigger: '.modal .o_field_widget[name="request_line"]:contains("/orders/S00042")',
    },
    {
      content: "The header is there",
      trigger:
        '.modal .o_field_widget[name="request_headers"]:contains("order-S00042")',
    },
    pressInDialog("action_send"),
    {
      content: "The target responded with 200",
      trigger: '.modal .o_field_widget[name="response_status"]:contains("200")',
    },
    pressInDialog("action_open_delivery"),
    stateIs("done"),
  ],
});
