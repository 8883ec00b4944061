import {
  DIALOG,
  addLine,
  chooseField,
  chooseRecord,
  create,
  fillCell,
  openApp,
} from "./steps";
import {registry} from "@web/core/registry";
import {stepUtils} from "@web_tour/tour_utils";

function fieldToSend(name, label) {
  return addLine(
    "bwt_webhook_field_ids",
    label,
    ...chooseField(name)
  );
}

// Starts at the list of automation rules.
registry.category("web_tour.tours").add("webhooks_automation_rule", {
  steps: () => [
    create("a rule"),
    {
      content: "Name it",
      trigger: ".o_form_renderer .oe_title .o_input",
      run: "edit Tour: tell the shop",
    },
    ...chooseRecord('.o_field_widget[name="model_id"]', "res.partner", "Contact"),
    {
      content: "Open the triggers",
      trigger: '.o_field_widget[name="trigger"] input',
      run: "click",
    },
    {
      content: "Whenever a contact is changed",
      trigger: '.o_select_menu_item:contains("On create and edit")',
      run: "click",
    },
    {
      content: "Add an action",
      trigger: '.o_field_widget[name="action_server_ids"] button',
      run: "click",
    },
    {
      content: "It queues a webhook",
      trigger: `${DIALOG} [name="state"] span[value*="bwt_webhook_outbound"]`,
      run: "click",
    },
    ...chooseRecord(
      `${DIALOG} .o_field_widget[name="bwt_webhook_endpoint_id"]`,
      "Tour: shop orders",
      "Tour: shop orders"
    ),
    ...fieldToSend("name", "Name"),
    ...fieldToSend("email", "Email"),
    {
      content: "No files are sent yet",
      trigger: `${DIALOG} [name="bwt_webhook_no_files"]`,
    },
    ...addLine(
      "bwt_webhook_file_ids",
      "documents.*.content",
      fillCell("payload_path", "documents.*.content")
    ),
    {
      content: "A sample of what is sent is shown",
      trigger: `${DIALOG} .o_field_widget[name="bwt_webhook_sample"]`,
    },
    {
      content: "Keep the action",
      trigger: ".modal .o_form_button_save",
      run: "click",
    },
    {content: "The dialog is closed", trigger: "body:not(:has(.modal))"},
    ...stepUtils.saveForm(),
    ...openApp("contacts.menu_contacts"),
    {
      content: "Open the contact",
      trigger:
        '.o_data_row:contains("Tour: Ada") .o_data_cell[name="complete_name"], .o_kanban_record:contains("Tour: Ada")',
      run: "click",
    },
    {
      content: "Change it",
      trigger: '.o_form_view .o_field_widget[name="email"] input',
      run: "edit ada@new.com",
    },
    ...stepUtils.saveForm(),
  ],
});
