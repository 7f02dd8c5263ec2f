"""einsum: sums of products as stacks of matrix products, so that it differentiates as they do."""

from .tensor cimport *

from ._errors import ShapeError
from .table import functions, publish


cdef list subscripts(str text, int ndim, str equation):
    """The labels of one operand's dimensions; those of an ellipsis are -1, -2, ... from the last on."""
    text = text.replace(" ", "")
    head, dots, tail = text.partition("...")
    labels = list(head + tail)
    if any(not c.isalpha() for c in labels):
        raise RuntimeError(f"einsum: {equation!r}: subscripts are letters, got {text!r}")
    if len(labels) > ndim or (not dots and len(labels) != ndim):
        raise RuntimeError(f"einsum: {equation!r}: {text!r} has {len(labels)} subscripts for an operand of {ndim} dimensions")
    if not dots:
        return labels
    return list(head) + [-k for k in range(ndim - len(labels), 0, -1)] + list(tail)


cdef object by_labels(Tensor x, list labels, list wanted):
    """x with its dimensions in the order of `wanted`, of size 1 where it has none."""
    y = x.permute([labels.index(c) for c in wanted if c in labels]) if labels else x
    shape, sizes = [], iter(y.shape)
    for c in wanted:
        shape.append(next(sizes) if c in labels else 1)
    return y.reshape(shape)


cdef tuple pair_product(Tensor x, list of_x, Tensor y, list of_y, set kept):
    """The product of two operands, summed over the labels that nobody needs any more: one stack of matrix products."""
    x, of_x = summed(x, of_x, [c for c in of_x if c not in of_y and c not in kept])
    y, of_y = summed(y, of_y, [c for c in of_y if c not in of_x and c not in kept])
    over = [c for c in of_x if c in of_y and c not in kept]
    batch = [c for c in of_x if c in of_y and c in kept]
    left = [c for c in of_x if c not in of_y]
    right = [c for c in of_y if c not in of_x]
    if any(x.shape[of_x.index(c)] != y.shape[of_y.index(c)] for c in over + batch):
        # a size of 1 stands for any: multiply and sum
        labels = batch + left + right + over
        product = by_labels(x, of_x, labels) * by_labels(y, of_y, labels)
        return summed(product, labels, over)
    sizes = {**dict(zip(of_x, x.shape)), **dict(zip(of_y, y.shape))}
    count = [1, 1, 1, 1]
    for k, part in enumerate((batch, left, over, right)):
        for c in part:
            count[k] *= sizes[c]
    a = by_labels(x, of_x, batch + left + over).reshape(count[0], count[1], count[2])
    b = by_labels(y, of_y, batch + over + right).reshape(count[0], count[2], count[3])
    labels = batch + left + right
    return (a @ b).reshape([sizes[c] for c in labels]), labels


cdef tuple summed(Tensor x, list labels, list over):
    if not over:
        return x, labels
    return x.sum([labels.index(c) for c in over]), [c for c in labels if c not in over]


cdef tuple without_repeats(Tensor x, list labels, str equation):
    """A label that comes twice in one operand: its diagonal."""
    for c in list(dict.fromkeys(labels)):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            n = x.shape[i]
            if x.shape[j] != n:
                raise ShapeError(f"einsum: {equation!r}: subscript {c!r} has sizes {n} and {x.shape[j]} in one operand")
            rest = [k for k in range(len(labels)) if k not in (i, j)]
            at = functions["arange"](n)
            x = x.permute([i, j, *rest])[at, at]
            labels = [c] + [labels[k] for k in rest]
    return x, labels


@publish(method=False)
def einsum(equation, *operands):
    """Sums of products over the labelled dimensions of tensors, Einstein's notation: "ij,jk->ik" is a matrix product.

    equation: labels of each operand's dimensions, letters, separated by commas; after "->" those of the result, without it
    those that come once, in alphabetical order. "..." stands for dimensions that broadcast. A label that comes twice in one
    operand takes its diagonal. Operands are multiplied from left to right, two at a time, as matrix products.

    >>> import fastgrad as fg
    >>> fg.einsum("ij,j->i", fg.ones(2, 3), fg.arange(3.0))
    tensor([3., 3.])
    """
    if len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    terms, arrow, result = equation.partition("->")
    terms = terms.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum: {equation!r}: {len(terms)} terms for {len(operands)} operands")
    labelled = [(x, subscripts(term, x.dim(), equation)) for x, term in zip(operands, terms)]
    everything = [c for _, labels in labelled for c in labels]
    dots = sorted({c for c in everything if isinstance(c, int)})
    if arrow:
        head, ellipsis, tail = result.replace(" ", "").partition("...")
        wanted = list(head) + (dots if ellipsis else []) + list(tail)
    else:
        wanted = dots + sorted(c for c in set(everything) if isinstance(c, str) and everything.count(c) == 1)
    if len(set(wanted)) != len(wanted) or any(c not in everything for c in wanted):
        raise RuntimeError(f"einsum: {equation!r}: each subscript of the result must come once there, and in an operand")
    sizes = {}
    for x, labels in labelled:
        for c, n in zip(labels, x.shape):
            if sizes.setdefault(c, n) != n and n != 1:
                if sizes[c] != 1:
                    raise ShapeError(f"einsum: {equation!r}: subscript {c!r} has sizes {sizes[c]} and {n}")
                sizes[c] = n
    parts = [without_repeats(x, labels, equation) for x, labels in labelled]
    x, labels = parts[0]
    for k, (y, of_y) in enumerate(parts[1:]):
        later = {c for _, others in parts[k + 2:] for c in others}
        x, labels = pair_product(x, labels, y, of_y, later | set(wanted))
    x, labels = summed(x, labels, [c for c in labels if c not in wanted])
    return by_labels(x, labels, wanted)
