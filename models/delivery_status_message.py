# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Messages: what happened to a delivery and what to do next."""

from babel.dates import format_timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools.misc import babel_locale_parse, get_lang

from ..lane.clock import utcnow
from ..services.errors import ServiceError
from ..services.retry import RetrySchedule
from ..services.template import tokens
from .const import UNFINISHED
from .errors import capitalized


def relative_time(env, moment, now):
    """`in 4 minutes`, `3 hours ago`, in the user's language."""
    locale = babel_locale_parse(get_lang(env).code)
    return format_timedelta(
        moment - now, granularity="second", add_direction=True, locale=locale
    )


class BwtWebhookOutboundDeliveryMessage(models.AbstractModel):
    """The status message at the top of a delivery."""

    _name = "bwt.webhook.outbound.delivery.message"
    _description = "Outbound Webhook Delivery: Summary"

    situation = fields.Text(
        string="Status Message",
        compute="_compute_situation",
        help="What happened and what to do next.",
    )
    next_attempt_words = fields.Char(
        string="Next Attempt In",
        compute="_compute_next_attempt_words",
        help="Time until the next attempt.",
    )
    age_words = fields.Char(
        string="Age", compute="_compute_age_words", help="Time since it was created."
    )
    shown_url = fields.Char(
        string="URL",
        compute="_compute_shown_url",
        help="URL of the last attempt. Before the first attempt: the endpoint's URL.",
    )
    has_late_note = fields.Boolean(
        string="Response Hook Failed",
        compute="_compute_has_late_note",
        help="Set when a response hook failed after the response was recorded.",
    )
    curl_command = fields.Text(
        string="cURL",
        compute="_compute_curl_command",
        help="The last request as a command for a terminal; secrets are masked.",
    )

    @api.depends("state", "next_attempt_at")
    def _compute_next_attempt_words(self):
        now = utcnow()
        for delivery in self:
            due = delivery.next_attempt_at
            waits = due and delivery.state in ("queued", "error")
            if waits and due <= now:
                delivery.next_attempt_words = self.env._("due now")
            else:
                delivery.next_attempt_words = waits and relative_time(
                    self.env, due, now
                )

    @api.depends("create_date")
    def _compute_age_words(self):
        now = utcnow()
        for delivery in self:
            made = delivery.create_date
            delivery.age_words = made and relative_time(self.env, made, now)

    @api.depends("attempt_ids")
    def _compute_curl_command(self):
        for delivery in self:
            delivery.curl_command = delivery.attempt_ids[:1].curl_command

    @api.depends("state", "attempt_ids.target_url", "target_url")
    def _compute_shown_url(self):
        for delivery in self:
            sent = delivery.state != "draft" and delivery.attempt_ids[:1].target_url
            delivery.shown_url = sent or delivery.target_url

    @api.depends("processing_note", "attempt_ids.processing_note")
    def _compute_has_late_note(self):
        for delivery in self:
            delivery.has_late_note = bool(delivery._late_note())

    @api.depends(
        "state",
        "next_attempt_at",
        "processing_error",
        "processing_note",
        "endpoint_id",
        "context_line_ids.active",
        "context_line_ids.key_name",
        "context_line_ids.source_kind",
        "context_line_ids.literal_value",
    )
    def _compute_situation(self):
        for delivery in self:
            delivery.situation = getattr(delivery, f"_message_{delivery.state}")()

    # One per state

    def _message_draft(self):
        if not self.endpoint_id:
            return self.env._(
                "Choose an endpoint, write the payload, then press Queue."
            )
        held, missing = self._held_by_endpoint(), self._missing_values_message()
        if held or missing:
            return self._joined(held, missing)
        return self.env._(
            'Not queued yet. Press Queue to send it to "%s".',
            self.endpoint_id.sudo().name,
        )

    def _message_queued(self):
        held = self._held_by_endpoint() or self._held_by_order()
        if held:
            return held
        now = utcnow()
        due = self.next_attempt_at
        if due and due > now:
            return self.env._("Will be sent %s.", relative_time(self.env, due, now))
        return self.endpoint_id.sudo().queue_trouble or self.env._(
            "Due: it is sent within seconds."
        )

    def _message_processing(self):
        return self.env._(
            "Is being sent now. The timeout is %s s.",
            self.endpoint_id.sudo().timeout_seconds,
        )

    def _message_done(self):
        if not self.response_status_code:
            return self._with_note(self.env._("Done without a request: nothing to do."))
        if self.attempt_count == 1:
            text = self.env._(
                "Delivered at the first attempt: the target answered %s.",
                self.response_status_code,
            )
        else:
            text = self.env._(
                "Delivered after %(count)s attempts: the target answered %(status)s.",
                count=self.attempt_count,
                status=self.response_status_code,
            )
        return self._with_note(text)

    def _message_canceled(self):
        return self._with_note(
            self.env._(
                "Canceled: it isn't sent. Press Reset to Draft to send it after all."
            )
        )

    def _message_error(self):
        if not self.next_attempt_at:
            return self._joined(
                self._failure(),
                self._late_note(),
                self._next_step(),
                self._holds_back(),
            )
        if self.next_attempt_at <= utcnow():
            trouble = self.endpoint_id.sudo().queue_trouble
            again = trouble or self.env._("It is due for a retry.")
        else:
            again = self.env._(
                "It is retried %s. Press Retry Now to retry at once.",
                self.next_attempt_words,
            )
            again = " ".join(filter(None, [self._which(), again]))
        return self._joined(
            self._failure(), self._late_note(), self._held_by_endpoint() or again
        )

    def _message_dead_letter(self):
        if not self.failure_reason and not self.processing_error:
            return self._with_note(
                self.env._(
                    "Moved to Dead Letter by hand. Press Retry Now to send it, or "
                    "Reset to Draft to correct it first."
                )
            )
        return self._joined(self._failure(), self._other_note(), self._remedies())

    # Their parts

    def _failure(self):
        """What failed: the recorded message."""
        if self.processing_error:
            return capitalized(self.processing_error)
        if self.failure_reason == "handler" and self.processing_note:
            return self._requested_wait()
        reasons = dict(self._fields["failure_reason"]._description_selection(self.env))
        reason = reasons.get(self.failure_reason)
        return reason and self.env._("The last attempt failed: %s.", reason)

    def _requested_wait(self):
        handler = self.endpoint_id.sudo().handler_id
        if not handler:
            return self.env._(
                "A check before sending requested a retry: %s",
                self.processing_note,
            )
        return self.env._(
            'The handler "%(name)s" requested a retry: %(note)s',
            name=handler.name,
            note=self.processing_note,
        )

    def _which(self):
        """`This was attempt 2 of 8.`; False if the schedule has changed since."""
        try:
            schedule = RetrySchedule.parse(self.endpoint_id.sudo().retry_schedule or "")
        except ServiceError:
            return False
        number, count = self.retry_number, schedule.attempts
        if self.failure_reason == "interrupted" or not 0 < number < count:
            return False
        return self.env._(
            "This was attempt %(number)s of %(count)s.", number=number, count=count
        )

    def _late_note(self):
        """A note added after the last attempt was recorded; False without one."""
        known = self.attempt_ids[:1].processing_note or ""
        note = self.processing_note or ""
        if not self.attempt_ids or not note.startswith(known):
            return False
        return note[len(known) :].strip() or False

    def _other_note(self):
        """A note with more than the error: of a handler, or a late one."""
        if self.failure_reason != "handler":
            return self._late_note()
        return self.processing_note != self.processing_error and self.processing_note

    def _with_note(self, text):
        return self._joined(text, self.processing_note)

    def _joined(self, *parts):
        return "\n".join(filter(None, parts))


# Statuses that a change of the endpoint can fix; other 4xx concern the content.
ENDPOINT_STATUSES = (401, 403, 404, 405, 407, 410, 415)


class BwtWebhookOutboundDeliveryAdvice(models.AbstractModel):
    """What to do about a failed delivery: correct the draft, or the endpoint."""

    _name = "bwt.webhook.outbound.delivery.advice"
    _description = "Outbound Webhook Delivery: Advice"

    needs_correction = fields.Boolean(
        compute="_compute_needs_correction",
        help="It fails again without a correction: press Reset to Draft before Queue.",
    )

    @api.depends("state", "next_attempt_at", "failure_reason", "processing_error")
    def _compute_needs_correction(self):
        for delivery in self:
            if delivery.state == "dead_letter":
                delivery.needs_correction = delivery._content_was_refused()
            else:
                delivery.needs_correction = (
                    delivery.state == "error"
                    and not delivery.next_attempt_at
                    and bool(delivery._keys_at_fault() or delivery._is_malformed())
                )

    # An error without an automatic retry

    def _next_step(self):
        """What to do, and where."""
        if self.needs_build:
            return self.env._(
                "It isn't retried automatically. Correct the server action or the "
                "record, then press Queue: it is built again, from the record as it is "
                "then."
            )
        keys = self._keys_at_fault()
        if keys:
            known = set(self.context_line_ids.mapped("key_name"))
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
        if self.failure_reason == "build":
            return self.env._(
                'It isn\'t retried automatically: correct endpoint "%s", then press '
                "Retry Now. If the payload, headers or context lines are wrong, "
                "press Reset to Draft, correct them, then press Queue.",
                self.endpoint_id.sudo().name,
            )
        return self.env._(
            "It isn't retried automatically: correct this, then press Retry Now."
        )

    def _keys_at_fault(self):
        """The {tokens} that the recorded error names, in any language."""
        if self.failure_reason not in ("build", "handler"):
            return ()
        return tokens(self.processing_error or "")

    def _is_malformed(self):
        """True if headers, payload or context lines are invalid."""
        if self.failure_reason != "build":
            return False
        try:
            self._check_json()
            for line in self.context_line_ids.filtered("active"):
                line._check_one()
        except (ServiceError, ValidationError):
            return True
        return False

    # A dead letter

    def _content_was_refused(self):
        status = self.response_status_code or 0
        return self.failure_reason == "http_4xx" and status not in ENDPOINT_STATUSES

    def _remedies(self):
        """Which buttons apply to a dead letter."""
        name = self.endpoint_id.sudo().name
        if self._content_was_refused():
            return self.env._(
                "Failed permanently. Press Reset to Draft, correct the payload, "
                'then press Queue; or correct the rules of endpoint "%s", then '
                "press Retry Now.",
                name,
            )
        if self.failure_reason == "egress":
            return self.env._(
                'Failed permanently. Once the address is allowed, or endpoint "%s" '
                "has the correct target hostname, press Retry Now.",
                name,
            )
        if self.failure_reason in ("http_4xx", "redirect"):
            return self.env._(
                'Failed permanently. Correct endpoint "%s", then press Retry Now.', name
            )
        if self.failure_reason == "handler":
            return self.env._(
                "Dead-lettered by the handler. Correct what the handler checks, "
                "then press Retry Now."
            )
        return self.env._(
            "Failed permanently; attempts made: %s. Once the target works again, "
            "press Retry Now, or Recover on the endpoint to retry all failed "
            "deliveries.",
            self.attempt_count,
        )


class BwtWebhookOutboundDeliveryHeld(models.AbstractModel):
    """Messages: what a delivery waits for, and what waits for it."""

    _name = "bwt.webhook.outbound.delivery.held"
    _description = "Outbound Webhook Delivery: What It Waits For"

    def _held_by_endpoint(self):
        """Why the endpoint sends nothing at present; False if it does."""
        endpoint = self.endpoint_id.sudo()
        states = dict(endpoint._fields["state"]._description_selection(self.env))
        if endpoint.state != "active":
            values = {"name": endpoint.name, "state": states.get(endpoint.state)}
            if self.state == "draft":
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
        if self.state == "draft":
            return False
        if endpoint.circuit_state in (False, "closed"):
            return self._held_by_receiver(endpoint)
        if endpoint.circuit_state == "manual":
            return self.env._(
                'Waits: the target of endpoint "%s" answered 410 Gone. Correct '
                "Target Hostname or Target Path there, then press Close Circuit.",
                endpoint.name,
            )
        return self.env._(
            'Waits: the circuit of endpoint "%s" is open, because its target '
            "failed too often in a row. Sending resumes when a probe succeeds or "
            "when Close Circuit is pressed there.",
            endpoint.name,
        )

    def _held_by_receiver(self, endpoint):
        """Until when the receiver accepts no request; False without such a time."""
        until = endpoint.next_probe_at
        return bool(until and until > utcnow()) and self.env._(
            'Waits: the receiver of endpoint "%(name)s" requested a pause until '
            "%(until)s UTC (Retry-After). It is sent then.",
            name=endpoint.name,
            until=f"{until:%H:%M:%S}",
        )

    def _held_by_order(self):
        """Which delivery must end first; False if none."""
        first = self._in_group([("queue_number", "<", self.queue_number)], 1)
        return first and self.env._(
            'Waits behind "%s", which must end first: they are sent one after the '
            "other.",
            first.name,
        )

    def _holds_back(self):
        """How many deliveries wait for this one."""
        count = len(self._in_group([("queue_number", ">", self.queue_number)], 100))
        if not count:
            return False
        return self.env._(
            "Deliveries waiting behind it until it is done, dead-lettered or "
            "canceled: %s.",
            self.env._("100 or more") if count == 100 else count,
        )

    def _in_group(self, domain, limit):
        if not self.ordering_group or not isinstance(self.id, int):
            return self.browse()
        return self.sudo().search(
            [
                ("endpoint_id", "=", self.endpoint_id.id),
                ("ordering_group", "=", self.ordering_group),
                ("state", "in", UNFINISHED),
                *domain,
            ],
            order="queue_number",
            limit=limit,
        )
