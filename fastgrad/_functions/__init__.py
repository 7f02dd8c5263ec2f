"""Functions of tensors that are compositions of other functions, in plain Python: each differentiates to any order because its
parts do. Imports the core.

docs/design.md says which compositions stand here and which in the core.
"""

from fastgrad._functions import (
    arrange,
    diagonals,
    elementwise,
    order,
    parts,
    products,
    scans,
    stacks,
    statistics,
    values,
)
