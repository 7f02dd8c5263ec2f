"""What limits a target that is missed, as its profile showed: the text that stands beside it in the report."""

# What a verdict is about -> one sentence. An entry is printed only where the target is missed.
LIMITS = {
    "1 x 4-64-64-2, SGD, fastgrad": (
        "counted, kernels are 26% of the instructions of a step, the tape 49% and the interpreter 25%: what is left is one "
        "call for each module, op and rule"
    ),
    **dict.fromkeys(
        ("64 x 64-64-10, SGD, fastgrad compiled", "64 x 64-64-10, AdamW, fastgrad compiled"),
        "timed one by one, the kernels take 1.03 times what the floor's parts do (the forward product reads a transposed "
        "weight); the rest is the call from Python, 4,000 instructions that find the first-level cache full of the net",
    ),
    "Rosenbrock, Hessian, fastgrad compiled": (
        "a replay is 33 calls on 50 x 49 elements: 49% of it are kernels, 29% copies of rows of slices into tiles; what is left "
        "is one pass over the elements for several calls"
    ),
    "scalar graph of the moons net": (
        "counted, an op with its backward and its end is 3,100 instructions, of which 67% are the tape's, 29% the "
        "interpreter's and 3% arithmetic"
    ),
    "installed size, over NumPy's": (
        "3 MB are kernels for three instruction sets, 7 MB the modules of the core, each with Cython's helpers; the wheel "
        "is 4.5 MB"
    ),
}
