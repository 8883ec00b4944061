# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Searches that read no history: in a period, by message id, by reason of a failure.

An index on dates or message ids would be written at every step of every delivery, but
ids grow with the creation date.
"""

from datetime import timedelta

from odoo.fields import Domain
from odoo.tools import SQL

from ..lane.clock import utcnow
from .const import FAILURE_REASONS
from .delivery_failures import BY_HAND, BY_STATUS, OTHER, reason_domain, reason_label
from .queue_request import message_time

# The creation date is the start of the transaction: rows with later ids may be older
# by the length of the longest transaction.
LONGEST_TRANSACTION = timedelta(hours=6)
DAYS_MAX = 36500


def first_id(env, since):
    """An id that no delivery created since `since` is below; a few index lookups.

    :param since: naive UTC
    """
    # Halves the range of ids until the first delivery of the period is found.
    [[found]] = env.execute_query(
        SQL(
            """WITH RECURSIVE step(low, high) AS (
                SELECT 0::bigint, COALESCE(max(id), 0)::bigint + 1
                FROM bwt_webhook_outbound_delivery
                UNION ALL
                SELECT CASE WHEN is_older THEN found.id ELSE low END,
                    CASE WHEN is_older THEN high ELSE middle END
                FROM step
                CROSS JOIN LATERAL (SELECT (low + high) / 2 AS middle) AS half
                LEFT JOIN LATERAL (
                    SELECT id, create_date < %(since)s AS is_older
                    FROM bwt_webhook_outbound_delivery
                    WHERE id >= middle AND id < high ORDER BY id LIMIT 1
                ) AS found ON TRUE
                WHERE high - low > 1
            ) SELECT min(high) FROM step""",
            since=since - LONGEST_TRANSACTION,
        )
    )
    return found


def age_domain(deliveries, operator, value):
    """Deliveries that were created at most or at least so many days ago."""
    if operator not in ("<", "<=", ">", ">=") or isinstance(value, bool):
        return NotImplemented
    days = max(-DAYS_MAX, min(float(value), DAYS_MAX))
    since = utcnow() - timedelta(days=days)
    created = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[operator]
    domain = Domain("create_date", created, since)
    if operator in ("<", "<="):
        domain &= Domain("id", ">=", first_id(deliveries.env, since))
    return domain


def message_domain(deliveries, operator, value):
    """Deliveries with these message ids, looked for where their time says."""
    if operator not in ("=", "in"):
        return NotImplemented
    texts = [value] if operator == "=" else value
    return Domain.OR(_one_message(deliveries.env, each) for each in texts)


def _one_message(env, text):
    text = (text or "").strip()
    domain = Domain("message_uid", "=", text)
    made = message_time(text)
    if made is None:  # set by other code, or before ids had a time
        return domain
    # Its creation date may be that much earlier, and so may those of its neighbours.
    domain &= Domain("id", ">=", first_id(env, made - LONGEST_TRANSACTION))
    return domain & Domain("id", "<", first_id(env, made + 3 * LONGEST_TRANSACTION))


def reasons_domain(env, operator, value):
    """Deliveries that failed for these reasons: by key or label, or part of a label.

    False is the reason of what did not fail.
    """
    if operator == "=":
        operator, value = "in", [value]
    if operator == "in":
        wanted = set(value)
        found = wanted & _reasons().keys()
        labels = wanted - found - {False, None, ""}
        found |= {
            each for each in labels and _reasons() if reason_label(env, each) in labels
        }
        domains = [_of_reason(each) for each in found]
        if wanted & {False, None, ""}:
            domains.append(Domain("state", "not in", ["error", "dead_letter"]))
        return Domain.OR(domains)
    if operator == "ilike":
        part = (value or "").lower()
        found = [each for each in _reasons() if part in reason_label(env, each).lower()]
        return Domain.OR(map(_of_reason, found))
    return NotImplemented


def _of_reason(reason):
    domain = Domain(reason_domain(reason))
    if reason in BY_STATUS:  # without a status; with one it is `http_404`
        domain &= Domain("response_status_code", "=", 0)
    return domain


def _reasons():
    """Every reason that there can be, in the order of a list."""
    return dict.fromkeys(
        [
            *(reason for reason, _text in FAILURE_REASONS),
            *(f"http_{status}" for status in range(100, 1000)),
            BY_HAND,
            OTHER,
        ]
    )
