import {Component, onWillUnmount, xml} from "@odoo/owl";
import {browser} from "@web/core/browser/browser";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

const TICK = 1000; // Milliseconds
const SOON = 10; // Seconds until a delivery goes out
const EAGER = 10; // Looks a second apart; then they become rarer
const RARELY = 30; // Seconds between two looks at most

function isOnItsWay({state, next_attempt_at: due}) {
  const waits = ["queued", "error"].includes(state) && due;
  return state === "processing" || (waits && due.diffNow("seconds").seconds < SOON);
}

/** Reads the form's delivery anew while it is on its way, until it has ended. */
class FollowDelivery extends Component {
  static template = xml``;
  static props = {...standardWidgetProps};

  setup() {
    this.looks = 0;
    this.rest = 0;
    const timer = browser.setInterval(() => this.tick(), TICK);
    onWillUnmount(() => browser.clearInterval(timer));
  }

  async tick() {
    const {record} = this.props;
    if (!record.resId || !isOnItsWay(record.data)) {
      this.looks = this.rest = 0;
      return;
    }
    this.rest -= 1;
    if (
      this.rest > 0 ||
      document.hidden ||
      this.isLooking ||
      (await record.isDirty())
    ) {
      return;
    }
    this.isLooking = true;
    try {
      await record.load();
    } finally {
      this.isLooking = false;
    }
    this.looks += 1;
    this.rest = Math.min(Math.max(this.looks - EAGER, 1), RARELY);
  }
}

registry.category("view_widgets").add("webhook_follow", {component: FollowDelivery});
