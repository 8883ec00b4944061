# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""JSON text with indentation, without a change of any value."""

import json
import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = "  "
_LONGEST = 1_000_000  # characters; longer text is shown unchanged


def indented(text):
    """The same JSON with line breaks and indents; text that isn't valid JSON is kept.

    It works on the text: unlike a round trip through Python values it keeps the digits
    of numbers, and duplicate keys.
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
