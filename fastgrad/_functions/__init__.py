"""Functions of tensors that are compositions of other functions, in plain Python: each differentiates to any order because its
parts do. Imports the core.

What stands in a family here is what nobody calls in a hot loop; a function that somebody does is written in the core.
"""

from fastgrad._functions import arrange, elementwise, order, products, statistics
