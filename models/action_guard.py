# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A block that may fail without failing the user's transaction."""

import sys
from contextlib import contextmanager

from psycopg2 import errors as pg_errors

from odoo.exceptions import ConcurrencyError

# Odoo retries the whole request after one of these, and after no other error.
RETRIED_BY_ODOO = (
    pg_errors.SerializationFailure,
    pg_errors.DeadlockDetected,
    pg_errors.LockNotAvailable,
    ConcurrencyError,
)


class Outcome:
    """The error of the guarded block; None if it succeeded."""

    error = None


@contextmanager
def guarded(env):
    """Undo what the block did if it raises, and let the caller continue.

    Earlier writes of the caller are flushed first, outside the guard: their errors are
    raised. After a failure the database and the caller's cache are as they were before
    the block, including values of new records and pending values.
    :return: an `Outcome`, to be read after the block
    :raise: an error after which Odoo retries the request, also if it was wrapped
    """
    env.flush_all()
    outcome, marks = Outcome(), _PendingWork(env.transaction)
    outer = sys.exc_info()[1]  # the caller may be handling another error
    try:
        # Without `flush`: it would run the caller's precommit hooks now, and clear
        # the caller's cache after a failure.
        with env.cr.savepoint(flush=False):
            yield outcome
            env.flush_all()
    except Exception as error:
        if env.cr.connection.closed:
            raise
        retried = _retried_by_odoo(error, outer)
        if retried is not None:
            raise retried from None
        marks.restore(env)
        outcome.error = error


def _retried_by_odoo(error, outer):
    """The error in the chain of `error` that Odoo retries; None without one."""
    seen = set()
    while error is not None and error is not outer and id(error) not in seen:
        if isinstance(error, RETRIED_BY_ODOO):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


class _PendingWork:
    """Pending computations and writes of a transaction, to restore.

    After `flush_all` only computations of new records are left.
    """

    def __init__(self, transaction):
        self.dirty = {field: set(ids) for field, ids in transaction.field_dirty.items()}
        self.tocompute = {
            field: list(ids) for field, ids in transaction.tocompute.items() if ids
        }

    def restore(self, env):
        """Drop cached values that the database has, read or written since."""
        transaction = env.transaction
        for field, ids in list(transaction.field_dirty.items()):
            kept = self.dirty.get(field, set())
            for record_id in [each for each in ids if each not in kept]:
                ids.discard(record_id)
            if not ids:
                del transaction.field_dirty[field]
        for field, ids in transaction.tocompute.items():
            for record_id in set(ids) - set(self.tocompute.get(field, ())):
                ids.discard(record_id)
        for field, ids in self.tocompute.items():
            transaction.tocompute[field].update(ids)
        # Stored values of saved records are read again; new records and values that
        # are not stored exist only in the cache and are kept.
        for field in list(transaction.field_data):
            if field.store:
                kept = self.dirty.get(field, set())
                stored = [
                    each
                    for each in field._get_all_cache_ids(env)
                    if isinstance(each, int) and each not in kept
                ]
                field._invalidate_cache(env, stored)
