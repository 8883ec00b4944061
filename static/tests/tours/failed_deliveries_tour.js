import {
  RECORD,
  onDesktop,
  onPhone,
  openApp,
  openAttempt,
  openRow,
  outbound,
  press,
  save,
  stateIs,
  type,
} from "./steps";
import {registry} from "@web/core/registry";

// A browser without a window has no clipboard: the page keeps what would be in it.
function copies(button, text) {
  return [
    {
      content: `Press ${button}`,
      trigger: button,
      async run({click}) {
        navigator.clipboard.writeText = async (copied) => {
          document.body.dataset.copied = copied;
        };
        await click(button);
      },
    },
    {content: `${text} is copied`, trigger: `body[data-copied*="${text}"]`},
  ];
}

// A phone's button is in a menu that is closed by then.
function pressByKeyboard(button) {
  return [
    ...onDesktop({
      content: `Press ${button} by keyboard`,
      trigger: `.o_statusbar_buttons button[name="${button}"]:enabled`,
      async run({anchor, press: pressKey}) {
        anchor.focus();
        await pressKey("Enter");
      },
    }),
    ...onPhone(...press(button)),
  ];
}

function focusIsIn(place) {
  return {
    content: `The focus is in ${place}`,
    trigger: place,
    async run({anchor}) {
      const isFound = () => anchor.contains(document.activeElement);
      await odoo.loader.modules.get("@odoo/hoot-dom").waitUntil(isFound, {
        message: "The focus is lost",
      });
    },
  };
}

registry.category("web_tour.tours").add("webhooks_failed_delivery", {
  steps: () => [
    ...openApp(),
    ...outbound("deliveries", RECORD),
    openRow("Tour: order S00042"),
    stateIs("dead_letter"),
    {
      content: "It says what happened and what to do",
      trigger: 'div[name="alert_dead_letter"]:contains("404"):contains("Retry Now")',
    },
    openAttempt("Failed Permanently"),
    {
      content: "The request is shown in the page",
      trigger: 'body:not(:has(.modal)) section[name="request"]:contains("/missing")',
    },
    {
      content: "The response is shown beside it",
      trigger: 'section[name="response"] pre:contains("no such thing")',
    },
    ...copies(".o_copy_response", "no such thing"),
    ...copies(".o_copy_request", "42"),
    ...copies('div[name="payload_pretty"] .o_clipboard_button', "42"),
    {
      content: "It took no time until done, since it is not done",
      trigger: '.o_form_view:not(:has(div[name="took"]))',
    },
    {
      content: "Open the endpoint",
      trigger: '.o_field_widget[name="endpoint_id"] a.o_form_uri',
      run: "click",
    },
    type("target_path", "/orders"),
    ...save(),
    {
      content: "Back to the delivery",
      trigger:
        '.breadcrumb-item a:contains("Tour: order S00042"), button.o_back_button',
      run: "click",
    },
    stateIs("dead_letter"),
    ...pressByKeyboard("action_retry_now"),
    stateIs("done"),
    {
      content: "It says so",
      trigger: 'div[name="alert_done"]:contains("after 2 attempts")',
    },
    focusIsIn(".o_form_view .o_content"),
  ],
});

function selectAll() {
  return [
    ...onDesktop({
      content: "Select all",
      trigger: ".o_list_view thead .o_list_record_selector input",
      run: "click",
    }),
    ...onPhone(
      {
        content: "Keep a finger on one until it is selected",
        trigger: "article.o_kanban_record",
        async run({anchor}) {
          const hoot = odoo.loader.modules.get("@odoo/hoot-dom");
          await hoot.pointerDown(anchor);
          await hoot.waitFor(".o_selection_box", {timeout: 2000});
          await hoot.pointerUp(anchor);
        },
      },
      {
        content: "One is selected",
        trigger: '.o_selection_box:contains("1 selected")',
      },
      {
        content: "Select all, those below too",
        trigger: ".o_selection_box .o_select_domain",
        run: "click",
      }
    ),
    {
      content: "Fifty are selected",
      trigger: '.o_selection_box:contains("50")',
    },
  ];
}

registry.category("web_tour.tours").add("webhooks_bulk_retry", {
  steps: () => [
    ...openApp(),
    ...outbound("deliveries", RECORD),
    ...selectAll(),
    ...onPhone({
      content: "See what can be done with them",
      trigger: ".o_cp_action_menus button",
      run: "click",
    }),
    {
      content: "Retry them",
      trigger:
        '.o_control_panel button:contains("Retry Now"), .o-dropdown-item-unstyled-button button:contains("Retry Now")',
      run: "click",
    },
    {
      content: "The summary counts them",
      trigger: '.o_notification:contains("50 queued again")',
    },
    {content: "None is left", trigger: ".o_view_nocontent"},
  ],
});

const GROUP = '.o_group_header:contains("HTTP 404 Not Found (35)")';

// The group is larger than what the operator wants to see: its button takes all of it.
registry.category("web_tour.tours").add("webhooks_group_retry", {
  steps: () => [
    ...openApp(),
    ...outbound("attention", ".o_group_header"),
    {
      content: "The endpoint is open, its reasons are folded",
      trigger: '.o_group_open:contains("Tour: shop orders (36)")',
    },
    {
      content: "The other reason is shown",
      trigger: '.o_group_header:contains("HTTP 410 Gone (1)")',
    },
    {content: "Open the group", trigger: `${GROUP} .o_group_name`, run: "click"},
    {
      content: "A row has the name of its record and the message",
      trigger: '.o_data_row:contains("Tour: Ada"):contains("404 Not Found")',
    },
    {
      content: "The record opens",
      trigger: ".o_data_row .o_webhook_record.btn",
      run: "click",
    },
    {
      content: "It is the contact",
      trigger: '.o_form_view:has(.o_field_widget[name="email"])',
    },
    {
      content: "Back to the list",
      trigger: '.breadcrumb-item a:contains("Needs Attention"), button.o_back_button',
      run: "click",
    },
    {
      content: "A group of dead letters can't be dead-lettered again",
      trigger: `${GROUP}:not(:has(button[name="dead_letter"])) button[name="cancel"]`,
    },
    {
      content: "An endpoint with an error can",
      trigger:
        '.o_group_open:contains("Tour: shop orders (36)") button[name="dead_letter"]',
    },
    {
      content: "So can the folded reason that the error has",
      trigger:
        '.o_group_header:contains("HTTP 410 Gone (1)") button[name="dead_letter"]',
    },
    {
      content: "Retry the group",
      trigger: `${GROUP} button[name="retry_now"]:visible`,
      run: "click",
    },
    {
      content: "It asks, with the number",
      trigger: '.modal-body:contains("35 deliveries will be queued again.")',
    },
    {content: "Retry", trigger: '.modal-footer button:contains("Retry")', run: "click"},
    {
      content: "The summary counts them",
      trigger: '.o_notification:contains("35 queued again.")',
    },
    {
      content: "The other one is left",
      trigger: '.o_group_open:contains("Tour: shop orders (1)")',
    },
    focusIsIn(".o_list_view"),
  ],
});
