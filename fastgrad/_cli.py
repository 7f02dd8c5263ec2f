"""The command line: a table of commands. A command is a function of its own arguments and imports what it needs."""

import argparse
import sys

from ._version import __version__


def _demo(argv):
    from .demo import main

    return main(argv)


def _bench(argv):
    from .bench.command import main

    return main(argv)


def _profile(argv):
    from .profiler._command import main

    return main(argv)


def _info(argv):
    argparse.ArgumentParser(prog="fastgrad info", description=COMMANDS["info"][1]).parse_args(argv)
    import fastgrad

    fastgrad.show_config()
    return 0


COMMANDS = {
    "demo": (_demo, "train a small network on handwritten digits and say how fast it was"),
    "bench": (_bench, "compare with PyTorch, JAX and whatever else is installed, in one run"),
    "profile": (_profile, "run a script under the profiler, or compare a training step with pure Python"),
    "info": (_info, "versions, instruction set, BLAS and threads in use"),
}


def main(argv=None):
    """Runs one command; returns the exit status, which is 0 where the command says nothing else."""
    argv = sys.argv[1:] if argv is None else list(argv)
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="fastgrad",
        description="Automatic differentiation for small networks on a CPU.",
        epilog="commands:\n" + "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastgrad {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="command", help="one of the below; each has --help")
    command = parser.parse_args(argv[:1]).command
    return COMMANDS[command][0](argv[1:]) or 0
