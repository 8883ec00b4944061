# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The mark that lets a method be called as a Python webhook handler."""

MARK = "_bwt_webhook_callback"


def webhook_callback(method):
    """Mark a model method as one that a handler may call.

    The method gets `(delivery, request)`, or `delivery` alone when it takes one
    argument, and returns what design and `HandlerOutcome.from_raw` know: None to
    send, False to cancel, or a result dict. Unmarked methods are refused when the
    handler is saved and when it runs, so that a configuration record can never name
    any method it likes.

        @api.model
        @webhook_callback
        def on_order_webhook(self, delivery, request):
            return delivery.webhook_done("nothing to send")
    """
    setattr(method, MARK, True)
    return method


def is_webhook_callback(model_class, method_name):
    """True when a class along the MRO marked the method: an override keeps the mark."""
    return any(
        getattr(vars(each).get(method_name), MARK, False)
        for each in model_class.__mro__
    )
