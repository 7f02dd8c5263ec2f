"""What limits a target that is missed, as its profile showed: the text that stands beside it in the report."""

# What a verdict is about -> one sentence. An entry is printed only where the target is missed.
LIMITS = {
    "1 x 4-64-64-2, SGD, fastgrad": (
        "counted, kernels are 32% of the 40,600 instructions of a step, the tape 51% and the interpreter 17%: what is left is "
        "one call for each module, op and rule"
    ),
    "1 x 4-64-64-2, SGD, fastgrad compiled": (
        "a step of the native loop takes 0.9 times the floor: the rest is the call from Python with its guards, 0.25 us"
    ),
    **dict.fromkeys(
        ("64 x 64-64-10, SGD, fastgrad compiled", "64 x 64-64-10, AdamW, fastgrad compiled"),
        "a step of the native loop takes 1.03 to 1.06 times the floor, nearly all of it in the first forward product, whose "
        "weight lies transposed; the rest is the call from Python, 1,900 instructions that find the first-level cache full of "
        "the net (0.25 us beside a net of two rows, 0.5 to 0.9 here); from run to run between 1.06 and 1.15",
    ),
    **dict.fromkeys(
        (
            "32 x 784-128-10, SGD, fastgrad compiled",
            "32 x 784-128-10, SGD, fastgrad compiled loop",
            "32 x 784-128-10, AdamW, fastgrad compiled",
            "32 x 784-128-10, AdamW, fastgrad compiled loop",
        ),
        "timed one by one in a running step, the two products of the first layer are all of it: 37.5 and 40.5 us on a weight "
        "of [128, 784], against 31.9 and 35.4 on the floor's of [784, 128]; between 1.10 and 1.15 beside few contenders, "
        "up to 1.3 in a process that runs all of them: 94 to 119 us from process to process, whatever the addresses modulo "
        "a page",
    ),
    "64 x 64-64-10, SGD, fastgrad": (
        "from run to run between 1.42 and 1.63: counted, a step is 261,000 instructions where a compiled one is 238,000"
    ),
    "two threads, 1 x 4-64-64-2, SGD": (
        "from run to run between 1.59 and 1.90: what makes the net, records the first calls and begins a stretch holds the GIL"
    ),
    "Hv of 64 x 64-64-10, fastgrad": (
        "profiled, its products take 2.2 times the operations of the gradient's (2.8 against 1.3 million), in 27 calls of "
        "kernels against 8"
    ),
    "Hv of 64 x 64-64-10, fastgrad compiled": (
        "26 calls against 8, with 1.7 times the operations of the gradient's and 2.2 times the bytes, which all fit a cache"
    ),
    "exp, 100,000 elements": (
        "ours is 12 vector instructions for 16 numbers at two a cycle; beside PyTorch's, which is MKL's, from 0.86 to 1.06 "
        "from run to run"
    ),
    "scalar graph of the moons net": (
        "counted, an op with its backward and its end is 1,900 instructions (3,100 before rules of one op ran without tensors "
        "of their own), of which 70% are the tape's, 25% the interpreter's and its collector's and 6% arithmetic"
    ),
    "tanh, 100,000 elements": (
        "where PyTorch's tanh is MKL's, with AVX-512, a quarter of its time is less than a relu takes, which only reads and "
        "writes; ours is 28 vector instructions at two a cycle (beside PyTorch held to AVX2 it takes 0.27 of the time)"
    ),
    "gelu, 100,000 elements": (
        "ours is 38 vector instructions at two a cycle beside a quotient: right to 8 ulp down to -10, where PyTorch's 1 + erf "
        "has an absolute error; the split of the square that this takes is 5 of them"
    ),
    "softmax cross-entropy 1024x1000": (
        "the kernels alone take 0.30 ms forward, where the scores are read and the probabilities written at the rate of a copy, "
        "and 0.14 back, where the gradient is written over them at the rate of memory"
    ),
    "installed size, over NumPy's": (
        "2.7 MB are kernels for three instruction sets (at -O2 0.3 less, but a loss of short rows then takes 20% more "
        "instructions), 5.9 MB the modules of the core, stripped, without unwind tables and mostly compiled for size, 2.4 MB "
        "Python, its stubs and its bytecode"
    ),
}
