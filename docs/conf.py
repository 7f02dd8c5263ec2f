"""The site that `make docs` builds: README.md, the pages of docs/, and the reference, made of the docstrings.

The source folder is the whole checkout, so that links between the Markdown pages, which are right on disk, are right here.
"""

import sys
from pathlib import Path

import fastgrad

sys.path.append(str(Path(__file__).parent))

project = "fastgrad"
author = copyright = "The fastgrad authors"
version = release = fastgrad.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "reference"]
root_doc = "README"
first = [
    "recipes",
    "compile",
    "derivatives",
    "derivatives-checks",
    "singular-points",
    "memory",
    "seeing-gradients",
    "profiling",
]
inside = ["design", "performance"]
others = sorted({page.stem for page in Path(__file__).parent.glob("*.md")} - {*first, *inside})
contents = {
    "Guide": [f"docs/{page}" for page in first + others],
    "Reference": [
        f"docs/reference/{page}" for page in ("functions", "tensor", "nn", "optim", "autograd", "utils", "looking")
    ],
    "Inside": [*(f"docs/{page}" for page in inside), "CONTRIBUTING", "CHANGELOG", "fastgrad/datasets/README"],
}
include_patterns = ["*.md", "docs/*.md", "docs/reference/*.rst", "fastgrad/datasets/README.md"]
exclude_patterns = [".*", "build", "dist", "*.egg-info"]

myst_heading_anchors = 3
autodoc_inherit_docstrings = False  # a method that only overrides is described with what it overrides
autodoc_typehints = "none"  # the docstrings say what an argument may be
autodoc_member_order = "alphabetical"
add_module_names = False
copybutton_prompt_text = ">>> |\\.\\.\\. "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"fastgrad {release}"
html_copy_source = False
