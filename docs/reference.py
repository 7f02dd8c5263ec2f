"""What Sphinx is told of fastgrad's docstrings: which names a module has, and how their plain prose becomes markup."""

import importlib
import inspect
import re
from textwrap import dedent

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class Public(SphinxDirective):
    """`.. public:: MODULE`: the functions and classes that a module exports, in alphabetical order.

    :from: only those that are defined in these modules, named by their last parts.
    """

    required_arguments = 1
    option_spec = {"from": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        path = self.arguments[0]
        module = importlib.import_module(path)
        origins = self.options.get("from", "").split()
        text = []
        for name in sorted(getattr(module, "__all__", dir(module)), key=str.lower):
            value = getattr(module, name)
            origin = str(getattr(value, "__module__", ""))
            chosen = origin.rpartition(".")[2] in origins if origins else origin.startswith("fastgrad")
            if chosen and callable(value) and not name.startswith("_"):
                kind, members = ("class", "   :members:\n") if inspect.isclass(value) else ("function", "")
                text.append(f".. auto{kind}:: {path}.{name}\n{members}")
        return self.parse_text_to_nodes("\n".join(text))


def parameters(thing):
    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def paragraphs(lines):
    """The docstring in pieces without blank lines."""
    block = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []


def prose(text):
    """Docstrings are written to be read as they are: a star or a bar is a star or a bar, and `x` is code."""
    pieces = re.split(r"``?([^`]+)``?", text)
    pieces[::2] = [re.sub(r"[*|\\]|(?<=\w)_(?!\w)", r"\\\g<0>", piece) for piece in pieces[::2]]
    pieces[1::2] = [f"``{piece}``" for piece in pieces[1::2]]
    return "".join(pieces)


def fields(text, names):
    """`x: a tensor. y: another. Returns their sum.` as a list of fields; any other paragraph as it is."""
    name = f"(?:{'|'.join(names)})"
    marks = re.compile(rf"(?:^|(?<=\n)|(?<=[.;)] ))(?:({name}(?:, {name})*): |(Returns|Raises):?\s)")
    if not marks.match(text):
        return text
    found = []
    for parameter, field, content in zip(*[iter(marks.split(text)[1:])] * 3, strict=True):
        # Without spaces, since Sphinx takes what stands before one for a type.
        label = f"param {parameter.replace(' ', '')}" if parameter else field.lower()
        found.append(f":{label}: {content.strip()}".replace("\n", "\n    "))
    return "\n".join(found)


def markup(app, what, name, thing, options, lines):
    """A docstring as reStructuredText. Sphinx's own readers of plain docstrings expect types where these have prose."""
    names = [re.escape(parameter) for parameter in parameters(thing)] or [r"(?!)"]
    text = []
    for paragraph in paragraphs(lines):
        head, _, rest = paragraph.partition("\n")
        if head == "Example:":
            text.append(".. rubric:: Example")
        if head in ("Args:", "Example:"):
            paragraph = rest
        if paragraph.lstrip().startswith(">>>"):
            text.append(dedent(paragraph))
        else:
            text.append(fields(prose(re.sub(r"^ +", "", paragraph, flags=re.M)), names))
    lines[:] = "\n\n".join(text).split("\n")


def contents(app, document, source):
    """The start page names the others in its prose; the site also wants them in its margin."""
    if document == app.config.root_doc:
        source[0] += "".join(
            f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
            for caption, pages in app.config.contents.items()
        )


def setup(app):
    app.add_config_value("contents", {}, "env")
    app.add_directive("public", Public)
    app.connect("source-read", contents)
    app.connect("autodoc-process-docstring", markup)
    return {"parallel_read_safe": True}
