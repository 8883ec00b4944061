# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The reason of a failure, by which failed deliveries are grouped.

A reason is short and stable: `http_404` for a response, else the stored failure
reason (`timeout`, `build`, ...). Messages don't serve, since each may contain other
values, in the language of the user or job that wrote it.
"""

import re

from odoo.tools import SQL

from ..services.failure_text import status_phrase

# Failures by a response: its status tells more than the stored reason. The status of
# any other failure is that of an earlier attempt.
BY_STATUS = ("http_4xx", "http_5xx", "redirect")
BY_HAND = "by_hand"  # moved to Dead Letter before anything failed
OTHER = "other"  # stored with a message and without a reason
STATUS = re.compile(r"http_([0-9]{1,4})\Z")


def reason_sql(deliveries, alias, query=None) -> SQL:
    """The reason as an expression; NULL unless in Error or Dead Letter.

    :param alias: of the table of deliveries in the query
    """
    names = ("state", "failure_reason", "response_status_code", "processing_error")
    columns = {name: deliveries._field_to_sql(alias, name, query) for name in names}
    return SQL(
        """CASE WHEN %(state)s NOT IN ('error', 'dead_letter') THEN NULL
        WHEN %(failure_reason)s IN %(by_status)s AND %(response_status_code)s > 0
        THEN 'http_' || %(response_status_code)s
        WHEN %(failure_reason)s IS NOT NULL THEN %(failure_reason)s
        WHEN COALESCE(%(processing_error)s, '') = '' THEN %(by_hand)s
        ELSE %(other)s END""",
        by_status=BY_STATUS,
        by_hand=BY_HAND,
        other=OTHER,
        **columns,
    )


def reason_of(delivery):
    """The reason of one delivery, as `reason_sql`; False without a failure."""
    if delivery.state not in ("error", "dead_letter"):
        return False
    reason, status = delivery.failure_reason, delivery.response_status_code
    if reason in BY_STATUS and status > 0:
        return f"http_{status}"
    return reason or (OTHER if delivery.processing_error else BY_HAND)


def reason_domain(reason):
    """Failed deliveries with this reason, as a domain that the web client can use."""
    failed = [("state", "in", ["error", "dead_letter"])]
    if match := STATUS.match(reason):
        by_status = ("failure_reason", "in", list(BY_STATUS))
        return [*failed, by_status, ("response_status_code", "=", int(match[1]))]
    if reason in (BY_HAND, OTHER):
        operator = "=" if reason == BY_HAND else "!="
        message = ("processing_error", operator, False)
        return [*failed, ("failure_reason", "=", False), message]
    return [*failed, ("failure_reason", "=", reason)]


def reason_label(env, reason):
    """`HTTP 404 Not Found`, `Timeout`: the reason in the user's language."""
    if match := STATUS.match(reason):
        return env._("HTTP %s", status_phrase(int(match[1])))
    if reason == BY_HAND:
        return env._("Dead-lettered by hand")
    field = env["bwt.webhook.outbound.delivery"]._fields["failure_reason"]
    labels = dict(field._description_selection(env))
    return labels.get(reason) or env._("Other")
