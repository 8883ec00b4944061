import {Component, useState} from "@odoo/owl";
import {CopyButton} from "@web/core/copy_button/copy_button";
import {_t} from "@web/core/l10n/translation";
import {formatInteger} from "@web/views/fields/formatters";
import {registry} from "@web/core/registry";
import {sprintf} from "@web/core/utils/strings";
import {standardFieldProps} from "@web/views/fields/standard_field_props";
import {toLocaleDateTimeString} from "@web/core/l10n/dates";
import {useService} from "@web/core/utils/hooks";

// What is large is read when an attempt is opened, and never for the whole list.
const CONTENT = [
  "http_method",
  "target_url",
  "multipart_file_keys",
  "processing_note",
  "request_headers_pretty",
  "payload_pretty",
  "response_headers_pretty",
  "response_body_pretty",
  "curl_command",
];
const COLORS = {
  done: "success",
  processing: "info",
  error: "warning",
  retry: "warning",
  interrupted: "warning",
  dead_letter: "danger",
};

/** The attempts of a delivery; a click on one shows request and response below it. */
class AttemptTimeline extends Component {
  static template = "bwt_webhooks_outbound.AttemptTimeline";
  static components = {CopyButton};
  static props = {...standardFieldProps};

  setup() {
    this.orm = useService("orm");
    this.copied = _t("Copied");
    this.copyCurl = _t("Copy as cURL");
    this.copyRequest = _t("Copy Request");
    this.copyResponse = _t("Copy Response");
    this.opened = useState({});
  }

  get list() {
    return this.props.record.data[this.props.name];
  }

  get attempts() {
    return this.list.records.map((record) => {
      const {data} = record;
      return {
        ...data,
        id: record.resId,
        // An attempt that ended meanwhile has other content.
        key: `${record.resId}-${data.state}`,
        color: COLORS[data.state] || "secondary",
        time: toLocaleDateTimeString(data.started_at, {showSeconds: true}),
        // Messages on a status begin with it.
        isStatusInMessage: (data.processing_error || "").startsWith(
          `HTTP ${data.response_status_code}`
        ),
        label: this.label("state", data.state),
        reason: this.label("failure_reason", data.failure_reason),
      };
    });
  }

  label(field, value) {
    const found = this.list.fields[field].selection.find(([key]) => key === value);
    return found ? found[1] : "";
  }

  async toggle({id, key}) {
    if (this.opened[key]) {
      delete this.opened[key];
      return;
    }
    this.opened[key] = {isLoading: true};
    try {
      const [content] = await this.orm.read(this.list.resModel, [id], CONTENT);
      this.opened[key] = content;
    } catch (error) {
      delete this.opened[key];
      throw error;
    }
  }

  get showAllLabel() {
    return sprintf(_t("Show All %s Attempts"), formatInteger(this.list.count));
  }

  async showAll() {
    await this.list.load({limit: this.list.count});
  }
}

registry.category("fields").add("webhook_attempt_timeline", {
  component: AttemptTimeline,
  displayName: _t("Attempts as a timeline"),
  supportedTypes: ["one2many"],
  useSubView: true,
});
