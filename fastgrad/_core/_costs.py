"""What an op costs: operations and bytes, from its record and the shapes it ran on. Imports nothing."""


def elements(shape):
    """How many elements a shape has."""
    n = 1
    for size in shape:
        n *= size
    return n


def flops_of(op, attrs, ins, outs):
    """Floating-point operations of one call; ins and outs are shapes, None for what was left out. 0: data is only moved."""
    if op.flops is None:
        return 0
    if callable(op.flops):
        return op.flops(attrs, *ins)
    return op.flops * elements(next(shape for shape in outs if shape is not None))


def bytes_of(op, ins, outs, itemsize):
    """Bytes of all that a call reads and writes, each operand once; where indices choose, only what they chose."""
    if op.family == "indexing":
        return itemsize * 2 * sum(elements(shape) for shape in outs if shape is not None)
    return itemsize * sum(elements(shape) for shape in (*ins, *outs) if shape is not None)
