# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A lack of files, threads or memory in this process.

Such a failure says nothing about the target: it uses no retry and opens no circuit.
"""

import errno
import socket

from .errors import ServiceError, _lt

REASON = "shortage"  # of an `HttpResponse`: nothing was sent

_NO_FILE = _lt(
    "this Odoo server ran out of open files (%(error)s). Raise its limit (ulimit -n)."
)
_NO_MEMORY = _lt(
    "this Odoo server ran out of memory (%(error)s). Raise limit_memory_hard, or "
    "send less in one delivery."
)
_NO_THREAD = _lt(
    "this Odoo server ran out of threads (%(error)s). Raise its limit (ulimit -u)."
)

_BY_ERRNO = {
    errno.EMFILE: _NO_FILE,
    errno.ENFILE: _NO_FILE,
    errno.ENOMEM: _NO_MEMORY,
    errno.ENOBUFS: _NO_MEMORY,
}
_CHAIN = 5  # causes checked


class Shortage(ServiceError):
    """This process lacks a resource; the template says what to do.

    delivery_id: id of the delivery that was being built, None without one
    """

    delivery_id = None

    @classmethod
    def of(cls, error):
        """The shortage that `error` is or comes from; None for another cause."""
        for _ in range(_CHAIN):
            if error is None or isinstance(error, cls):
                return error
            template = _template(error)
            if template:
                return cls(template, error=str(error) or type(error).__name__)
            error = error.__cause__
        return None

    @property
    def is_memory(self):
        """Whether memory is lacking."""
        return self.template == _NO_MEMORY


def _template(error):
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, socket.gaierror):
        return _NO_MEMORY if error.errno == socket.EAI_MEMORY else None
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno)
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return _NO_THREAD
    return None


def lacks_files():
    """The OSError that opening a file raises now, None if it succeeds.

    The system's resolver hides the reason when no file is left.
    """
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError as error:
        return error
    return None
