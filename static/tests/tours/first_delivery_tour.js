import {
  attemptIs,
  DIALOG,
  create,
  fillCell,
  keepLine,
  openApp,
  openLine,
  openMenu,
  openPage,
  outbound,
  press,
  save,
  stateIs,
  type,
} from "./steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";
import {stepUtils} from "@web_tour/tour_utils";

registry.category("web_tour.tours").add("webhooks_first_delivery", {
  // The test's receiver listens on a port of its own; a cookie says which.
  steps: () => [
    ...openApp(),
    ...outbound("jobs", '.o_breadcrumb:contains("Jobs")'),
    ...outbound("reporting", ".o_graph_view"),
    ...outbound("deliveries", '.o_breadcrumb:contains("Deliveries")'),
    ...openMenu(
      "menu_webhooks_configuration",
      "menu_webhooks_handlers",
      '.o_breadcrumb:contains("Handlers")'
    ),
    ...outbound("endpoints", '.o_breadcrumb:contains("Endpoints")'),
    create("an endpoint"),
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", `http://127.0.0.1:${cookie.get("webhooks_receiver_port")}`),
    type("target_path", "/orders/{order_id}"),
    ...save(),
    {
      content: "Host and path together are shown",
      trigger: '.o_field_widget[name="url_preview"]:contains("/orders/{order_id}")',
    },
    stateIs("draft"),
    ...press("action_activate"),
    stateIs("active"),
    stepUtils.autoExpandMoreButtons(true),
    {
      content: "See its deliveries",
      trigger: 'button[name="action_view_outbound_deliveries"]',
      run: "click",
    },
    {
      content: "They are shown",
      trigger: '.o_last_breadcrumb_item:contains("Deliveries")',
    },
    create("a delivery"),
    {
      content: "The endpoint is filled in",
      trigger: '.o_field_widget[name="endpoint_id"] input:value("Tour: shop orders")',
    },
    type("name", "Tour: order S00042"),
    openPage("context"),
    {
      content: "The draft says what it needs",
      trigger: 'div[name="alert_waiting"]:contains("order_id")',
    },
    ...press("action_queue_delivery"),
    {
      content: "It can't be queued without",
      trigger: `${DIALOG} .modal-body:contains("The path needs order_id")`,
    },
    {content: "Close it", trigger: `${DIALOG} footer .btn-primary`, run: "click"},
    {content: "It is closed", trigger: "body:not(:has(.modal))"},
    openLine("context_line_ids", "order_id", "literal_value"),
    fillCell("literal_value", "S00042", "textarea"),
    ...keepLine("context_line_ids", "S00042"),
    ...press("action_queue_delivery"),
    stateIs("done"),
    attemptIs("200"),
  ],
});
