import {ConfirmationDialog} from "@web/core/confirmation_dialog/confirmation_dialog";
import {ListRenderer} from "@web/views/list/list_renderer";
import {_t} from "@web/core/l10n/translation";
import {listView} from "@web/views/list/list_view";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";

const PHONE_COLUMNS = ["record_name", "failure_message", "age_text"];

/** A list of deliveries whose groups have buttons that act on the whole group. */
class AttentionListRenderer extends ListRenderer {
  static groupRowTemplate = "bwt_webhooks_outbound.AttentionListRenderer.GroupRow";

  setup() {
    super.setup();
    this.action = useService("action");
    this.dialog = useService("dialog");
    this.groupButtons = [
      {name: "retry_now", label: _t("Retry")},
      {name: "dead_letter", label: _t("Dead Letter")},
      {name: "cancel", label: _t("Cancel")},
    ];
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
      title: `${label}: ${group.displayName}`,
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
      },
    });
  }
}

registry.category("views").add("webhook_attention_list", {
  ...listView,
  Renderer: AttentionListRenderer,
});
