import {Component, useState} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";
import {useRecordObserver} from "@web/model/relational_model/utils";
import {useService} from "@web/core/utils/hooks";

const MODEL = "bwt.webhook.outbound.record.button";
const COLORS = {
  done: "text-success",
  queued: "text-info",
  processing: "text-info",
  error: "text-warning",
  dead_letter: "text-danger",
  canceled: "text-muted",
  draft: "text-muted",
};

/** The deliveries about the record of a form: how many, and how the last one ended. */
export class RecordButton extends Component {
  static template = "bwt_webhooks_outbound.RecordButton";
  static props = {...standardWidgetProps};

  setup() {
    this.orm = useService("orm");
    this.state = useState({figures: {}});
    useRecordObserver((record) => this.follow(record.resId, record.dirty));
  }

  /** Read when a record is shown, and when it was saved; the form doesn't wait. */
  follow(resId, isDirty) {
    const wasSaved = this.wasDirty && !isDirty;
    this.wasDirty = isDirty;
    if (resId !== this.resId || wasSaved) {
      this.load(resId);
    }
  }

  async load(resId) {
    if (resId !== this.resId) {
      this.state.figures = {};
    }
    this.resId = resId;
    if (!resId) {
      return;
    }
    const args = [this.props.record.resModel, resId];
    try {
      const figures = await this.orm.silent.call(MODEL, "action_read_button", args);
      if (resId === this.resId) {
        this.state.figures = figures;
      }
    } catch (error) {
      // The form is usable without the button.
      console.warn("The button Webhooks could not be read", error);
    }
  }

  get isShown() {
    return "count" in this.state.figures;
  }

  get color() {
    return COLORS[this.state.figures.state] || "";
  }

  get title() {
    const {missing, references = []} = this.state.figures;
    return [missing, ...references].filter(Boolean).join("\n");
  }

  async open() {
    // Not those of useService: a menu that is closed ends their calls.
    const {action, orm} = this.env.services;
    const args = [this.props.record.resModel, this.resId];
    await action.doAction(await orm.call(MODEL, "action_open_deliveries", args));
  }
}

registry
  .category("view_widgets")
  .add("webhook_record_button", {component: RecordButton});
