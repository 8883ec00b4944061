# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The responsible user is notified, and sending continues whatever comes of it."""
# A lane commits its own cursor, step by step: what left must be on disk.
# pylint: disable=invalid-commit

import logging

from .savepoint import FOREIGN_ERRORS, Savepoint

_logger = logging.getLogger(__name__)


def tell_of_given_up(endpoint) -> bool:
    """Notify of dead letters, in a transaction of its own.

    False: the user knows nothing yet (nobody is responsible, another lane is about to
    notify, or it failed)
    """
    return bool(_guarded(endpoint, endpoint._tell_of_given_up))


def tell_of_circuit(endpoint, before: str, after: str):
    """Post what became of the circuit, in a transaction of its own."""
    _guarded(endpoint, endpoint._circuit_moved, before, after)


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
