import {DIALOG, onDesktop, press, stateIs} from "./steps";
import {registry} from "@web/core/registry";

const FORM = ".o_form_view";

registry.category("web_tour.tours").add("webhooks_forget", {
  steps: () => [
    {
      content: "Open the Action menu of the contact",
      trigger: ".o_cp_action_menus button:has(.fa-cog)",
      run: "click",
    },
    {
      content: "Choose to forget it",
      trigger: ".o-dropdown-item:contains('Forget in Webhooks')",
      run: "click",
    },
    {
      content: "It says what is searched",
      trigger: `${FORM} .o_field_widget[name=terms_message]:contains("tour.contact@example.com")`,
    },
    ...press("action_search"),
    stateIs("found"),
    {
      content: "Nothing is deleted yet, and the form says so",
      trigger: `${FORM} div[name=alert_found]:contains("Nothing is deleted yet")`,
    },
    {
      content: "It says how many deliveries have data of the contact",
      trigger: `${FORM} .o_field_widget[name=ended_count]:contains("1")`,
    },
    ...press("action_delete_content"),
    {
      content: "Confirm: it can't be undone",
      trigger: `${DIALOG}:contains("can't be undone") .btn-primary`,
      run: "click",
    },
    stateIs("done"),
    ...onDesktop(
      {
        content: "Open the deliveries",
        trigger: `${FORM} button[name=action_view_deliveries]:enabled`,
        run: "click",
      },
      {
        content: "Open the delivery",
        trigger: ".o_list_view .o_data_row td[name=state]",
        run: "click",
      },
      {
        content: "It says that its content was deleted",
        trigger: `${FORM} div[name=alert_content_deleted]:contains("because a contact was forgotten")`,
      },
      {
        content: "It can't be sent again",
        trigger: `${FORM}:not(:has(button[name=action_create_replay_delivery]))`,
      }
    ),
  ],
});
