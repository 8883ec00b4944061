# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL

from ..lane.clock import utcnow
from ..services.errors import ServiceError
from ..services.retry import RetrySchedule
from ..services.template import tokens
from .endpoint_policy import READERS

HOURS = 24
BAR, GAP, HEIGHT = 10, 3, 48  # of the chart, in its own units


class BwtWebhookOutboundEndpointSummary(models.AbstractModel):
    """Summary of an endpoint: its URL, its policy, a chart of the last day."""

    _name = "bwt.webhook.outbound.endpoint.summary"
    _description = "Outbound Webhook Endpoint: Summary"

    url_preview = fields.Html(
        string="Request Preview",
        compute="_compute_url_preview",
        sanitize=False,
        groups=READERS,
        help="HTTP method and URL as they are sent. Values in {braces} come from "
        "the context lines of each delivery.",
    )
    policy_words = fields.Text(
        string="Policy Summary",
        compute="_compute_policy_words",
        groups=READERS,
        help="Summary of retry schedule, limits and ordering.",
    )
    chart_24h = fields.Html(
        string="Last 24 Hours",
        compute="_compute_chart_24h",
        sanitize=False,
        groups=READERS,
        help="Attempts per hour: answered with 2xx, and failed.",
    )

    @api.depends("target_hostname", "target_path", "http_method")
    def _compute_url_preview(self):
        for endpoint in self:
            url = endpoint.target_url
            if not url:
                endpoint.url_preview = self.env._("The target hostname is missing.")
                continue
            keys = tokens(endpoint.target_path or "/")
            endpoint.url_preview = Markup("<div>%s <code>%s</code></div>%s") % (
                (endpoint.http_method or "").upper(),
                _marked(url, keys),
                endpoint._token_summary(keys),
            )

    def _token_summary(self, keys):
        if not keys:
            return ""
        return Markup('<div class="text-muted small">%s</div>') % self.env._(
            "Each delivery must provide: %s", ", ".join(keys)
        )

    @api.depends(
        "retry_schedule",
        "retry_on_status",
        "max_in_flight",
        "parallel_lanes",
        "rate_limit",
        "rate_period",
        "ordering",
        "circuit_threshold",
        "retention_days",
    )
    def _compute_policy_words(self):
        for endpoint in self:
            parts = [
                endpoint._retry_summary(),
                endpoint._pace_summary(),
                endpoint._circuit_summary(),
            ]
            endpoint.policy_words = "\n".join(parts)

    def _retry_summary(self):
        try:
            schedule = RetrySchedule.parse(self.retry_schedule or "")
        except ServiceError as error:
            return self.env._(error.template, **error.values)
        if not schedule.delays:
            return self.env._("A failed request is dead-lettered at once.")
        return self.env._(
            "Requests are retried if the target doesn't answer, and on these "
            "statuses: %(statuses)s. Retry delays: %(delays)s (%(sum)s), each up "
            "to 20 %% longer. Then the delivery is dead-lettered. Any other "
            "failure is dead-lettered at once.",
            statuses=self.retry_on_status or self.env._("none"),
            delays=", ".join(map(str.strip, self.retry_schedule.split(","))),
            sum=schedule.describe(),
        )

    def _pace_summary(self):
        lanes = 1 if self.ordering != "none" else self.parallel_lanes
        texts = [
            {
                "none": self.env._(
                    "Requests in flight at the same time: up to %s.",
                    self.max_in_flight * lanes,
                ),
                "key": self.env._(
                    "Deliveries with the same key are sent one after the other; "
                    "keys at the same time: up to %s.",
                    self.max_in_flight,
                ),
                "endpoint": self.env._("All deliveries are sent one after the other."),
            }[self.ordering or "none"]
        ]
        if self.rate_limit:
            periods = dict(self._fields["rate_period"]._description_selection(self.env))
            texts.append(
                self.env._(
                    "Not more than %(count)s per %(period)s.",
                    count=self.rate_limit,
                    period=(periods.get(self.rate_period) or "").lower(),
                )
            )
        return " ".join(texts)

    def _circuit_summary(self):
        if not self.circuit_threshold:
            return self.env._("The circuit breaker is off.")
        return self.env._(
            "Consecutive failures after which the circuit opens and only probes "
            "are sent: %s.",
            self.circuit_threshold,
        )

    def _waiting_message(self):
        """Why due deliveries aren't sent at present; False if they are."""
        if self.circuit_state == "manual":
            return self.env._(
                "The target answered 410 Gone and the circuit is open: queued "
                "deliveries wait until Close Circuit is pressed on the endpoint."
            )
        if self.is_paused:
            return self.env._(
                "The endpoint is paused: queued deliveries wait until Resume is "
                "pressed on the endpoint."
            )
        if self.circuit_state in (False, "closed"):
            return False
        return self.env._(
            "The circuit is open: queued deliveries wait until a probe succeeds. "
            "Press Close Circuit on the endpoint to send them at once."
        )

    def _compute_chart_24h(self):
        now = utcnow()
        figures = self._hourly_attempts(now)
        for endpoint in self:
            hours = figures.get(endpoint.id)
            endpoint.chart_24h = hours and endpoint._chart(hours)

    def _hourly_attempts(self, now):
        """Attempts of the last 24 hours.

        :return: endpoint id -> list of 24 pairs (done, failed), oldest hour first
        """
        start = now - timedelta(hours=HOURS)
        self.env.cr.execute(
            SQL(
                """SELECT endpoint_id,
                least(extract(epoch FROM started_at - %(start)s)::int / 3600, 23),
                count(*) FILTER (WHERE state = 'done'),
                count(*) FILTER (WHERE state <> 'done')
                FROM bwt_webhook_outbound_delivery_attempt
                WHERE endpoint_id = ANY(%(ids)s) AND started_at >= %(start)s
                AND state IN ('done', 'error', 'dead_letter', 'interrupted')
                GROUP BY 1, 2""",
                start=start,
                ids=list(self.ids),
            )
        )
        figures = {}
        for endpoint_id, hour, done, failed in self.env.cr.fetchall():
            hours = figures.setdefault(endpoint_id, [(0, 0)] * HOURS)
            hours[hour] = (done, failed)
        return figures

    def _chart(self, hours):
        """A bar per hour as SVG: failed on top of done."""
        most = max(done + failed for done, failed in hours) or 1
        bars = Markup("").join(
            self._bar(number, done, failed, most)
            for number, (done, failed) in enumerate(hours)
            if done or failed
        )
        width = HOURS * (BAR + GAP)
        done, failed = (sum(each) for each in zip(*hours, strict=True))
        caption = self.env._(
            "%(done)s answered with 2xx, %(failed)s failed; busiest hour: %(most)s",
            done=done,
            failed=failed,
            most=most,
        )
        return Markup(
            '<figure class="mb-0"><svg role="img" aria-label="%(caption)s" '
            'width="100%%" style="max-width: 420px" '
            'viewBox="0 0 %(width)s %(height)s">'
            '<line class="text-muted" stroke="currentColor" stroke-width="0.5" '
            'x1="0" x2="%(width)s" y1="%(base)s" y2="%(base)s"/>%(bars)s</svg>'
            '<figcaption class="text-muted small">%(caption)s</figcaption></figure>'
        ) % {
            "caption": caption,
            "width": width,
            "height": HEIGHT + 1,
            "base": HEIGHT + 0.5,
            "bars": bars,
        }

    def _bar(self, number, done, failed, most):
        title = self.env._(
            "%(ago)s h ago: %(done)s answered with 2xx, %(failed)s failed",
            ago=HOURS - number,
            done=done,
            failed=failed,
        )
        scale = HEIGHT / most
        high, low = max(failed * scale, 1.0 if failed else 0.0), done * scale
        high = min(high, HEIGHT)
        low = min(low, HEIGHT - high)
        return Markup(
            '<g fill="currentColor"><title>%s</title>'
            '<rect class="text-success" fill="currentColor" x="%s" y="%.1f" width="%s"'
            ' height="%.1f"/><rect class="text-danger" fill="currentColor" x="%s"'
            ' y="%.1f" width="%s" height="%.1f"/></g>'
        ) % (
            title,
            number * (BAR + GAP),
            HEIGHT - low,
            BAR,
            low,
            number * (BAR + GAP),
            HEIGHT - low - high,
            BAR,
            high,
        )

    # Buttons

    def action_send_test(self):
        """Open the dialog that shows a request and sends it."""
        self.ensure_one()
        self.check_access("write")
        return self._dialog("bwt.webhook.outbound.send.test", self.env._("Send Test"))

    def action_recover(self):
        """Open the dialog that queues failed deliveries again."""
        self.ensure_one()
        self.check_access("read")
        self.env["bwt.webhook.outbound.delivery"].check_access("read")
        return self._dialog("bwt.webhook.outbound.recover", self.env._("Recover"))

    def _dialog(self, model_name, title):
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": model_name,
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_endpoint_id": self.id},
        }


def _marked(url, keys):
    """The URL with its tokens highlighted, as markup."""
    text = Markup("%s") % url
    for key in keys:
        text = text.replace(f"{{{key}}}", Markup('<b class="text-info">{%s}</b>') % key)
    return text


class BwtWebhookOutboundEndpointKeys(models.AbstractModel):
    """The context values that the requests of an endpoint use."""

    _name = "bwt.webhook.outbound.endpoint.keys"
    _description = "Outbound Webhook Endpoint: Keys"

    def _path_keys(self):
        """The {tokens} of the path, in order, each once."""
        return list(tokens(self.target_path or "/"))

    def _token_keys(self):
        """The {tokens} of path and rules: without a value no request can be built."""
        keys = self._path_keys()
        for rule in self._active_rules():
            if rule.source_kind == "literal":
                keys += tokens(rule.literal_value or "")
        return list(dict.fromkeys(keys))

    def _context_keys(self):
        """These, and the context keys that rules read, which may be empty."""
        keys = self._token_keys()
        for rule in self._active_rules():
            if rule.source_kind == "context_key":
                keys.append((rule.source_expression or "").split(".")[0])
        return list(dict.fromkeys(filter(None, keys)))

    def _active_rules(self):
        rules = (*self.header_rule_ids, *self.payload_rule_ids)
        return [rule for rule in rules if rule.active]

    def _missing_values_message(self, given):
        """`The path needs order_id`: tokens without a given key; False if none."""
        missing = [key for key in self._token_keys() if key not in given]
        if not missing:
            return False
        if set(missing) <= set(self._path_keys()):
            return self.env._("The path needs %s", ", ".join(missing))
        return self.env._("The request needs %s", ", ".join(missing))
