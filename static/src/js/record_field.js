import {Component} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {useService} from "@web/core/utils/hooks";

/**
 * The name of the record that a delivery is about. It opens the record, unless the user
 * can't read it or it was deleted.
 */
class RecordField extends Component {
  static template = "bwt_webhooks_outbound.RecordField";
  static props = {...standardFieldProps, fallback: {type: String, optional: true}};

  setup() {
    this.orm = useService("orm");
    this.action = useService("action");
  }

  get text() {
    const {data} = this.props.record;
    return data[this.props.name] || data[this.props.fallback] || "";
  }

  async open() {
    const {resModel, resId} = this.props.record;
    await this.action.doAction(
      await this.orm.call(resModel, "action_view_record", [[resId]])
    );
  }
}

registry.category("fields").add("webhook_record", {
  component: RecordField,
  displayName: _t("Record of a Webhook Delivery"),
  supportedTypes: ["char"],
  fieldDependencies: [{name: "record_opens", type: "boolean"}],
  extractProps: ({options}) => ({fallback: options.fallback}),
});
