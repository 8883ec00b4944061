# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Figures of all active endpoints, as Prometheus reads them.

Everything comes from partial indexes and from the few rows that lanes write per hour;
deliveries and attempts that ended are never read.
"""

from datetime import timedelta

from odoo.tools import SQL

from ..lane import jobs
from ..lane.clock import utcnow
from ..lane.health import BUCKETS, REASON_COLUMNS, RESULTS
from ..lane.locks import SLOTS
from ..services.exposition import family, histogram, labels
from ..services.histogram import BOUNDS
from .const import ENDPOINT
from .endpoint_health import CIRCUIT_STATES, circuit_closed_sql
from .endpoint_hour import STORED, sums_of

COUNTED_HOURS = 6
DUE_MAX = 10_000  # counted per endpoint: a longer backlog is shown as this many
# Upper bounds of the buckets that are shown, in ms: every second one is enough.
SHOWN_BOUNDS = (10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000)


def metrics_text(env, now=None) -> str:
    """The metrics of this database; writes nothing.

    :param env: with sudo
    """
    now = now or utcnow()
    env.cr.execute(endpoints_now(env, now))
    endpoints = env.cr.dictfetchall()
    env.cr.execute(
        figures_since([each["id"] for each in endpoints], start_of_counters(now))
    )
    figures = {
        labels(endpoint=code): dict(
            zip(STORED, (each or 0 for each in sums), strict=True)
        )
        for code, *sums in env.cr.fetchall()
    }
    runner = family(
        "bwt_webhooks_runner_seen",
        "gauge",
        "1 if a job runner is connected to this database.",
        [("", int(jobs.is_runner_alive(env.cr)))],
    )
    return "".join((*_state(endpoints, now), runner, *_figures(figures)))


def start_of_counters(now):
    """The counters begin at 0 every six hours (UTC), as if the server had restarted.

    Prometheus knows such resets. Since then an endpoint has few rows, whereas a sum
    over all of them would take long, and fall whenever the oldest hour is deleted.
    """
    hour = now.hour - now.hour % COUNTED_HOURS
    return now.replace(hour=hour, minute=0, second=0, microsecond=0)


# Column of `endpoints_now` -> what it says.
_GAUGES = {
    "due": f"Deliveries that are due, at most {DUE_MAX} are counted.",
    "oldest_due_age_seconds": "How long the oldest due delivery has been due, or 0.",
    "in_flight": "Deliveries that are being sent.",
    "lanes": "Lanes that are running.",
    "paused": "1 if the endpoint is paused.",
}


def _state(endpoints, now):
    named = [(labels(endpoint=each["code"]), each) for each in endpoints]
    for each in endpoints:
        each["oldest_due_age_seconds"] = _age(each["oldest_due_at"], now)
    for name, text in _GAUGES.items():
        samples = [(label, each[name]) for label, each in named]
        yield family(f"bwt_webhooks_{name}", "gauge", text, samples)
    states = [(labels(state=state), state) for state, _label in CIRCUIT_STATES]
    yield family(
        "bwt_webhooks_circuit_state",
        "gauge",
        "1 for the state of the circuit, 0 for the others; "
        "manual: stopped by the receiver (410).",
        [
            (f"{label},{suffix}", int(state == each["circuit"]))
            for label, each in named
            for suffix, state in states
        ],
    )


def _age(due_at, now):
    return round(max((now - due_at) / timedelta(seconds=1), 0), 3) if due_at else 0


def _figures(figures):
    outcomes = [(labels(outcome=name), name) for name in RESULTS]
    reasons = [
        (labels(reason=reason), column) for reason, column in REASON_COLUMNS.items()
    ]
    yield family(
        "bwt_webhooks_attempts_total",
        "counter",
        "Attempts by outcome: succeeded, "
        "retried (failed, a retry follows), failed (no retry follows).",
        [
            (f"{each},{suffix}", sums[column])
            for each, sums in figures.items()
            for suffix, column in outcomes
        ],
    )
    yield family(
        "bwt_webhooks_attempt_failures_total",
        "counter",
        "Failed attempts by reason.",
        [
            (f"{each},{suffix}", sums[column])
            for each, sums in figures.items()
            for suffix, column in reasons
        ],
    )
    yield histogram(
        "bwt_webhooks_request_duration_seconds",
        "Durations of requests.",
        [bound / 1000 for bound in SHOWN_BOUNDS],
        [
            (each, _buckets(sums), round(sums["ms_total"] / 1000, 3))
            for each, sums in figures.items()
        ],
    )


def _buckets(sums):
    """Counts for `SHOWN_BOUNDS`, of the counts for all bounds."""
    counts, count = [], 0
    for bound, column in zip((*BOUNDS, None), BUCKETS, strict=True):
        count += sums[column]
        if bound is None or bound in SHOWN_BOUNDS:
            counts.append(count)
            count = 0
    return counts


# Statements


def endpoints_now(env, now) -> SQL:
    """What active endpoints are doing, one row each."""
    return SQL(
        """SELECT e.id, e.code, due.count AS due, due.oldest AS oldest_due_at,
            flying.count AS in_flight, coalesce(lane.count, 0) AS lanes,
            coalesce(e.is_paused, FALSE)::int AS paused,
            CASE WHEN %(is_closed)s THEN 'closed' ELSE h.circuit_state END AS circuit
        FROM bwt_webhook_outbound_endpoint e
        LEFT JOIN bwt_webhook_outbound_endpoint_health h ON h.endpoint_id = e.id
        LEFT JOIN (
            SELECT objid::bigint AS endpoint_id, count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND database = (
                SELECT oid FROM pg_database WHERE datname = current_database()
            ) AND classid::bigint BETWEEN %(first_slot)s AND %(last_slot)s GROUP BY 1
        ) lane ON lane.endpoint_id = e.id
        CROSS JOIN LATERAL (
            SELECT count(*), min(next_attempt_at) AS oldest FROM (
                SELECT d.next_attempt_at FROM bwt_webhook_outbound_delivery d
                WHERE d.endpoint_id = e.id AND d.state IN ('queued', 'error')
                AND d.next_attempt_at <= %(now)s
                ORDER BY d.next_attempt_at, d.queue_number LIMIT %(max)s
            ) d
        ) due
        CROSS JOIN LATERAL (
            SELECT count(*) FROM bwt_webhook_outbound_delivery d
            WHERE d.endpoint_id = e.id AND d.state = 'processing'
        ) flying
        WHERE e.state = 'active' ORDER BY e.code""",
        is_closed=circuit_closed_sql(env[ENDPOINT], "e", None),
        first_slot=SLOTS[0],
        last_slot=SLOTS[-1],
        now=now,
        max=DUE_MAX,
    )


def figures_since(ids, start) -> SQL:
    """Code and sums of `STORED` for hours from `start` on, by endpoint."""
    # LATERAL: the index finds the few rows of each endpoint, never those of the past.
    return SQL(
        """SELECT e.code, hours.* FROM bwt_webhook_outbound_endpoint e
        CROSS JOIN LATERAL (
            SELECT %s FROM bwt_webhook_outbound_endpoint_hour h
            WHERE h.endpoint_id = e.id AND h.hour >= %s
        ) hours WHERE e.id = ANY(%s) ORDER BY e.code""",
        sums_of(STORED),
        start,
        list(ids),
    )
