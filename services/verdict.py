"""What an answer means for its delivery and for the circuit of its endpoint."""

from dataclasses import dataclass

from .circuit import HOLD_MAX
from .errors import _lt
from .failure_text import no_answer_text, status_text
from .retry import parse_retry_after

_RETRIED_REASONS = {"dns", "connect", "tls", "timeout", "response"}
_CIRCUIT_STATUSES = {408, 429}
_HOLDING_STATUSES = {429, 503}  # they speak of the receiver, not of one request
_BROKEN_BODY = _lt("The body of the answer broke off; its status counts.")
_USED_UP = _lt("All %(attempts)s attempts are used up.")


@dataclass(frozen=True)
class Verdict:
    """What becomes of a delivery after an attempt.

    state, attempt_state: done, error (tried again) or dead_letter
    delay: seconds until the next attempt, None without one
    failure_reason: for grouping, empty when done
    error: template and values that say what failed and what to do, None when done
    note: template and values of what else is worth knowing, or None
    circuit: success, failure, open (until a person closes it) or ignore
    hold: seconds for which the receiver wants no request at all
    """

    state: str
    attempt_state: str
    delay: float | None = None
    failure_reason: str = ""
    error: tuple | None = None
    note: tuple | None = None
    circuit: str = "ignore"
    hold: float = 0.0


def judge(answer, *, schedule, retry_on, retry_number, luck, now):
    """The Verdict on `answer` (an Answer).

    schedule: RetrySchedule; retry_on: StatusSet
    retry_number: retries made so far; luck: 0 to 1, for the jitter
    now: the time (naive is UTC), for a Retry-After that is a date
    """
    status = _status(answer)
    if status is None:
        reason, error = answer.reason or "response", no_answer_text(answer)
        retried, circuit = reason in _RETRIED_REASONS, _reason_circuit(reason)
    elif 200 <= status < 300:
        note = (_BROKEN_BODY, {}) if answer.broken else None
        return Verdict("done", "done", note=note, circuit="success")
    else:
        reason, error = _status_reason(status), status_text(status, answer)
        retried = status in retry_on and status != 410
        circuit = _status_circuit(status)
    delay = None
    wait = parse_retry_after(answer.header("Retry-After"), now=now)
    if retried:
        delay = schedule.next_delay(retry_number, luck=luck, retry_after=wait)
    state = "dead_letter" if delay is None else "error"
    note = None
    if retried and delay is None and schedule.delays:
        note = (_USED_UP, {"attempts": schedule.attempts})
    hold = min(wait, HOLD_MAX) if status in _HOLDING_STATUSES else 0.0
    return Verdict(state, state, delay, reason, error, note, circuit, hold)


def _status(answer):
    """The status if it counts: it came, and if not all did, only the body is short."""
    if answer.broken or answer.reason in ("", "redirect"):
        return answer.status_code
    return None


def _reason_circuit(reason):
    return "failure" if reason in _RETRIED_REASONS else "ignore"


def _status_reason(status):
    if status >= 500:
        return "http_5xx"
    if status >= 400:
        return "http_4xx"
    return "redirect" if status >= 300 else "response"


def _status_circuit(status):
    if status == 410:
        return "open"
    return "failure" if status >= 500 or status in _CIRCUIT_STATUSES else "ignore"
