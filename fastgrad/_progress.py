"""How far a run is, on stderr: as a bar of tqdm where that is installed, else in lines. Imports nothing of fastgrad."""

import sys
import time

BAR, LINE = 0.1, 1.0  # seconds between two updates


def display(total):
    """What shows `total` steps: call it with the Rows of the run, close it at the end."""
    try:
        from tqdm import tqdm
    except ImportError:
        return Lines(total)
    return Bar(tqdm(total=total, unit="step", file=sys.stderr))


class _Display:
    """Shows the rows at most every `wait` seconds, and at the end."""

    wait = LINE

    def __init__(self):
        self.begun = self.shown = time.perf_counter()
        self.rows = None

    def __call__(self, rows):
        self.rows = rows
        now = time.perf_counter()
        if now - self.shown >= self.wait:
            self.shown = now
            self.show()

    def close(self):
        if self.rows is not None:
            self.show()

    def last(self):
        """The last result as text, where it is one number."""
        result = self.rows.part(self.rows.count - 1) if self.rows.count else None
        return f"{result.item():.4g}" if hasattr(result, "item") and result.numel() == 1 else ""


class Bar(_Display):
    """A bar of tqdm."""

    wait = BAR

    def __init__(self, bar):
        super().__init__()
        self.bar = bar

    def show(self):
        if last := self.last():
            self.bar.set_postfix_str(last, refresh=False)
        self.bar.update(self.rows.count - self.bar.n)

    def close(self):
        super().close()
        self.bar.close()


class Lines(_Display):
    """A line for every second."""

    def __init__(self, total):
        super().__init__()
        self.total = total
        print("run: progress in lines; a bar needs tqdm: pip install 'fastgrad[progress]'", file=sys.stderr)

    def show(self):
        count, last = self.rows.count, self.last()
        seconds = time.perf_counter() - self.begun
        text = f"step {count} of {self.total}, {seconds:.1f} s, {1e6 * seconds / max(count, 1):.3g} us a step"
        print(text + (f", last result {last}" if last else ""), file=sys.stderr)
