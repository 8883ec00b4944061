import {
  DIALOG,
  addLine,
  choose,
  create,
  fillCell,
  newLine,
  onDesktop,
  openApp,
  openPage,
  outbound,
  press,
  save,
  stateIs,
  type,
} from "./steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";

// Page Response as docs/answers.md shows it: a condition, values, and create or update.

function chooseTargetField(label, name) {
  const field = '.o_field_widget[name="target_field"]';
  const inLine = (part) => `.o_selected_row ${field}${part}, ${DIALOG} ${field}${part}`;
  return [
    {
      content: "Open the fields of the record",
      trigger: inLine(" .o_model_field_selector"),
      run: "click",
    },
    {
      content: `Search ${label}`,
      trigger: ".o_model_field_selector_popover_search input",
      run: `edit ${label}`,
    },
    {
      content: `Choose ${label}`,
      trigger: `.o_model_field_selector_popover_page li[data-name="${name}"] .o_model_field_selector_popover_item_name`,
      run: "click",
    },
    {
      content: `${label} is chosen`,
      trigger: inLine(`:contains("${label}")`),
    },
  ];
}

registry.category("web_tour.tours").add("webhooks_answer", {
  steps: () => [
    ...openApp(),
    ...outbound("endpoints", '.o_breadcrumb:contains("Endpoints")'),
    create("an endpoint"),
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", `http://127.0.0.1:${cookie.get("webhooks_receiver_port")}`),
    type("target_path", "/orders"),
    openPage("answer"),
    ...addLine(
      "answer_rule_ids",
      "ok",
      ...newLine("answer_rule_ids", 0),
      fillCell("statuses", "200"),
      ...choose("source_kind", "Body Path (JSON)"),
      fillCell("source_expression", "ok"),
      fillCell("expected_value", "false"),
      ...choose("outcome", "Retry")
    ),
    // A line of one list stays selected while a line is added to another.
    ...onDesktop(
      {
        content: "Leave the condition",
        trigger: '.o_horizontal_separator:contains("Response Values")',
        run: "click",
      },
      {content: "No line is selected", trigger: "body:not(:has(.o_selected_row))"}
    ),
    ...addLine(
      "answer_value_ids",
      "id",
      ...newLine("answer_value_ids", 0),
      fillCell("source_expression", "id"),
      ...choose("target_model", "Contact"),
      ...chooseTargetField("Reference", "ref")
    ),
    ...addLine(
      "answer_value_ids",
      "id",
      ...newLine("answer_value_ids", 1),
      fillCell("source_expression", "id"),
      ...choose("target_kind", "External ID")
    ),
    {
      content: "Create or update",
      trigger: '.o_field_widget[name="create_or_update"] input',
      run: "click",
    },
    {
      content: "The path of an update is proposed",
      trigger: '.o_field_widget[name="update_path"] input:value("/orders/{external_id}")',
    },
    ...save(),
    ...press("action_activate"),
    stateIs("active"),
  ],
});

registry.category("web_tour.tours").add("webhooks_answer_delivery", {
  steps: () => [
    {
      content: "The method of the update is shown",
      trigger: '.o_field_widget[name="shown_method"]:contains("PUT")',
    },
    {
      content: "Its path is shown",
      trigger: '.o_field_widget[name="shown_url"]:contains("/orders/R-77")',
    },
  ],
});
