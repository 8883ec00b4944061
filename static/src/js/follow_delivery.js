import {Component, onWillUnmount, xml} from "@odoo/owl";
import {browser} from "@web/core/browser/browser";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

const TICK = 1000; // Milliseconds
const SOON = 10; // Seconds until a delivery is due
const FAST_POLLS = 10; // Once a second; then the interval grows
const INTERVAL_MAX = 30; // Seconds between two polls

function isActive({state, next_attempt_at: due}) {
  const waits = ["queued", "error"].includes(state) && due;
  return state === "processing" || (waits && due.diffNow("seconds").seconds < SOON);
}

/** Reads the form's delivery again while it is due or being sent, until it has ended. */
class FollowDelivery extends Component {
  static template = xml``;
  static props = {...standardWidgetProps};

  setup() {
    this.polls = 0;
    this.wait = 0;
    const timer = browser.setInterval(() => this.tick(), TICK);
    onWillUnmount(() => browser.clearInterval(timer));
  }

  async tick() {
    const {record} = this.props;
    if (!record.resId || !isActive(record.data)) {
      this.polls = this.wait = 0;
      return;
    }
    this.wait -= 1;
    if (
      this.wait > 0 ||
      document.hidden ||
      this.isLoading ||
      (await record.isDirty())
    ) {
      return;
    }
    this.isLoading = true;
    try {
      await record.load();
    } finally {
      this.isLoading = false;
    }
    this.polls += 1;
    this.wait = Math.min(Math.max(this.polls - FAST_POLLS, 1), INTERVAL_MAX);
  }
}

registry.category("view_widgets").add("webhook_follow", {component: FollowDelivery});
