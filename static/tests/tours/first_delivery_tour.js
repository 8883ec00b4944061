import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";
import {stepUtils} from "@web_tour/tour_utils";

const MODULE = "bwt_webhooks_outbound";

function openMenu(section, menu, view) {
  return [
    {
      content: `Open the section of ${menu}`,
      trigger: `.o_menu_sections [data-menu-xmlid="${MODULE}.${section}"]`,
      run: "click",
    },
    {
      content: `Open ${menu}`,
      trigger: `.dropdown-menu [data-menu-xmlid="${MODULE}.${menu}"]`,
      run: "click",
    },
    {content: `${menu} is shown`, trigger: view},
  ];
}

function outbound(menu, view) {
  return openMenu("menu_webhooks_outbound", `menu_webhooks_outbound_${menu}`, view);
}

function type(field, text) {
  return {
    content: `Type into ${field}`,
    trigger: `.o_form_view .o_field_widget[name="${field}"] input`,
    run: `edit ${text}`,
  };
}

function press(button) {
  return {
    content: `Press ${button}`,
    trigger: `.o_statusbar_buttons button[name="${button}"]:enabled`,
    run: "click",
  };
}

function stateIs(state) {
  return {
    content: `The record is ${state}`,
    trigger: `.o_statusbar_status .o_arrow_button_current[data-value="${state}"]`,
  };
}

registry.category("web_tour.tours").add("webhooks_first_delivery", {
  // The test's receiver listens on a port of its own and tells it by a cookie.
  steps: () => [
    ...stepUtils.goToAppSteps(`${MODULE}.menu_webhooks_root`, "Open Webhooks"),
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
    press("action_set_draft"),
    stateIs("draft"),
    press("action_activate"),
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
    {
      content: "Open the context",
      trigger: '.o_notebook a[name="context"]',
      run: "click",
    },
    {
      content: "Add a context line",
      trigger:
        '.o_field_widget[name="context_line_ids"] .o_field_x2many_list_row_add a',
      run: "click",
    },
    {
      content: "Name the key",
      trigger: '.o_selected_row .o_field_widget[name="key_name"] input',
      run: "edit order_id",
    },
    {
      content: "Give the value",
      trigger: '.o_selected_row .o_field_widget[name="literal_value"] textarea',
      run: "edit S00042",
    },
    press("action_queue_delivery"),
    stateIs("done"),
    {
      content: "Look at the attempts",
      trigger: '.o_notebook a[name="attempts"]',
      run: "click",
    },
    {
      content: "The target answered 200",
      trigger: '.o_field_widget[name="attempt_ids"] .o_data_row:contains("200")',
    },
  ],
});
