import {RECORD, onPhone, openRow, press, stateIs} from "./steps";
import {registry} from "@web/core/registry";

const FORM = ".o_form_view";

registry.category("web_tour.tours").add("webhooks_reconciliation", {
  steps: () => [
    {
      content: "The list tells a newcomer what to do first",
      trigger: ".o_view_nocontent:contains('No reconciliations yet')",
    },
    {
      content: "Create one",
      trigger: ".o_list_button_add, .o_control_panel .o-kanban-button-new",
      run: "click",
    },
    {
      content: "Open the choices of What to Send",
      trigger: `${FORM} .o_field_widget[name=action_choice] input`,
      run: "click",
    },
    {
      content: "Choose the server action",
      trigger: "body .o_select_menu_item:contains('Tour: contact to the shop')",
      run: "click",
    },
    {
      content: "The endpoint is shown",
      trigger: `${FORM} .o_field_widget[name=endpoint_id]:contains("Tour: shop orders"), ${FORM} .o_field_widget[name=endpoint_id] input:value("Tour: shop orders")`,
    },
    {content: "Save it", trigger: ".o_form_button_save", run: "click"},
    {content: "It is saved", trigger: ".o_form_saved"},
    ...press("action_check"),
    ...onPhone({
      content: "Open the numbers that a phone hides",
      trigger: ".o_control_panel button:has(.fa-bolt)",
      run: "click",
    }),
    {
      content: "Open what was never queued",
      trigger: "button[name=action_view_never_queued]",
      run: "click",
    },
    {
      content: "The contact that is missing is listed",
      trigger: `${RECORD}:contains("Tour: missing contact")`,
    },
    {
      content: "Back to the reconciliation",
      trigger:
        '.breadcrumb-item a:contains("Tour: contact to the shop"), button.o_back_button',
      run: "click",
    },
    ...press("action_queue_missing"),
    {
      content: "The run is shown, and says why it queues them",
      trigger: `${FORM} .o_field_widget[name=origin]:contains("Reconciliation")`,
    },
    stateIs("done"),
    {
      content: "The bar is full",
      trigger: `${FORM} .o_field_widget[name=progress] .o_progress`,
    },
  ],
});

registry.category("web_tour.tours").add("webhooks_reconciliation_again", {
  steps: () => [
    openRow("Tour: contact to the shop"),
    ...press("action_check"),
    {
      content: "Nothing is missing any more",
      trigger: `${FORM} div[name=alert_nothing_missing]`,
    },
  ],
});
