"""How tensors and modules show themselves in a notebook. Imports _draw, _graph and _summary's names."""

from html import escape

from fastgrad.viz._draw import html_table
from fastgrad.viz._graph import graph

MOST = 60  # nodes up to which the graph of a tensor is drawn along with it


def tensor_html(tensor):
    """The tensor as it prints, and the graph behind it to unfold."""
    text = f"<pre>{escape(repr(tensor))}</pre>"
    if tensor.grad_fn is None:
        return text
    try:
        drawn = graph(tensor)
    except RuntimeError:  # a backward run has freed it
        return text
    if len(drawn.nodes) > MOST:
        return text
    return f"{text}<details><summary>graph of {len(drawn.nodes)} nodes</summary>{drawn.to_svg()}</details>"


def module_html(module):
    """The module as it prints, and a table of its parameters to unfold."""
    rows = [["parameter", "shape", "elements", "trained"]]
    rows += [
        [name, str(tuple(p.shape)), f"{p.numel():,}", "yes" if p.requires_grad else "no"]
        for name, p in module.named_parameters()
    ]
    total = sum(p.numel() for p in module.parameters())
    text = f"<pre>{escape(repr(module))}</pre>"
    if len(rows) == 1:
        return text
    return f"{text}<details><summary>{total:,} parameters</summary>{html_table(rows)}</details>"
