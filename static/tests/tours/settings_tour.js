import {
  DIALOG,
  addLine,
  chooseField,
  create,
  fillCell,
  openApp,
  openMenu,
  openPage,
  openRow,
  outbound,
  save,
  type,
} from "./steps";
import {registry} from "@web/core/registry";

const NETWORKS = '.o_field_widget[name="bwt_webhook_allowed_networks"] textarea';

function openSettings() {
  return openMenu("menu_webhooks_configuration", "menu_webhooks_settings", NETWORKS);
}

function takeKind(label) {
  return [
    {
      content: "Open the kinds of sources",
      trigger: '.o_selected_row .o_field_widget[name="source_kind"] input',
      run: "click",
    },
    {
      content: `The value comes from ${label}`,
      trigger: `.o_select_menu_item:contains("${label}")`,
      run: "click",
    },
  ];
}

function pathIs(path) {
  const place = '.o_field_widget[name="source_expression"]';
  return {
    content: `The path is ${path}`,
    trigger: `.o_selected_row ${place} input:value("${path}")`,
  };
}

registry.category("web_tour.tours").add("webhooks_settings", {
  steps: () => [
    ...openApp(),
    ...openSettings(),
    {
      content: "A list with a wrong line",
      trigger: NETWORKS,
      run: (helpers) => helpers.edit("127.0.0.0/8\n10.1.2.3/24"),
    },
    {content: "Save it", trigger: ".o_form_button_save", run: "click"},
    {
      content: "The line is named",
      trigger: `${DIALOG} .modal-body:contains("line 2"):contains("Write 10.1.2.0/24")`,
    },
    {content: "Close it", trigger: `${DIALOG} footer .btn-primary`, run: "click"},
    {content: "It is closed", trigger: "body:not(:has(.modal))"},
    {
      content: "The list as it should be",
      trigger: NETWORKS,
      run: (helpers) => helpers.edit("127.0.0.0/8\nerp.intern"),
    },
    {
      content: "Another default",
      trigger:
        '.o_field_widget[name="bwt_webhook_default_timeout_seconds"] input',
      run: "edit 20",
    },
    {
      content: "Save it",
      trigger: ".o_form_button_save",
      run: "click",
      expectUnloadPage: true,
    },
    {content: "It is saved", trigger: "body:not(:has(.o_form_button_save))"},
    ...outbound("endpoints", '.o_breadcrumb:contains("Endpoints")'),
    create("an endpoint"),
    type("name", "Tour: new endpoint"),
    type("code", "tour-new-endpoint"),
    openPage("policy"),
    {
      content: "It starts with the new default",
      trigger: '.o_field_widget[name="timeout_seconds"] input:value("20")',
    },
    {
      content: "Leave it without saving",
      trigger: ".o_breadcrumb .o_back_button, .o_breadcrumb a",
      run: "click",
    },
    openRow("Tour: shop orders"),
    openPage("payload_rules"),
    ...addLine(
      "payload_rule_ids",
      "contacts.*.country",
      fillCell("target_path", "contacts.*.country"),
      ...takeKind("Record Field"),
      ...chooseField("child_ids", "country_id", "code"),
      pathIs("child_ids.*.country_id.code")
    ),
    ...save(),
  ],
});
