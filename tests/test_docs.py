"""What the documentation says: every example of a docstring runs, every public function has one, links lead somewhere."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from fastgrad._core.table import functions

import fastgrad

MODULES = [
    importlib.import_module(m.name)
    for m in pkgutil.walk_packages(fastgrad.__path__, "fastgrad.")
    if not m.name.endswith("__main__")
]


def documented():
    """{name: (docstring, the module's names)} of all that the package defines and that has an example."""
    found = {}

    def add(name, thing, module):
        text = getattr(thing, "__doc__", None)
        if isinstance(text, str) and ">>>" in text:
            found.setdefault(text, (name, module))

    for module in [fastgrad, *MODULES]:
        add(module.__name__, module, module)
        for name, thing in list(vars(module).items()):
            if not str(getattr(thing, "__module__", "")).startswith("fastgrad"):
                continue
            add(f"{thing.__module__}.{name}", thing, module)
            if inspect.isclass(thing):
                for member, value in list(vars(thing).items()):
                    if callable(value) or inspect.isdatadescriptor(value):
                        add(f"{thing.__module__}.{name}.{member}", value, module)
    return {name: (text, module) for text, (name, module) in found.items()}


EXAMPLES = documented()


def test_there_are_examples():
    assert len(EXAMPLES) > 25


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example_runs(name):
    text, module = EXAMPLES[name]
    names = {"fg": fastgrad, "fastgrad": fastgrad, **vars(module)}
    test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    report = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert not result.failed, "".join(report)


def test_every_public_function_says_what_it_does():
    assert [name for name, f in functions.items() if not (f.__doc__ or "").strip()] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/design.md", "docs/differences.md"])
def test_links_lead_somewhere(page):
    root = Path(__file__).parent.parent
    if not (root / page).exists():
        pytest.skip("the tests run outside a checkout")
    for target in re.findall(r"\]\(([^)#]+)\)", (root / page).read_text()):
        if "://" not in target:
            assert (root / page).parent.joinpath(target).exists(), target
