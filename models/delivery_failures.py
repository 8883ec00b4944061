# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Failed deliveries: the reason by which they are grouped, and bulk actions on them.

A reason is short and stable: `http_404` for a response, else the stored failure
reason (`timeout`, `build`, ...). Messages don't serve, since each may contain other
values, in the language of the user or job that wrote it.
"""

import re
from collections import defaultdict

from odoo.tools import SQL

from ..services.failure_text import status_phrase
from .endpoint_summary import waiting_message

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
    names = ("id", "state", "failure_reason", "response_status_code")
    columns = {name: deliveries._field_to_sql(alias, name, query) for name in names}
    # The message is in no index: it is read for the few failures without a reason. All
    # others are grouped by the index alone. A subquery per delivery would be planned
    # with its cost times all deliveries, and PostgreSQL would compile the query.
    return SQL(
        """CASE WHEN %(state)s NOT IN ('error', 'dead_letter') THEN NULL
        WHEN %(failure_reason)s IN %(by_status)s AND %(response_status_code)s > 0
        THEN 'http_' || %(response_status_code)s
        WHEN %(failure_reason)s IS NOT NULL THEN %(failure_reason)s
        WHEN %(id)s IN (
            SELECT m.id FROM bwt_webhook_outbound_delivery AS m
            WHERE m.id = ANY(ARRAY(
                SELECT f.id FROM bwt_webhook_outbound_delivery AS f
                WHERE f.state IN ('error', 'dead_letter') AND f.failure_reason IS NULL
            )) AND m.processing_error != ''
        ) THEN %(other)s
        ELSE %(by_hand)s END""",
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


AT_ONCE = 5000  # deliveries in one transaction
NAMES_SHOWN = 5  # of deliveries that were left for one reason
REASONS_SHOWN = 5


def bulk_question(env, transition, by_state, endpoints):
    """The question before a bulk action.

    :param by_state: dict of state -> number of deliveries
    :param endpoints: of those that it would change
    :return: dict of `count`, how many it would change, and `message`
    """
    found = {
        state: count for state, count in by_state.items() if state in transition.sources
    }
    total = sum(found.values())
    values = {"count": total, "done": transition.done(env), "limit": AT_ONCE}
    if not total:
        lines = [env._("None of them can be %(done)s.", **values)]
    elif total > AT_ONCE:
        lines = [
            env._(
                "The first %(limit)s of %(count)s deliveries will be %(done)s. Press "
                "the button again for the others.",
                **values,
            )
        ]
    elif total == 1:
        lines = [env._("1 delivery will be %(done)s.", **values)]
    else:
        lines = [env._("%(count)s deliveries will be %(done)s.", **values)]
    if total:
        names = [endpoint.display_name for endpoint in endpoints[:NAMES_SHOWN]]
        if len(endpoints) > NAMES_SHOWN:
            names.append(env._("and %s more", len(endpoints) - NAMES_SHOWN))
        lines.append(env._("Endpoint: %s.", ", ".join(names)))
    model = env["bwt.webhook.outbound.delivery"]
    labels = dict(model._fields["state"]._description_selection(env))
    lines += [
        env._("In state %(state)s, not changed: %(count)s.", state=label, count=count)
        for state, label in labels.items()
        if (count := by_state.get(state)) and state not in transition.sources
    ]
    return {"count": total, "message": "\n".join(lines)}


class BulkResult:
    """What a bulk action changed, and what it left, with the reasons."""

    def __init__(self, none, transition):
        """`none`: an empty recordset of deliveries, in the environment of the user."""
        self.done = none
        self.left = []  # pairs (delivery, why)
        self.transition = transition

    def add(self, done=(), left=()):
        if done:
            self.done += done
        self.left += left

    def lines(self):
        """One line for what was done, and one for each reason why the rest was not."""
        env = self.done.env
        by_reason = defaultdict(self.done.browse)
        for delivery, why in self.left:
            by_reason[why] += delivery
        reasons = sorted(by_reason, key=lambda why: -len(by_reason[why]))
        # Read at once, and no more of them than are shown.
        shown = {why: by_reason[why].ids[:NAMES_SHOWN] for why in reasons}
        reasons, others = reasons[:REASONS_SHOWN], reasons[REASONS_SHOWN:]
        named = self.done.browse(sum((shown[why] for why in reasons), []))
        names = {each.id: each.record_name or each.name for each in named}
        lines = [self.summary()]
        for why in reasons:
            listed = [names[each] for each in shown[why]]
            count = len(by_reason[why])
            if count > len(listed):
                listed.append(env._("and %s more", count - len(listed)))
            lines.append(
                env._(
                    "%(count)s not: %(why)s (%(names)s).",
                    count=count,
                    why=why.rstrip("."),
                    names=", ".join(listed),
                )
            )
        if others:
            count = sum(len(by_reason[why]) for why in others)
            lines.append(env._("%s not, for other reasons.", count))
        return lines

    def waits(self):
        """Why what was queued isn't sent at present, a line per endpoint."""
        endpoints = self.done.filtered(lambda each: each.state == "queued").endpoint_id
        lines = []
        for endpoint in endpoints:
            if message := waiting_message(endpoint):
                is_one = len(endpoints) == 1
                lines.append(message if is_one else f"{endpoint.name}: {message}")
        return lines

    def summary(self, endpoint=None):
        """How many were changed, of this endpoint or of all; it names no record."""
        env = self.done.env
        done = self.done
        left = len(self.left)
        if endpoint:
            done = done.filtered(lambda each: each.endpoint_id == endpoint)
            left = sum(each.endpoint_id == endpoint for each, _why in self.left)
        values = {
            "count": len(done),
            "done": self.transition.done(env),
            "left": left,
        }
        if endpoint and left:
            return env._("%(count)s %(done)s, %(left)s not.", **values)
        return env._("%(count)s %(done)s.", **values)

    def notification(self):
        """The client action that shows it."""
        waits = self.waits()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if self.left or waits else "success",
                "sticky": bool(waits),
                "message": "\n".join(self.lines() + waits),
                "className": "text-prewrap",  # else the lines would be joined
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def post_notes(self, title, more=""):
        """A note on each endpoint instead of one on each of thousands of deliveries.

        It has counts alone: others who read it may not see the records.
        """
        user = self.done.env.user
        deliveries = self.done.union(*(each for each, _why in self.left))
        for endpoint in deliveries.endpoint_id:
            body = " ".join(filter(None, [title, self.summary(endpoint), more]))
            endpoint.sudo().message_post(body=body, author_id=user.partner_id.id)
