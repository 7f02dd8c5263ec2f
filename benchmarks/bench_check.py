"""Counts the instructions of fixed workloads at this commit and its parent, and fails where one grew by more than 5%.

Both commits are built here and now with one compiler and one interpreter, since a stored count would break with every
version of either. Counts do not depend on how busy the machine is. They are taken with the AVX2 kernels, because
valgrind knows no AVX-512.

    python benchmarks/bench_check.py [--base REVISION]
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import harness

HERE = pathlib.Path(__file__).parent
LIMIT = 1.05


class NotCheckedError(Exception):
    """The check cannot be made here; the message says why."""


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout.strip()


def commit(revision):
    try:
        return output("git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", cwd=HERE)
    except subprocess.CalledProcessError:
        raise NotCheckedError(f"there is no commit {revision} to compare with") from None


def start_build(revision, folder):
    """Starts a build of `revision` in a virtual environment of its own, from a copy of its files."""
    source = folder / "source"
    source.mkdir(parents=True)
    archive = subprocess.Popen(["git", "archive", revision], cwd=HERE.parent, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", source], stdin=archive.stdout, check=True)
    if archive.wait():
        raise RuntimeError(f"git archive {revision} failed")
    script = f'"{sys.executable}" -m venv "{folder}/venv" && "{folder}/venv/bin/pip" install --quiet "{source}"'
    return subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish_build(build, revision):
    text, _ = build.communicate()
    if build.returncode:
        raise RuntimeError(f"building {revision} failed:\n{text}")


def build_marker(folder):
    library = folder / "marker.so"
    compiler = os.environ.get("CC", "cc").split()
    try:
        output(*compiler, "-O2", "-fPIC", "-shared", str(HERE / "marker.c"), "-o", str(library))
    except subprocess.CalledProcessError as error:
        raise NotCheckedError(f"marker.c does not compile (are valgrind's headers there?):\n{error.stderr}") from None
    return library


def count(folder, marker):
    """Name of a workload -> instructions in the build in `folder`, or why it does not run there."""
    results = folder / "counts"
    results.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in harness.SLOWING}
    environment |= dict.fromkeys(harness.THREADS, "1") | {"FASTGRAD_ISA": "avx2", "PYTHONHASHSEED": "0"}
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={results}/out"]
    done = subprocess.run(
        [*valgrind, folder / "venv/bin/python", HERE / "counted.py", marker],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the workloads failed under valgrind:\n{done.stderr}")
    counts = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    for path in results.glob("out.*"):
        text = path.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (\w+)$", text, re.M)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        if name and total:
            counts[name[1]] = int(total[1])
    return counts


def compare(before, after):
    """Prints the table; returns the names of the workloads that grew too much or no longer run."""
    print("\n| workload | parent | this commit | change | |\n|---|---|---|---|---|")
    failed = []
    for name, new in sorted(after.items()):
        old, change, verdict = before[name], "-", ""
        if isinstance(new, str):
            verdict = new
        elif isinstance(old, int):
            change, verdict = f"{100 * (new / old - 1):+.2f}%", "too much" if new > LIMIT * old else ""
        if verdict:
            failed.append(name)
        texts = (f"{n:,}" if isinstance(n, int) else "-" for n in (old, new))
        print("|", " | ".join([name, *texts, change, verdict]), "|")
    return failed


def check(base):
    if shutil.which("valgrind") is None:
        raise NotCheckedError("valgrind is not installed")
    revisions = {"parent": commit(base), "this": commit("HEAD")}
    if output("git", "status", "--porcelain", "--untracked-files=no", cwd=HERE):
        print("The work tree has uncommitted changes; the last commit is what is measured.")
    with tempfile.TemporaryDirectory(prefix="bench-check-") as name:
        folders = {which: pathlib.Path(name) / which for which in revisions}
        marker = build_marker(pathlib.Path(name))
        builds = {which: start_build(revision, folders[which]) for which, revision in revisions.items()}

        def build_and_count(which):
            finish_build(builds[which], revisions[which])
            return count(folders[which], marker)

        after = build_and_count("this")
        try:
            before = build_and_count("parent")
        except RuntimeError as error:
            raise NotCheckedError(f"the commit to compare with does not work: {error}") from None
    return compare(before, after)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD^", help="the revision to compare with (default: the parent)")
    try:
        failed = check(parser.parse_args().base)
    except NotCheckedError as reason:
        print(f"Instructions were not compared: {reason}.")
        return
    except RuntimeError as error:
        sys.exit(str(error))
    if failed:
        sys.exit(f"More than {100 * LIMIT - 100:.0f}% more instructions, or broken: {', '.join(failed)}")


if __name__ == "__main__":
    main()
