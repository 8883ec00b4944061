import {AttemptsChart} from "./attempts_chart";
import {Component, onWillStart, onWillUnmount, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {browser} from "@web/core/browser/browser";
import {
  formatFloat,
  formatInteger,
  formatPercentage,
} from "@web/views/fields/formatters";
import {Layout} from "@web/search/layout";
import {registry} from "@web/core/registry";
import {sprintf} from "@web/core/utils/strings";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {useService} from "@web/core/utils/hooks";

const {DateTime} = luxon;

const ENDPOINT = "bwt.webhook.outbound.endpoint";
const OVERVIEW = "bwt.webhook.outbound.overview";
const EVERY = 30000; // Milliseconds between two refreshes of a visible page
const PERIODS = ["hours", "days"];

/** `120 ms`, `1.5 s`: a duration given in ms. */
function formatDuration(milliseconds) {
  return milliseconds < 1000
    ? sprintf(_t("%s ms"), milliseconds)
    : sprintf(_t("%s s"), formatFloat(milliseconds / 1000, {digits: [16, 1]}));
}

function formatShare(share) {
  return formatPercentage(share, {digits: [16, 1]});
}

/**
 * The first page of the addon: what was sent, what waits, what failed and what to do.
 *
 * It reads itself again while it is visible. The old figures stay until the new ones
 * are there, so that nothing flickers and no button moves away under the pointer.
 */
export class Overview extends Component {
  static template = "bwt_webhooks_outbound.Overview";
  static components = {AttemptsChart, Layout};
  static props = {...standardActionServiceProps};

  setup() {
    this.action = useService("action");
    this.notification = useService("notification");
    this.orm = useService("orm");
    this.display = {controlPanel: {}};
    this.formatInteger = formatInteger;
    this.state = useState({
      period: this.props.state?.period || "hours",
      data: null,
      error: "",
      isBusy: false,
      updatedAt: null,
    });
    this.reads = 0;
    const refresh = () => this.refresh();
    const timer = browser.setInterval(refresh, EVERY);
    document.addEventListener("visibilitychange", refresh);
    onWillUnmount(() => {
      browser.clearInterval(timer);
      document.removeEventListener("visibilitychange", refresh);
    });
    onWillStart(() => {
      this.load(); // Not awaited: the page opens at once and says that it loads
    });
  }

  // Data

  async load() {
    const read = ++this.reads;
    try {
      const data = await this.orm.silent.call(OVERVIEW, "action_read_overview", [
        this.state.period,
      ]);
      if (read === this.reads) {
        Object.assign(this.state, {data, error: "", updatedAt: DateTime.now()});
      }
    } catch (error) {
      if (read === this.reads) {
        this.state.error = error.data?.message || error.message;
      }
    }
  }

  async refresh() {
    if (!document.hidden && !this.state.isBusy) {
      await this.load();
    }
  }

  async choosePeriod(period) {
    this.state.period = period;
    await this.load();
  }

  // Shown

  get periods() {
    const labels = {hours: _t("24 hours"), days: _t("30 days")};
    return PERIODS.map((name) => ({name, label: labels[name]}));
  }

  get isCalm() {
    const {groups, endpoints, runner_problem: problem} = this.state.data;
    return !(groups.length || endpoints.length || problem);
  }

  get updatedAt() {
    // In the user's language, which need not be the browser's.
    const time = this.state.updatedAt.toLocaleString(DateTime.TIME_WITH_SECONDS);
    return sprintf(_t("Updated at %s"), time);
  }

  /** The tiles that compare a period with the one before. */
  get comparisons() {
    const {current, before} = this.state.data;
    const shown = (value, format) => (value === null ? "–" : format(value));
    const tile = (name, label, key, format) => ({
      name,
      label,
      value: shown(current[key], format),
      before: sprintf(_t("Before: %s"), shown(before[key], format)),
    });
    return [
      tile("attempts", _t("Attempts"), "attempts", formatInteger),
      tile("success_rate", _t("Success Rate"), "success_rate", formatShare),
      tile("p50", _t("Duration p50"), "p50", formatDuration),
      tile("p95", _t("Duration p95"), "p95", formatDuration),
    ];
  }

  get unreadFailures() {
    const read = formatInteger(this.state.data.failures_read);
    return sprintf(
      _t("Not all failures are shown: of each endpoint, only the newest %s are read."),
      read
    );
  }

  count(number, isMore) {
    return isMore
      ? sprintf(_t("%s or more"), formatInteger(number))
      : formatInteger(number);
  }

  /** `3 minutes ago, Order S0009:` of the newest failure of a group. */
  newestOf(group) {
    const newest = [group.age, group.newest].filter(Boolean).join(", ");
    return sprintf(_t("%(newest)s:"), {newest});
  }

  /** A button's accessible name: its label, and which of many such buttons it is. */
  nameOf(button, line) {
    const labels = {
      retry: _t("Retry"),
      open: _t("Open"),
      close_circuit: _t("Close Circuit"),
      pause: _t("Pause"),
      resume: _t("Resume"),
    };
    return [labels[button], line.endpoint, line.label].filter(Boolean).join(", ");
  }

  // Buttons

  /** Call a method of the server once, follow its action, and read the page again. */
  async act(model, method, args) {
    if (this.state.isBusy) {
      return;
    }
    this.state.isBusy = true;
    try {
      const result = await this.orm.call(model, method, args);
      if (result?.type) {
        await this.action.doAction(result);
      }
      await this.load();
    } finally {
      this.state.isBusy = false;
    }
  }

  retry({endpoint_id: id, reason}) {
    return this.act(OVERVIEW, "action_retry_failures", [id, reason]);
  }

  press(method, {endpoint_id: id}) {
    return this.act(ENDPOINT, method, [[id]]);
  }

  async open({endpoint_id: id, reason}) {
    const action = await this.orm.call(OVERVIEW, "action_open_failures", [id, reason]);
    await this.action.doAction(action);
  }

  openEndpoint({endpoint_id: id}) {
    return this.action.doAction({
      type: "ir.actions.act_window",
      res_model: ENDPOINT,
      res_id: id,
      views: [[false, "form"]],
    });
  }

  openAttention() {
    return this.action.doAction(
      "bwt_webhooks_outbound.action_webhook_outbound_attention"
    );
  }

  createEndpoint() {
    return this.action.doAction(
      "bwt_webhooks_outbound.action_webhook_outbound_endpoint",
      {
        viewType: "form",
      }
    );
  }
}

registry.category("actions").add("bwt_webhooks_outbound.overview", Overview);
