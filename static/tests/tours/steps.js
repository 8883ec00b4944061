import {stepUtils} from "@web_tour/tour_utils";

// What the tours of this addon have in common, for the desktop and for a phone.

export const MODULE = "bwt_webhooks_outbound";
export const DIALOG = ".modal:not(.o_inactive_modal)";
export const RECORD =
  ".o_list_view .o_data_row, .o_kanban_view article.o_kanban_record";

export function onDesktop(...steps) {
  return steps.map((step) => ({...step, isActive: ["desktop"]}));
}

export function onPhone(...steps) {
  return steps.map((step) => ({...step, isActive: ["mobile"]}));
}

export function openApp(menu = `${MODULE}.menu_webhooks_root`) {
  return [
    ...onDesktop({
      content: "Open the apps",
      trigger: ".o_navbar_apps_menu button:enabled",
      run: "click",
    }),
    ...onPhone(...stepUtils.toggleHomeMenu()),
    {
      content: `Open the app ${menu}`,
      trigger: `.o_app[data-menu-xmlid="${menu}"]`,
      run: "click",
    },
  ];
}

export function openMenu(section, menu, view) {
  return [
    ...onDesktop({
      content: `Open the section of ${menu}`,
      trigger: `.o_menu_sections [data-menu-xmlid="${MODULE}.${section}"]`,
      run: "click",
    }),
    ...onPhone({content: "Open the menu", trigger: ".o_menu_toggle", run: "click"}),
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

export function create(what) {
  return {
    content: `Create ${what}`,
    trigger: ".o_list_button_add, .o_control_panel .o-kanban-button-new",
    run: "click",
  };
}

export function type(field, text) {
  return {
    content: `Type into ${field}`,
    trigger: `.o_form_view .o_field_widget[name="${field}"] input`,
    run: `edit ${text}`,
  };
}

// Opens the buttons that a phone hides, unless the given one is in sight.
export function openMore(button) {
  return onPhone({
    content: "Open what the phone hides",
    trigger: ".o_statusbar_buttons",
    async run({queryFirst, click}) {
      const more = queryFirst(".o_statusbar_buttons button:has(.oi-ellipsis-v)");
      if (!queryFirst(`.o_statusbar_buttons button[name="${button}"]`) && more) {
        await click(more);
      }
    },
  });
}

export function press(button) {
  return [
    ...openMore(button),
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
    trigger: `${DIALOG} footer button[name="${button}"]:visible`,
    run: "click",
  };
}

// A phone shows the current state alone, by its label.
export function stateIs(state) {
  const label = state.replaceAll("_", " ");
  return {
    content: `The record is ${state}`,
    trigger: `.o_statusbar_status .o_arrow_button_current[data-value="${state}"], .o_statusbar_status .dropdown-toggle.o_arrow_button:contains("${label}")`,
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
    trigger: `.o_list_view .o_data_row:contains("${text}") .o_data_cell[name="name"], .o_kanban_view article.o_kanban_record:contains("${text}")`,
    run: "click",
  };
}

export function attemptIs(text) {
  return {
    content: `An attempt shows ${text}`,
    trigger: `.o_field_widget[name="attempt_ids"] li button:contains("${text}")`,
  };
}

export function openAttempt(text) {
  return {...attemptIs(text), content: `Open the attempt ${text}`, run: "click"};
}

// Lines are rows on the desktop, edited in place; on a phone, cards with a form each.

export function lineIs(field, text) {
  const place = `.o_field_widget[name="${field}"]`;
  return {
    content: `The line ${text} is among ${field}`,
    trigger: `${place} .o_data_row:contains("${text}"), ${place} article.o_kanban_record:contains("${text}")`,
  };
}

export function openLine(field, text, cell) {
  const place = `.o_field_widget[name="${field}"]`;
  return {
    content: `Open the line ${text} of ${field}`,
    trigger: `${place} .o_data_row:contains("${text}") .o_data_cell[name="${cell}"], ${place} article.o_kanban_record:contains("${text}")`,
    run: "click",
  };
}

export function fillCell(field, text, input = "input") {
  const place = `.o_field_widget[name="${field}"] ${input}`;
  return {
    content: `Fill in ${field}`,
    trigger: `.o_selected_row ${place}, ${DIALOG} ${place}`,
    run: `edit ${text}`,
  };
}

// The line that was just added; until then the one before is still the selected one.
export function newLine(field, index) {
  return onDesktop({
    content: `Line ${index} of ${field} is new`,
    trigger: `.o_field_widget[name="${field}"] .o_selected_row:nth-child(${index + 1})`,
  });
}

// Takes a value of a selection in the line that is edited.
export function choose(field, label) {
  const place = `.o_field_widget[name="${field}"] input`;
  return [
    {
      content: `Open the choices of ${field}`,
      trigger: `.o_selected_row ${place}, ${DIALOG} ${place}`,
      run: "click",
    },
    {
      content: `Choose ${label}`,
      // On a phone the choices are no part of the dialog, which "body" allows.
      trigger: `body .o_select_menu_item:text("${label}")`,
      run: "click",
    },
  ];
}

// Chooses the path of the line that is edited: relations first, then a field.
export function chooseField(...names) {
  const page = ".o_model_field_selector_popover_page";
  const open = (name, button, what) => [
    {
      content: `Search ${name}`,
      trigger: ".o_model_field_selector_popover_search input",
      run: `edit ${name}`,
    },
    {
      content: `${what} ${name}`,
      trigger: `${page} li[data-name="${name}"] ${button}`,
      run: "click",
    },
  ];
  const relations = names.slice(0, -1);
  return [
    {
      content: "Open the field selector",
      trigger: `.o_selected_row .o_bwt_choose_field, ${DIALOG} .o_form_view .o_field_widget[name="source_expression"]:visible .o_bwt_choose_field`,
      run: "click",
    },
    ...relations.flatMap((name) =>
      open(name, ".o_model_field_selector_popover_item_relation", "Follow")
    ),
    ...open(
      names.at(-1),
      ".o_model_field_selector_popover_item_name",
      "Choose"
    ),
    {
      content: "The selector is closed",
      trigger: "body:not(:has(.o_model_field_selector_popover))",
    },
  ];
}

export function keepLine(field, text) {
  return onPhone(
    {
      content: `Keep the line ${text}`,
      trigger: `${DIALOG} .o_form_button_save`,
      run: "click",
    },
    lineIs(field, text)
  );
}

export function addLine(field, text, ...fillIn) {
  const place = `.o_field_widget[name="${field}"]`;
  return [
    {
      content: `Add a line to ${field}`,
      trigger: `${place} .o_field_x2many_list_row_add a, ${place} .o-kanban-button-new`,
      run: "click",
    },
    ...fillIn,
    ...keepLine(field, text),
  ];
}

export function save() {
  return [
    {content: "Save it", trigger: ".o_form_button_save", run: "click"},
    {content: "It is saved", trigger: ".o_form_saved"},
  ];
}

// A phone opens a dialog with cards in place of a list below the input.
export function chooseRecord(field, search, text) {
  const searchBar = `${DIALOG} .o_searchview_input`;
  return [
    ...onDesktop(
      {content: `Search ${search}`, trigger: `${field} input`, run: `edit ${search}`},
      {
        content: `Choose ${text}`,
        trigger: `.o-autocomplete--dropdown-menu li a:contains("${text}"):not(:has(.fa-spin))`,
        run: "click",
      }
    ),
    ...onPhone(
      {content: `Open ${field}`, trigger: `${field} input`, run: "click"},
      {
        content: "Open the search",
        trigger: `${DIALOG} .o_control_panel_navigation .btn .fa-search`,
        run: "click",
      },
      {content: `Search ${search}`, trigger: searchBar, run: `edit ${search}`},
      {content: "It is offered", trigger: ".o_searchview_autocomplete"},
      {content: "Search it", trigger: searchBar, run: "press Enter"},
      {content: "It was searched", trigger: `${DIALOG} .o_facet_value`},
      {
        content: `Choose ${text}`,
        trigger: `${DIALOG} article.o_kanban_record:contains("${text}")`,
        run: "click",
      },
      {content: "It is chosen", trigger: `${field} input:value("${text}")`}
    ),
  ];
}
