"""What limits a target that is missed, as its profile showed: the text that stands beside it in the report."""

# What a verdict is about -> one sentence. An entry is printed only where the target is missed.
LIMITS = {
    "1 x 4-64-64-2, SGD, fastgrad": (
        "counted, kernels are 32% of the 40,600 instructions of a step, the tape 51% and the interpreter 17%: what is left is "
        "one call for each module, op and rule"
    ),
    **dict.fromkeys(
        ("64 x 64-64-10, SGD, fastgrad compiled", "64 x 64-64-10, AdamW, fastgrad compiled"),
        "timed one by one, the kernels take 1.03 times what the floor's parts do (the forward product reads a transposed "
        "weight); the rest is the call from Python, 4,000 instructions that find the first-level cache full of the net",
    ),
    "scalar graph of the moons net": (
        "counted, an op with its backward and its end is 1,900 instructions (3,100 before rules of one op ran without tensors "
        "of their own), of which 70% are the tape's, 25% the interpreter's and its collector's and 6% arithmetic"
    ),
    "installed size, over NumPy's": (
        "2.9 MB are kernels for three instruction sets (for size instead of speed 2, but then products take three times as "
        "long), 4.9 MB the modules of the core, stripped and mostly compiled for size, 1.7 MB Python and its bytecode; helpers "
        "shared between the modules would save 0.3 MB"
    ),
}
