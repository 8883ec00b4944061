# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A savepoint around code of other addons: handlers, gates, callbacks and hooks.

`cr.savepoint()` trusts the code inside. Code that catches a database error and returns
leaves the transaction aborted: the next statement of any code fails, and a commit
silently rolls back. Code that commits releases the locks of the whole claim.
"""

import logging
import re
from functools import partial

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INERROR

from odoo.tools import SQL
from odoo.tools.misc import Callbacks

from ..services.errors import ServiceError, _lt

_logger = logging.getLogger(__name__)

# What code of other addons may raise; none of it may end a lane.
FOREIGN_ERRORS = (Exception, SystemExit, KeyboardInterrupt)
# Conflicts with other transactions: the same statements may succeed later.
RACES = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
)

_ENDS_TRANSACTION = re.compile(
    r"\s*(?:commit|end|abort|prepare\s+transaction"
    r"|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b))\b",
    re.IGNORECASE,
)
_MISSING = object()


class SwallowedError(ServiceError):
    """A database error was caught and its statement was not rolled back."""


class TransactionControl(ServiceError):
    """Code that runs inside the lane's transaction tried to end it."""


def lost_race(error) -> psycopg2.OperationalError | None:
    """The deadlock, serialization failure or refused lock that `error` comes from."""
    while error is not None:
        if isinstance(error, RACES):
            return error
        error = error.__cause__
    return None


class Savepoint:
    """Undoes what the code inside wrote when it raises or leaves a failed transaction.

    While it is entered, commit, rollback and close of the cursor raise. Callbacks for
    after the commit are dropped with the rest, and one that fails is logged.

        with Savepoint(cr) as savepoint:
            delivery._invoke_handler(request)
            savepoint.check()  # raises what the handler swallowed

    :raise SwallowedError: on leaving, too
    """

    def __init__(self, cr):
        self.cr = cr
        # Called several times per delivery, and a lookup on a cursor is slow.
        self._status = cr.connection.get_transaction_status
        self.error = None  # the last database error, caught or not
        self._is_undone = False
        self._replaced = []

    def __enter__(self):
        self.cr.flush()
        self.cr.execute("SAVEPOINT bwt_foreign_code")
        self._guard()
        return self

    def __exit__(self, kind, error, _traceback):
        try:
            if kind is None and not self._is_undone:
                self.check()
                self.cr.flush()  # precommit callbacks are code of other addons, too
                self.check()
        except FOREIGN_ERRORS as late:
            self._undo()
            raise self.cause_of(late) from late.__cause__
        if kind is not None or self._is_undone:
            self._undo()
            cause = self.cause_of(error)
            if cause is not error:
                raise cause from cause.__cause__
            return False
        self._release()
        return False

    def undo(self):
        """Leave without an error, and without what was written."""
        self._is_undone = True

    def check(self):
        """Raise SwallowedError if a statement failed and was not rolled back.

        Reads the state of the connection, without a query.
        """
        if self._status() == TRANSACTION_STATUS_INERROR:
            raise self._swallowed()

    def cause_of(self, error):
        """The error that aborted the transaction; `error` may be its consequence."""
        if isinstance(error, psycopg2.errors.InFailedSqlTransaction):
            return self._swallowed()
        return error

    def _swallowed(self):
        swallowed = SwallowedError(
            _lt(
                "A database error was caught without rolling its statement back: "
                "%(error)s\nPut statements that may fail inside "
                '"with self.env.cr.savepoint():", and catch the error outside of it.'
            ),
            error=str(self.error or "unknown").strip(),
        )
        swallowed.__cause__ = self.error
        return swallowed

    def _undo(self):
        self._restore()
        if self.cr.closed:
            return  # with its connection: the raised error reports it
        self.cr.clear()
        self.cr.execute("ROLLBACK TO SAVEPOINT bwt_foreign_code")
        self.cr.execute("RELEASE SAVEPOINT bwt_foreign_code")

    def _release(self):
        after = self.cr.postcommit
        self._restore()
        self.cr.execute("RELEASE SAVEPOINT bwt_foreign_code")
        if after:
            self.cr.postcommit.add(partial(_run_logged, self.cr, after))

    # The guard

    def _guard(self):
        cr, connection = self.cr, self.cr.connection
        for owner, names in (
            (cr, ("commit", "rollback", "close")),
            (connection, ("commit", "rollback")),
        ):
            for name in names:
                self._replace(owner, name, _refusal(name))
        self._replace(cr, "execute", self._watched(cr.execute))
        self._replace(cr, "postcommit", Callbacks())

    def _watched(self, execute):
        def watched(query, *args, **kwargs):
            text = query.code if isinstance(query, SQL) else query
            if isinstance(text, str) and _ENDS_TRANSACTION.match(text):
                raise _transaction_control(text.split()[0].upper())
            try:
                return execute(query, *args, **kwargs)
            except psycopg2.errors.InFailedSqlTransaction:
                raise
            except psycopg2.Error as error:
                self.error = error
                raise

        return watched

    def _replace(self, owner, name, value):
        self._replaced.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, value)

    def _restore(self):
        while self._replaced:
            owner, name, before = self._replaced.pop()
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def _refusal(name):
    def refuse(*_args, **_kwargs):
        raise _transaction_control(f"cr.{name}()")

    return refuse


def _transaction_control(call):
    return TransactionControl(
        _lt(
            "%(call)s is not allowed in handlers, callbacks and hooks: the lane "
            "commits for all deliveries of a batch. Remove the call, or write with a "
            'cursor of your own: "with self.env.registry.cursor() as cr:".'
        ),
        call=call,
    )


def _run_logged(cr, callbacks):
    """Run callbacks with the data that they were added with, as `cr.postcommit`."""
    before, cr.postcommit = cr.postcommit, callbacks
    try:
        while callbacks:
            try:
                callbacks.run()
            except FOREIGN_ERRORS:
                _logger.warning("a callback after the commit failed", exc_info=True)
    finally:
        cr.postcommit = before
