"""What fastgrad.func asks of nested containers of tensors. Imports the core."""

from fastgrad._core import Tensor
from fastgrad._tree import LEAF, flatten, unflatten


def same(one, two):
    """Whether two structures have their leaves in the same places; dicts may differ in order."""
    if one is LEAF or two is LEAF:
        return one is two
    return one[0] is two[0] and one[1] == two[1] and len(one[2]) == len(two[2]) and all(map(same, one[2], two[2]))


def tree_map(function, tree):
    """The container with function(leaf) for each leaf that is a Tensor."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [function(x) if type(x) is Tensor else x for x in leaves])


def tensors(tree, who, what):
    """`flatten` where every leaf must be a real Tensor."""
    leaves, structure = flatten(tree)
    for x in leaves:
        if type(x) is not Tensor:
            raise TypeError(f"{who}: expected Tensors as {what}, in tuples, lists or dicts; got {type(x).__name__}")
        if not x.is_floating_point():
            raise TypeError(f"{who}: {what} must be float32 or float64 to be differentiated, got {x.dtype}")
    return leaves, structure


def spread(prefix, tree, who, what):
    """A value for each leaf of tree, from a container of values that is like the top of it."""
    leaves, structure = flatten(tree)
    found = []
    _spread(prefix, structure, found, who, what)
    return found, leaves, structure


def _spread(prefix, structure, found, who, what):
    if prefix is None or isinstance(prefix, int):
        found.extend([prefix] * _count(structure))
        return
    if structure is LEAF:
        raise ValueError(f"{who}: {what} has a {type(prefix).__name__} where there is one value")
    kind, names, parts = structure
    if isinstance(prefix, dict):
        if not issubclass(kind, dict) or set(prefix) != set(names):
            raise ValueError(f"{who}: {what} {prefix!r} does not have the structure of the values")
        prefix = [prefix[name] for name in names]
    elif not isinstance(prefix, (tuple, list)) or len(prefix) != len(parts):
        raise ValueError(f"{who}: {what} {prefix!r} does not have the structure of the values")
    for one, part in zip(prefix, parts, strict=True):
        _spread(one, part, found, who, what)


def _count(structure):
    return 1 if structure is LEAF else sum(map(_count, structure[2]))
