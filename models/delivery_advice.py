# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What mends a failed delivery: where, and which button comes after."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..services.errors import ServiceError
from ..services.template import tokens

# Statuses that the endpoint's settings mend; other 4xx speak of the content.
ENDPOINT_STATUSES = (401, 403, 404, 405, 407, 410, 415)


class DeliveryAdvice(models.AbstractModel):
    """Whether the delivery is to be corrected, as a draft, or what it goes through."""

    _name = "bwt.webhook.outbound.delivery.advice"
    _description = "Outbound Webhook Delivery: Advice"

    needs_correction = fields.Boolean(
        compute="_compute_needs_correction",
        help="It fails again as it is: Reset to Draft comes before Queue.",
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

    # An error that isn't tried again by itself

    def _way_on(self):
        """What is to be done, and where."""
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
                    "It isn't tried again by itself: press Reset to Draft, give %s a "
                    "value on the page Context, then press Queue.",
                    said,
                )
            return self.env._(
                "It isn't tried again by itself: press Reset to Draft, add %s on the "
                "page Context, then press Queue.",
                said,
            )
        if self._is_malformed():
            return self.env._(
                "It isn't tried again by itself: press Reset to Draft, correct it, "
                "then press Queue."
            )
        if self.failure_reason == "build":
            return self.env._(
                'It isn\'t tried again by itself: mend endpoint "%s", then press Retry '
                "Now. If payload, headers or context lines are at fault, press Reset "
                "to Draft, correct them, then press Queue.",
                self.endpoint_id.sudo().name,
            )
        return self.env._(
            "It isn't tried again by itself: mend this, then press Retry Now."
        )

    def _keys_at_fault(self):
        """The {tokens} that the recorded error names, in whatever language it is."""
        if self.failure_reason not in ("build", "handler"):
            return ()
        return tokens(self.processing_error or "")

    def _is_malformed(self):
        """True when headers, payload or context lines can't work as they stand."""
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

    def _way_out(self):
        """Which buttons mend a dead letter."""
        name = self.endpoint_id.sudo().name
        if self._content_was_refused():
            return self.env._(
                "Given up. Press Reset to Draft, correct the payload, then Queue; or "
                'mend the rules of endpoint "%s" and press Retry Now.',
                name,
            )
        if self.failure_reason == "egress":
            return self.env._(
                "Given up. Once the address is allowed, or endpoint "
                '"%s" has the right host, press Retry Now.',
                name,
            )
        if self.failure_reason in ("http_4xx", "redirect"):
            return self.env._(
                'Given up. Mend endpoint "%s", then press Retry Now.', name
            )
        if self.failure_reason == "handler":
            return self.env._(
                "Given up by the handler. When what it looks at is mended, press Retry "
                "Now."
            )
        return self.env._(
            "Given up; attempts made: %s. Once the target is well, press Retry Now; "
            "Recover on the endpoint does it for all.",
            self.attempt_count,
        )
