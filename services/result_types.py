# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Return values of a handler or gate, as dicts that `HandlerOutcome` reads."""


def webhook_done(note=None):
    """The delivery is done; nothing is sent."""
    return _result("done", note)


def webhook_dead_letter(note):
    """The delivery failed permanently; nothing is sent. `note` is the reason."""
    return {"status": "dead_letter", "note": note}


def webhook_retry(note, seconds=60):
    """Retry in `seconds`; this counts as a retry. `note` is the reason."""
    return {"status": "retry", "note": note, "seconds": seconds}


def webhook_cancel(note=None):
    """The delivery is canceled; nothing is sent."""
    return _result("cancel", note)


def _result(status, note):
    return {"status": status, "note": note} if note else {"status": status}
