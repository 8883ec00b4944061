import {
  openApp,
  openAttempt,
  openMore,
  openPage,
  openRow,
  outbound,
  stateIs,
} from "./steps";
import {registry} from "@web/core/registry";

const SECRETS = ["tour-bearer-secret", "tour-signing-secret"];
const FORBIDDEN = [
  "action_activate",
  "action_send_test",
  "action_set_draft",
  "action_archive",
  "action_generate_secret",
];

function noSecretIsShown(where, trigger = ".o_form_view") {
  return {
    content: `No secret is shown on ${where}`,
    trigger,
    run() {
      const inputs = [...document.querySelectorAll("input, textarea")];
      const shown = [document.body.innerHTML, ...inputs.map((each) => each.value)];
      for (const secret of SECRETS) {
        if (shown.some((text) => text.includes(secret))) {
          throw new Error(`${secret} is shown on ${where}`);
        }
      }
    },
  };
}

registry.category("web_tour.tours").add("webhooks_operator", {
  steps: () => [
    ...openApp(),
    ...outbound("endpoints", ".o_breadcrumb:contains('Endpoints')"),
    {
      content: "No endpoint can be made",
      trigger:
        ".o_list_view:not(:has(.o_list_button_add)), .o_kanban_view:not(:has(.o-kanban-button-new))",
    },
    openRow("Tour: shop orders"),
    stateIs("active"),
    {
      content: "The graph of the last day counts the failed attempt",
      trigger: "canvas[aria-label^='0 with 2xx, 1 failed']",
    },
    ...openMore("action_activate"),
    {
      content: "What only administrators may do isn't offered",
      trigger: ".o_form_view",
      run() {
        for (const button of FORBIDDEN) {
          if (document.querySelector(`button[name="${button}"]`)) {
            throw new Error(`${button} is offered to an operator`);
          }
        }
      },
    },
    openPage("trust"),
    {
      content: "That there is a secret may be known",
      trigger: '.o_field_widget[name="has_auth_secret"] input:checked',
    },
    noSecretIsShown("the endpoint"),
    ...outbound("deliveries", '.o_breadcrumb:contains("Deliveries")'),
    openRow("Tour: order S00042"),
    stateIs("dead_letter"),
    openAttempt("404"),
    {
      content: "The credentials are masked",
      trigger: 'section[name="request"] pre:contains("***")',
    },
    noSecretIsShown("the attempt"),
  ],
});
