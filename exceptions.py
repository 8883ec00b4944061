# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Refusals of this addon: all are `ValidationError`, hence shown to the user."""

from odoo.exceptions import ValidationError


class WebhookValidationError(ValidationError):
    """A call is refused; the text says what is wrong and what to do.

    record: what it is about, if that is known
    reason: the text without the name of that record
    """

    record = None
    reason = None


class WebhookProcessingConfigurationError(WebhookValidationError):
    """A delivery can't be built or decided as configured: it needs manual intervention.

    Raised for faults of an endpoint, a rule, a handler, a path or a file. A retry
    can't correct them, so the delivery goes to `error` and waits.
    """
