/* The steps of the optimisers, and what is done to all gradients at once. The norm stands on reduce.inc.c, which is
 * included before. */

#define T float
#define FN(name) FG_SET(reduce_##name##_f32)
#include "optim.h"
#undef T
#undef FN

#define T double
#define FN(name) FG_SET(reduce_##name##_f64)
#include "optim.h"
#undef T
#undef FN

#define REALS(name, kernel)                                                    \
    {                                                                          \
        name, { FG_SET(reduce_##kernel##_f32), FG_SET(reduce_##kernel##_f64) } \
    }

static const fg_entry FG_SET(optim_entries)[] = {
    REALS("sgd_", sgd),
    REALS("sgd_momentum_", sgd_momentum),
    REALS("sgd_momentum_first_", sgd_momentum_first),
    REALS("adam_", adam),
    REALS("adam_amsgrad_", adam_amsgrad),
    REALS("grad_norm", grad_norm),
    REALS("clip_norm_", clip_norm),
    REALS("clip_value_", clip_value),
    {NULL, {NULL}},
};
#undef REALS
