"""What came back from one HTTP request, or why nothing did."""

import codecs
from dataclasses import dataclass

from .headers import charset_of

# A byte order mark tells the charset, whatever the headers say.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins with the one of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Answer:
    """The end of one request, as far as the sender could tell.

    status_code: of the answer; None when none came
    headers: as received, in order, names may repeat
    body: what was read of it, decoded from its transfer encoding
    truncated: the body was longer than what is kept
    broken: the body ended before it was complete
    reason: why no whole answer came (dns, connect, tls, timeout, egress, response,
        redirect), empty when one did
    error: template and values that tell `reason` to a person
    started_at: seconds since the epoch; duration: seconds
    notes: (template, values) of what else is worth knowing
    """

    status_code: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    truncated: bool = False
    broken: bool = False
    reason: str = ""
    error: tuple | None = None
    started_at: float = 0.0
    duration: float = 0.0
    notes: tuple = ()

    def header(self, name):
        """Value of the first header called `name` (case ignored), None without one."""
        wanted = name.lower()
        for each, value in self.headers:
            if each.lower() == wanted:
                return value
        return None

    @property
    def text(self):
        """The body as text in the charset it names, else UTF-8. Never fails.

        A byte order mark is not part of it.
        NUL, which PostgreSQL can't store, becomes U+FFFD like any undecodable byte.
        """
        return self._decoded().replace("\x00", "\ufffd")

    def _decoded(self):
        try:
            return self.body.decode(self._charset(), "replace")
        except (LookupError, ValueError):  # unknown, or no charset for text at all
            return self.body.decode("utf-8", "replace")

    def _charset(self):
        for mark, charset in _MARKS:
            if self.body.startswith(mark):
                return charset
        return charset_of(self.header("Content-Type") or "") or "utf-8"
