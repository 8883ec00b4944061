# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Results: rows of figure, ratio and goal, as a table and as JSON."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from tools.console import say


@dataclass
class Row:
    """One line of the table.

    value: compared with the goals; a ratio if `is_ratio`
    at_least, aim: the goals, or None. `lower`: less is better.
    """

    scenario: str
    figure: str
    value: float | None = None
    at_least: float | None = None
    aim: float | None = None
    lower: bool = False
    is_ratio: bool = True
    unit: str = ""
    samples: dict = field(default_factory=dict)

    @property
    def grade(self) -> str:
        """`aim`, `ok`, `NO`, or empty without a goal."""
        if self.at_least is None or self.value is None:
            return ""
        if self.aim is not None and self._meets(self.aim):
            return "aim"
        return "ok" if self._meets(self.at_least) else "NO"

    def _meets(self, goal):
        return self.value <= goal if self.lower else self.value >= goal

    def formatted(self, number) -> str:
        """A number as shown in the table."""
        if number is None:
            return ""
        text = f"{number:,.2f}" if abs(number) < 100 else f"{number:,.0f}"
        return f"{text.removesuffix('.00')}{' ' if self.unit else ''}{self.unit}"

    def cells(self) -> tuple:
        sign = ("at most " if self.lower else "") if self.at_least is not None else ""
        return (
            self.scenario,
            self.figure,
            self.formatted(self.value),
            f"{sign}{self.formatted(self.at_least)}",
            self.formatted(self.aim),
            self.grade,
        )


HEAD = ("scenario", "figure", "ratio or value", "at least", "aim", "ok?")


def show_table(rows):
    """Print the rows as a table."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(HEAD))]
    rule = "  ".join("-" * width for width in widths)
    for number, line in enumerate(lines):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        say("  ".join(padded).rstrip())
        if number == 0:
            say(rule)


def circumstances(cluster, database) -> dict:
    """Machine, time and versions, for comparing figures."""
    import psycopg2
    import requests
    import urllib3

    from odoo.release import version

    [settings] = cluster.rows(
        database,
        "SELECT version() AS postgres, current_setting('fsync') AS fsync, "
        "current_setting('synchronous_commit') AS synchronous_commit, "
        "(SELECT latest_version FROM ir_module_module WHERE name = 'queue_job') "
        "AS queue_job",
    )
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "odoo": version,
        "requests": requests.__version__,
        "urllib3": urllib3.__version__,
        "psycopg2": psycopg2.__version__.split()[0],
        **settings,
        "postgres": settings["postgres"].split(" on ")[0],
    }


def write_json(path, where, rows):
    """Everything, single measurements included."""
    table = [asdict(row) | {"grade": row.grade} for row in rows]
    text = json.dumps({"circumstances": where, "rows": table}, indent=1)
    Path(path).write_text(text + "\n")


def percentile(values, share) -> float:
    """The percentile `share` of the values."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def median(values) -> float:
    """The median, which a single disturbed run doesn't affect."""
    return statistics.median(values)
