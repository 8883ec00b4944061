import {openApp, openRow, outbound, stateIs, RECORD} from "./steps";
import {registry} from "@web/core/registry";
import {rpc} from "@web/core/network/rpc";

const DELIVERY = "bwt.webhook.outbound.delivery";

function call(method, ...args) {
  const params = {model: DELIVERY, method, args, kwargs: {}};
  return rpc(`/web/dataset/call_kw/${DELIVERY}/${method}`, params);
}

registry.category("web_tour.tours").add("webhooks_follow", {
  steps: () => [
    ...openApp(),
    ...outbound("deliveries", RECORD),
    openRow("Tour: order S00042"),
    stateIs("queued"),
    {
      content: "It ends elsewhere",
      trigger: ".o_form_view",
      async run() {
        const [id] = await call("search", [["name", "=", "Tour: order S00042"]]);
        await call("action_cancel_delivery", [id]);
      },
    },
    stateIs("canceled"),
    {
      content: "The sentence follows, too",
      trigger: 'div[name="alert_canceled"], .alert:contains("anceled")',
    },
  ],
});
