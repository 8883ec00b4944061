import {stepUtils} from "@web_tour/tour_utils";

// What the tours of this addon have in common, for the desktop and for a phone.

export const MODULE = "bwt_webhooks_outbound";

export function openApp() {
  return [
    {
      isActive: ["desktop"],
      content: "Open the apps",
      trigger: ".o_navbar_apps_menu button:enabled",
      run: "click",
    },
    ...stepUtils.toggleHomeMenu().map((step) => ({...step, isActive: ["mobile"]})),
    {
      content: "Open Webhooks",
      trigger: `.o_app[data-menu-xmlid="${MODULE}.menu_webhooks_root"]`,
      run: "click",
    },
  ];
}

export function openMenu(section, menu, view) {
  return [
    {
      isActive: ["desktop"],
      content: `Open the section of ${menu}`,
      trigger: `.o_menu_sections [data-menu-xmlid="${MODULE}.${section}"]`,
      run: "click",
    },
    {
      isActive: ["mobile"],
      content: "Open the menu",
      trigger: ".o_menu_toggle",
      run: "click",
    },
    {
      content: `Open ${menu}`,
      trigger: `.dropdown-menu [data-menu-xmlid="${MODULE}.${menu}"], .o_app_menu_sidebar [data-menu-xmlid="${MODULE}.${menu}"]`,
      run: "click",
    },
    {content: `${menu} is shown`, trigger: view},
  ];
}

export function outbound(menu, view) {
  return openMenu("menu_webhooks_outbound", `menu_webhooks_outbound_${menu}`, view);
}

export function type(field, text) {
  return {
    content: `Type into ${field}`,
    trigger: `.o_form_view .o_field_widget[name="${field}"] input`,
    run: `edit ${text}`,
  };
}

export function press(button) {
  return [
    {
      isActive: ["mobile"],
      content: "Open what the phone hides",
      trigger: ".o_statusbar_buttons",
      async run({queryFirst, click}) {
        const more = queryFirst(".o_statusbar_buttons button:has(.oi-ellipsis-v)");
        if (!queryFirst(`.o_statusbar_buttons button[name="${button}"]`) && more) {
          await click(more);
        }
      },
    },
    {
      content: `Press ${button}`,
      trigger: `.o_statusbar_buttons button[name="${button}"]:enabled, .o-dropdown-item-unstyled-button button[name="${button}"]:enabled`,
      run: "click",
    },
  ];
}

export function pressInDialog(button) {
  return {
    content: `Press ${button}`,
    trigger: `.modal footer button[name="${button}"]:visible`,
    run: "click",
  };
}

export function stateIs(state) {
  return {
    content: `The record is ${state}`,
    trigger: `.o_statusbar_status .o_arrow_button_current[data-value="${state}"]`,
  };
}

export function openPage(name) {
  return {
    content: `Open page ${name}`,
    trigger: `.o_notebook a[name="${name}"]`,
    run: "click",
  };
}

export function openRow(text) {
  return {
    content: `Open ${text}`,
    trigger: `.o_list_view .o_data_row:contains("${text}") .o_data_cell[name="name"]`,
    run: "click",
  };
}

export function addLine(field) {
  return {
    content: `Add a line to ${field}`,
    trigger: `.o_field_widget[name="${field}"] .o_field_x2many_list_row_add a`,
    run: "click",
  };
}

export function fillCell(field, text, input = "input") {
  return {
    content: `Fill in ${field}`,
    trigger: `.o_selected_row .o_field_widget[name="${field}"] ${input}`,
    run: `edit ${text}`,
  };
}

export function save() {
  return [
    {content: "Save it", trigger: ".o_form_button_save", run: "click"},
    {content: "It is saved", trigger: ".o_form_saved"},
  ];
}

export function chooseRecord(field, search, text) {
  return [
    {content: `Search ${search}`, trigger: `${field} input`, run: `edit ${search}`},
    {
      content: `Choose ${text}`,
      trigger: `.o-autocomplete--dropdown-menu li a:contains("${text}"):not(:has(.fa-spin))`,
      run: "click",
    },
  ];
}
