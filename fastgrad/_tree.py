"""Nested containers of tensors: tuples, named tuples, lists and dicts, taken apart and put together. Imports the core.

Whatever is no such container is a leaf, Tensor or not.
"""

from fastgrad._core import Tensor

LEAF = None  # the structure of a leaf


def flatten(tree):
    """(the leaves in order, the structure)."""
    leaves = []
    return leaves, _take(tree, leaves)


def _take(tree, leaves):
    kind = type(tree)
    if kind is Tensor:
        leaves.append(tree)
        return LEAF
    if kind is tuple or kind is list:
        return kind, None, [_take(part, leaves) for part in tree]
    if isinstance(tree, dict):
        return kind, tuple(tree), [_take(part, leaves) for part in tree.values()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind, tree._fields, [_take(part, leaves) for part in tree]
    leaves.append(tree)
    return LEAF


def unflatten(structure, leaves):
    """The container of a structure with these leaves, an iterable."""
    if structure is LEAF:
        (leaf,) = leaves
        return leaf
    return _put(structure, iter(leaves))


def _put(structure, leaves):
    if structure is LEAF:
        return next(leaves)
    kind, names, parts = structure
    if kind is tuple:
        return tuple([_put(part, leaves) for part in parts])
    if kind is list:
        return [_put(part, leaves) for part in parts]
    if issubclass(kind, dict):
        made = dict(zip(names, [_put(part, leaves) for part in parts], strict=True))
        return made if kind is dict else kind(made)
    return kind(*[_put(part, leaves) for part in parts])
