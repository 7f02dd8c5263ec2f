"""`fastgrad bench`: reads the arguments, runs the sections, writes what was found."""

import argparse
import importlib
import pathlib
import platform
import sys
import time
import traceback

from . import environment

SECTIONS = {
    "steps": "training steps of MLPs, as multiples of hand-written C",
    "ops": "one op on a tiny tensor",
    "graphs": "graphs of scalars: build, backward, free, bytes per node",
    "products": "matrix products",
    "elementwise": "elementwise functions, reductions and their accuracy",
    "nets": "an epoch on the digits, other layers",
    "derivatives": "gradients, Hessian-vector products, Jacobians",
    "memory": "peak memory of a training step",
    "data": "batches from memory",
    "parallel": "two trainings at a time",
    "startup": "import, installed size, first step",
}


def parser():
    found = argparse.ArgumentParser(
        prog="fastgrad bench",
        description="Compares fastgrad with whatever else is installed here, in one run.",
        epilog="sections:\n" + "\n".join(f"  {name:<12} {text}" for name, text in SECTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--quick", action="store_true", help="fewer sizes and rounds: a first look, two to three minutes")
    add("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help="these sections only")
    add("--contenders", nargs="+", metavar="NAME", help="these contenders of the training steps only")
    add("--rounds", type=int, help="interleaved rounds (default 9, or 3 with --quick)")
    add("--threads", type=int, default=1, help="threads of BLAS and of the peers (default 1)")
    add(
        "--floor", type=pathlib.Path, metavar="FOLDER", help="where the C steps are (default: the checkout around here)"
    )
    add("--json", type=pathlib.Path, metavar="FILE", help="also write the results")
    add("--svg", type=pathlib.Path, metavar="FILE", help="also draw the training steps")
    add("--write", type=pathlib.Path, metavar="FILE.md", help="write the page, with its chart and results beside it")
    add("--compare", nargs=2, type=pathlib.Path, metavar=("A.json", "B.json"), help="compare two runs; runs nothing")
    return found


class Context:
    """What a section needs to know, and where it leaves what it finds."""

    def __init__(self, run, chosen):
        self.run, self.quick, self.contenders, self.threads = run, chosen.quick, chosen.contenders, chosen.threads
        self.rounds = chosen.rounds or (3 if chosen.quick else 9)
        self.scale = None
        self.section = ""

    def progress(self, text):
        """Says on stderr what is being measured; the report itself goes to stdout."""
        print(f"[{self.section}] {text}", file=sys.stderr, flush=True)

    def within(self, section, what, cell, limit_ns):
        """The verdict on a time that was set on another machine: scaled by what the floor takes on this one."""
        from .results import Measure, Verdict, amount_text

        scale = self.clock_scale()
        target = f"≤ {amount_text(limit_ns * (scale or 1), 'ns')}"
        if not isinstance(cell, Measure):
            return Verdict(section, what, target, cell or "not yet", None)
        return Verdict(section, what, target, amount_text(cell.median, "ns"), cell.median <= limit_ns * (scale or 1))

    def clock_scale(self):
        from . import steps

        if self.scale is None:
            self.scale = steps.floor_scale(self)
        return self.scale


def machine(threads):
    """What the figures were measured on: needed to read them, so kept with them."""
    import fastgrad

    from . import contenders, floor, results

    # What `fastgrad info` prints: versions, instruction set, the BLAS kernel that runs.
    found = {"processor": environment.processor(), "system": platform.platform(), **fastgrad.show_config("dicts")}
    found |= {"threads": str(threads), "environment": environment.variables()}
    found |= {peer: contenders.version(peer) or "not installed" for peer in contenders.DISTRIBUTIONS}
    return results.stamp(floor.checkout()) | found


def main(argv=None):
    """Runs the comparison; returns the exit status."""
    chosen = parser().parse_args(argv)
    if chosen.compare:
        from . import compare

        return compare.main(*chosen.compare)
    if chosen.threads < 1 or (chosen.rounds is not None and chosen.rounds < 1):
        parser().error("--threads and --rounds must be at least 1")
    environment.restart_pinned(chosen.threads)
    run = measure(chosen)

    from . import chart, report

    print(report.markdown(run))
    if chosen.json:
        run.write(chosen.json)
    if chosen.svg:
        chosen.svg.write_text(chart.svg(run), encoding="utf-8")
    if chosen.write:
        report.write_page(run, chosen.write)
    return int(any(why.startswith("failed") for reasons in run.notes.values() for why in reasons))


def measure(chosen):
    """Runs the chosen sections; returns the Run."""
    from . import contenders, floor, harness, results

    if chosen.floor:
        floor.use_folder(chosen.floor)
    if chosen.contenders and (unknown := set(chosen.contenders) - set(contenders.CONTENDERS)):
        raise SystemExit(
            f"fastgrad bench: no contender {', '.join(sorted(unknown))}; they are {', '.join(contenders.CONTENDERS)}"
        )
    harness.use_threads(chosen.threads)
    contenders.use_threads(chosen.threads)
    options = {"quick": chosen.quick, "only": chosen.only or "all", "threads": chosen.threads}
    context = Context(results.Run(machine(chosen.threads), options), chosen)
    start = time.perf_counter()
    for name in SECTIONS:
        if chosen.only is None or name in chosen.only:
            context.section = name
            try:
                importlib.import_module(f"{__package__}.{name}").section(context)
            except Exception as error:  # what the other sections found is not lost with it
                traceback.print_exc()
                context.run.note(f"section {name}", f"failed: {contenders.one_line(error)}")
        else:
            context.run.note(f"section {name}", "not chosen")
    context.run.seconds = time.perf_counter() - start
    return context.run
