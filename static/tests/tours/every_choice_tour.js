import {
  create,
  openApp,
  openMenu,
  openRow,
  outbound,
  press,
  save,
  type,
} from "./steps";
import {cookie} from "@web/core/browser/cookie";
import {registry} from "@web/core/registry";
import {rpcBus} from "@web/core/network/rpc";

// Takes every value of every selection and every check box that a form shows, and of
// those that a value reveals: none may end in an error dialog.

const TIMEOUT = 30000; // Milliseconds for a menu or a response of the server.
const DIALOGS = ".o_error_dialog, .o_notification_manager .text-bg-danger";
const SELECTION = ".o_field_widget.o_field_selection";
const RADIO = ".o_field_widget.o_field_radio";
const CHECKBOX =
  ".o_field_widget.o_field_boolean input:not(:disabled), .o_field_widget.o_field_boolean_toggle input:not(:disabled)";

async function until(what, check) {
  const end = Date.now() + TIMEOUT;
  while (Date.now() < end) {
    if (document.querySelector(DIALOGS)) {
      throw new Error(`${what}: ${document.querySelector(DIALOGS).textContent}`);
    }
    const found = check();
    if (found) {
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what}: timed out`);
}

const pending = new Set();
rpcBus.addEventListener("RPC:REQUEST", ({detail}) => pending.add(detail.data.id));
rpcBus.addEventListener("RPC:RESPONSE", ({detail}) => pending.delete(detail.data.id));

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

// Waits until pending requests are done and the form is rendered again. The indicator
// of the web client appears late, so the requests themselves are counted: a response
// that comes after the next click would close the menu that it opened.
async function settled(what) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  await until(what, () => !pending.size && !document.querySelector(".o_blockUI"));
  await frame();
  await frame();
}

const named = (root, name, selector) =>
  [...root().querySelectorAll(selector)].find(
    (each) => each.closest(".o_field_widget").getAttribute("name") === name
  );

const shown = (root, selector) =>
  [...root().querySelectorAll(selector)]
    .filter((each) => each.offsetParent && !each.closest(".o_field_x2many"))
    .map((each) => each.closest(".o_field_widget").getAttribute("name"));

const items = () => [...document.querySelectorAll(".o_select_menu_menu .o_select_menu_item")];

async function openChoices(root, name, click) {
  const field = named(root, name, SELECTION);
  await click(field.querySelector(".o_select_menu_toggler"));
  return until(`the values of ${name}`, () => items().length && items());
}

async function takeSelection(root, name, done, click) {
  const count = (await openChoices(root, name, click)).length;
  for (let index = 0; index < count; index++) {
    const choices = index ? await openChoices(root, name, click) : items();
    const label = choices[index].textContent;
    await click(choices[index]);
    await until(`${name} is ${label}`, () => !items().length);
    await settled(`${name} is ${label}`);
    await takeAll(root, done, click);
    if (!named(root, name, SELECTION)) {
      return; // A value hid the field itself.
    }
  }
}

async function takeRadio(root, name, done, click) {
  const buttons = () => root().querySelectorAll(`${RADIO}[name="${name}"] input`);
  for (let index = 0; index < buttons().length; index++) {
    await click(buttons()[index]);
    await settled(`${name} is number ${index}`);
    await takeAll(root, done, click);
  }
}

async function takeAll(root, done, click) {
  for (const name of shown(root, RADIO)) {
    if (!done.has(name)) {
      done.add(name);
      await takeRadio(root, name, done, click);
    }
  }
  for (const name of shown(root, SELECTION)) {
    if (!done.has(name) && named(root, name, `${SELECTION} .o_select_menu_toggler`)) {
      done.add(name);
      await takeSelection(root, name, done, click);
    }
  }
  for (const name of shown(root, CHECKBOX)) {
    if (!done.has(name)) {
      done.add(name);
      for (const time of ["once", "twice"]) {
        await click(named(root, name, CHECKBOX));
        await settled(`${name} is pressed ${time}`);
        await takeAll(root, done, click);
      }
    }
  }
}

const PAGES = 12; // At least as many as a form has.

// Steps for the fields above the pages, then for each page: a step has to end within
// 60 seconds. `atLeast`: so many fields must be found, or the tour saw nothing.
function takeEveryChoice(where, atLeast, place = ".o_form_view") {
  const root = () => document.querySelector(place);
  let done = new Set();
  const pages = [...Array(PAGES).keys()].map((number) => ({
    content: `Take every choice of ${where}, page ${number + 1} if there is one`,
    trigger: place,
    timeout: 60000,
    async run({click}) {
      const page = root().querySelectorAll(".o_notebook_headers a.nav-link")[number];
      if (page && page.offsetParent) {
        await click(page);
        await settled(`page ${page.textContent}`);
        await takeAll(root, done, click);
      }
    },
  }));
  return [
    {
      content: `Take every choice of ${where}`,
      trigger: place,
      timeout: 60000,
      async run({click}) {
        done = new Set();
        await takeAll(root, done, click);
      },
    },
    ...pages,
    {
      content: `Every choice of ${where} was taken`,
      trigger: place,
      run() {
        if (done.size < atLeast) {
          throw new Error(`${where}: only ${[...done].join(", ")} found`);
        }
      },
    },
  ];
}

function discard() {
  return [
    {content: "Discard it", trigger: ".o_form_button_cancel", run: "click"},
    {content: "It is discarded", trigger: ".o_form_saved, .o_list_view, .o_kanban_view"},
  ];
}

const ENDPOINTS = '.o_breadcrumb:contains("Endpoints")';
const DIALOG = ".modal:not(.o_inactive_modal) .o_form_view";

function closeDialog() {
  return [
    {
      content: "Close the dialog",
      trigger: ".modal footer button[special=cancel]:visible",
      run: "click",
    },
    {content: "It is closed", trigger: "body:not(:has(.modal))"},
  ];
}

registry.category("web_tour.tours").add("webhooks_every_choice", {
  steps: () => [
    ...openApp(),
    ...outbound("endpoints", ENDPOINTS),
    create("an endpoint"),
    {content: "A new form", trigger: ".o_form_view .o_form_status_indicator_buttons"},
    ...takeEveryChoice("a new endpoint", 8),
    ...discard(),
    ...outbound("endpoints", ENDPOINTS),
    create("an endpoint"),
    type("name", "Tour: shop orders"),
    type("code", "tour-shop-orders"),
    type("target_hostname", `http://127.0.0.1:${cookie.get("webhooks_receiver_port")}`),
    ...save(),
    ...takeEveryChoice("a saved endpoint", 8),
    ...discard(),
    ...press("action_send_test"),
    {content: "Send Test is open", trigger: DIALOG},
    ...takeEveryChoice("Send Test", 0, DIALOG),
    ...closeDialog(),
    ...outbound("deliveries", '.o_breadcrumb:contains("Deliveries")'),
    create("a delivery"),
    {content: "A new form", trigger: ".o_form_view .o_form_status_indicator_buttons"},
    ...takeEveryChoice("a new delivery", 0),
    ...discard(),
    ...outbound("endpoints", ENDPOINTS),
    openRow("Tour: failed"),
    ...press("action_recover"),
    {content: "Recover is open", trigger: DIALOG},
    ...takeEveryChoice("Recover", 3, DIALOG),
    ...closeDialog(),
    ...openMenu("menu_webhooks_configuration", "menu_webhooks_handlers", ".o_breadcrumb"),
    create("a handler"),
    {content: "A new form", trigger: ".o_form_view .o_form_status_indicator_buttons"},
    ...takeEveryChoice("a new handler", 1),
    ...discard(),
  ],
});
