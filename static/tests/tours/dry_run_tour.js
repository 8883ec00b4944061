import {RECORD, onPhone, press, stateIs} from "./steps";
import {registry} from "@web/core/registry";

const FORM = ".o_form_view";

registry.category("web_tour.tours").add("webhooks_dry_run", {
  steps: () => [
    ...press("action_compare"),
    {
      content: "It says that nothing is sent",
      trigger: `${FORM} div[name=alert_draft]:contains("Nothing is sent or changed")`,
    },
    {
      content: "Open the choices of the handler",
      trigger: `${FORM} .o_field_widget[name=handler_id] input`,
      run: "click",
    },
    {
      content: "Choose the handler that is tried",
      trigger:
        ".o-autocomplete--dropdown-item:contains('Tour: mark'), .modal .o_kanban_record:contains('Tour: mark')",
      run: "click",
    },
    ...press("action_start_dry_run"),
    stateIs("done"),
    ...onPhone({
      content: "Open the numbers that a phone hides",
      trigger: ".o_control_panel button:has(.fa-bolt)",
      run: "click",
    }),
    {
      content: "One delivery would be sent otherwise",
      trigger: "button[name=action_view_changed]:contains('1')",
      run: "click",
    },
    {
      content: "It is the second order; open it",
      trigger: `${RECORD}:contains("Tour: order 2")`,
    },
    {
      content: "Open the result",
      trigger:
        ".o_list_view .o_data_row td[name=verdict], .o_kanban_view article.o_kanban_record",
      run: "click",
    },
    {
      content: "The difference is told",
      trigger: `${FORM} .o_field_widget[name=differences]:contains("Body kind"):contains("express")`,
    },
    {
      content: "What was sent is on one side",
      trigger: `${FORM} .o_field_widget[name=old_body]:contains("order")`,
    },
    {
      content: "What would be sent is on the other",
      trigger: `${FORM} .o_field_widget[name=new_body]:contains("express")`,
    },
  ],
});
