import {
  openApp,
  openPage,
  openRow,
  outbound,
  press,
  save,
  stateIs,
  type,
} from "./steps";
import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("webhooks_failed_delivery", {
  steps: () => [
    ...openApp(),
    ...outbound("deliveries", ".o_list_view .o_data_row"),
    openRow("Tour: order S00042"),
    stateIs("dead_letter"),
    {
      content: "It says what happened and what to do",
      trigger: 'div[name="alert_dead_letter"]:contains("404"):contains("Retry Now")',
    },
    openPage("attempts"),
    {
      content: "Open the attempt",
      trigger:
        '.o_field_widget[name="attempt_ids"] .o_data_row:contains("404") .o_data_cell[name="state"]',
      run: "click",
    },
    {
      content: "The request is shown",
      trigger: '.modal .o_field_widget[name="target_url"]:contains("/missing")',
    },
    {
      content: "The answer is shown",
      trigger:
        '.modal .o_field_widget[name^="response_body"]:contains("no such thing")',
    },
    {content: "Close it", trigger: ".modal .btn-close", run: "click"},
    {
      content: "Open the endpoint",
      trigger:
        'body:not(:has(.modal)) .o_field_widget[name="endpoint_id"] a.o_form_uri',
      run: "click",
    },
    type("target_path", "/orders"),
    ...save(),
    {
      content: "Back to the delivery",
      trigger:
        '.o_breadcrumb a:contains("Tour: order S00042"), .breadcrumb-item a:contains("Tour: order S00042")',
      run: "click",
    },
    stateIs("dead_letter"),
    ...press("action_retry_now"),
    stateIs("done"),
    {
      content: "It says so",
      trigger: 'div[name="alert_done"]:contains("after 2 attempts")',
    },
  ],
});

registry.category("web_tour.tours").add("webhooks_bulk_retry", {
  steps: () => [
    ...openApp(),
    ...outbound("deliveries", ".o_list_view .o_data_row"),
    {
      content: "Select all",
      trigger: ".o_list_view thead .o_list_record_selector input",
      run: "click",
    },
    {
      content: "Fifty are selected",
      trigger: '.o_selection_box:contains("50")',
    },
    {
      content: "Retry them",
      trigger: '.o_control_panel button:contains("Retry Now")',
      run: "click",
    },
    {
      content: "The summary counts them",
      trigger: '.o_notification:contains("50 retried")',
    },
    {content: "None is left", trigger: ".o_list_view:not(:has(.o_data_row))"},
  ],
});
