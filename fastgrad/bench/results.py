"""What a run is made of: measures in tables, verdicts on targets, notes. Prints nothing."""

import json
import subprocess
import time
from dataclasses import asdict, dataclass, field

FORMAT = 1


@dataclass(frozen=True)
class Measure:
    """A median over the rounds with the quartiles as its spread; a single value has none."""

    median: float
    low: float
    high: float
    unit: str = "ns"

    @classmethod
    def single(cls, value, unit):
        return cls(value, value, value, unit)

    def less(self, amount):
        """Without the `amount` that, say, the loop around a call costs."""
        return Measure(self.median - amount, self.low - amount, self.high - amount, self.unit)

    def per(self, count):
        """Divided by the number of nodes, elements, ... that it covers."""
        return Measure(self.median / count, self.low / count, self.high / count, self.unit)

    def __str__(self):
        spread = 50 * (self.high - self.low) / self.median if self.median else 0
        return amount_text(self.median, self.unit) + (f" ±{spread:.0f}%" if self.low != self.high else "")


def amount_text(value, unit):
    """Three significant digits with the unit.

    >>> amount_text(12_345, "ns"), amount_text(2.5e6, "bytes"), amount_text(0.75, "ulp")
    ('12.3 µs', '2.5 MB', '0.75 ulp')
    """
    scales = {"ns": (("s", 1e9), ("ms", 1e6), ("µs", 1e3)), "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))}
    for name, size in scales.get(unit, ()):
        if value >= size:
            return f"{value / size:.3g} {name}" if value < 999.5 * size else f"{value / size:.0f} {name}"
    return f"{value:.3g}" if unit == "ratio" else f"{value:.3g} {unit}"


def times_text(multiple):
    """
    >>> times_text(1.234), times_text(12_345.0)
    ('1.23x', '12,300x')
    """
    return f"{float(f'{multiple:.3g}'):,.0f}x" if multiple >= 1000 else f"{multiple:.3g}x"


@dataclass
class Table:
    """Rows of work by columns of contenders. A cell is a Measure, or a text that says why there is none.

    Where `base` names a contender that has a figure in a row, the others are printed as multiples of it.
    """

    key: str
    title: str
    columns: list[str]
    base: str | None = None
    note: str = ""
    rows: dict[str, dict[str, Measure | str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A target, what was measured, and whether it is met; None where it could not be judged."""

    section: str
    what: str
    target: str
    found: str
    met: bool | None
    why: str = ""


@dataclass
class Run:
    """All that one run found."""

    machine: dict[str, str]
    options: dict[str, object]
    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # who -> why left out -> where
    seconds: float = 0.0

    def note(self, who, why, where=None):
        """Something left out, and why; `where` if it is not left out everywhere."""
        places = self.notes.setdefault(who, {}).setdefault(why, [])
        if where is not None and where not in places:
            places.append(where)

    def write(self, path):
        data = asdict(self) | {"format": FORMAT}
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path):
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ValueError(f"{path} does not hold results of `fastgrad bench` in format {FORMAT}")
        tables = [Table(**table) for table in data.pop("tables")]
        for table in tables:
            for cells in table.rows.values():
                cells |= {name: Measure(**cell) for name, cell in cells.items() if isinstance(cell, dict)}
        return cls(tables=tables, verdicts=[Verdict(**v) for v in data.pop("verdicts")], **data)


def stamp(root):
    """When this is run and, where there is a checkout, its commit."""
    found = {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    if root is None:
        return found
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return found
    return found | ({"checkout": done.stdout.strip()} if done.returncode == 0 else {})
