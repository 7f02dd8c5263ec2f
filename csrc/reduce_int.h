/* What reductions of integers and bools are made of; exact, and wrapping around where a sum leaves the range. */

/* One chain: a compiler may reorder integers. (In four chains gcc 12 adds bytes wrongly.) */
FG_ALWAYS_INLINE A FN(run)(const T *x, int64_t n, A c, A init, A (*map)(T, A), A (*op)(A, A)) {
    for (int64_t i = 0; i < n; i++) init = op(init, map(x[i], c));
    return init;
}

MAP(self, (A)x)
MAP(nonzero, x != 0)

OP(plus, (A)((uint64_t)a + (uint64_t)b))
OP(times, (A)((uint64_t)a * (uint64_t)b))
OP(greater, a > b ? a : b)
OP(less, a < b ? a : b)

FIN(keep, s)
