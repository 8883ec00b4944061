# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where two requests differ: method, URL, headers, and each value of the body.

What is stored of a request has its secrets masked: a mask is equal to any text.
"""

import json
import re
from difflib import SequenceMatcher
from typing import NamedTuple

from .masking import MASK

DIFFERENCES_MAX = 200  # of one request
SHOWN = 500  # characters of a value
LINES_MAX = 2000  # of a text that is compared line by line
NOTHING = object()  # there is no value at this place
_BOUNDARY = re.compile(r";\s*boundary=[^;]*", re.IGNORECASE)


class Shown(NamedTuple):
    """A request as it is stored and shown: secrets are masked.

    headers: name -> value
    body: text; None if it isn't known, such as one that is too large
    is_json: the body is a JSON document, or the JSON form of a form's fields
    files: form fields that contain a file
    """

    method: str
    url: str
    headers: dict
    body: str | None
    is_json: bool = True
    files: str = ""


class Difference(NamedTuple):
    """A place where two requests differ; `None` where there is no value.

    place: method, url, files, header or body
    path: name of the header, path of the value, or number of the line
    """

    place: str
    path: str
    old: str | None
    new: str | None

    @property
    def key(self):
        return self.place, self.path

    def to_dict(self):
        return self._asdict()


def compare(old: Shown, new: Shown, ignored=frozenset()) -> list[Difference]:
    """The differences, in the order of a request; at most `DIFFERENCES_MAX`.

    :param ignored: lower-case names of headers that are made again for each request
    """
    found = []
    for place, before, after in (
        ("method", old.method.upper(), new.method.upper()),
        ("url", old.url, new.url),
        ("files", old.files or "", new.files or ""),
    ):
        if not is_same_text(before, after):
            found.append(Difference(place, "", before or None, after or None))
    found += _headers(old.headers, new.headers, ignored)
    if old.body is not None and new.body is not None:
        found += body_differences(old.body, new.body, is_json=old.is_json & new.is_json)
    return found[:DIFFERENCES_MAX]


def _headers(old, new, ignored):
    before = {name.lower(): (name, value) for name, value in old.items()}
    after = {name.lower(): (name, value) for name, value in new.items()}
    for key in sorted(before.keys() | after.keys()):
        if key in ignored:
            continue
        name = (after.get(key) or before.get(key))[0]
        values = [
            _BOUNDARY.sub("", each[key][1]) if key in each else None
            for each in (before, after)
        ]
        if None in values or not is_same_text(*values):
            yield Difference("header", name, *map(_shown_text, values))


def body_differences(old: str, new: str, *, is_json=True) -> list[Difference]:
    """The differences of two bodies: of values if both are JSON, else of lines."""
    if old == new:
        return []
    if is_json:
        try:
            documents = json.loads(old or "null"), json.loads(new or "null")
        except (ValueError, RecursionError):
            return _lines(old, new)
        return [
            Difference("body", path, _shown(before), _shown(after))
            for path, before, after in _first(_values(*documents, ""))
        ]
    return _lines(old, new)


def _first(entries):
    for number, entry in enumerate(entries):
        if number == DIFFERENCES_MAX:
            return
        yield entry


def _values(old, new, path):
    """Triples (path, old, new) of values that differ.

    A stack instead of recursion: a document may be nested as deep as JSON can be read.
    """
    waiting = [(path, old, new)]
    while waiting:
        path, old, new = waiting.pop()
        prefix = f"{path}." if path else ""
        if isinstance(old, dict) and isinstance(new, dict):
            keys = [*old, *(key for key in new if key not in old)]
            pairs = [
                (f"{prefix}{key}", old.get(key, NOTHING), new.get(key, NOTHING))
                for key in keys
            ]
        elif isinstance(old, list) and isinstance(new, list):
            pairs = [
                (f"{prefix}{n}", _item(old, n), _item(new, n))
                for n in range(max(len(old), len(new)))
            ]
        else:
            if not is_same_value(old, new):
                yield path, old, new
            continue
        waiting += reversed(pairs)


def _item(items, number):
    return items[number] if number < len(items) else NOTHING


def is_same_value(old, new) -> bool:
    """Whether two JSON values are equal; true is not 1, and 1 is not 1.0."""
    if old is NOTHING or new is NOTHING:
        return old is new
    if isinstance(old, str) and isinstance(new, str):
        return is_same_text(old, new)
    return _dumps(old) == _dumps(new)


def is_same_text(old: str, new: str) -> bool:
    """Whether two texts are equal; a mask in one of them stands for any text."""
    if old == new:
        return True
    return any(
        MASK in pattern and _pattern(pattern).fullmatch(text) is not None
        for pattern, text in ((old, new), (new, old))
    )


def _pattern(text):
    # Several masks behind each other are one: no pattern takes exponential time.
    parts = [re.escape(part) for part in re.split(r"(?:\*\*\*)+", text)]
    return re.compile(".*".join(parts), re.DOTALL)


def _lines(old, new):
    before, after = old.splitlines(), new.splitlines()
    if len(before) > LINES_MAX or len(after) > LINES_MAX:
        return (
            []
            if old == new
            else [Difference("body", "", *map(_shown_text, (old, new)))]
        )
    found = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            continue
        for n in range(max(old_to - old_from, new_to - new_from)):
            was = before[old_from + n] if old_from + n < old_to else None
            now = after[new_from + n] if new_from + n < new_to else None
            if was is None or now is None or not is_same_text(was, now):
                place = new_from + n if now is not None else old_from + n
                found.append(
                    Difference(
                        "body", str(place + 1), _shown_text(was), _shown_text(now)
                    )
                )
    return found[:DIFFERENCES_MAX]


def _dumps(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _shown(value):
    return None if value is NOTHING else _shown_text(_dumps(value))


def _shown_text(text):
    if text is None or len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]}…"


def without_volatile(first, second):
    """The first differences without those whose new value is another each time.

    :param first, second: differences of one old request from two builds of the new one
    """
    again = {each.key: each for each in second}
    return [
        each for each in first if each.key in again and again[each.key].new == each.new
    ]
