import {DIALOG, RECORD, onPhone, press, stateIs} from "./steps";
import {registry} from "@web/core/registry";

const BUTTON = "button[name=webhook_deliveries]";

registry.category("web_tour.tours").add("webhooks_replay", {
  steps: () => [
    ...press("action_recover"),
    {
      content: "No delivery has failed",
      trigger: `${DIALOG} div[name=found_none]`,
    },
    {
      content: "Choose what the receiver has accepted",
      trigger: `${DIALOG} .o_field_widget[name=with_done] input`,
      run: "click",
    },
    {
      content: "It is counted",
      trigger: `${DIALOG} div[name=found]:contains("1 · Done")`,
    },
    {
      content: "A new message ID",
      trigger: `${DIALOG} .o_field_widget[name=replay_with] label:contains("A New Message ID")`,
      run: "click",
    },
    {
      content: "Only a run does that",
      trigger: `${DIALOG}:not(:has(button[name=action_recover]))`,
    },
    {
      content: "Start the run",
      trigger: `${DIALOG} button[name=action_start_replay]`,
      run: "click",
    },
    {
      content: "Its form says what it replays",
      trigger: `.o_form_view .o_field_widget[name=replay_summary]:contains("1 · Done")`,
    },
    stateIs("running"),
  ],
});

registry.category("web_tour.tours").add("webhooks_record_button", {
  steps: () => [
    ...onPhone({
      content: "Open the buttons that a phone hides",
      trigger: ".o_form_view .o-form-buttonbox .o_button_more",
      run: "click",
    }),
    {
      content: "How many, and how the last one ended",
      trigger: `${BUTTON}:contains("1"):contains("Done")`,
      run: "click",
    },
    {
      content: "The deliveries of the contact",
      trigger: RECORD,
    },
  ],
});
