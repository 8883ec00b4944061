import {browser} from "@web/core/browser/browser";
import {formView} from "@web/views/form/form_view";
import {registry} from "@web/core/registry";

/**
 * A form that keeps the focus when one of its buttons was pressed.
 *
 * Odoo disables all buttons meanwhile, which takes the focus from the pressed one, and
 * often it is gone afterwards: who works by keyboard would start from the page's top.
 */
class KeptFocusFormController extends formView.Controller {
  async afterExecuteActionButton(clickParams) {
    await super.afterExecuteActionButton(clickParams);
    // Buttons are enabled again after this, and what changed is shown a frame later.
    browser.requestAnimationFrame(() =>
      browser.requestAnimationFrame(() => this.keepFocus(clickParams.name))
    );
  }

  /**
   * The pressed button, or else the open page: another button would be pressed by
   * a second Enter, such as Cancel after Retry Now.
   */
  keepFocus(name) {
    const form = this.rootRef.el;
    if (!form || document.activeElement !== document.body) {
      return;
    }
    const next =
      form.querySelector(`.o_statusbar_buttons button[name="${name}"]:enabled`) ||
      form.querySelector(".o_notebook_headers .nav-link.active") ||
      form.querySelector(".o_content :is(a[href], button:enabled, input:enabled)");
    next?.focus({preventScroll: true});
  }
}

registry.category("views").add("webhook_form", {
  ...formView,
  Controller: KeptFocusFormController,
});
