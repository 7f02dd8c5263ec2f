"""A run as Markdown: on the terminal, and as the page `docs/performance.md`."""

from .results import Measure, times_text

PAGE = """# How fast it is

Written by `{command}` on {date}; do not edit. The figures are ratios of medians, measured in one run
with the contenders interleaved; they carry over to other machines, microseconds do not. Compare two runs, or two
machines, with `fastgrad bench --compare A.json B.json`.

![One training step: multiples of the floor]({svg})

{body}"""


def write_page(run, path):
    """Writes the page, the chart and the results beside each other."""
    from . import chart

    svg, results = path.with_suffix(".svg"), path.with_suffix(".json")
    svg.write_text(chart.svg(run), encoding="utf-8")
    run.write(results)
    command = f"fastgrad bench --write {path.as_posix()}"
    body = markdown(run, title=False)
    path.write_text(PAGE.format(command=command, date=run.machine["date"], svg=svg.name, body=body), encoding="utf-8")


def markdown(run, title=True):
    """The whole report."""
    parts = ["# fastgrad bench\n"] if title else []
    parts += ["## Targets\n", targets(run)]
    parts += [part for table in run.tables for part in (f"## {table.title}\n", table_text(table))]
    parts += ["## Left out, and why\n", bullets(notes(run))]
    parts += ["## Measured on\n", bullets(f"{key}: {value}" for key, value in run.machine.items())]
    chosen = ", ".join(f"{key}: {value}" for key, value in run.options.items())
    parts.append(f"Took {run.seconds:.0f} s ({chosen}). Processor time with one thread, else the time that passes.\n")
    return "\n".join(parts)


def bullets(texts):
    return "".join(f"- {text}\n" for text in texts) or "Nothing.\n"


def notes(run):
    """One line for each that is left out, for each reason."""
    for who, reasons in run.notes.items():
        for why, places in reasons.items():
            yield f"{who}: {why}" + (f" ({'; '.join(places)})" if places else "")


def table_text(table):
    """A Markdown table: the base in absolute figures, the others as multiples of it."""
    columns = [name for name in table.columns if any(isinstance(row.get(name), Measure) or row.get(name) == "not yet"
                                                     for row in table.rows.values())]  # fmt: skip
    base = table.base if table.base in columns else "fastgrad" if "fastgrad" in columns else None
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for label, cells in table.rows.items():
        lines.append(f"| {label} | " + " | ".join(cell_text(cells, name, base) for name in columns) + " |")
    note = f"{table.note}\n" if table.note else ""
    unit = (
        f"Multiples of {base}; in brackets the figure and half the distance of its quartiles.\n" if table.base else ""
    )
    return "\n".join([note + unit, *lines, ""])


def cell_text(cells, name, base):
    cell, under = cells.get(name, "-"), cells.get(base)
    if name == base or not isinstance(cell, Measure) or not isinstance(under, Measure) or not under.median:
        return str(cell)
    if cell.unit != under.unit:
        return str(cell)
    if cell.unit != under.unit:
        return str(cell)
    return f"**{times_text(cell.median / under.median)}** ({cell})"


def targets(run):
    """The verdicts, section by section; a missed one with what limits it."""
    from .limits import LIMITS

    words = {True: "met", False: "**missed**", None: "not judged"}
    lines = ["| section | what | target | found | |", "|---|---|---|---|---|"]
    for v in run.verdicts:
        why = f": {LIMITS.get(v.what, 'no profile yet')}" if v.met is False else ""
        lines.append(f"| {v.section} | {v.what} | {v.target} | {v.found} | {words[v.met]}{why} |")
    judged = [v.met for v in run.verdicts if v.met is not None]
    count = f"{sum(judged)} of {len(judged)} targets met; {len(run.verdicts) - len(judged)} not judged.\n"
    return "\n".join([count, *lines, ""])
