"""Counts the instructions of fixed workloads at this commit and its parent, and fails where one grew by more than 5%.

Both commits are built here and now with one compiler and one interpreter, since a stored count would break with every
version of either. Counts do not depend on how busy the machine is. They are taken with the AVX2 kernels, because
valgrind knows no AVX-512.

    python benchmarks/bench_check.py [--base REVISION]

A rise that is meant is said in the commit's message, with its reason; the check prints it and lets it pass:

    Instructions rise: recorded_mul, scalar_chain: every node keeps the line that made it
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from fastgrad.bench import environment

HERE = pathlib.Path(__file__).parent
LIMIT = 1.05
BUILT = ("csrc", "fastgrad", "setup.py", "pyproject.toml")
INTENDED = re.compile(r"^Instructions rise: ([\w, ]+): (.+)$", re.M)


class NotCheckedError(Exception):
    """The check cannot be made here; the message says why."""


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout.strip()


class Repository:
    """The commits to compare."""

    def __init__(self, root):
        self.root = root

    def git(self, *arguments):
        return output("git", "-C", str(self.root), *arguments)

    def commit(self, revision):
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except subprocess.CalledProcessError:
            raise NotCheckedError(f"there is no commit {revision} to compare with") from None

    def changed(self, base):
        """The files that the commits since `base` changed."""
        return self.git("diff", "--name-only", base, "HEAD").splitlines()

    def intended(self, base):
        """Workload -> why it may take more, from the messages of the commits since `base`."""
        found = INTENDED.findall(self.git("log", "--format=%B", f"{base}..HEAD"))
        return {name.strip(): why for names, why in found for name in names.split(",")}

    def copy(self, revision, folder):
        folder.mkdir(parents=True)
        archive = subprocess.Popen(["git", "-C", str(self.root), "archive", revision], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", folder], stdin=archive.stdout, check=True)
        if archive.wait():
            raise RuntimeError(f"git archive {revision} failed")


def build(source):
    """Builds the copy of a commit in `source`, in a virtual environment inside it."""
    script = f'"{sys.executable}" -m venv .venv && .venv/bin/pip install --quiet .'
    done = subprocess.run(["sh", "-c", script], cwd=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"building {source} failed:\n{done.stdout}{done.stderr}")


def share(built, source, changed):
    """Lets the build in `source` begin with what was compiled in `built`, another commit's.

    Whether a file is compiled again is decided by its age: an archive's files are older than any build, so those that
    differ between the commits are made new. Python modules are left out, and compiled ones that `source` has not.
    """
    if not {"setup.py", "pyproject.toml"}.isdisjoint(changed):
        return  # options may differ: everything is compiled again
    shutil.copytree(built / "build", source / "build", ignore=shutil.ignore_patterns("bdist*", "*.py", "asan", "debug"))
    for module in source.glob("build/lib*/fastgrad/_core/*.so"):
        if not (source / "fastgrad/_core" / module.name.partition(".")[0]).with_suffix(".pyx").exists():
            module.unlink()
    for name in changed:
        if (source / name).exists():
            (source / name).touch()


def build_marker(folder):
    library = folder / "marker.so"
    compiler = os.environ.get("CC", "cc").split()
    try:
        output(*compiler, "-O2", "-fPIC", "-shared", str(HERE / "marker.c"), "-o", str(library))
    except subprocess.CalledProcessError as error:
        raise NotCheckedError(f"marker.c does not compile (are valgrind's headers there?):\n{error.stderr}") from None
    return library


def start_count(source, results, marker):
    """Starts the workloads under callgrind, on the build in `source`."""
    results.mkdir()
    variables = {k: v for k, v in os.environ.items() if k not in (*environment.SLOWING, "PYTHONPATH")}
    variables |= environment.wanted() | {"FASTGRAD_ISA": "avx2", "PYTHONHASHSEED": "0"}
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={results}/out"]
    return subprocess.Popen(
        [*valgrind, source / ".venv/bin/python", HERE / "counted.py", marker],
        cwd=results,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish_count(counting, results):
    """Name of a workload -> instructions, or why it does not run there."""
    out, error = counting.communicate()
    if counting.returncode:
        raise RuntimeError(f"the workloads failed under valgrind:\n{error}")
    counts = dict(line.split(": ", 1) for line in out.splitlines())
    for path in results.glob("out.*"):
        text = path.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (\w+)$", text, re.M)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        if name and total:
            counts[name[1]] = int(total[1])
    return counts


def compare(before, after, intended):
    """Prints the table; returns the names of the workloads that grew too much or no longer run."""
    print("\n| workload | parent | this commit | change | |\n|---|---|---|---|---|")
    failed = []
    for name, new in sorted(after.items()):
        old, change, verdict = before.get(name), "-", ""
        if isinstance(new, str):
            verdict = new
        elif isinstance(old, int):
            change, verdict = f"{100 * (new / old - 1):+.2f}%", "too much" if new > LIMIT * old else ""
        if verdict == "too much" and name in intended:
            verdict = f"intended: {intended[name]}"
        elif verdict:
            failed.append(name)
        texts = (f"{n:,}" if isinstance(n, int) else "-" for n in (old, new))
        print("|", " | ".join([name, *texts, change, verdict]), "|")
    return failed


def check(root, base, built):
    if shutil.which("valgrind") is None:
        raise NotCheckedError("valgrind is not installed")
    repository = Repository(root)
    parent, this = repository.commit(base), repository.commit("HEAD")
    changed = repository.changed(parent)
    if not any(name.startswith(BUILT) for name in changed):
        raise NotCheckedError("nothing that is compiled or imported has changed")
    if repository.git("status", "--porcelain", "--untracked-files=no"):
        print("The work tree has uncommitted changes; the last commit is what is measured.")
    with tempfile.TemporaryDirectory(prefix="bench-check-") as name:
        folder = pathlib.Path(name)
        marker = build_marker(folder)
        if built is None:
            built = folder / "this"
            repository.copy(this, built)
            build(built)
        counting = start_count(built, folder / "after", marker)
        try:
            repository.copy(parent, folder / "parent")
            share(built, folder / "parent", changed)
            build(folder / "parent")
            before = start_count(folder / "parent", folder / "before", marker)
            before = finish_count(before, folder / "before")
        except RuntimeError as error:
            counting.terminate()
            raise NotCheckedError(f"the commit to compare with does not work: {error}") from None
        after = finish_count(counting, folder / "after")
    return compare(before, after, repository.intended(parent))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD^", help="the revision to compare with (default: the parent)")
    parser.add_argument("--repository", type=pathlib.Path, default=HERE.parent, help="where the commits are")
    parser.add_argument("--built", type=pathlib.Path, help="a copy of this commit, built, with its .venv")
    chosen = parser.parse_args()
    try:
        failed = check(chosen.repository, chosen.base, chosen.built and chosen.built.resolve())
    except NotCheckedError as reason:
        print(f"Instructions were not compared: {reason}.")
        return
    except RuntimeError as error:
        sys.exit(str(error))
    if failed:
        sys.exit(f"More than {100 * LIMIT - 100:.0f}% more instructions, or broken: {', '.join(failed)}")


if __name__ == "__main__":
    main()
