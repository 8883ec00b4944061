# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Messages on an endpoint: its URL, its policy, why it waits, a graph of its last day,
and the context values that its requests need.
"""

import json
from datetime import timedelta

from markupsafe import Markup

from odoo.tools import SQL

from ..lane.health import hour_of
from ..services.errors import ServiceError
from ..services.retry import RetrySchedule
from ..services.template import EXTERNAL, EXTERNAL_ID, ORIGIN, is_provided, tokens
from .errors import translate

HOURS = 24


def url_preview(endpoint):
    """HTTP method and URL with its tokens highlighted, as markup."""
    env = endpoint.env
    url = endpoint.target_url
    if not url:
        return env._("The target hostname is missing.")
    keys = path_keys(endpoint)
    needs = keys and Markup('<div class="text-muted small">%s</div>') % env._(
        "Each delivery must provide: %s", ", ".join(keys)
    )
    return Markup("<div>%s <code>%s</code></div>%s") % (
        (endpoint.http_method or "").upper(),
        _marked(url, keys),
        needs or "",
    )


def _marked(url, keys):
    text = Markup("%s") % url
    for key in keys:
        text = text.replace(f"{{{key}}}", Markup('<b class="text-info">{%s}</b>') % key)
    return text


# Policy


def policy_summary(endpoint):
    """Retry schedule, limits, ordering and circuit, a line each."""
    return "\n".join(
        [_retry_summary(endpoint), _pace_summary(endpoint), _circuit_summary(endpoint)]
    )


def _retry_summary(endpoint):
    env = endpoint.env
    try:
        schedule = RetrySchedule.parse(endpoint.retry_schedule or "")
    except ServiceError as error:
        return translate(env, error)
    if not schedule.delays:
        return env._("A failed request is dead-lettered at once.")
    return env._(
        "Requests are retried if the target doesn't respond, and on these "
        "statuses: %(statuses)s. Retry delays: %(delays)s (%(sum)s), each up "
        "to 20 %% longer. Then the delivery is dead-lettered. Any other "
        "failure is dead-lettered at once.",
        statuses=endpoint.retry_on_status or env._("none"),
        delays=", ".join(map(str.strip, endpoint.retry_schedule.split(","))),
        sum=translate(env, schedule.describe()),
    )


def _pace_summary(endpoint):
    env = endpoint.env
    lanes = 1 if endpoint.ordering == "endpoint" else endpoint.parallel_lanes
    texts = [
        {
            "none": env._(
                "Requests in flight at the same time: up to %s.",
                endpoint.max_in_flight * lanes,
            ),
            "key": env._(
                "Deliveries with the same key are sent one after the other; "
                "keys at the same time: up to %s.",
                endpoint.max_in_flight * lanes,
            ),
            "endpoint": env._("All deliveries are sent one after the other."),
        }[endpoint.ordering or "none"]
    ]
    if endpoint.rate_limit:
        periods = dict(endpoint._fields["rate_period"]._description_selection(env))
        texts.append(
            env._(
                "Not more than %(count)s per %(period)s.",
                count=endpoint.rate_limit,
                period=(periods.get(endpoint.rate_period) or "").lower(),
            )
        )
    return " ".join(texts)


def _circuit_summary(endpoint):
    env = endpoint.env
    if not endpoint.circuit_threshold:
        return env._("The circuit breaker is off.")
    return env._(
        "Consecutive failures after which the circuit opens and only probes "
        "are sent: %s.",
        endpoint.circuit_threshold,
    )


# Waiting


def waiting_message(endpoint):
    """Why due deliveries aren't sent at present; False if they are."""
    env = endpoint.env
    if endpoint.circuit_state == "manual":
        return env._(
            "The target responded with 410 Gone and the circuit is open: queued "
            "deliveries wait until Close Circuit is pressed on the endpoint."
        )
    if endpoint.is_paused:
        return env._(
            "The endpoint is paused: queued deliveries wait until Resume is "
            "pressed on the endpoint."
        )
    if endpoint.circuit_state in (False, "closed"):
        return False
    return env._(
        "The circuit is open: queued deliveries wait until a probe succeeds. "
        "Press Close Circuit on the endpoint to send them at once."
    )


# Last day


def graphs_of_last_day(endpoints, now):
    """Endpoint id -> JSON for its graph; without those that made no attempt."""
    figures = hourly_attempts(endpoints, now)
    return {key: _graph(endpoints.env, hours) for key, hours in figures.items()}


def hourly_attempts(endpoints, now):
    """Attempts of the last 24 hours, by hours of the clock.

    :return: endpoint id -> list of 24 pairs (done, failed), oldest hour first
    """
    last = hour_of(now)
    start = last - timedelta(hours=HOURS - 1)
    endpoints.env.cr.execute(
        SQL(
            """SELECT endpoint_id, hour, sum(succeeded), sum(retried), sum(failed)
            FROM bwt_webhook_outbound_endpoint_hour
            WHERE endpoint_id = ANY(%s) AND hour BETWEEN %s AND %s GROUP BY 1, 2""",
            list(endpoints.ids),
            start,
            last,
        )
    )
    figures = {}
    for endpoint_id, hour, done, *failed in endpoints.env.cr.fetchall():
        hours = figures.setdefault(endpoint_id, [(0, 0)] * HOURS)
        number = (hour - start) // timedelta(hours=1)
        hours[number] = (done or 0, sum(filter(None, failed)))
    return figures


def _graph(env, hours):
    """Two series of 24 values for the widget: done and failed."""
    all_done, all_failed = zip(*hours, strict=True)
    caption = env._(
        "%(done)s with 2xx, %(failed)s failed; busiest hour: %(most)s",
        done=sum(all_done),
        failed=sum(all_failed),
        most=max(map(sum, hours)),
    )
    labels = [env._("%s h ago", HOURS - number) for number in range(HOURS)]
    series = [
        (env._("With 2xx"), all_done),
        (env._("Failed"), all_failed),
    ]
    return json.dumps(
        [
            {
                "key": name,
                "caption": caption,
                "values": [
                    {"label": label, "value": value}
                    for label, value in zip(labels, values, strict=True)
                ],
            }
            for name, values in series
        ]
    )


# Context values


def path_keys(endpoint):
    """The {tokens} of the path that need a context line, in order, each once."""
    found = tokens(endpoint.target_path or "/")
    if endpoint.create_or_update:
        found = (*found, *tokens(endpoint.update_path or "/"))
    return [key for key in dict.fromkeys(found) if not is_provided(key)]


def token_keys(endpoint):
    """The {tokens} of path and rules: without a value no request can be built."""
    keys = path_keys(endpoint)
    for rule in _active_rules(endpoint):
        if rule.source_kind == "literal":
            keys += tokens(rule.literal_value or "")
    return [key for key in dict.fromkeys(keys) if not is_provided(key)]


def context_keys(endpoint):
    """These, and the context keys that rules read, which may be empty."""
    keys = token_keys(endpoint)
    for rule in _active_rules(endpoint):
        if rule.source_kind == "context_key":
            keys.append((rule.source_expression or "").split(".")[0])
    keys = dict.fromkeys(filter(None, keys))
    return [key for key in keys if key not in (EXTERNAL, EXTERNAL_ID, ORIGIN)]


def _active_rules(endpoint):
    rules = (*endpoint.header_rule_ids, *endpoint.payload_rule_ids)
    return [rule for rule in rules if rule.active]


def missing_values_message(endpoint, given):
    """`The path needs order_id`: tokens without a given key; False if none."""
    missing = [key for key in token_keys(endpoint) if key not in given]
    if not missing:
        return False
    if set(missing) <= set(path_keys(endpoint)):
        return endpoint.env._("The path needs %s", ", ".join(missing))
    return endpoint.env._("The request needs %s", ", ".join(missing))
