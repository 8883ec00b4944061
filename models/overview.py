# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the Overview shows: figures of a period, what is wrong now, and its buttons.

Read within a few statements, however long the history is: attempts from the figures
per hour, what waits and what failed from partial indexes, a bounded number of rows
each.
"""

from datetime import datetime, time, timedelta, timezone

from babel.dates import format_date, format_datetime, format_time

from odoo import api, models
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.misc import babel_locale_parse, get_lang

from ..lane.clock import utcnow
from ..lane.diagnostics import runner_problem
from ..lane.health import RESULTS, hour_of
from ..services.histogram import quantile
from .const import DELIVERY, ENDPOINT, GROUP_ADMIN, GROUP_OPERATOR
from .delivery_failures import reason_domain, reason_label, reason_sql
from .delivery_status_message import relative_time
from .endpoint_alerts import NEEDS_ATTENTION
from .endpoint_health import oldest_due_dates, read_healths, sending_problem
from .endpoint_hour import COLUMNS, sums_by_hour
from .endpoint_summary import waiting_message

PERIODS = {"hours": 24, "days": 30}
WAITING_READ = 10_000  # waiting deliveries counted per endpoint
FAILED_READ = 1_000  # failed deliveries grouped per endpoint, the newest
GROUPS_SHOWN = 20
ENDPOINTS_SHOWN = 20
RETRIED_AT_ONCE = 1_000
MESSAGE_SHOWN = 300  # characters
DIAGNOSED = 5  # delayed endpoints whose jobs are examined: a query each
COMPANY_RULE = "bwt_webhooks_outbound.webhook_outbound_delivery_company_rule"
# In the order of their urgency.
SHOWN_HEALTHS = ("stopped", "circuit_open", "late", "paused")
WITH_CIRCUIT = ("stopped", "circuit_open")


class BwtWebhookOutboundOverview(models.AbstractModel):
    """The server's side of the client action; stores nothing."""

    _name = "bwt.webhook.outbound.overview"
    _description = "Outbound Webhooks: Overview"

    @api.model
    def action_read_overview(self, period="hours"):
        """All that the page shows, of the endpoints of the chosen companies.

        :param period: `hours` (24) or `days` (30), each compared with the one before
        """
        self._check_operator()
        now = utcnow()
        endpoints = self.env[ENDPOINT].search_fetch([], ["name", "state", "is_paused"])
        healths = read_healths(endpoints)
        waiting = _waiting(self.env, endpoints.ids)
        due = oldest_due_dates(endpoints) if endpoints else {}
        groups, has_more = self._failure_groups(endpoints, healths)
        problem = runner_problem(self.env)
        troubled = self._troubled_endpoints(endpoints, healths, waiting, due, problem)
        oldest = min(filter(None, due.values()), default=None)
        return {
            "period": period,
            "has_endpoint": bool(endpoints),
            "may_create": self.env.user.has_group(GROUP_ADMIN),
            **self._attempts(endpoints.ids, period, now),
            "waiting": sum(count for count, _is_more in waiting.values()),
            "waiting_is_more": any(is_more for _count, is_more in waiting.values()),
            "oldest_due": oldest and relative_time(self.env, oldest),
            "runner_problem": problem or False,
            "groups": groups,
            "has_more_failures": has_more,
            "failures_read": FAILED_READ,
            "endpoints": troubled,
        }

    @api.model
    def action_open_failures(self, endpoint_id, reason):
        """Open the deliveries of a group."""
        self._check_operator()
        endpoint = self._endpoint(endpoint_id)
        label = reason_label(self.env, reason)
        return endpoint._action_deliveries(
            f"{endpoint.name}: {label}", [*NEEDS_ATTENTION, *reason_domain(reason)]
        )

    @api.model
    def action_retry_failures(self, endpoint_id, reason):
        """Queue the deliveries of a group again, oldest first.

        :return: a notification on what was retried and what was not, and why
        """
        self._check_operator()
        endpoint = self._endpoint(endpoint_id)
        endpoint.sudo()._check_queueable()
        domain = Domain("endpoint_id", "=", endpoint.id)
        domain &= Domain(NEEDS_ATTENTION) & Domain(reason_domain(reason))
        deliveries = self.env[DELIVERY].search(
            domain, order="id", limit=RETRIED_AT_ONCE + 1
        )
        batch = deliveries[:RETRIED_AT_ONCE].with_context(tracking_disable=True)
        action = batch.action_bulk("retry_now")
        more = []
        if waits := waiting_message(endpoint.sudo()):
            action["params"]["type"] = "warning"
            more.append(waits)
        if len(deliveries) > RETRIED_AT_ONCE:
            more.append(self.env._("There are more: press Retry again."))
        if more:
            action["params"]["message"] = "\n".join(
                [action["params"]["message"], *more]
            )
            action["params"]["sticky"] = True
        return action

    def _check_operator(self):
        if not self.env.su and not self.env.user.has_group(GROUP_OPERATOR):
            raise AccessError(
                self.env._(
                    "Only webhooks operators may see the overview. Ask an "
                    "administrator for that role."
                )
            )

    def _endpoint(self, endpoint_id):
        endpoint = self.env[ENDPOINT].browse(endpoint_id)
        endpoint.check_access("read")
        return endpoint

    # Attempts

    def _attempts(self, endpoint_ids, period, now):
        """Bars of the chart, and the figures of this period and the one before."""
        keys, key_of, start = self._bars(period, now)
        totals = {key: [0] * len(COLUMNS) for key in keys}
        for hour, sums in sums_by_hour(self.env, endpoint_ids, start).items():
            if total := totals.get(key_of(hour)):
                total[:] = map(sum, zip(total, sums, strict=True))
        half = len(keys) // 2
        return {
            "bars": [
                self._label(period, key) | dict(zip(RESULTS, totals[key], strict=False))
                for key in keys[half:]
            ],
            "current": _summary(totals[key] for key in keys[half:]),
            "before": _summary(totals[key] for key in keys[:half]),
        }

    def _bars(self, period, now):
        """Keys of the bars of two periods, the key of an hour, and the first hour."""
        if period not in PERIODS:
            raise ValidationError(
                self.env._(
                    'The period "%s" is unknown. Use one of: hours, days.', period
                )
            )
        numbers = range(2 * PERIODS[period] - 1, -1, -1)
        if period == "hours":
            last = hour_of(now)
            keys = [last - timedelta(hours=number) for number in numbers]
            return keys, lambda hour: hour, keys[0]
        today = self._local(now).date()
        keys = [today - timedelta(days=number) for number in numbers]
        # A day begins up to 14 hours earlier in UTC.
        start = datetime.combine(keys[0], time.min) - timedelta(hours=14)
        return keys, lambda hour: self._local(hour).date(), start

    def _local(self, moment):
        """A naive UTC time in the user's time zone."""
        # Not `ZoneInfo`: servers may lack names such as US/Eastern, which users can
        # choose.
        return moment.replace(tzinfo=timezone.utc).astimezone(self.env.tz)

    def _label(self, period, key):
        locale = babel_locale_parse(get_lang(self.env).code)
        if period == "hours":
            local = self._local(key)
            return {
                "label": format_time(
                    local, "short", tzinfo=local.tzinfo, locale=locale
                ),
                "title": format_datetime(
                    local, "short", tzinfo=local.tzinfo, locale=locale
                ),
            }
        return {
            "label": format_date(key, "d MMM", locale=locale),
            "title": format_date(key, "medium", locale=locale),
        }

    # What is wrong now

    def _failure_groups(self, endpoints, healths):
        """Failed deliveries by endpoint and reason, and whether some are left out."""
        query = failures_sql(self.env[DELIVERY], endpoints.ids)
        rows = self.env.execute_query(query)
        read = {}
        for endpoint_id, _reason, _count, _newest, count in rows:
            read[endpoint_id] = read.get(endpoint_id, 0) + count
        rows = [row for row in rows if row[2]]
        rows.sort(key=lambda row: (-row[2], row[0], row[1]))
        newest = self.env[DELIVERY].browse([row[3] for row in rows[:GROUPS_SHOWN]])
        newest.fetch(["name", "processing_error", "processing_note", "write_date"])
        groups = []
        for row, delivery in zip(rows, newest, strict=False):
            endpoint_id, reason, count, _newest, _read = row
            endpoint = endpoints.browse(endpoint_id)
            message = delivery.processing_error or delivery.processing_note or ""
            changed = delivery.write_date  # False if written by SQL alone
            groups.append(
                self._endpoint_values(endpoint, healths)
                | {
                    "reason": reason,
                    "label": reason_label(self.env, reason),
                    "count": count,
                    "count_is_more": read[endpoint_id] >= FAILED_READ,
                    "newest": delivery.name,
                    "message": message.strip()[:MESSAGE_SHOWN],
                    "age": changed and relative_time(self.env, changed),
                }
            )
        is_bounded = any(count >= FAILED_READ for count in read.values())
        return groups, is_bounded or len(rows) > GROUPS_SHOWN

    def _troubled_endpoints(self, endpoints, healths, waiting, due, problem):
        """Endpoints that send nothing or too late, the most urgent first."""
        found = [each for each in endpoints if healths.get(each.id) in SHOWN_HEALTHS]
        found.sort(key=lambda each: SHOWN_HEALTHS.index(healths[each.id]))
        found = endpoints.browse(each.id for each in found[:ENDPOINTS_SHOWN])
        now, shown, examined = utcnow(), [], 0
        # With sudo: who sees the endpoint sees why it waits.
        for endpoint, trusted in zip(found, found.sudo(), strict=True):
            count, is_more = waiting.get(endpoint.id, (0, False))
            why = waiting_message(trusted) or problem
            if not why and examined < DIAGNOSED:
                examined += 1
                why = sending_problem(trusted, now)
            oldest = due.get(endpoint.id)
            shown.append(
                self._endpoint_values(endpoint, healths)
                | {
                    "message": why or "",
                    "waiting": count,
                    "waiting_is_more": is_more,
                    "oldest_due": oldest and relative_time(self.env, oldest),
                }
            )
        return shown

    def _endpoint_values(self, endpoint, healths):
        """Name and health of an endpoint, and which of its buttons apply."""
        health = healths.get(endpoint.id)
        labels = dict(endpoint._fields["health"]._description_selection(self.env))
        is_active = endpoint.state == "active"
        return {
            "endpoint_id": endpoint.id,
            "endpoint": endpoint.name,
            "health": health,
            "health_label": labels.get(health),
            "may_retry": is_active,
            "may_close_circuit": health in WITH_CIRCUIT,
            "may_pause": is_active and not endpoint.is_paused,
            "may_resume": is_active and endpoint.is_paused,
        }


def _summary(totals):
    """Attempts, share that succeeded (None without any), p50 and p95 in ms."""
    sums = [sum(column) for column in zip(*totals, strict=True)]
    results, durations = sums[: len(RESULTS)], sums[len(RESULTS) :]
    attempts = sum(results)
    return {
        "attempts": attempts,
        "success_rate": results[0] / attempts if attempts else None,
        "p50": quantile(durations, 0.5),
        "p95": quantile(durations, 0.95),
    }


def _waiting(env, endpoint_ids):
    """Endpoint id -> deliveries that wait for an attempt, and whether there are more.

    Up to `WAITING_READ` rows of the index of what is due are read per endpoint.
    """
    rows = env.execute_query(waiting_sql(env[DELIVERY], endpoint_ids))
    return {
        key: (min(count, WAITING_READ), count > WAITING_READ) for key, count in rows
    }


def waiting_sql(deliveries, endpoint_ids) -> SQL:
    """Endpoint and number of its deliveries that wait for an attempt, up to a bound."""
    domain = [("state", "in", ["queued", "error"]), ("next_attempt_at", "!=", False)]
    return SQL(
        """SELECT e.id, w.count FROM unnest(%(ids)s::int[]) AS e (id)
        CROSS JOIN LATERAL (
            SELECT count(*) FROM (
                SELECT FROM %(tables)s
                WHERE %(alias)s.endpoint_id = e.id AND %(where)s LIMIT %(limit)s
            ) AS read
        ) AS w""",
        ids=list(endpoint_ids),
        limit=WAITING_READ + 1,
        **_parts(_visible(deliveries)._search(domain)),
    )


def failures_sql(deliveries, endpoint_ids) -> SQL:
    """Endpoint, reason, how many need attention, the newest of them, how many read."""
    # First the ids, by the index alone: it has the newest first.
    failed = deliveries.sudo()._search([("state", "in", ["error", "dead_letter"])])
    read = SQL(
        """SELECT %(alias)s.id FROM %(tables)s
        WHERE %(alias)s.endpoint_id = e.id AND %(where)s
        ORDER BY %(alias)s.id DESC LIMIT %(limit)s""",
        limit=FAILED_READ,
        **_parts(failed),
    )
    query = _visible(deliveries)._search([])
    return SQL(
        """SELECT e.id, %(reason)s AS reason, count(*) FILTER (WHERE %(attention)s),
            (array_agg(
                %(alias)s.id ORDER BY %(alias)s.write_date DESC NULLS LAST,
                %(alias)s.id DESC
            ) FILTER (WHERE %(attention)s))[1], count(*)
        FROM unnest(%(ids)s::int[]) AS e (id)
        CROSS JOIN LATERAL (%(read)s) AS read (id)
        JOIN %(tables)s ON %(alias)s.id = read.id
        WHERE %(where)s GROUP BY e.id, reason""",
        read=read,
        reason=reason_sql(deliveries, query.table, query),
        attention=SQL(
            "(%(alias)s.state = 'dead_letter' OR %(alias)s.next_attempt_at IS NULL)",
            alias=SQL.identifier(query.table),
        ),
        ids=list(endpoint_ids),
        **_parts(query),
    )


def _visible(deliveries):
    """Deliveries with sudo if the endpoints of the query decide what may be read.

    The endpoints are those of the user's companies, as the company rule of deliveries
    requires: without it a count reads the index alone. Rules of others apply.
    """
    ours = deliveries.env.ref(COMPANY_RULE, raise_if_not_found=False)
    rules = deliveries.env["ir.rule"]._get_rules(deliveries._name, "read")
    return deliveries.sudo() if not rules or rules == ours else deliveries


def _parts(query):
    return {
        "tables": query.from_clause,
        "alias": SQL.identifier(query.table),
        "where": query.where_clause or SQL("TRUE"),
    }
