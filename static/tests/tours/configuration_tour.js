import {DIALOG, openApp, openMenu} from "./steps";
import {registry} from "@web/core/registry";

// A document that changes the endpoint which the test has made, and adds another.
const DOCUMENT = JSON.stringify({
  format: "bwt_webhooks_outbound.configuration",
  format_version: 1,
  endpoints: [
    {code: "tour-shop-orders", name: "Tour: shop orders", target_path: "/v2"},
    {code: "tour-new", name: "Tour: new", auth_mode: "bearer", secrets: {auth_secret: "set"}},
  ],
});

function button(name) {
  return {
    content: `Press ${name}`,
    trigger: `${DIALOG} footer button[name="${name}"]:enabled`,
    run: "click",
  };
}

registry.category("web_tour.tours").add("webhooks_configuration", {
  steps: () => [
    ...openApp(),
    ...openMenu(
      "menu_webhooks_configuration",
      "menu_webhooks_import_configuration",
      `${DIALOG} [name=document]`,
    ),
    {
      content: "Choose a document",
      trigger: `${DIALOG} .o_field_widget[name=document] input[type=file]:not(:visible), ${DIALOG} .o_field_widget[name=document] .o_input_file`,
      run: async ({queryFirst}) => {
        const input = document.querySelector(
          ".modal .o_field_widget[name=document] input[type=file]",
        );
        const files = new DataTransfer();
        files.items.add(new File([DOCUMENT], "webhooks.json"));
        input.files = files.files;
        input.dispatchEvent(new Event("change", {bubbles: true}));
        queryFirst(".modal");
      },
    },
    {
      content: "It is there",
      trigger: `${DIALOG} .o_field_widget[name=document] input:value("webhooks.json"), ${DIALOG} .o_field_widget[name=document]:contains("webhooks.json")`,
    },
    button("action_check"),
    {
      content: "The difference is shown, with old and new value",
      trigger: `${DIALOG} .o_field_widget[name=difference]:contains("/orders → /v2"):contains("It arrives in draft")`,
    },
    button("action_import"),
    {
      content: "It says what to enter",
      trigger: `${DIALOG}:has(div[name=alert_done]) .o_field_widget[name=difference]:contains("the document has none: Secret")`,
    },
    {
      content: "Close it",
      trigger: `${DIALOG} footer button[name="close"]`,
      run: "click",
    },
    {content: "It is closed", trigger: "body:not(:has(.modal))"},
  ],
});
