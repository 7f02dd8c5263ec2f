/* The walk of a reduction for one pair of types; included once for each pair. The includer defines
 *   T      the elements       A  what they accumulate in
 *   FN(x)  the static name for this pair
 * The walk is compiled once; what a reduction is (FN(kind)) comes as four functions, so that only they multiply.
 *
 * Blocks of up to BLOCK elements, or of ROWS rows, are reduced one after the other and paired as in a binary tree, so
 * that the error of a long sum grows with the logarithm of its length. */

enum { FN(BLOCK) = 1024, FN(WIDTH) = 128, FN(ROWS) = 128, FN(LEVELS) = 48 };

typedef struct {
    A init; /* the neutral element */
    A (*run)(const T *x, int64_t n, A c); /* at most BLOCK dense elements; c is what map gets as its second argument */
    void (*rows)(A *s, const T *x, int64_t rows, int64_t step, int64_t w, const A *c); /* into w totals, column-wise */
    void (*merge)(A *s, const A *t, int64_t w);
    void (*fin)(A *y, const A *s, const A *c, A p, int64_t w);
} FN(kind);

/* Four rows at a time: a total is loaded and stored once for four elements. */
FG_ALWAYS_INLINE void FN(rows)(A *s, const T *x, int64_t rows, int64_t step, int64_t w, const A *c, A (*map)(T, A),
                               A (*op)(A, A)) {
    for (; rows >= 4; rows -= 4, x += 4 * step) {
        const T *x1 = x + step, *x2 = x1 + step, *x3 = x2 + step;
        FG_IVDEP
        for (int64_t j = 0; j < w; j++)
            s[j] = op(s[j], op(op(map(x[j], c[j]), map(x1[j], c[j])), op(map(x2[j], c[j]), map(x3[j], c[j]))));
    }
    for (; rows > 0; rows--, x += step) {
        FG_IVDEP
        for (int64_t j = 0; j < w; j++) s[j] = op(s[j], map(x[j], c[j]));
    }
}

/* Partial results waiting for one of equal weight, as the digits of a binary counter. */
typedef struct {
    int64_t pushed;
    int top;
    A part[FN(LEVELS)];
} FN(tree);

static void FN(push)(FN(tree) * t, A part, const FN(kind) * k) {
    t->part[t->top] = part;
    for (int64_t m = ++t->pushed; !(m & 1); m >>= 1, t->top--) k->merge(&t->part[t->top - 1], &t->part[t->top], 1);
    t->top++;
}

static A FN(total)(FN(tree) * t, const FN(kind) * k) {
    while (--t->top) k->merge(&t->part[t->top - 1], &t->part[t->top], 1);
    return t->part[0];
}

static A FN(row)(const T *x, int64_t n, A c, const FN(kind) * k) {
    if (FG_LIKELY(n <= FN(BLOCK))) return k->run(x, n, c);
    FN(tree) tree;
    tree.pushed = tree.top = 0;
    for (; n > FN(BLOCK); n -= FN(BLOCK), x += FN(BLOCK)) FN(push)(&tree, k->run(x, FN(BLOCK), c), k);
    FN(push)(&tree, k->run(x, n, c), k);
    return FN(total)(&tree, k);
}

/* One output whose elements lie anywhere: gathered block by block, then as above. */
static A FN(scattered)(const T *x, const fg_axes *gone, A c, const FN(kind) * k) {
    FN(tree) tree;
    fg_position p;
    T block[FN(BLOCK)];
    int64_t n = 0, inner = gone->ndim - 1, len = gone->shape[inner], step = gone->stride[inner];
    tree.pushed = tree.top = 0;
    fg_start(&p);
    do
        for (int64_t i = 0; i < len; i++) {
            block[n++] = x[p.at + i * step];
            if (n < FN(BLOCK)) continue;
            FN(push)(&tree, k->run(block, n, c), k);
            n = 0;
        }
    while (fg_advance(&p, gone, (int)inner));
    FN(push)(&tree, k->run(block, n, c), k);
    return FN(total)(&tree, k);
}

/* w <= WIDTH outputs side by side, in vectors across them, ROWS rows to a block. */
static void FN(columns)(const T *x, const fg_axes *gone, int64_t w, A *y, const A *c, A p, const FN(kind) * k) {
    A part[FN(LEVELS)][FN(WIDTH)];
    int top = 0;
    int64_t pushed = 0, room = FN(ROWS), inner = gone->ndim - 1, len = gone->shape[inner], step = gone->stride[inner];
    fg_position at;
    fg_start(&at);
    for (int64_t j = 0; j < w; j++) part[0][j] = k->init;
    do
        for (int64_t i = 0, rows; i < len; i += rows) {
            rows = len - i < room ? len - i : room;
            k->rows(part[top], x + at.at + i * step, rows, step, w, c);
            room -= rows;
            if (room) continue;
            room = FN(ROWS);
            for (int64_t m = ++pushed; !(m & 1); m >>= 1, top--) k->merge(part[top - 1], part[top], w);
            top++;
            for (int64_t j = 0; j < w; j++) part[top][j] = k->init;
        }
    while (fg_advance(&at, gone, (int)inner));
    for (; top; top--) k->merge(part[top - 1], part[top], w);
    k->fin(y, part[0], c, p, w);
}

/* y[j] from the elements behind output j. `centres` has one value for each output (y itself will do), or is NULL and
 * the parameter p stands for each. */
static int FN(reduce)(const fg_view *v, uint32_t axes, A *y, const A *centres, A p, const FN(kind) * k) {
    const fg_layout *lay = v->lay;
    const T *x = v->data;
    if (FG_LIKELY(lay->flags & FG_DENSE && axes == (1u << lay->ndim) - 1)) {
        A c = centres ? centres[0] : p, s = FN(row)(x, lay->size, c, k);
        k->fin(y, &s, &c, p, 1);
        return FG_OK;
    }
    fg_reduction r;
    fg_position at;
    fg_reduction_init(&r, lay, axes);
    fg_start(&at);
    if (!r.gone.ndim) r.gone = (fg_axes){1, {r.count}, {1}};
    int64_t inner = r.kept.ndim && r.kept.stride[r.kept.ndim - 1] == 1 ? r.kept.shape[r.kept.ndim - 1] : 1;
    if (r.count == 0 || (fg_is_run(&r.gone) && (r.count > 1 || inner == 1)))
        for (int64_t o = 0, w; o < r.outs; o += w) { /* several at a time: finishing one costs as much as a short row */
            A s[FN(WIDTH)], c[FN(WIDTH)];
            w = r.outs - o < FN(WIDTH) ? r.outs - o : FN(WIDTH);
            for (int64_t j = 0; j < w; j++) {
                c[j] = centres ? centres[o + j] : p;
                s[j] = FN(row)(x + at.at, r.count, c[j], k);
                fg_advance(&at, &r.kept, r.kept.ndim);
            }
            k->fin(y + o, s, c, p, w);
        }
    else if (inner > 1)
        for (int64_t o = 0; o < r.outs; o += inner) {
            for (int64_t j = 0; j < inner; j += FN(WIDTH)) {
                A c[FN(WIDTH)];
                int64_t w = inner - j < FN(WIDTH) ? inner - j : FN(WIDTH);
                for (int64_t i = 0; i < w; i++) c[i] = centres ? centres[o + j + i] : p;
                FN(columns)(x + at.at + j, &r.gone, w, y + o + j, c, p, k);
            }
            fg_advance(&at, &r.kept, r.kept.ndim - 1);
        }
    else
        for (int64_t o = 0; o < r.outs; o++) {
            A c = centres ? centres[o] : p, s = FN(scattered)(x + at.at, &r.gone, c, k);
            k->fin(y + o, &s, &c, p, 1);
            fg_advance(&at, &r.kept, r.kept.ndim);
        }
    return FG_OK;
}
