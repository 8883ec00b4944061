# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Notify the responsible user; a failed notification never stops sending."""
# A lane commits its own cursor after each step: what was sent must be on disk.
# pylint: disable=invalid-commit

import logging

from .savepoint import FOREIGN_ERRORS, Savepoint

_logger = logging.getLogger(__name__)


def notify_of_failures(endpoint) -> bool:
    """Notify of dead letters, in a transaction of its own.

    Returns False if the user wasn't notified: nobody is responsible, another lane is
    about to notify, or it failed.
    """
    return bool(_guarded(endpoint, endpoint._notify_of_failures))


def notify_of_circuit(endpoint, before: str, after: str):
    """Post the change of the circuit, in a transaction of its own."""
    _guarded(endpoint, endpoint._notify_of_circuit, before, after)


def _guarded(endpoint, notify, *args):
    cr, endpoint_id = endpoint.env.cr, endpoint.id
    try:
        with Savepoint(cr):
            result = notify(*args)
        cr.commit()
        return result
    except FOREIGN_ERRORS:  # a failed notification must not keep others from sending
        if cr.closed:
            raise
        cr.rollback()
        _logger.warning("not notified endpoint=%s", endpoint_id, exc_info=True)
        return None
