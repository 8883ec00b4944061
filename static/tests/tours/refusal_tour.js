import {DIALOG, create, openApp, outbound, type} from "./steps";
import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("webhooks_refusal", {
  steps: () => [
    ...openApp(),
    ...outbound("endpoints", '.o_breadcrumb:contains("Endpoints")'),
    create("an endpoint"),
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", "api.example.com"),
    {content: "Save it", trigger: ".o_form_button_save", run: "click"},
    {
      content: "It is refused",
      trigger: `${DIALOG} .modal-title:contains("Validation Error")`,
    },
    {
      content: "The dialog says what is wrong and what to do",
      trigger: `${DIALOG} .modal-body:contains("is not a valid base URL"):contains("Enter scheme and host")`,
    },
    {content: "Close it", trigger: `${DIALOG} footer .btn-primary`, run: "click"},
    {content: "It is closed", trigger: "body:not(:has(.modal))"},
    {
      content: "Leave the endpoint",
      trigger: ".o_form_button_cancel",
      run: "click",
    },
  ],
});
