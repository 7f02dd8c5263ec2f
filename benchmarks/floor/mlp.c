/* The floor: what one training step of a ReLU MLP costs when written by hand in C, and so what a library's step is divided
 * by. Forward, softmax cross-entropy, backward and the optimiser, in float32, with every buffer allocated before the first
 * step. Weights are stored [in, out], so that the forward product needs no transposed operand. No gradient of the first
 * layer's input is made. Each product runs on BLAS or on gemm.h, whichever was faster when it was timed at the start. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "gemm.h"

enum { MAX_LAYERS = 8, FORWARD = 0, D_INPUT, D_WEIGHT, PRODUCTS };
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 }; /* CBLAS's constants */

typedef void (*sgemm_fn)(int order, int ta, int tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                         int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

typedef struct {
    float lr, beta1, beta2, eps, weight_decay;
} hyper;

typedef struct {
    int64_t in, out;
    float *w, *b, *dw, *db; /* into mlp.param and mlp.grad */
    float *y, *dy; /* [batch, out]: the activation, and the gradient before it */
    int own[PRODUCTS]; /* the product runs on gemm.h */
} layer;

typedef struct {
    int64_t layers, batch, params, step;
    sgemm_fn sgemm;
    int adamw;
    hyper h;
    float *param, *grad, *m, *v, *scratch;
    layer layer[MAX_LAYERS];
} mlp;

/* Zeroed, on a cache line, and one vector longer than asked: gemm.h may read past an end. */
static float *buffer(int64_t count) {
    size_t bytes = ((size_t)count * sizeof(float) + LANES * sizeof(float) + 63) / 64 * 64;
    float *p = aligned_alloc(64, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

/* One of the three products of a layer, on `x` its input and `dx` where its input's gradient goes. */
static void product(const mlp *net, const layer *l, int which, const float *x, float *dx) {
    int64_t batch = net->batch, in = l->in, out = l->out;
    int own = l->own[which];
    if (which == FORWARD) {
        if (own) small_gemm(batch, out, in, x, in, 1, l->w, out, l->y, out);
        else net->sgemm(ROW_MAJOR, NO_TRANS, NO_TRANS, batch, out, in, 1, x, in, l->w, out, 0, l->y, out);
    } else if (which == D_WEIGHT) {
        if (own && batch == 1) BY_WIDTH(outer, out, in, x, l->dy, l->dw);
        else if (own) small_gemm(in, out, batch, x, 1, in, l->dy, out, l->dw, out);
        else net->sgemm(ROW_MAJOR, TRANS, NO_TRANS, in, out, batch, 1, x, in, l->dy, out, 0, l->dw, out);
    } else if (!own) {
        net->sgemm(ROW_MAJOR, NO_TRANS, TRANS, batch, in, out, 1, l->dy, out, l->w, out, 0, dx, in);
    } else if (batch == 1) {
        BY_WIDTH(rows_dot, out, in, l->w, l->dy, dx);
    } else {
        transpose(in, out, l->w, net->scratch);
        small_gemm(batch, in, out, l->dy, out, 1, net->scratch, in, dx, in);
    }
}

static void add_bias_relu(int64_t batch, int64_t n, const float *restrict b, float *restrict y) {
    for (int64_t i = 0; i < batch; i++, y += n)
        for (int64_t j = 0; j < n; j++) {
            float t = y[j] + b[j];
            y[j] = t > 0 ? t : 0;
        }
}

/* dy becomes the gradient before the activation, db its sum over the batch. */
static void relu_backward(int64_t batch, int64_t n, const float *restrict y, float *restrict dy, float *restrict db) {
    for (int64_t j = 0; j < n; j++) db[j] = 0;
    for (int64_t i = 0; i < batch; i++, y += n, dy += n)
        for (int64_t j = 0; j < n; j++) {
            float t = y[j] > 0 ? dy[j] : 0;
            dy[j] = t;
            db[j] += t;
        }
}

/* exp(x) for x <= 0 to 2e-7 relative: 2^k times a Taylor polynomial on |r| <= ln(2)/2; 0 below the normal numbers. */
static inline float exp_negative(float x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to the nearest integer */
    float t = x * 1.44269504f + magic, k = t - magic;
    float r = x - k * 0.693145752f - k * 1.42860677e-6f;
    float p = 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    union {
        float f;
        int32_t i;
    } scale = {.i = ((int32_t)k + 127) << 23};
    return x > -87.0f ? p * scale.f : 0.0f;
}

/* Mean softmax cross-entropy of z + b against the labels; dz = (softmax - onehot) / batch, db its sum over the batch. */
static inline __attribute__((always_inline)) float cross_entropy(int64_t batch, float *restrict z,
                                                                 const float *restrict b, const int64_t *label,
                                                                 float *restrict dz, float *restrict db, int64_t n) {
    float inverse = 1.0f / (float)batch;
    double loss = 0, product = 1; /* the logarithms of the sums are taken together, as that of their product */
    for (int64_t i = 0; i < batch; i++) {
        float *row = z + i * n, top = -INFINITY;
        for (int64_t j = 0; j < n; j++) row[j] += b[j];
        for (int64_t j = 0; j < n; j++) top = row[j] > top ? row[j] : top;
        for (int64_t j = 0; j < n; j++) row[j] -= top;
        loss -= row[label[i]];
    }
    for (int64_t i = 0; i < batch * n; i++) dz[i] = exp_negative(z[i]);
    for (int64_t j = 0; j < n; j++) db[j] = 0;
    for (int64_t i = 0; i < batch; i++) {
        float *row = dz + i * n, sum = 0;
        for (int64_t j = 0; j < n; j++) sum += row[j];
        product *= sum;
        if (product > 1e200) {
            loss += log(product);
            product = 1;
        }
        float scale = inverse / sum;
        for (int64_t j = 0; j < n; j++) row[j] *= scale;
        row[label[i]] -= inverse;
        for (int64_t j = 0; j < n; j++) db[j] += row[j];
    }
    return (float)((loss + log(product)) * inverse);
}

static void sgd(int64_t n, float lr, const float *restrict g, float *restrict p) {
    for (int64_t i = 0; i < n; i++) p[i] -= lr * g[i];
}

/* Decoupled weight decay (Loshchilov and Hutter 2019), with PyTorch's place for eps. */
static void adamw(int64_t n, hyper h, int64_t step, const float *restrict g, float *restrict m, float *restrict v,
                  float *restrict p) {
    float rate = (float)(h.lr / (1 - pow(h.beta1, (double)step)));
    float root = (float)(1 / sqrt(1 - pow(h.beta2, (double)step)));
    float keep = 1 - h.lr * h.weight_decay;
    for (int64_t i = 0; i < n; i++) {
        m[i] = h.beta1 * m[i] + (1 - h.beta1) * g[i];
        v[i] = h.beta2 * v[i] + (1 - h.beta2) * g[i] * g[i];
        p[i] = keep * p[i] - rate * m[i] / (sqrtf(v[i]) * root + h.eps);
    }
}

static float train_step(mlp *net, const float *x, const int64_t *label) {
    layer *l = net->layer, *last = l + net->layers - 1;
    for (const float *in = x; l <= last; in = l->y, l++) {
        product(net, l, FORWARD, in, NULL);
        if (l < last) add_bias_relu(net->batch, l->out, l->b, l->y);
    }
    float loss = BY_WIDTH(cross_entropy, last->out, net->batch, last->y, last->b, label, last->dy, last->db);
    for (l = last; l >= net->layer; l--) {
        layer *below = l > net->layer ? l - 1 : NULL;
        product(net, l, D_WEIGHT, below ? below->y : x, NULL);
        if (!below) break;
        product(net, l, D_INPUT, NULL, below->dy);
        relu_backward(net->batch, below->out, below->y, below->dy, below->db);
    }
    net->step++;
    if (net->adamw) adamw(net->params, net->h, net->step, net->grad, net->m, net->v, net->param);
    else sgd(net->params, net->h.lr, net->grad, net->param);
    return loss;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least of several timings of one product on what its layer's `own` says, in seconds. */
static double time_product(const mlp *net, const layer *l, int which, const float *x, float *dx) {
    double best = 1e9, flops = 2.0 * (double)(net->batch * l->in * l->out);
    int repeat = flops < 1e6 ? 100 : flops < 1e8 ? 3 : 1;
    product(net, l, which, x, dx);
    for (int round = 0; round < 9; round++) {
        double start = now();
        for (int i = 0; i < repeat; i++) product(net, l, which, x, dx);
        double took = (now() - start) / repeat;
        if (took < best) best = took;
    }
    return best;
}

static void choose_products(mlp *net) {
    for (layer *l = net->layer; l < net->layer + net->layers; l++)
        for (int which = 0; which < PRODUCTS; which++) {
            if (which == D_INPUT && l == net->layer) continue; /* never made */
            float *x = buffer(net->batch * l->in), *dx = buffer(net->batch * l->in);
            l->own[which] = 0;
            double blas = time_product(net, l, which, x, dx);
            l->own[which] = 1;
            double own = time_product(net, l, which, x, dx);
            l->own[which] = own < blas;
            free(x);
            free(dx);
        }
}

void floor_free(mlp *net) {
    for (int k = 0; k < net->layers; k++) {
        free(net->layer[k].y);
        free(net->layer[k].dy);
    }
    free(net->param);
    free(net->grad);
    free(net->m);
    free(net->v);
    free(net->scratch);
    free(net);
}

/* `sizes` has layers + 1 entries; `use` is 0 to time each product, 1 for BLAS alone, 2 for gemm.h alone. */
mlp *floor_new(int64_t layers, const int64_t *sizes, int64_t batch, int adam, const hyper *h, sgemm_fn sgemm, int use) {
    mlp *net = layers >= 1 && layers <= MAX_LAYERS ? calloc(1, sizeof *net) : NULL;
    if (!net) return NULL;
    net->layers = layers;
    net->batch = batch;
    net->sgemm = sgemm;
    net->adamw = adam;
    net->h = *h;
    int64_t widest = 0;
    for (int64_t k = 0; k < layers; k++) {
        int64_t weights = sizes[k] * sizes[k + 1];
        net->params += weights + sizes[k + 1];
        widest = weights > widest ? weights : widest;
    }
    net->param = buffer(net->params);
    net->grad = buffer(net->params);
    net->m = buffer(net->params);
    net->v = buffer(net->params);
    net->scratch = buffer(widest);
    float *p = net->param, *g = net->grad;
    int ok = p && g && net->m && net->v && net->scratch;
    for (int64_t k = 0; ok && k < layers; k++) {
        int64_t in = sizes[k], out = sizes[k + 1], both = in * out + out;
        net->layer[k] = (layer){.in = in, .out = out, .w = p, .b = p + in * out, .dw = g, .db = g + in * out};
        layer *l = &net->layer[k];
        l->y = buffer(batch * out);
        l->dy = buffer(batch * out);
        ok = l->y && l->dy;
        for (int which = 0; which < PRODUCTS; which++) l->own[which] = use == 2;
        p += both;
        g += both;
    }
    if (!ok) {
        floor_free(net);
        return NULL;
    }
    if (use == 0) choose_products(net);
    return net;
}

/* The parameters, layer by layer: the weight as [in, out], then the bias. */
float *floor_params(mlp *net) { return net->param; }

/* Whether a product (0 forward, 1 input gradient, 2 weight gradient) runs on gemm.h. */
int floor_own(const mlp *net, int64_t layer, int which) { return net->layer[layer].own[which]; }

/* `steps` training steps on one batch; the losses go to `losses` where it is not NULL. */
void floor_run(mlp *net, const float *x, const int64_t *label, int64_t steps, float *losses) {
    for (int64_t k = 0; k < steps; k++) {
        float loss = train_step(net, x, label);
        if (losses) losses[k] = loss;
    }
}
