# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How much one delivery, one claim and one statement may be: bytes and seconds."""

import time
from dataclasses import replace

from ..services.errors import ConfigurationError, _lt
from .stages import Prepared

DELIVERY_BYTES_MAX = 100 * 2**20  # payload, headers and files of one delivery
CLAIM_BYTES = 64 * 2**20  # that a lane holds at a time; one larger delivery goes alone
STATEMENT_BYTES = 8 * 2**20  # a statement is in memory several times
BUILD_SECONDS = 1.0  # of building, after which what is built is sent
LARGE = 2**20


def check_size(size: int):
    """Refuse what is too large to be sent from a worker's memory.

    :raise ConfigurationError:
    """
    if size > DELIVERY_BYTES_MAX:
        raise ConfigurationError(
            _lt(
                "the payload and its files take %(size)s MiB, and a delivery may take "
                "%(limit)s MiB at most. Send less in one delivery, or a link to where "
                "the receiver can fetch the data."
            ),
            size=-(-size // 2**20),
            limit=DELIVERY_BYTES_MAX // 2**20,
        )


def pages(rows, size_of, *, count, size=STATEMENT_BYTES):
    """Split rows into lists of at most `count` rows and `size` bytes.

    :param size_of: bytes of one row; a row larger than `size` has a list of its own
    """
    page, filled = [], 0
    for row in rows:
        weight = size_of(row)
        if page and (len(page) >= count or filled + weight > size):
            yield page
            page, filled = [], 0
        page.append(row)
        filled += weight
    if page:
        yield page


def fitting(sizes, room: int, *, alone: bool) -> int:
    """How many of these deliveries fit into `room` bytes, in their order.

    :param alone: the first one fits whatever its size
    """
    filled = 0
    for number, size in enumerate(sizes):
        filled += size
        if filled > room and not (alone and number == 0):
            return number
    return len(sizes)


class BatchLimit:
    """Says when a batch that is being built is large enough.

    Sizes are known before a delivery is built, except for what rules and handlers add.
    """

    def __init__(self, *, keeps_payload: bool):
        self._keeps_payload = keeps_payload
        self._until = time.monotonic() + BUILD_SECONDS
        self._bytes = 0

    def restart(self):
        """What was built is gone, the time spent on it counts."""
        self._bytes = 0

    def add(self, stage) -> bool:
        """Count one stage; True when no further one should be built now."""
        if isinstance(stage, Prepared) and stage.wire.body:
            length = len(stage.wire.body)
            self._bytes += length
            if length > LARGE and not self._keeps_payload:
                _drop_payload(stage)
        return self._bytes >= CLAIM_BYTES or time.monotonic() >= self._until


def _drop_payload(stage):
    """Free the payload of a JSON request: its body holds all that is needed now."""
    if stage.request.request_body_mode == "json":
        stage.request = replace(stage.request, payload=None)
        stage.outcome = replace(stage.outcome, request=stage.request)
