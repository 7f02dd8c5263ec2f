/* NEON. Every 64-bit ARM processor has it, so no target pragma is needed. */
#include "../kernel.h"

#if defined(__aarch64__)

#define FG_SUFFIX neon
#define FG_BASELINE 0
#define FG_VECTOR 16
#if defined(__clang__)
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=fast")
#endif
#include "kernels.inc.c"
#if !defined(__clang__)
#pragma GCC pop_options
#endif

static int supported(void) { return 1; }

const fg_set fg_set_neon = {"neon", supported, FG_SET(groups)};

#else

static int supported(void) { return 0; }

const fg_set fg_set_neon = {"neon", supported, NULL};

#endif
