/* Fused kernels of networks: softmax, losses, norms, attention. All operands but those of attention are dense. They stand on
 * the reductions of reduce.inc.c and the products of matmul.inc.c, which are included before. */

/* attrs.mode of a loss */
enum { FG_NONE, FG_MEAN, FG_SUM };

#define T float
#define FN(name) FG_SET(reduce_##name##_f32)
#define TURN FG_SET(turn_f32) /* of gemm.h */
#define GEMM FG_SET(gemm_f32)
#include "softmax.h"
#include "cross_entropy.h"
#include "losses.h"
#include "normalize.h"
#include "attention.h"
#undef T
#undef FN
#undef TURN
#undef GEMM

#define T double
#define FN(name) FG_SET(reduce_##name##_f64)
#define TURN FG_SET(turn_f64) /* of gemm.h */
#define GEMM FG_SET(gemm_f64)
#include "softmax.h"
#include "cross_entropy.h"
#include "losses.h"
#include "normalize.h"
#include "attention.h"
#undef T
#undef FN
#undef TURN
#undef GEMM

#define REALS(name, kernel)                                                    \
    {                                                                          \
        name, { FG_SET(reduce_##kernel##_f32), FG_SET(reduce_##kernel##_f64) } \
    }

static const fg_entry FG_SET(rows_entries)[] = {
    REALS("softmax", softmax),
    REALS("softmax_vjp", softmax_vjp),
    REALS("log_softmax", log_softmax),
    REALS("log_softmax_vjp", log_softmax_vjp),
    REALS("cross_entropy", cross_entropy),
    REALS("cross_entropy_vjp", cross_entropy_vjp),
    REALS("cross_entropy_scale", cross_entropy_scale),
    REALS("nll_loss", nll_loss),
    REALS("nll_loss_vjp", nll_loss_vjp),
    REALS("mse_loss", mse_loss),
    REALS("mse_loss_vjp", mse_loss_vjp),
    REALS("l1_loss", l1_loss),
    REALS("l1_loss_vjp", l1_loss_vjp),
    REALS("huber_loss", huber_loss),
    REALS("huber_loss_vjp", huber_loss_vjp),
    REALS("smooth_l1_loss", smooth_l1_loss),
    REALS("smooth_l1_loss_vjp", smooth_l1_loss_vjp),
    REALS("binary_cross_entropy", binary_cross_entropy),
    REALS("binary_cross_entropy_vjp", binary_cross_entropy_loss_vjp),
    REALS("binary_cross_entropy_with_logits", logits_loss),
    REALS("binary_cross_entropy_with_logits_vjp", logits_loss_vjp),
    REALS("layer_norm", layer_norm),
    REALS("layer_norm_vjp", layer_norm_vjp),
    REALS("rms_norm", rms_norm),
    REALS("rms_norm_vjp", rms_norm_vjp),
    REALS("batch_norm", batch_norm),
    REALS("batch_norm_vjp", batch_norm_vjp),
    REALS("running_stats_", running_stats_),
    REALS("scaled_dot_product_attention", attention),
    REALS("scaled_dot_product_attention_vjp", attention_vjp),
    {NULL, {NULL}},
};
#undef REALS
