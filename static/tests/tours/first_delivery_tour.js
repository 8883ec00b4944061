import {
  addLine,
  fillCell,
  openApp,
  openMenu,
  openPage,
  outbound,
  press,
  stateIs,
  type,
} from "./steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("webhooks_first_delivery", {
  // The test's receiver listens on a port of its own and tells it by a cookie.
  steps: () => [
    ...openApp(),
    ...outbound("jobs", '.o_breadcrumb:contains("Jobs")'),
    ...outbound("reporting", ".o_graph_view"),
    ...outbound("deliveries", '.o_list_view .o_breadcrumb:contains("Deliveries")'),
    ...openMenu(
      "menu_webhooks_configuration",
      "menu_webhooks_handlers",
      '.o_breadcrumb:contains("Handlers")'
    ),
    ...outbound("endpoints", '.o_list_view .o_breadcrumb:contains("Endpoints")'),
    {
      content: "Create an endpoint",
      trigger: ".o_list_button_add",
      run: "click",
    },
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", `http://127.0.0.1:${cookie.get("webhooks_receiver_port")}`),
    type("target_path", "/orders/{order_id}"),
    {content: "Save it", trigger: ".o_form_button_save", run: "click"},
    {
      content: "Host and path together are shown",
      trigger: '.o_field_widget[name="url_preview"]:contains("/orders/{order_id}")',
    },
    ...press("action_set_draft"),
    stateIs("draft"),
    ...press("action_activate"),
    stateIs("active"),
    {
      content: "See its deliveries",
      trigger: 'button[name="action_view_outbound_deliveries"]',
      run: "click",
    },
    {
      content: "Create a delivery",
      trigger:
        '.o_list_view:has(.o_breadcrumb:contains("Deliveries")) .o_list_button_add',
      run: "click",
    },
    {
      content: "The endpoint is filled in",
      trigger: '.o_field_widget[name="endpoint_id"] input:value("Tour: shop orders")',
    },
    type("name", "Tour: order S00042"),
    openPage("context"),
    addLine("context_line_ids"),
    fillCell("key_name", "order_id"),
    fillCell("literal_value", "S00042", "textarea"),
    ...press("action_queue_delivery"),
    stateIs("done"),
    openPage("attempts"),
    {
      content: "The target answered 200",
      trigger: '.o_field_widget[name="attempt_ids"] .o_data_row:contains("200")',
    },
  ],
});
