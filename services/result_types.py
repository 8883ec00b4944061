# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a handler or gate may answer, as dicts that `HandlerOutcome` reads."""


def webhook_done(note=None):
    """The delivery is done; nothing is sent."""
    return _result("done", note)


def webhook_dead_letter(note):
    """The delivery has failed for good; nothing is sent. `note` says why."""
    return {"status": "dead_letter", "note": note}


def webhook_retry(note, seconds=60):
    """Try again in `seconds`; this counts as a retry. `note` says why."""
    return {"status": "retry", "note": note, "seconds": seconds}


def webhook_cancel(note=None):
    """The delivery is canceled; nothing is sent."""
    return _result("cancel", note)


def _result(status, note):
    return {"status": status, "note": note} if note else {"status": status}
