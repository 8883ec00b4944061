import {
  RECORD,
  onDesktop,
  onPhone,
  openApp,
  openLine,
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
    ...outbound("deliveries", RECORD),
    openRow("Tour: order S00042"),
    stateIs("dead_letter"),
    {
      content: "It says what happened and what to do",
      trigger: 'div[name="alert_dead_letter"]:contains("404"):contains("Retry Now")',
    },
    openPage("attempts"),
    openLine("attempt_ids", "404", "state"),
    {
      content: "The request is shown",
      trigger: '.modal .o_field_widget[name="target_url"]:contains("/missing")',
    },
    {
      content: "The response is shown",
      trigger:
        '.modal .o_field_widget[name^="response_body"]:contains("no such thing")',
    },
    {
      content: "Close it",
      trigger: ".modal .btn-close, .modal header .oi-arrow-left",
      run: "click",
    },
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
        '.breadcrumb-item a:contains("Tour: order S00042"), button.o_back_button',
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

function selectAll() {
  return [
    ...onDesktop({
      content: "Select all",
      trigger: ".o_list_view thead .o_list_record_selector input",
      run: "click",
    }),
    ...onPhone(
      {
        content: "Keep a finger on one until it is selected",
        trigger: "article.o_kanban_record",
        async run({anchor}) {
          const hoot = odoo.loader.modules.get("@odoo/hoot-dom");
          await hoot.pointerDown(anchor);
          await hoot.waitFor(".o_selection_box", {timeout: 2000});
          await hoot.pointerUp(anchor);
        },
      },
      {
        content: "One is selected",
        trigger: '.o_selection_box:contains("1 selected")',
      },
      {
        content: "Select all, those below too",
        trigger: ".o_selection_box .o_select_domain",
        run: "click",
      }
    ),
    {
      content: "Fifty are selected",
      trigger: '.o_selection_box:contains("50")',
    },
  ];
}

registry.category("web_tour.tours").add("webhooks_bulk_retry", {
  steps: () => [
    ...openApp(),
    ...outbound("deliveries", RECORD),
    ...selectAll(),
    ...onPhone({
      content: "See what can be done with them",
      trigger: ".o_cp_action_menus button",
      run: "click",
    }),
    {
      content: "Retry them",
      trigger:
        '.o_control_panel button:contains("Retry Now"), .o-dropdown-item-unstyled-button button:contains("Retry Now")',
      run: "click",
    },
    {
      content: "The summary counts them",
      trigger: '.o_notification:contains("50 retried")',
    },
    {content: "None is left", trigger: ".o_view_nocontent"},
  ],
});
