"""What limits a target that is missed, as its profile showed: the text that stands beside it in the report."""

# What a verdict is about -> one sentence. An entry is printed only where the target is missed.
LIMITS = {
    "1 x 4-64-64-2, SGD, fastgrad": (
        "counted, kernels are 28% of the 51,000 instructions of a step, the tape 48% and the interpreter 24%: what is left is "
        "one call for each module, op and rule"
    ),
    **dict.fromkeys(
        ("64 x 64-64-10, SGD, fastgrad compiled", "64 x 64-64-10, AdamW, fastgrad compiled"),
        "timed one by one in a running step, the kernels take 1.08 times what the floor's parts do, nearly all of it in the "
        "first forward product, whose weight lies transposed (3.7 us with bias and relu, against 3.0; turning 64 x 64 numbers "
        "is 0.25); the rest is the call from Python, 4,000 instructions that find the first-level cache full of the net",
    ),
    "32 x 784-128-10, SGD, fastgrad compiled": (
        "timed one by one in a running step, the two products of the first layer are all of it: 37.5 and 40.5 us on a weight "
        "of [128, 784], against 31.9 and 35.4 on the floor's of [784, 128]"
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
