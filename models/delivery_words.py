# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What happened to a delivery and what to do next, in words."""

from babel.dates import format_timedelta

from odoo import api, fields, models
from odoo.tools.misc import babel_locale_parse, get_lang

from ..lane.clock import utcnow
from ..services.errors import ServiceError
from ..services.retry import RetrySchedule
from .refusal import capitalized


def words_for(env, moment, now):
    """`in 4 minutes`, `3 hours ago`, in the user's language."""
    locale = babel_locale_parse(get_lang(env).code)
    return format_timedelta(
        moment - now, granularity="second", add_direction=True, locale=locale
    )


class DeliveryWords(models.AbstractModel):
    """The plain sentence on top of a delivery."""

    _name = "bwt.webhook.outbound.delivery.words"
    _description = "Outbound Webhook Delivery: Words"

    situation = fields.Text(
        compute="_compute_situation",
        help="What happened and what to do next.",
    )
    next_attempt_words = fields.Char(
        string="Next Attempt In",
        compute="_compute_next_attempt_words",
        help="When it is tried next, from now.",
    )
    age_words = fields.Char(
        string="Age", compute="_compute_age_words", help="Since when it exists."
    )
    shown_url = fields.Char(
        string="URL",
        compute="_compute_shown_url",
        help="Where the last attempt went; before the first, the endpoint's URL.",
    )
    has_late_note = fields.Boolean(
        compute="_compute_has_late_note",
        help="Something was noted after the answer: a response hook failed.",
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
                delivery.next_attempt_words = waits and words_for(self.env, due, now)

    @api.depends("create_date")
    def _compute_age_words(self):
        now = utcnow()
        for delivery in self:
            made = delivery.create_date
            delivery.age_words = made and words_for(self.env, made, now)

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
            delivery.situation = getattr(delivery, f"_words_{delivery.state}")()

    # One per state

    def _words_draft(self):
        if not self.endpoint_id:
            return self.env._(
                "Choose an endpoint, write the payload, then press Queue."
            )
        held, missing = self._held_by_endpoint(), self._missing_words()
        if held or missing:
            return self._joined(held, missing)
        return self.env._(
            'Not queued yet. Press Queue to send it to "%s".',
            self.endpoint_id.sudo().name,
        )

    def _words_queued(self):
        held = self._held_by_endpoint() or self._held_by_order()
        if held:
            return held
        now = utcnow()
        due = self.next_attempt_at
        if due and due > now:
            return self.env._("Goes out %s.", words_for(self.env, due, now))
        return self.endpoint_id.sudo().queue_trouble or self.env._(
            "Is due and goes out within seconds."
        )

    def _words_processing(self):
        return self.env._(
            "Is being sent right now. An answer is awaited for up to %s s.",
            self.endpoint_id.sudo().timeout_seconds,
        )

    def _words_done(self):
        if not self.response_status_code:
            return self._with_note(
                self.env._("Ended as done without a request: nothing to do.")
            )
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

    def _words_canceled(self):
        return self._with_note(
            self.env._("Canceled: it isn't sent. Reset to Draft takes it up again.")
        )

    def _words_error(self):
        if not self.next_attempt_at:
            return self._joined(
                self._failure(), self._late_note(), self._way_on(), self._holds_back()
            )
        if self.next_attempt_at <= utcnow():
            trouble = self.endpoint_id.sudo().queue_trouble
            again = trouble or self.env._("It is due to be tried again.")
        else:
            again = self.env._(
                "It is tried again %s; Retry Now doesn't wait.", self.next_attempt_words
            )
            again = " ".join(filter(None, [self._which(), again]))
        return self._joined(
            self._failure(), self._late_note(), self._held_by_endpoint() or again
        )

    def _words_dead_letter(self):
        if not self.failure_reason and not self.processing_error:
            return self._with_note(
                self.env._(
                    "Put to Dead Letter by hand. Retry Now sends it after all, Reset "
                    "to Draft lets you correct it first."
                )
            )
        return self._joined(self._failure(), self._other_note(), self._way_out())

    # Their parts

    def _failure(self):
        """What failed: the words that were recorded."""
        if self.processing_error:
            return capitalized(self.processing_error)
        if self.failure_reason == "handler" and self.processing_note:
            return self._asked_to_wait()
        reasons = dict(self._fields["failure_reason"]._description_selection(self.env))
        reason = reasons.get(self.failure_reason)
        return reason and self.env._("The last attempt failed: %s.", reason)

    def _asked_to_wait(self):
        handler = self.endpoint_id.sudo().handler_id
        if not handler:
            return self.env._(
                "What checks it before it is sent asks to try again later: %s",
                self.processing_note,
            )
        return self.env._(
            'The handler "%(name)s" asks to try again later: %(note)s',
            name=handler.name,
            note=self.processing_note,
        )

    def _which(self):
        """`This was attempt 2 of 8.`; False where the schedule says otherwise now."""
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
        """What was noted after the last attempt was recorded; False when nothing."""
        known = self.attempt_ids[:1].processing_note or ""
        note = self.processing_note or ""
        if not self.attempt_ids or not note.startswith(known):
            return False
        return note[len(known) :].strip() or False

    def _other_note(self):
        """A note that says more than the error: a handler's, or a late one."""
        if self.failure_reason != "handler":
            return self._late_note()
        return self.processing_note != self.processing_error and self.processing_note

    def _with_note(self, text):
        return self._joined(text, self.processing_note)

    def _joined(self, *parts):
        return "\n".join(filter(None, parts))
