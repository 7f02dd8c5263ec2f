"""What one direction of a Jacobian costs by reverse mode and by forward mode, counted on the record of one evaluation.

Both modes repeat for every direction the products of the evaluation, and something for each element. Only products that meet the
unit vectors themselves cost nothing, since they are rows of their matrix (batch.pyx): in reverse mode that which made an
output, in forward mode those of an input. Rows that are not dense in memory cost what reading them takes.
"""

from libc.stdint cimport int64_t

from .tensor cimport *
from .views cimport settle

cdef enum:
    ELEMENT = 10        # multiplications of a product in whose time an element passes through an operation, measured ...
    STRIDED = 30        # ... and that it takes longer if it is read from a row that is not dense


def costs(list outputs not None, list inputs not None):
    """(by reverse mode, by forward mode) for one direction each, in multiplications. inputs: where differentiating ends."""
    cdef set ends = set(), starts = set(), seen = set()
    cdef list waiting = []
    cdef int64_t total = 0, first = 0, last = 0, made, rows
    cdef bint at_input
    cdef Node n, parent
    cdef uint32_t k
    for y in outputs:
        settle(<Tensor>y)
        if (<Tensor>y).node is not None:
            waiting.append((<Tensor>y).node)
            ends.add(id((<Tensor>y).node))
    for x in inputs:
        starts.add(id((<Tensor>x).node))
    while waiting:
        n = <Node>waiting.pop()
        if id(n) in seen or id(n) in starts or n.state & N_LEAF:
            continue
        seen.add(id(n))
        at_input = False
        for k in range(n.nedges):
            if n.edges[k].node != NULL:
                parent = <Node>n.edges[k].node
                waiting.append(parent)
                at_input = at_input or id(parent) in starts
        total += ELEMENT * n.lay.c.size
        if n.op.shape == "MATMUL" or n.op.name == "linear":
            made = product(n, True, &rows)
            total += made
            if id(n) in ends:
                last += made - rows
            if at_input:
                product(n, False, &rows)
                first += made - rows
    return total - last, total - first


cdef int64_t product(Node n, bint backward, int64_t* rows):
    """The multiplications of a product with a matrix, and in their place what its rows cost that reverse mode reads, or forward
    mode. Where no matrix is known: of one column."""
    cdef const save_t* s
    cdef Layout m = None
    cdef int inward = 0, along
    cdef int k
    for k in range(n.nsaves):
        s = &n.saves[k]
        if s.bit <= 1 and (<Layout>s.layout).c.ndim == 2 and (m is None or s.bit == 1):
            m = <Layout>s.layout
            inward = 0 if s.bit == 1 and n.op.shape == "MATMUL" else 1      # x @ m; of m @ x and linear the other
    rows[0] = 0
    if m is None:
        return n.lay.c.size
    along = inward if backward else 1 - inward
    if m.c.stride[along] != 1 and m.c.shape[along] > 1:
        rows[0] = STRIDED * (n.lay.c.size * m.c.shape[along] // max(1, m.c.shape[1 - inward]))
    return n.lay.c.size * m.c.shape[inward]
