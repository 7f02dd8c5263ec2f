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

/* The two 32-bit halves of the words are the k-th numbers of a float32 fill, in this order on every byte order. */
static uint32_t half(const uint64_t *words, int64_t k) { return (uint32_t)(words[k >> 1] >> (k & 1 ? 32 : 0)); }

/* ---- uniform: f[0] + (f[1] - f[0]) u with u in [0, 1) --------------------------------------------------------------- */

static int uniform_f32(fg_call *c) {
    float *y = c->v->data, from = (float)c->attrs->f[0], width = (float)(c->attrs->f[1] - c->attrs->f[0]);
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, 2 * WORDS);
        draw(source(c), (n + 1) / 2, words);
        for (int64_t i = 0; i < n; i++) y[i] = from + width * ((float)(half(words, i) >> 8) * 0x1p-24f);
    }
    return FG_OK;
}

static int uniform_f64(fg_call *c) {
    double *y = c->v->data, from = c->attrs->f[0], width = c->attrs->f[1] - c->attrs->f[0];
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, WORDS);
        draw(source(c), n, words);
        for (int64_t i = 0; i < n; i++) y[i] = from + width * ((double)(words[i] >> 11) * 0x1p-53);
    }
    return FG_OK;
}

/* ---- normal: f[0] + f[1] z, z by Box and Muller (1958): r cos(a) and r sin(a) with r = sqrt(-2 log u), a = 2 pi v ---
 * One word gives two float32 and u has 32 bits, so |z| < 6.8; two words give two float64, |z| < 8.6. */

static int normal_f32(fg_call *c) {
    float *y = c->v->data, mean = (float)c->attrs->f[0], std = (float)c->attrs->f[1], z[2 * WORDS];
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, 2 * WORDS);
        draw(source(c), (n + 1) / 2, words);
        for (int64_t i = 0; i < (n + 1) / 2; i++) {
            float u = (float)(uint32_t)words[i] * 0x1p-32f + 0x1p-33f;
            float a = (float)(words[i] >> 40) * (6.28318530717958648f * 0x1p-24f);
            float r = std * sqrtf(-2 * fg_log_f32(u));
            z[2 * i] = r * fg_cos_f32(a);
            z[2 * i + 1] = r * fg_sin_f32(a);
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
            double u = (double)((words[i] >> 11) + 1) * 0x1p-53;
            double a = (double)(words[i + 1] >> 11) * (6.28318530717958648 * 0x1p-53);
            double r = std * sqrt(-2 * fg_log_f64(u));
            z[i] = r * fg_cos_f64(a);
            z[i + 1] = r * fg_sin_f64(a);
        }
        for (int64_t i = 0; i < n; i++) y[i] = mean + z[i];
    }
    return FG_OK;
}

/* ---- exponential: -log(u) / f[0] with u in (0, 1] ------------------------------------------------------------------- */

static int exponential_f32(fg_call *c) {
    float *y = c->v->data, scale = (float)(-1 / c->attrs->f[0]);
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, 2 * WORDS);
        draw(source(c), (n + 1) / 2, words);
        for (int64_t i = 0; i < n; i++) y[i] = scale * fg_log_f32((float)half(words, i) * 0x1p-32f + 0x1p-33f);
    }
    return FG_OK;
}

static int exponential_f64(fg_call *c) {
    double *y = c->v->data, scale = -1 / c->attrs->f[0];
    uint64_t words[WORDS];
    for (int64_t left = c->v->lay->size, n; left > 0; left -= n, y += n) {
        n = at_most(left, WORDS);
        draw(source(c), n, words);
        for (int64_t i = 0; i < n; i++) y[i] = scale * fg_log_f64((double)((words[i] >> 11) + 1) * 0x1p-53);
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
        for (int64_t i = 0; i < m; i++) out[i] = half(words, i) < limit;
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

/* y, mask, x: y = x f[1] where the mask, 1 with probability f[0], is set, else 0. dropout_vjp: the same with a mask given. */
#define DROPOUT(T, s)                                                      \
    static int dropout_vjp_##s(fg_call *c) {                               \
        const T *g = c->v[1].data, scale = (T)c->attrs->f[1];              \
        const uint8_t *kept = c->v[2].data;                                \
        T *y = c->v[0].data;                                               \
        int64_t n = c->v[0].lay->size;                                     \
        for (int64_t i = 0; i < n; i++) y[i] = kept[i] ? scale * g[i] : 0; \
        return FG_OK;                                                      \
    }                                                                      \
    static int dropout_##s(fg_call *c) {                                   \
        const T *x = c->v[2].data, scale = (T)c->attrs->f[1];              \
        uint8_t *kept = c->v[1].data;                                      \
        T *y = c->v[0].data;                                               \
        int64_t n = c->v[0].lay->size;                                     \
        coins(source(c), c->attrs->f[0], n, kept);                         \
        for (int64_t i = 0; i < n; i++) y[i] = kept[i] ? scale * x[i] : 0; \
        return FG_OK;                                                      \
    }
DROPOUT(float, f32)
DROPOUT(double, f64)

#define REAL(name) {name##_f32, name##_f64}
#define ALL(k) {k, k, k, k, k, k}
const fg_entry fg_random_entries[] = {
    {"uniform", REAL(uniform)},  {"normal", REAL(normal)},           {"exponential", REAL(exponential)},
    {"integers", ALL(integers)}, {"bernoulli", ALL(bernoulli)},      {"permutation", {NULL, NULL, permutation}},
    {"dropout", REAL(dropout)},  {"dropout_vjp", REAL(dropout_vjp)}, {NULL, {NULL}},
};
