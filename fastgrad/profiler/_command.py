"""``fastgrad profile``: runs a script under the profiler, or compares a training step with pure Python."""

import argparse
import runpy
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import fastgrad as fg
from fastgrad.profiler._compare import compare
from fastgrad.profiler._profile import GROUPS, SORTS, profile


def main(argv=None):
    """Runs an unchanged script under the profiler; with --baseline, one training step natively and in pure Python."""
    parser = argparse.ArgumentParser(prog="fastgrad profile", description=main.__doc__)
    parser.add_argument("--sort-by", choices=SORTS, default="total", help="column to sort by (default: %(default)s)")
    parser.add_argument("--group-by", choices=GROUPS, default="op", help="what a row is (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=25, help="rows to show (default: %(default)s)")
    parser.add_argument("--html", metavar="PATH", help="write the report, with flame chart and roofline")
    parser.add_argument("--trace", metavar="PATH", help="write the timeline for Perfetto or chrome://tracing")
    parser.add_argument("--memory", action="store_true", help="also say who holds memory for backward")
    parser.add_argument("--limit", type=int, default=1_000_000, help="events to record (default: %(default)s)")
    parser.add_argument("--baseline", action="store_true", help="compare one training step with pure Python and NumPy")
    parser.add_argument("--sizes", default="64-64-10", help="--baseline: layers of the net (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="--baseline: rows of the batch (default: %(default)s)")
    parser.add_argument("--svg", metavar="PATH", help="--baseline: write the chart")
    parser.add_argument("script", nargs="?", help="the script to run")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")
    args = parser.parse_args(argv)
    if args.baseline:
        return _baseline(parser, args)
    if args.script is None:
        parser.error("a script to run, or --baseline")
    script = Path(args.script)
    if not script.exists():
        parser.error(f"there is no {script}")
    return _run(script, args)


def _baseline(parser, args):
    try:
        sizes = [int(n) for n in args.sizes.split("-")]
    except ValueError:
        parser.error(f"--sizes must be numbers joined by '-', as 64-64-10, not {args.sizes!r}")
    if len(sizes) < 2 or min(sizes) < 1 or args.batch < 1:
        parser.error("--sizes needs two layers or more, and every size must be at least 1")
    fg.manual_seed(0)
    layers = []
    for n, m in pairwise(sizes):
        layers += [fg.nn.Linear(n, m), fg.nn.ReLU()]
    net = fg.nn.Sequential(*layers[:-1])
    x, labels = fg.randn(args.batch, sizes[0]), fg.randint(0, sizes[-1], (args.batch,))
    found = compare(net, (x, labels))
    print(f"one training step of a {args.sizes} net with ReLU, batch {args.batch}, float32, cross-entropy\n")
    print(found)
    if args.svg:
        Path(args.svg).write_text(found.to_svg(), encoding="utf-8")
    return 0


def _run(script, args):
    before = sys.argv, sys.path[:]
    sys.argv = [str(script), *args.args]
    sys.path.insert(0, str(script.resolve().parent))
    status = 0
    try:
        with profile(limit=args.limit) as prof:
            try:
                runpy.run_path(str(script), run_name="__main__")
            except SystemExit as exit:
                status = exit.code
    finally:
        sys.argv, sys.path[:] = before
    print(prof.table(args.sort_by, args.group_by, args.rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are printed
        memory = prof.memory()
    if args.memory:
        print(f"\n{memory}")
    else:
        print(*(f"warning: {text}" for text in memory.warnings), sep="\n", end="\n" * bool(memory.warnings))
    if args.html:
        prof.save(args.html)
    if args.trace:
        prof.export_chrome_trace(args.trace)
    if isinstance(status, str):
        print(status, file=sys.stderr)
        return 1
    return status or 0
