"""What the documentation says: every example of a docstring runs, every public function has one, links lead somewhere."""

import doctest
import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import pytest
from fastgrad._core.table import functions, records

import fastgrad

MODULES = [
    importlib.import_module(m.name)
    for m in pkgutil.walk_packages(fastgrad.__path__, "fastgrad.")
    if not m.name.endswith("__main__") and not m.name.startswith("fastgrad.bench.contenders.")  # those import peers
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


def test_every_function_that_is_more_than_a_formula_has_an_example():
    """The table's own functions of one or two operands, exp and the like, are told by their formula."""
    own = {name for name, record in records().items() if record.public}
    own |= {f"{kind}Tensor" for kind in ("Float", "Double", "Long", "Int", "Byte", "Bool")}
    assert [name for name, f in functions.items() if f.__name__ not in own and ">>>" not in f.__doc__] == []


PUBLIC = ["fastgrad"] + [
    f"fastgrad.{name}"
    for name in [
        "nn",
        "nn.functional",
        "nn.init",
        "nn.utils",
        "optim",
        "optim.lr_scheduler",
        "autograd",
        "autograd.functional",
        "func",
        "linalg",
        "utils.data",
        "utils.checkpoint",
        "profiler",
        "diagnostics",
        "viz",
        "datasets",
        "cuda",
        "backends.cudnn",
        "backends.mps",
    ]
]


@pytest.mark.parametrize("path", PUBLIC)
def test_everything_public_says_what_it_is(path):
    """Functions and classes, their methods and properties; a method may be described where it is first defined."""
    silent = []
    for name in dir(module := importlib.import_module(path)):
        thing = getattr(module, name)
        if (
            name.startswith("_")
            or not str(getattr(thing, "__module__", "")).startswith("fastgrad")
            or not callable(thing)
        ):
            continue
        silent += [] if inspect.getdoc(thing) else [name]
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_") and (inspect.isroutine(value) or isinstance(value, property)):
                silent += [] if inspect.getdoc(getattr(thing, member)) else [f"{name}.{member}"]
    assert silent == []


ROOT = Path(__file__).parent.parent
PAGES = sorted(
    str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)  # none outside a checkout


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", [p for p in PAGES if "```python\n" in (ROOT / p).read_text()])
def test_the_programs_of_a_page_run(page):
    """The blocks of a page are one program, in their order; what they claim they assert."""
    names = {"__name__": page}
    for block in re.finditer(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
        line = block.string[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], page, "exec"), names)


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the tests run outside a checkout")
def test_the_figures_of_the_readme_are_those_of_the_latest_comparison():
    """To a quarter: they are said in round numbers, and the page is written anew more often."""
    steps = json.loads((ROOT / "docs" / "performance.json").read_text())["tables"][0]["rows"]
    wide, small = steps["64 x 64-64-10, SGD"], steps["1 x 4-64-64-2, AdamW"]
    floor = wide["floor"]["median"]
    found = [wide[name]["median"] / floor for name in ("fastgrad", "fastgrad compiled", "torch", "jax.jit")]
    found += [small[name]["median"] / 1e3 for name in ("fastgrad", "fastgrad compiled", "torch")]
    text = (ROOT / "README.md").read_text()
    said = re.search(
        r"takes ([\d.]+) times as long .*?([\d.]+) times compiled; PyTorch takes ([\d.]+) times, .*?([\d.]+) times\. .*?takes\s+"
        r"([\d.]+) microseconds, and ([\d.]+) compiled; PyTorch's takes ([\d.]+)\.",
        text,
        re.S,
    )
    assert [float(x) for x in said.groups()] == pytest.approx(found, rel=0.25)


def test_the_curves_of_the_documentation_are_what_the_code_draws():
    folder = ROOT / "docs" / "pictures"
    if not folder.exists():
        pytest.skip("the tests run outside a checkout")
    names = {}
    exec(compile((folder / "derivatives.py").read_text(), "derivatives.py", "exec"), names)
    for name, draw in names["PICTURES"].items():
        assert draw() == (folder / name).read_text(), name
