import {ConfirmationDialog} from "@web/core/confirmation_dialog/confirmation_dialog";
import {ListRenderer} from "@web/views/list/list_renderer";
import {_t} from "@web/core/l10n/translation";
import {browser} from "@web/core/browser/browser";
import {listView} from "@web/views/list/list_view";
import {registry} from "@web/core/registry";
import {sprintf} from "@web/core/utils/strings";
import {useService} from "@web/core/utils/hooks";

const PHONE_COLUMNS = ["record_name", "failure_message", "age_text"];
const STATES = "states_of_group";

/** Reads, with each group, the states that its deliveries have. */
class AttentionListModel extends listView.Model {
  setup(params, services) {
    const {config} = params;
    // An aggregate of a column without numbers, which Odoo doesn't read.
    const states = {name: "state", type: "integer", aggregator: "array_agg_distinct"};
    super.setup(
      {
        ...params,
        config: {
          ...config,
          fields: {...config.fields, [STATES]: states},
          fieldsToAggregate: [...Object.keys(config.activeFields), STATES],
        },
      },
      services
    );
  }
}

/** A list of deliveries whose groups have buttons that act on the whole group. */
class AttentionListRenderer extends ListRenderer {
  static groupRowTemplate = "bwt_webhooks_outbound.AttentionListRenderer.GroupRow";

  setup() {
    super.setup();
    this.action = useService("action");
    this.dialog = useService("dialog");
    this.groupButtons = [
      {name: "retry_now", label: _t("Retry"), sources: ["error", "dead_letter"]},
      {
        name: "dead_letter",
        label: _t("Move to Dead Letter"),
        sources: ["draft", "error"],
      },
      {
        name: "cancel",
        label: _t("Cancel"),
        sources: ["draft", "error", "dead_letter", "queued"],
      },
    ];
  }

  /** The buttons that would change at least one delivery of the group. */
  buttonsOf({aggregates}) {
    const {state: states} = aggregates;
    return this.groupButtons.filter(
      ({sources}) => !states || states.some((state) => sources.includes(state))
    );
  }

  getActiveColumns() {
    const columns = super.getActiveColumns();
    return this.env.isSmall
      ? columns.filter(({name}) => PHONE_COLUMNS.includes(name))
      : columns;
  }

  // The row of a group has its buttons over the whole width, which a phone needs.
  getGroupNameCellColSpan() {
    return this.columns.length + (this.hasSelectors ? 1 : 0);
  }

  getAggregateColumns() {
    return [];
  }

  getGroupPagerCellColspan() {
    return this.hasOpenFormViewColumn ? 1 : 0;
  }

  // Groups are for acting on deliveries; endpoints are edited in their own form.
  showGroupConfigMenu() {
    return false;
  }

  /**
   * Asks, with the number of deliveries as of now, and then acts on all of the group,
   * including those on further pages.
   */
  async actOnGroup(group, {name, label}) {
    const {resModel} = this.props.list;
    const {domain} = group.list;
    const question = await this.orm.call(resModel, "action_bulk_question", [
      domain,
      name,
    ]);
    if (!question.count) {
      this.notificationService.add(question.message, {type: "warning"});
      return;
    }
    this.dialog.add(ConfirmationDialog, {
      title: sprintf(_t("%(action)s: %(group)s"), {
        action: label,
        group: group.displayName,
      }),
      body: question.message,
      confirmLabel: label,
      confirmClass: name === "retry_now" ? "btn-primary" : "btn-danger",
      cancelLabel: _t("Back"),
      cancel: () => undefined,
      confirm: async () => {
        const args = [domain, name];
        await this.action.doAction(
          await this.orm.call(resModel, "action_bulk_search", args)
        );
        await this.props.list.model.load();
        browser.requestAnimationFrame(() =>
          browser.requestAnimationFrame(() => this.keepFocus())
        );
      },
    });
  }

  /** The group may be gone, and its button with it: the next group, or the search. */
  keepFocus() {
    if (document.activeElement === document.body) {
      const next =
        this.rootRef.el?.querySelector(".o_webhook_group_buttons button") ||
        document.querySelector(".o_action_manager .o_searchview_input");
      next?.focus({preventScroll: true});
    }
  }
}

registry.category("views").add("webhook_attention_list", {
  ...listView,
  Model: AttentionListModel,
  Renderer: AttentionListRenderer,
});
