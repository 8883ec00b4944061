import {Component, onWillUnmount, xml} from "@odoo/owl";
import {browser} from "@web/core/browser/browser";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

const INTERVAL = 2000; // Milliseconds
const AT_WORK = ["waiting", "running", "checking", "searching", "deleting"];

/** Reads the form's run or reconciliation again while it is at work. */
class FollowRun extends Component {
  static template = xml``;
  static props = {...standardWidgetProps};

  setup() {
    const timer = browser.setInterval(() => this.tick(), INTERVAL);
    onWillUnmount(() => browser.clearInterval(timer));
  }

  async tick() {
    const {record} = this.props;
    const isFollowed = record.resId && AT_WORK.includes(record.data.state);
    if (!isFollowed || document.hidden || this.isLoading || (await record.isDirty())) {
      return;
    }
    this.isLoading = true;
    try {
      await record.load();
    } finally {
      this.isLoading = false;
    }
  }
}

registry.category("view_widgets").add("webhook_follow_run", {component: FollowRun});
