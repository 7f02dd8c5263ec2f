"""The computational graph, to look at: drawn, told step by step, and written out as flat NumPy code.

Everything is read from what runs: the records of ops, and the nodes they leave on the tape.
"""

from fastgrad._near import missing as _missing
from fastgrad.viz._explain import BackwardStep, Explanation, explain_backward
from fastgrad.viz._flat import FlatCode, to_flat_numpy
from fastgrad.viz._graph import Graph, GraphEdge, GraphNode, graph
from fastgrad.viz._summary import Summary, summary

__all__ = [
    "BackwardStep",
    "Explanation",
    "FlatCode",
    "Graph",
    "GraphEdge",
    "GraphNode",
    "Summary",
    "explain_backward",
    "graph",
    "summary",
    "to_flat_numpy",
]

__getattr__ = _missing(__name__, globals())
