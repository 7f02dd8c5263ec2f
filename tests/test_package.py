"""The package as it is installed: its command line, its files, its one dependency."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import fastgrad

PACKAGE = Path(fastgrad.__file__).parent
CHECKOUT = Path(__file__).parents[1]
needs_checkout = pytest.mark.skipif(not (CHECKOUT / "setup.py").exists(), reason="these tests lie outside a checkout")


def run(*arguments, cwd):
    """Runs `python ARGUMENTS` elsewhere than in the checkout."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_tests_import_the_installed_package():
    assert PACKAGE != CHECKOUT / "fastgrad"


def test_version_is_said_once():
    assert fastgrad.__version__ == version("fastgrad")


def test_numpy_is_the_only_dependency():
    always = [need for need in distribution("fastgrad").requires if "extra ==" not in need]
    assert [re.match(r"[\w-]+", need).group() for need in always] == ["numpy"]


def test_files_of_the_package():
    suffixes = {path.suffix for path in PACKAGE.rglob("*") if path.is_file()}
    assert not suffixes & {".c", ".h", ".pyx", ".pxd", ".html"}
    assert (PACKAGE / "py.typed").exists()


def test_import_needs_nothing_but_numpy(tmp_path):
    """Import time is part of every script: what costs milliseconds and is rarely used is imported where it is used."""
    slow = ["argparse", "asyncio", "importlib.metadata", "subprocess", "unittest", "multiprocessing", "tempfile"]
    code = (
        "import sys, numpy; before = set(sys.modules); import fastgrad\n"
        f"print(*sorted((set(sys.modules) - before) & set({slow!r})))\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    slow_ones, others = run("-c", code, cwd=tmp_path).stdout.splitlines()
    assert slow_ones == ""
    assert [name for name in others.split() if "cython" not in name] == ["fastgrad"]


def test_help_lists_the_commands(tmp_path):
    result = run("-m", "fastgrad", "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "demo" in result.stdout
    assert "info" in result.stdout


def test_version_option(tmp_path):
    assert run("-m", "fastgrad", "--version", cwd=tmp_path).stdout == f"fastgrad {fastgrad.__version__}\n"


def test_console_script_is_the_module(tmp_path):
    script = Path(sys.executable).with_name("fastgrad")
    result = subprocess.run(
        [script, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout == run("-m", "fastgrad", "--version", cwd=tmp_path).stdout


def test_info_is_show_config(tmp_path):
    result = run("-m", "fastgrad", "info", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    names = [line.split("  ")[0] for line in result.stdout.splitlines()]
    assert names == list(fastgrad.show_config("dicts"))


@pytest.mark.parametrize("arguments", [[], ["dmeo"], ["info", "--bogus"]])
def test_wrong_arguments_are_refused_with_usage(arguments, tmp_path):
    result = run("-m", "fastgrad", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "usage: fastgrad" in result.stderr


@needs_checkout
def test_uncompiled_folder_says_what_it_is(tmp_path):
    """A checkout's fastgrad/ comes first on the path of `python -m fastgrad` run there, and cannot work."""
    shutil.copytree(CHECKOUT / "fastgrad", tmp_path / "fastgrad", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    result = run("-m", "fastgrad", "info", cwd=tmp_path)
    assert result.returncode != 0
    assert "source" in result.stderr
    assert "pip install" in result.stderr


@needs_checkout
def test_readme_holds_the_two_commands():
    lines = re.findall(r"^python3 -m venv .*", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [line.split()[-1] for line in lines] == ["demo", ".venv/bin/pytest"]
