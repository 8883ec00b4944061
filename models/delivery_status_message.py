# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What happened to a delivery and what to do next, in the user's language."""

from babel.dates import format_timedelta

from odoo.exceptions import ValidationError
from odoo.tools.misc import babel_locale_parse, format_date, get_lang

from ..lane.clock import utcnow
from ..services.errors import ServiceError
from ..services.retry import RetrySchedule
from ..services.template import tokens
from .const import UNFINISHED
from .endpoint_summary import missing_values_message
from .errors import capitalized
from .queue_request import check_texts

# Literals that provide no value for a {token}.
NO_VALUE = (False, "", '""', "null", "false")
# Statuses that a change of the endpoint can fix; other 4xx concern the content.
ENDPOINT_STATUSES = (401, 403, 404, 405, 407, 410, 415)


def relative_time(env, moment):
    """`in 4 minutes`, `3 hours ago`, in the user's language."""
    locale = babel_locale_parse(get_lang(env).code)
    return format_timedelta(
        moment - utcnow(), granularity="second", add_direction=True, locale=locale
    )


class DeliveryStatusMessage:
    """The status message of one delivery, and its parts that fields show."""

    def __init__(self, delivery):
        self.delivery = delivery
        self.env = delivery.env
        # Who may read the delivery may read why it waits.
        self.endpoint = delivery.endpoint_id.sudo()

    def text(self):
        """The whole message: what happened and what to do next."""
        if self.delivery.content_deleted_at and self.delivery.state != "done":
            return self._message_emptied()
        return getattr(self, f"_message_{self.delivery.state}")()

    def next_attempt(self):
        """`in 4 minutes` or `due now`; False if no attempt is due by itself."""
        due = self.delivery.next_attempt_at
        if not due or self.delivery.state not in ("queued", "error"):
            return False
        if due <= utcnow():
            return self.env._("due now")
        return relative_time(self.env, due)

    def late_note(self):
        """A note added after the last attempt was recorded; False without one."""
        known = self.delivery.attempt_ids[:1].processing_note or ""
        note = self.delivery.processing_note or ""
        if not self.delivery.attempt_ids or not note.startswith(known):
            return False
        return note[len(known) :].strip() or False

    def needs_correction(self):
        """Whether it fails again unless the draft is corrected first."""
        if self.delivery.content_deleted_at:
            return False
        if self.delivery.state == "dead_letter":
            return self._content_was_refused()
        return (
            self.delivery.state == "error"
            and not self.delivery.next_attempt_at
            and bool(self._keys_at_fault() or self._is_malformed())
        )

    def missing_values(self):
        """Message on {tokens} of the endpoint without a value; False if none."""
        given = {
            line.key_name
            for line in self.delivery.context_line_ids
            if line.active
            and (line.source_kind != "literal" or line.literal_value not in NO_VALUE)
        }
        needs = missing_values_message(self.endpoint, given)
        return needs and self.env._(
            "%(needs)s: add it on the page Context, then press Queue.", needs=needs
        )

    def failure(self):
        """What failed; False unless in Error or Dead Letter."""
        return self.delivery.state in ("error", "dead_letter") and self._failure()

    def content_deleted(self):
        """When and why its content was deleted; False if it is stored."""
        moment = self.delivery.content_deleted_at
        if not moment:
            return False
        date = format_date(self.env, moment)
        if self.delivery.content_deletion == "forget":
            return self.env._(
                "Content was deleted on %s, because a contact was forgotten.", date
            )
        ended = self.delivery.processed_at or moment
        return self.env._(
            "Content was deleted on %(date)s, %(days)s days after the delivery ended.",
            date=date,
            days=max((moment - ended).days, 0),
        )

    # One message per state

    def _message_emptied(self):
        """It can't be sent again."""
        what = self._failure() if self.delivery.state == "dead_letter" else False
        again = self.env._(
            "It can't be sent again: its content was deleted. To send its record, run "
            "the server action or a backfill."
        )
        if self.delivery.state == "canceled":
            what = self.env._("Canceled: it wasn't sent.")
        return self._joined(what, again)

    def _message_draft(self):
        if not self.delivery.endpoint_id:
            return self.env._(
                "Choose an endpoint, write the payload, then press Queue."
            )
        held, missing = self._waits_for_endpoint(), self.missing_values()
        if held or missing:
            return self._joined(held, missing)
        return self.env._(
            'Not queued yet. Press Queue to send it to "%s".',
            self.endpoint.name,
        )

    def _message_queued(self):
        held = self._waits_for_endpoint() or self._waits_for_order()
        if held:
            return held
        due = self.delivery.next_attempt_at
        if due and due > utcnow():
            if self.delivery.settle_started_at:
                return self.env._(
                    "Will be sent %s. If its record changes before, the new values "
                    "are sent instead, a little later. Press Send Now to send it at "
                    "once.",
                    self.next_attempt(),
                )
            return self.env._(
                "Will be sent %s. Press Send Now to send it at once.",
                self.next_attempt(),
            )
        return self.endpoint.queue_trouble or self.env._(
            "Due: it is sent within seconds."
        )

    def _message_processing(self):
        return self.env._(
            "Is being sent now. The timeout is %s s.",
            self.endpoint.timeout_seconds,
        )

    def _message_done(self):
        if not self.delivery.response_status_code:
            return self._with_note(self.env._("Done without a request: nothing to do."))
        if self.delivery.attempt_count == 1:
            text = self.env._(
                "Delivered at the first attempt: the target responded with %s.",
                self.delivery.response_status_code,
            )
        else:
            text = self.env._(
                "Delivered after %(count)s attempts: the target responded with "
                "%(status)s.",
                count=self.delivery.attempt_count,
                status=self.delivery.response_status_code,
            )
        return self._with_note(text)

    def _message_canceled(self):
        last = self.delivery.attempt_ids[:1]
        if last.state == "canceled" and last.response_status_code:
            return self._with_note(
                self.env._(
                    "Canceled because of the response: the target responded with %s.",
                    last.response_status_code,
                )
            )
        if self._was_canceled_by_handler(last):
            return self._with_note(
                self.env._(
                    'Canceled by the handler "%s": it isn\'t sent. To send it after '
                    "all, correct what the handler checks, then press Reset to Draft "
                    "and Queue.",
                    self.endpoint.handler_id.name,
                )
            )
        return self._with_note(
            self.env._(
                "Canceled: it isn't sent. Press Reset to Draft to send it after all."
            )
        )

    def _was_canceled_by_handler(self, last):
        """Whether the last attempt ended so, and no user canceled it since."""
        queued_at = self.delivery.queued_at
        return (
            self.endpoint.handler_id
            and last.state == "canceled"
            and queued_at
            and last.started_at >= queued_at
        )

    def _message_error(self):
        if not self.delivery.next_attempt_at:
            return self._joined(
                self._failure(),
                self.late_note(),
                self._next_step(),
                self._waiting_behind(),
            )
        if self.delivery.next_attempt_at <= utcnow():
            trouble = self.endpoint.queue_trouble
            again = trouble or self.env._("It is due for a retry.")
        else:
            again = self.env._(
                "It is retried %s. Press Retry Now to retry at once.",
                self.next_attempt(),
            )
            again = " ".join(filter(None, [self._attempt_of_schedule(), again]))
        return self._joined(
            self._failure(), self.late_note(), self._waits_for_endpoint() or again
        )

    def _message_dead_letter(self):
        if not self.delivery.failure_reason and not self.delivery.processing_error:
            return self._with_note(
                self.env._(
                    "Moved to Dead Letter by hand. Press Retry Now to send it, or "
                    "Reset to Draft to correct it first."
                )
            )
        return self._joined(self._failure(), self._other_note(), self._remedies())

    # Parts of several messages

    def _failure(self):
        """What failed: the recorded message."""
        if self.delivery.processing_error:
            return capitalized(self.delivery.processing_error)
        if self.delivery.failure_reason == "handler" and self.delivery.processing_note:
            return self._requested_retry()
        reasons = dict(
            self.delivery._fields["failure_reason"]._description_selection(self.env)
        )
        reason = reasons.get(self.delivery.failure_reason)
        return reason and self.env._("The last attempt failed: %s.", reason)

    def _requested_retry(self):
        handler = self.endpoint.handler_id
        if not handler:
            return self.env._(
                "A check before sending requested a retry: %s",
                self.delivery.processing_note,
            )
        return self.env._(
            'The handler "%(name)s" requested a retry: %(note)s',
            name=handler.name,
            note=self.delivery.processing_note,
        )

    def _attempt_of_schedule(self):
        """`This was attempt 2 of 8.`; False if the schedule has changed since."""
        try:
            schedule = RetrySchedule.parse(self.endpoint.retry_schedule or "")
        except ServiceError:
            return False
        number, count = self.delivery.retry_number, schedule.attempts
        if self.delivery.failure_reason == "interrupted" or not 0 < number < count:
            return False
        return self.env._(
            "This was attempt %(number)s of %(count)s.", number=number, count=count
        )

    def _other_note(self):
        """A note with more than the error: of a handler, or a late one."""
        if self.delivery.failure_reason != "handler":
            return self.late_note()
        return (
            self.delivery.processing_note != self.delivery.processing_error
            and self.delivery.processing_note
        )

    def _with_note(self, text):
        return self._joined(text, self.delivery.processing_note)

    def _joined(self, *parts):
        return "\n".join(filter(None, parts))

    # Errors without an automatic retry

    def _next_step(self):
        """What to do, and where."""
        if self.delivery.needs_build:
            return self.env._(
                "It isn't retried automatically. Correct the server action or the "
                "record, then press Queue: it is built again, from the record as it is "
                "then."
            )
        keys = self._keys_at_fault()
        if keys:
            known = set(self.delivery.context_line_ids.mapped("key_name"))
            said = ", ".join(keys)
            if known.issuperset(keys):
                return self.env._(
                    "It isn't retried automatically: press Reset to Draft, give %s "
                    "a value on the page Context, then press Queue.",
                    said,
                )
            return self.env._(
                "It isn't retried automatically: press Reset to Draft, add %s on "
                "the page Context, then press Queue.",
                said,
            )
        if self._is_malformed():
            return self.env._(
                "It isn't retried automatically: press Reset to Draft, correct it, "
                "then press Queue."
            )
        if self.delivery.failure_reason == "build":
            return self.env._(
                'It isn\'t retried automatically: correct endpoint "%s", then press '
                "Retry Now. If the payload, headers or context lines are wrong, "
                "press Reset to Draft, correct them, then press Queue.",
                self.endpoint.name,
            )
        return self.env._(
            "It isn't retried automatically: correct this, then press Retry Now."
        )

    def _keys_at_fault(self):
        """The {tokens} that the recorded error names, in any language."""
        if self.delivery.failure_reason not in ("build", "handler"):
            return ()
        return tokens(self.delivery.processing_error or "")

    def _is_malformed(self):
        """True if headers, payload or context lines are invalid."""
        if self.delivery.failure_reason != "build":
            return False
        try:
            check_texts(self.delivery)
            for line in self.delivery.context_line_ids.filtered("active"):
                line._check_one()
        except (ServiceError, ValidationError):
            return True
        return False

    # Dead letters

    def _content_was_refused(self):
        status = self.delivery.response_status_code or 0
        if self.delivery.failure_reason == "answer":
            return True
        return (
            self.delivery.failure_reason == "http_4xx"
            and status not in ENDPOINT_STATUSES
        )

    def _remedies(self):
        """Which buttons apply to a dead letter."""
        name = self.endpoint.name
        if self._content_was_refused():
            return self.env._(
                "Failed permanently. Press Reset to Draft, correct the payload, "
                'then press Queue; or correct the rules of endpoint "%s", then '
                "press Retry Now.",
                name,
            )
        if self.delivery.failure_reason == "egress":
            return self.env._(
                'Failed permanently. Once the address is allowed, or endpoint "%s" '
                "has the correct target hostname, press Retry Now.",
                name,
            )
        if self.delivery.failure_reason in ("http_4xx", "redirect"):
            return self.env._(
                'Failed permanently. Correct endpoint "%s", then press Retry Now.', name
            )
        if self.delivery.failure_reason == "handler":
            return self.env._(
                "Dead-lettered by the handler. Correct what the handler checks, "
                "then press Retry Now."
            )
        return self.env._(
            "Failed permanently; attempts made: %s. Once the target works again, "
            "press Retry Now, or Recover on the endpoint to retry all failed "
            "deliveries.",
            self.delivery.attempt_count,
        )

    # What it waits for, and what waits for it

    def _waits_for_endpoint(self):
        """Why the endpoint sends nothing at present; False if it does."""
        endpoint = self.endpoint
        states = dict(endpoint._fields["state"]._description_selection(self.env))
        if endpoint.state != "active":
            values = {"name": endpoint.name, "state": states.get(endpoint.state)}
            if self.delivery.state == "draft":
                return self.env._(
                    'Endpoint "%(name)s" is in state %(state)s: activate it, then '
                    "press Queue.",
                    **values,
                )
            return self.env._(
                'Waits: endpoint "%(name)s" is in state %(state)s. Activate it.',
                **values,
            )
        if endpoint.is_paused:
            return self.env._(
                'Waits: endpoint "%s" is paused. Resume it.', endpoint.name
            )
        if self.delivery.state == "draft":
            return False
        if endpoint.circuit_state in (False, "closed"):
            return self._waits_for_receiver(endpoint)
        if endpoint.circuit_state == "manual":
            return self.env._(
                'Waits: the target of endpoint "%s" responded with 410 Gone. Correct '
                "Target Hostname or Target Path there, then press Close Circuit.",
                endpoint.name,
            )
        return self.env._(
            'Waits: the circuit of endpoint "%s" is open, because its target '
            "failed too often in a row. Sending resumes when a probe succeeds or "
            "when Close Circuit is pressed there.",
            endpoint.name,
        )

    def _waits_for_receiver(self, endpoint):
        """Until when the receiver accepts no request; False without such a time."""
        until = endpoint.next_probe_at
        return bool(until and until > utcnow()) and self.env._(
            'Waits: the receiver of endpoint "%(name)s" requested a pause until '
            "%(until)s UTC (Retry-After). It is sent then.",
            name=endpoint.name,
            until=f"{until:%H:%M:%S}",
        )

    def _waits_for_order(self):
        """Which delivery must end first; False if none."""
        first = self._in_group([("queue_number", "<", self.delivery.queue_number)], 1)
        return first and self.env._(
            'Waits behind "%s", which must end first: they are sent one after the '
            "other.",
            first.name,
        )

    def _waiting_behind(self):
        """How many deliveries wait for this one."""
        count = len(
            self._in_group([("queue_number", ">", self.delivery.queue_number)], 100)
        )
        if not count:
            return False
        return self.env._(
            "Deliveries waiting behind it until it is done, dead-lettered or "
            "canceled: %s.",
            self.env._("100 or more") if count == 100 else count,
        )

    def _in_group(self, domain, limit):
        if not self.delivery.ordering_group or not isinstance(self.delivery.id, int):
            return self.delivery.browse()
        return self.delivery.sudo().search(
            [
                ("endpoint_id", "=", self.delivery.endpoint_id.id),
                ("ordering_group", "=", self.delivery.ordering_group),
                ("state", "in", UNFINISHED),
                *domain,
            ],
            order="queue_number",
            limit=limit,
        )
