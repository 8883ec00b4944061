# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How much to claim ahead and when to record: by the rate that answers come at."""

import time

from .size import BUILD_SECONDS, CLAIM_BYTES

FIRST_BATCH = 32  # until the rate is known
BATCH_MIN = 4
BATCH_MAX = 500
AHEAD = 0.5  # seconds of work claimed ahead; each row of it is an interrupted attempt
CHUNK_MAX = 100
RECORD_AFTER = 0.5  # seconds that an answer may stay unrecorded
SMOOTHING = 0.3
BYTES_MAX = 1_000_000  # of bodies in one batch: a batch is in memory several times


class Pace:
    """Follows the rate (answers per second) and derives sizes from it."""

    def __init__(self):
        self.rate = 0.0
        self._since = time.monotonic()
        self._count = 0
        self._recorded_at = self._since
        self._body = 0.0  # bytes of the average body
        self._build = 0.0  # seconds that building one took
        self.held = 0  # bytes of bodies that are claimed and not recorded

    def saw(self, answers: int):
        """Note answers that came; the rate moves a few times a second."""
        self._count += answers
        passed = time.monotonic() - self._since
        if passed < 0.1 or not self._count:
            return
        rate = self._count / passed
        self.rate = (
            rate if not self.rate else (SMOOTHING * rate + (1 - SMOOTHING) * self.rate)
        )
        self._since += passed
        self._count = 0

    def built(self, count: int, seconds: float):
        """Note how long building a batch took, decisions and refusals included."""
        if count:
            self._build = seconds / count

    def sent(self, bodies: list[int]):
        """Note the sizes, in bytes, of the bodies that were claimed."""
        if bodies:
            total = sum(bodies)
            self._body = total / len(bodies)
            self.held += total

    def freed(self, size: int):
        """Note bytes of bodies that were recorded or given back."""
        self.held -= size

    @property
    def room(self) -> int:
        """Bytes that may be claimed now."""
        return CLAIM_BYTES - self.held

    @property
    def build_seconds(self) -> float:
        """Seconds that building the next batch is likely to take."""
        return max(self._build, min(self._build * self.batch, BUILD_SECONDS))

    @property
    def batch(self) -> int:
        """Deliveries to claim at once: half of what is claimed ahead."""
        wanted = int(self.rate * AHEAD / 2) if self.rate else FIRST_BATCH
        most = BATCH_MAX
        if self._body:
            most = min(most, int(BYTES_MAX / self._body))
        if self._build:
            most = min(most, int(BUILD_SECONDS / self._build))
        return max(1, min(max(wanted, BATCH_MIN), most))

    @property
    def low_water(self) -> int:
        """Claim more when fewer than this wait for a thread."""
        return self.batch

    @property
    def chunk(self) -> int:
        """Results to record at once: a tenth of a second's worth."""
        return max(1, min(int(self.rate * 0.1), CHUNK_MAX))

    def must_record(self, unrecorded: int) -> bool:
        return (
            unrecorded >= self.chunk
            or time.monotonic() - self._recorded_at >= RECORD_AFTER
        )

    def recorded(self):
        self._recorded_at = time.monotonic()

    def wait(self, out: int) -> float:
        """Seconds to wait for answers while `out` requests are on their way."""
        return 0.1 if out else 0.0
