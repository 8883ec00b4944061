# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Metrics as text that Prometheus reads (exposition format, version 0.0.4).

Not by `prometheus-client`, whose metrics live in one process: ours are read from the
database, which all processes share. Its parser reads this text in a test.
"""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def labels(**values) -> str:
    """Labels of a sample: `a="b",c="d"`, their values escaped."""
    return ",".join(
        f'{name}="{str(value).translate(_ESCAPED)}"' for name, value in values.items()
    )


def family(name, kind, text, samples) -> str:
    """The lines of one metric; kind: counter or gauge.

    samples: pairs of labels (see `labels`; empty for none) and number
    """
    lines = [_head(name, kind, text)]
    lines += [f"{name}{{{each}}} {value}\n" for each, value in samples]
    return "".join(lines)


def histogram(name, text, bounds, samples) -> str:
    """The lines of a histogram.

    bounds: upper bounds, inclusive, without that of the last bucket
    samples: labels, counts (one per bucket, not summed up) and the sum of what was
    measured, in the unit of the bounds
    """
    lines = [_head(name, "histogram", text)]
    limits = [*map(str, bounds), "+Inf"]
    for each, counts, total in samples:
        count = 0
        for limit, number in zip(limits, counts, strict=True):
            count += number
            lines.append(f'{name}_bucket{{{each},le="{limit}"}} {count}\n')
        lines.append(f"{name}_sum{{{each}}} {total}\n{name}_count{{{each}}} {count}\n")
    return "".join(lines)


def _head(name, kind, text):
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
