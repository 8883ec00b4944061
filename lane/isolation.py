# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A transaction that is never committed, in a thread that reaches nothing else.

A dry run calls the handlers, gates and hooks of other addons. What they write is rolled
back with the cursor. What a rollback can't undo is refused while they run: sockets,
cursors of their own, processes and threads.

The refusals are attributes of classes, so they are replaced for the whole process, and
apply to the thread that is isolated. They protect from accidents, not from code that
wants to evade them.
"""

import os
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager

from odoo import sql_db

from ..services.errors import ServiceError, _lt

LOCK_TIMEOUT = "5s"  # for a row that a user is writing
_isolated = threading.local()
_SENDS = ("send", "sendall", "sendto", "sendmsg", "sendfile")
_SOCKET = (*_SENDS, "__init__", "connect", "connect_ex", "bind", "listen")
_MISSING = object()


class NotInDryRun(ServiceError):
    """Code reached for something that a rollback can't undo."""


def _refusal(call):
    return NotInDryRun(
        _lt(
            "%(call)s is not allowed in a dry run, which sends and stores nothing. "
            'Leave it out if env.context.get("webhook_dry_run") is set.'
        ),
        call=call,
    )


def is_isolated() -> bool:
    """Whether this thread is in an isolated block."""
    return getattr(_isolated, "is_on", False)


def _places(registry):
    """(owner, attribute, how a refusal calls it) of everything that is refused."""
    for name in _SOCKET:
        yield socket.socket, name, "A socket"
    for name in (*_SENDS, "write", "connect"):
        yield ssl.SSLSocket, name, "A socket"
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        yield socket, name, f"socket.{name}()"
    yield subprocess.Popen, "__init__", "Another process"
    for name in ("system", "fork", "posix_spawn"):
        yield os, name, "Another process"
    yield threading.Thread, "start", "Another thread"
    yield sql_db.Connection, "cursor", "Another cursor"
    yield registry, "cursor", "Another cursor"


class _Refusals:
    """Replaces attributes as long as some thread is isolated."""

    def __init__(self):
        self._lock = threading.Lock()
        self._users = 0
        self._replaced = []

    @contextmanager
    def in_force(self, registry):
        with self._lock:
            self._users += 1
            # A registry may be a new one since the others began.
            for owner, name, call in _places(registry):
                self._replace(owner, name, call)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._restore()

    def _replace(self, owner, name, call):
        if any(known is owner and each == name for known, each, _ in self._replaced):
            return
        before, usual = vars(owner).get(name, _MISSING), getattr(owner, name)

        def guarded(*args, **kwargs):
            if is_isolated():
                raise _refusal(call)
            return usual(*args, **kwargs)

        self._replaced.append((owner, name, before))
        setattr(owner, name, guarded)

    def _restore(self):
        while self._replaced:
            owner, name, before = self._replaced.pop()
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


_refusals = _Refusals()


class Isolated:
    """A cursor whose transactions are all rolled back, and blocks that are isolated.

        with Isolated(registry) as isolated:
            with isolated.block() as cr:
                ...  # code of other addons
            # rolled back; what others have committed meanwhile can be seen

    :param registry: of the database
    """

    def __init__(self, registry):
        self.registry = registry

    def __enter__(self):
        self.cr = self.registry.cursor()
        return self

    def __exit__(self, *_error):
        self._roll_back()
        self.cr.close()

    @contextmanager
    def block(self):
        """The cursor, in a transaction that ends with the block, and is rolled back."""
        self.cr.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
        try:
            with _refusals.in_force(self.registry):
                _isolated.is_on = True
                try:
                    yield self.cr
                finally:
                    _isolated.is_on = False
        finally:
            self._roll_back()

    def _roll_back(self):
        if self.cr.closed:
            return
        self.cr.postcommit.clear()
        self.cr.rollback()
        # What was cached in this process after a write that is gone now.
        self.registry.reset_changes()
