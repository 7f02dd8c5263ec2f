/* Random numbers: fills of dense tensors, and dropout. attrs.i[0] is the address of a bit generator that the core keeps
 * alive and locked.
 *
 * Compiled once, without fused multiply-adds and with the project's own logarithm and cosine: a seed gives the same
 * numbers on every processor. Rejected: the ziggurat (faster for one number, but its tables and branches do not
 * vectorise). */
#include "kernel.h"
#include "vmath.h"

/* As NumPy's numpy/random/bitgen.h defines it. */
typedef struct {
    void *state;
    uint64_t (*next_uint64)(void *state);
    uint32_t (*next_uint32)(void *state);
    double (*next_double)(void *state);
    uint64_t (*next_raw)(void *state);
} bitgen;

enum { WORDS = 64 }; /* drawn at a time, so that the loops over them vectorise */

static const bitgen *source(const fg_call *c) { return (const bitgen *)(intptr_t)c->attrs->i[0]; }

static void draw(const bitgen *g, int64_t n, uint64_t *words) {
    for (int64_t i = 0; i < n; i++) words[i] = g->next_uint64(g->state);
}

static int64_t at_most(int64_t n, int64_t limit) { return n < limit ? n : limit; }

/* The k-th number of a float32 fill comes from the low half of word k / 2, or from its high half. */
static void halves(const uint64_t *words, int64_t n, int32_t *out) {
    for (int64_t i = 0; i < n; i++) {
        out[2 * i] = (int32_t)(uint32_t)words[i];
        out[2 * i + 1] = (int32_t)(words[i] >> 32);
    }
}

/* Uniform numbers of the bits, by conversions that every instruction set has for vectors. */
static inline float unit_f32(int32_t bits) { /* [0, 1) */ return (float)(int32_t)((uint32_t)bits >> 8) * 0x1p-24f; }
static inline float positive_f32(int32_t bits) { /* (0, 1], down to 2^-32 */
    return ((float)(int32_t)((uint32_t)bits >> 1) + 0.5f) * 0x1p-31f;
}
static inline double unit_f64(uint64_t word) { /* [0, 1) */ return (double)(int64_t)(word >> 11) * 0x1p-53; }
static inline double mantissa_f64(uint64_t word) { /* [1, 2) */
    return fg_from_bits_f64(word >> 12 | 0x3ff0000000000000u);
}
static inline double positive_f64(uint64_t word) { /* (0, 1] */ return 2 - mantissa_f64(word); }

/* ---- uniform: f[0] + (f[1] - f[0]) u with u in [0, 1) --------------------------------------------------------------- */

static int uniform_f32(fg_call *c) {
    float *y = c->v->data, from = (float)c->attrs->f[0], width = (float)(c->attrs->f[1] - c->attrs->f[0]);
    uint64_t words[WORDS];
    int32_t bits[2 * WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, 2 * WORDS);
        draw(source(c), (n + 1) / 2, words);
        halves(words, (n + 1) / 2, bits);
        for (int64_t i = 0; i < n; i++) y[i] = from + width * unit_f32(bits[i]);
    }
    return FG_OK;
}

static int uniform_f64(fg_call *c) {
    double *y = c->v->data, from = c->attrs->f[0], width = c->attrs->f[1] - c->attrs->f[0];
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, WORDS);
        draw(source(c), n, words);
        for (int64_t i = 0; i < n; i++) y[i] = from + width * unit_f64(words[i]);
    }
    return FG_OK;
}

/* ---- normal: f[0] + f[1] z, z by Box and Muller (1958): r cos(a) and r sin(a) with r = sqrt(-2 log u) ---------------
 * The angle's two top bits are its quadrant, the others its place from -pi/4 to pi/4 in there: no reduction is needed.
 * One word gives two float32, |z| < 6.7; two words give two float64, |z| < 8.5. */

#define QUARTER_F32 0x1.921fb6p-1f /* pi / 4 */
#define HALF_F64 0x1.921fb54442d18p+0 /* pi / 2 */

static int normal_f32(fg_call *c) {
    float *y = c->v->data, mean = (float)c->attrs->f[0], std = (float)c->attrs->f[1], z[2 * WORDS];
    uint64_t words[WORDS];
    int32_t low[WORDS], high[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, 2 * WORDS);
        int64_t pairs = (n + 1) / 2;
        draw(source(c), pairs, words);
        for (int64_t i = 0; i < pairs; i++) low[i] = (int32_t)(uint32_t)words[i], high[i] = (int32_t)(words[i] >> 32);
        for (int64_t i = 0; i < pairs; i++) {
            uint32_t quadrant = (uint32_t)high[i] >> 30;
            float a = (float)(int32_t)((uint32_t)high[i] << 2) * (0x1p-31f * QUARTER_F32);
            float r = std * sqrtf(-2 * fg_log_f32(positive_f32(low[i])));
            z[2 * i] = r * fg_sin_cos_f32(a, quadrant + 1);
            z[2 * i + 1] = r * fg_sin_cos_f32(a, quadrant);
        }
        for (int64_t i = 0; i < n; i++) y[i] = mean + z[i];
    }
    return FG_OK;
}

static int normal_f64(fg_call *c) {
    double *y = c->v->data, mean = c->attrs->f[0], std = c->attrs->f[1], z[WORDS];
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, WORDS);
        draw(source(c), n + (n & 1), words);
        for (int64_t i = 0; i < n; i += 2) {
            uint64_t quadrant = words[i + 1] >> 62;
            double a = (mantissa_f64(words[i + 1] << 2) - 1.5) * HALF_F64;
            double r = std * sqrt(-2 * fg_log_f64(positive_f64(words[i])));
            z[i] = r * fg_sin_cos_f64(a, quadrant + 1);
            z[i + 1] = r * fg_sin_cos_f64(a, quadrant);
        }
        for (int64_t i = 0; i < n; i++) y[i] = mean + z[i];
    }
    return FG_OK;
}

/* ---- exponential: -log(u) / f[0] with u in (0, 1] ------------------------------------------------------------------- */

static int exponential_f32(fg_call *c) {
    float *y = c->v->data, scale = (float)(-1 / c->attrs->f[0]);
    uint64_t words[WORDS];
    int32_t bits[2 * WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, 2 * WORDS);
        draw(source(c), (n + 1) / 2, words);
        halves(words, (n + 1) / 2, bits);
        for (int64_t i = 0; i < n; i++) y[i] = scale * fg_log_f32(positive_f32(bits[i]));
    }
    return FG_OK;
}

static int exponential_f64(fg_call *c) {
    double *y = c->v->data, scale = -1 / c->attrs->f[0];
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, WORDS);
        draw(source(c), n, words);
        for (int64_t i = 0; i < n; i++) y[i] = scale * fg_log_f64(positive_f64(words[i]));
    }
    return FG_OK;
}

/* ---- integers: i[1] + k with k uniform in [0, i[2]); i[2] = 0 means all 2^64 ---------------------------------------- */

static uint64_t below(const bitgen *g, uint64_t span) {
    uint64_t word = g->next_uint64(g->state), uneven;
    if (span == 0) return word;
    uneven = (0 - span) % span; /* 2^64 mod span: that many words are left out, the rest is even */
    while (word < uneven) word = g->next_uint64(g->state);
    return word % span;
}

static void put_integer(const fg_view *y, int64_t k, int64_t value) {
    switch (y->dtype) {
    case FG_F32: ((float *)y->data)[k] = (float)value; break;
    case FG_F64: ((double *)y->data)[k] = (double)value; break;
    case FG_I64: ((int64_t *)y->data)[k] = value; break;
    case FG_I32: ((int32_t *)y->data)[k] = (int32_t)value; break;
    default: ((uint8_t *)y->data)[k] = (uint8_t)value;
    }
}

static int integers(fg_call *c) {
    uint64_t from = (uint64_t)c->attrs->i[1], span = (uint64_t)c->attrs->i[2];
    for (int64_t k = 0; k < c->v->lay->size; k++) put_integer(c->v, k, (int64_t)(from + below(source(c), span)));
    return FG_OK;
}

/* ---- permutation: 0..n-1 shuffled (Fisher and Yates, as Durstenfeld 1964 wrote it) ---------------------------------- */

static int permutation(fg_call *c) {
    int64_t *y = c->v->data, n = c->v->lay->size;
    for (int64_t k = 0; k < n; k++) y[k] = k;
    for (int64_t k = n - 1; k > 0; k--) {
        int64_t j = (int64_t)below(source(c), (uint64_t)k + 1), other = y[j];
        y[j] = y[k];
        y[k] = other;
    }
    return FG_OK;
}

/* ---- bernoulli: 1 with probability f[0] (a multiple of 2^-32), else 0; dropout -------------------------------------- */

static void coins(const bitgen *g, double p, int64_t n, uint8_t *out) {
    uint64_t words[WORDS], limit = (uint64_t)(p * 0x1p32);
    for (int64_t m; n > 0; n -= m, out += m) {
        m = at_most(n, 2 * WORDS);
        draw(g, (m + 1) / 2, words);
        for (int64_t i = 0; i < m / 2; i++) {
            out[2 * i] = (uint32_t)words[i] < limit;
            out[2 * i + 1] = words[i] >> 32 < limit;
        }
        if (m & 1) out[m - 1] = (uint32_t)words[m / 2] < limit;
    }
}

static int bernoulli(fg_call *c) {
    uint8_t block[2 * WORDS];
    for (int64_t at = 0, n; at < c->v->lay->size; at += n) {
        n = at_most(c->v->lay->size - at, 2 * WORDS);
        coins(source(c), c->attrs->f[0], n, block);
        for (int64_t i = 0; i < n; i++) put_integer(c->v, at + i, block[i]);
    }
    return FG_OK;
}

/* y, mask, x: y = x f[1] where the mask, 1 with probability f[0], is set, else 0. dropout_vjp: the same with a mask
 * given. The mask selects bits: a branch on it would be mispredicted every other time. */
#define DROPOUT(T, U, s)                                                                                              \
    static void masked_##s(int64_t n, T scale, const uint8_t *kept, const T *x, T *y) {                               \
        for (int64_t i = 0; i < n; i++) y[i] = fg_from_bits_##s(fg_bits_##s(scale * x[i]) & (0 - (U)(kept[i] != 0))); \
    }                                                                                                                 \
    static int dropout_vjp_##s(fg_call *c) {                                                                          \
        masked_##s(c->v->lay->size, (T)c->attrs->f[1], c->v[2].data, c->v[1].data, c->v[0].data);                     \
        return FG_OK;                                                                                                 \
    }                                                                                                                 \
    static int dropout_##s(fg_call *c) {                                                                              \
        coins(source(c), c->attrs->f[0], c->v->lay->size, c->v[1].data);                                              \
        masked_##s(c->v->lay->size, (T)c->attrs->f[1], c->v[1].data, c->v[2].data, c->v[0].data);                     \
        return FG_OK;                                                                                                 \
    }
DROPOUT(float, uint32_t, f32)
DROPOUT(double, uint64_t, f64)

#define REAL(name) {name##_f32, name##_f64}
#define ALL(k) {k, k, k, k, k, k}
const fg_entry fg_random_entries[] = {
    {"uniform", REAL(uniform)},  {"normal", REAL(normal)},           {"exponential", REAL(exponential)},
    {"integers", ALL(integers)}, {"bernoulli", ALL(bernoulli)},      {"permutation", {NULL, NULL, permutation}},
    {"dropout", REAL(dropout)},  {"dropout_vjp", REAL(dropout_vjp)}, {NULL, {NULL}},
};
