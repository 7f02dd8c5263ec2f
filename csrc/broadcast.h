/* Elementwise kernels over operands of any layout, built from one flat loop each. */
#ifndef FG_BROADCAST_H
#define FG_BROADCAST_H

#include "fg.h"

/* y[k] from a[k], b[k], c[k] for k < n, all dense; y may be a. Inputs an op lacks are NULL. */
typedef void (*fg_loop)(int64_t n, void *y, const void *a, const void *b, const void *c, const fg_attrs *at);

/* Runs the loop over an output and one to three inputs that broadcast against it. */
int fg_broadcast(fg_call *call, fg_loop loop);

#endif
