/* One step of an optimiser over all tensors of a group, in one pass over each; included for each real type T.
 *
 * Operands: outputs are what is written, list after list (parameters first, the step counts last); inputs the
 * gradients, then the hyperparameters, one float64 vector. i[0] = n, the length of each list. All are dense. The order
 * of operations is that of PyTorch's single-tensor optimisers, and every number is rounded to T where it is there, so
 * that both take the same path. */

/* The k-th tensor of the list `list` of a call. */
static T *FN(tensor)(const fg_call *call, int64_t list, int64_t k) {
    return call->v[list * call->attrs->i[0] + k].data;
}
static const T *FN(gradient)(const fg_call *call, int64_t k) { return call->v[call->nout + k].data; }
static int64_t FN(length)(const fg_call *call, int64_t k) { return call->v[k].lay->size; }
static const double *FN(hyper)(const fg_call *call) { return call->v[call->nout + call->attrs->i[0]].data; }

/* p; g. hyper: lr, weight decay, maximize */
static int FN(sgd)(fg_call *call) {
    const double *h = FN(hyper)(call);
    T sign = h[2] != 0 ? -1 : 1, lr = sign * (T)h[0], decay = sign * (T)h[1];
    for (int64_t k = 0; k < call->attrs->i[0]; k++) {
        T *p = FN(tensor)(call, 0, k);
        const T *g = FN(gradient)(call, k);
        int64_t n = FN(length)(call, k);
        if (decay == 0) {
            FG_IVDEP
            for (int64_t i = 0; i < n; i++) p[i] -= lr * g[i];
        } else {
            FG_IVDEP
            for (int64_t i = 0; i < n; i++) p[i] -= lr * (g[i] + decay * p[i]);
        }
    }
    return FG_OK;
}

/* p, buffer; g. hyper: lr, momentum, dampening, weight decay, nesterov, maximize. At the first step of a parameter its
 * buffer becomes the gradient itself. */
FG_ALWAYS_INLINE int FN(sgd_with_momentum)(fg_call *call, int first, int nesterov) {
    const double *h = FN(hyper)(call);
    T lr = (T)h[0], momentum = (T)h[1], share = (T)(1 - h[2]), decay = (T)h[3], sign = h[5] != 0 ? -1 : 1;
    for (int64_t k = 0; k < call->attrs->i[0]; k++) {
        T *p = FN(tensor)(call, 0, k), *b = FN(tensor)(call, 1, k);
        const T *g = FN(gradient)(call, k);
        int64_t n = FN(length)(call, k);
        FG_IVDEP
        for (int64_t i = 0; i < n; i++) {
            T d = sign * g[i] + decay * p[i];
            T bi = first ? d : momentum * b[i] + share * d;
            b[i] = bi;
            p[i] -= lr * (nesterov ? d + momentum * bi : bi);
        }
    }
    return FG_OK;
}

static int FN(sgd_momentum)(fg_call *call) {
    return FN(hyper)(call)[4] != 0 ? FN(sgd_with_momentum)(call, 0, 1) : FN(sgd_with_momentum)(call, 0, 0);
}
static int FN(sgd_momentum_first)(fg_call *call) {
    return FN(hyper)(call)[4] != 0 ? FN(sgd_with_momentum)(call, 1, 1) : FN(sgd_with_momentum)(call, 1, 0);
}

/* p, m, v, [the largest v so far,] step; g. hyper: lr, beta1, beta2, eps, weight decay, decoupled, maximize */
FG_ALWAYS_INLINE int FN(adam_with)(fg_call *call, int amsgrad) {
    const double *h = FN(hyper)(call);
    double lr = h[0], beta1 = h[1], beta2 = h[2], known = 0, correction1 = 1, correction2 = 1;
    T b2 = (T)beta2, rest1 = (T)(1 - beta1), rest2 = (T)(1 - beta2), sign = h[6] != 0 ? -1 : 1;
    T decay = h[5] != 0 ? 0 : (T)h[4], keep = h[5] != 0 ? (T)(1 - lr * h[4]) : 1;
    for (int64_t k = 0; k < call->attrs->i[0]; k++) {
        T *p = FN(tensor)(call, 0, k), *m = FN(tensor)(call, 1, k), *v = FN(tensor)(call, 2, k);
        T *most = amsgrad ? FN(tensor)(call, 3, k) : v;
        float *step = (float *)(void *)FN(tensor)(call, amsgrad ? 4 : 3, k);
        const T *g = FN(gradient)(call, k);
        int64_t n = FN(length)(call, k);
        double count = *step += 1;
        if (count != known) { /* as a rule all parameters have taken as many steps */
            known = count;
            correction1 = 1 - pow(beta1, count);
            correction2 = sqrt(1 - pow(beta2, count));
        }
        /* rate m / (sqrt(v) / root + eps) with one division in place of two: half of the step's time */
        T rate = (T)(lr / correction1 * correction2), least = (T)(h[3] * correction2);
        FG_IVDEP
        for (int64_t i = 0; i < n; i++) {
            T w = p[i] * keep, d = sign * g[i] + decay * w;
            T mi = m[i] + rest1 * (d - m[i]), vi = b2 * v[i] + rest2 * d * d;
            m[i] = mi;
            v[i] = vi;
            if (amsgrad) {
                vi = vi > most[i] || vi != vi ? vi : most[i];
                most[i] = vi;
            }
            p[i] = w - rate * (mi / (fg_sqrt(vi) + least));
        }
    }
    return FG_OK;
}

static int FN(adam)(fg_call *call) { return FN(adam_with)(call, 0); }
static int FN(adam_amsgrad)(fg_call *call) { return FN(adam_with)(call, 1); }

/* The p-norm of all inputs together. f[0] = p */
static int FN(grad_norm)(fg_call *call) {
    const fg_view *v = call->v;
    T p = (T)call->attrs->f[0], total = 0, one = 1;
    const FN(kind) *kind = FN(norm_kind)(p);
    for (int k = 0; k < call->nin; k++) {
        T part = FN(row)(v[1 + k].data, v[1 + k].lay->size, p, kind);
        if (k == 0) total = part;
        else kind->merge(&total, &part, 1);
    }
    kind->fin(v[0].data, &total, &one, p, 1);
    return FG_OK;
}

/* Each output, in place, times f[0] / (norm + 1e-6) where that is below 1 or nan; norm is the input, of either real
 * dtype. The small term keeps a norm of 0 apart from a division by 0; it is PyTorch's, so that results agree. */
static int FN(clip_norm)(fg_call *call) {
    const fg_view *norm = &call->v[call->nout];
    double size = norm->dtype == FG_F32 ? *(const float *)norm->data : *(const double *)norm->data;
    double limit = call->attrs->f[0] / (size + 1e-6);
    if (limit >= 1) return FG_OK;
    T factor = (T)limit;
    for (int k = 0; k < call->nout; k++) {
        T *x = call->v[k].data;
        for (int64_t i = 0; i < call->v[k].lay->size; i++) x[i] *= factor;
    }
    return FG_OK;
}

/* Each output, in place, limited to [-f[0], f[0]]. NaN stays. */
static int FN(clip_value)(fg_call *call) {
    T most = (T)call->attrs->f[0];
    for (int k = 0; k < call->nout; k++) {
        T *x = call->v[k].data;
        for (int64_t i = 0; i < call->v[k].lay->size; i++) x[i] = x[i] > most ? most : x[i] < -most ? -most : x[i];
    }
    return FG_OK;
}
