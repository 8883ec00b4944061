import {press, stateIs} from "./steps";
import {registry} from "@web/core/registry";

const FORM = ".o_form_view";

registry.category("web_tour.tours").add("webhooks_run", {
  steps: () => [
    ...press("action_backfill"),
    {
      content: "The server action is chosen, and its endpoint is shown",
      trigger: `${FORM} .o_field_widget[name=endpoint_id]:contains("Tour: shop orders"), ${FORM} .o_field_widget[name=endpoint_id] input:value("Tour: shop orders")`,
    },
    {
      content: "Enter a pace",
      trigger: `${FORM} .o_field_widget[name=pace] input`,
      run: "edit 60 && press Tab",
    },
    {
      content: "It says how many records match, and how long it takes",
      trigger: `${FORM} .o_field_widget[name=matching_message]:contains("minutes at this pace")`,
    },
    ...press("action_start_run"),
    stateIs("running"),
    {
      content: "A bar shows how far it is",
      trigger: `${FORM} .o_field_widget[name=progress] .o_progress`,
    },
    ...press("action_pause_run"),
    {
      content: "It says who paused it",
      trigger: `${FORM} div[name=alert_message]:contains("paused it")`,
    },
    ...press("action_resume_run"),
    {
      content: "It runs again, without that message",
      trigger: `${FORM}:not(:has(div[name=alert_message]))`,
    },
    stateIs("running"),
  ],
});
