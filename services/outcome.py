# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a handler, gate or backend decided about a request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ConfigurationError, _lt
from .request import OutboundRequest

STATUSES = ("send", "retry", "done", "dead_letter", "cancel")
SECONDS_MAX = 366 * 86400

_TERMINAL = {"done": "done", "dead_letter": "dead_letter", "cancel": "canceled"}
_QUOTED = 120


@dataclass(frozen=True)
class HandlerOutcome:
    """A decision and the resulting request.

    status: one of `STATUSES`
    note: the reason, for users
    seconds: requested delay of a retry; None uses the endpoint's schedule
    matched_rule_id: id of the handler rule that decided, False without one
    """

    status: str
    request: OutboundRequest
    note: str = ""
    seconds: float | None = None
    matched_rule_id: int | bool = False

    @classmethod
    def from_raw(cls, raw, request):
        """Read the return value: None or True send, False cancels, a dict decides.

        Dict keys: `status` (absent: send), `note` (or `message`), `seconds`,
        `matched_rule_id` and the request keys of `OutboundRequest.with_overrides`;
        others are ignored. Raises ConfigurationError quoting anything else.
        """
        if raw is None or raw is True:
            return cls("send", request)
        if raw is False:
            return cls("cancel", request)
        if not isinstance(raw, Mapping):
            raise ConfigurationError(
                _lt(
                    "the handler returned %(value)s, which is not a valid "
                    "decision. Return None, True, False or a dict with a status."
                ),
                value=_quote(raw),
            )
        status = _status(raw)
        return cls(
            status=status,
            request=request.with_overrides(raw),
            note=str(raw.get("note") or raw.get("message") or ""),
            seconds=_seconds(raw) if status == "retry" else None,
            matched_rule_id=_rule_id(raw),
        )

    @property
    def terminal_state(self):
        """State the delivery ends in without a request; None for send and retry."""
        return _TERMINAL.get(self.status)

    @property
    def is_retry(self):
        return self.status == "retry"


def _status(raw):
    status = raw.get("status")
    if status is None:
        return "send"
    if isinstance(status, str) and status in STATUSES:
        return status
    raise ConfigurationError(
        _lt(
            "the handler returned the unknown status %(status)s. Use one of: %(known)s."
        ),
        status=_quote(status),
        known=", ".join(STATUSES),
    )


def _seconds(raw):
    seconds = raw.get("seconds")
    if seconds is None or seconds is False:
        return None
    if (
        isinstance(seconds, int | float)
        and not isinstance(seconds, bool)
        and math.isfinite(seconds)
        and 0 <= seconds <= SECONDS_MAX
    ):
        return seconds
    raise ConfigurationError(
        _lt(
            "the handler requested a retry in %(seconds)s seconds. Give a number "
            "from 0 to %(most)s."
        ),
        seconds=_quote(seconds),
        most=SECONDS_MAX,
    )


def _rule_id(raw):
    rule_id = raw.get("matched_rule_id") or False
    if rule_id is False or (isinstance(rule_id, int) and rule_id is not True):
        return rule_id
    raise ConfigurationError(
        _lt("the handler returned %(value)s as matched_rule_id. Give a rule's id."),
        value=_quote(rule_id),
    )


def _quote(value):
    """`repr(value)`, shortened; never raises."""
    try:
        text = repr(value)
    except Exception:  # a foreign __repr__ must not hide the message
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "..."
