"""Arrows between modules point one way: what is imported when a module loads forms no cycle, the core imports nothing
above it, and the C kernels know no Python."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "fastgrad").rglob("*"))
    if path.suffix in {".py", ".pyx"}
}
pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="these tests lie outside a checkout")

# At the start of a line: an import inside a function is made when it is called, and is no arrow.
FROM = re.compile(r"^from\s+(\S+)\s+c?import\s+(\([^)]*\)|.*)", re.MULTILINE)
PLAIN = re.compile(r"^c?import\s+(fastgrad[\w.]*)", re.MULTILINE)


def imports(module):
    """The modules of fastgrad that `module` imports or cimports when it loads."""
    path = SOURCES[module]
    texts = [path.read_text(encoding="utf-8")]
    if path.with_suffix(".pxd").exists():
        texts.append(path.with_suffix(".pxd").read_text(encoding="utf-8"))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for text in texts:
        found.update(PLAIN.findall(text))
        for origin, names in FROM.findall(text):
            dots = len(origin) - len(origin.lstrip("."))
            base = ".".join([*(package[: len(package) + 1 - dots] if dots else []), *filter(None, origin.split("."))])
            modules = {f"{base}.{name}" for name in re.findall(r"\w+", names)} & SOURCES.keys()
            found |= modules or {base}
    return (found & SOURCES.keys()) - {module}


def test_imports_are_read():
    assert imports("fastgrad._core.backward") >= {"fastgrad._core.tensor", "fastgrad._core._errors"}
    assert "fastgrad.nn.module" in imports("fastgrad.nn.linear")


def test_no_cycles():
    # A package's __init__ names its modules; that they sit inside it is no arrow back.
    TopologicalSorter({module: imports(module) for module in SOURCES}).prepare()


def test_core_imports_nothing_above_it():
    above = {
        (module, name)
        for module in SOURCES
        if module.startswith("fastgrad._core")
        for name in imports(module)
        if not name.startswith("fastgrad._core")
    }
    assert not above


@pytest.mark.parametrize("package", ["baselines", "datasets"])
def test_teaching_texts_and_data_need_no_core(package):
    names = {name for module in SOURCES if module.startswith(f"fastgrad.{package}") for name in imports(module)}
    assert names <= {module for module in SOURCES if module.startswith(f"fastgrad.{package}")}


def test_kernels_know_no_python():
    """Headers that only the extension includes may; no C file, and nothing that it includes, may."""
    folder = ROOT / "csrc"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.[ch]")}
    waiting = [name for name in texts if name.endswith(".c")]
    reached = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            headers = {Path(header).name for header in re.findall(r'#include "(.*)"', texts[name])}
            waiting += headers & texts.keys()
    assert "iter.h" in reached
    assert not {name for name in reached if "Python.h" in texts[name]}
