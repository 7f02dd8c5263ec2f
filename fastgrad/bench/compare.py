"""Two runs side by side: `fastgrad bench --compare A.json B.json`."""

from .report import bullets
from .results import Measure, Run, times_text

NOTABLE = 1.05  # what is less than that apart, or within the spread of both, is printed without a mark


def main(before, after):
    """Prints what both runs measured; returns the exit status."""
    try:
        a, b = Run.read(before), Run.read(after)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SystemExit(f"fastgrad bench: {error}") from None
    print(markdown(a, b))
    return 0


def markdown(a, b):
    """A table of the times of b as multiples of those of a, and how the machines differ."""
    parts = [f"# {a.machine['date']} and {b.machine['date']}\n"]
    theirs = {table.key: table for table in b.tables}
    for table in a.tables:
        if table.key in theirs and (rows := _rows(table, theirs[table.key])):
            parts += [
                f"## {table.title}\n",
                "| | contender | first | second | second / first | |\n|---|---|---:|---:|---:|---|",
            ]
            parts += [*rows, ""]
    different = [k for k in a.machine | b.machine if k != "date" and a.machine.get(k) != b.machine.get(k)]
    parts += ["## Differences between the two\n"]
    parts += [bullets(f"{k}: {a.machine.get(k, '-')} and {b.machine.get(k, '-')}" for k in different)]
    return "\n".join(parts)


def _rows(a, b):
    return [
        f"| {label} | {name} | {old} | {new} | {times_text(new.median / old.median)} | {_mark(old, new)} |"
        for label, cells in a.rows.items()
        for name, old in cells.items()
        if isinstance(old, Measure) and isinstance(new := b.rows.get(label, {}).get(name), Measure) and old.median
    ]


def _mark(old, new):
    if new.low > old.high and new.median > NOTABLE * old.median:
        return "more"
    if new.high < old.low and old.median > NOTABLE * new.median:
        return "less"
    return ""
