# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""JSON text laid out for people, value for value as it stands."""

import json
import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = "  "
_LONGEST = 1_000_000  # characters; what is longer is shown as it is


def indented(text):
    """The same JSON with line breaks and indents; what is no JSON stays as it is.

    It works on the text: numbers keep their digits, doubled keys stay doubled, as a
    round trip through Python values would not.
    """
    if not text or len(text) > _LONGEST:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    parts, depth, previous = [], 0, ""
    for token in _TOKEN.findall(text):
        if token in ("}", "]"):
            depth -= 1
            if previous not in ("{", "["):
                parts.append("\n" + _INDENT * depth)
        elif previous in ("{", "[", ","):
            parts.append("\n" + _INDENT * depth)
        parts.append(": " if token == ":" else token)
        depth += token in ("{", "[")
        previous = token
    return "".join(parts)
