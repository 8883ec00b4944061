# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The keys of advisory locks."""

import ast
import re
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INT4_MAX = 2**31 - 1


def registry():
    """What lane/locks.py defines: name -> range. It imports nothing."""
    found = {}
    exec(compile((ROOT / "lane/locks.py").read_text(), "locks", "exec"), found)
    return found


def test_no_two_purposes_share_a_key():
    """A notification took the lock of the second lane's slot, and failed silently."""
    ranges = registry()["RANGES"]

    assert ranges
    for (one, keys), (other, others) in combinations(ranges.items(), 2):
        assert set(keys).isdisjoint(others), (one, other)


def test_every_range_is_registered():
    """Each range of the file is in the registry, and fits into PostgreSQL's int."""
    found = registry()

    ranges = [each for each in found.values() if isinstance(each, range)]
    assert sorted(map(tuple, ranges)) == sorted(map(tuple, found["RANGES"].values()))
    assert all(0 < each[0] <= each[-1] <= INT4_MAX for each in ranges)


def test_locks_are_taken_with_registered_keys():
    """Only lane/sql.py takes advisory locks, each with a key of the registry."""
    texts = {
        path: text
        for part in ("models", "lane", "services", "wizards")
        for path in (ROOT / part).glob("*.py")
        if re.search(r"pg_(try_)?advisory\w*lock", text := path.read_text())
    }

    assert [ROOT / "lane/sql.py"] == list(texts)
    calls = [
        node
        for node in ast.walk(ast.parse(texts[ROOT / "lane/sql.py"]))
        if isinstance(node, ast.Call)
        and any("advisory_xact_lock" in ast.unparse(each) for each in node.args)
    ]
    assert calls
    names = registry()["RANGES"]
    for call in calls:
        key = ast.unparse(call.args[1]).partition("[")[0]
        assert key.lower() in names, key
