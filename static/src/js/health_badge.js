import {BadgeField, badgeField} from "@web/views/fields/badge/badge_field";
import {registry} from "@web/core/registry";

/** The health of an endpoint; an endpoint that is paused, too, has a second badge. */
class HealthBadge extends BadgeField {
  static template = "bwt_webhooks_outbound.HealthBadge";

  get isAlsoPaused() {
    const {state, is_paused, health} = this.props.record.data;
    return state === "active" && is_paused && health !== "paused";
  }
}

registry.category("fields").add("webhook_health", {
  ...badgeField,
  component: HealthBadge,
  fieldDependencies: [
    {name: "is_paused", type: "boolean"},
    {name: "state", type: "selection"},
  ],
});
