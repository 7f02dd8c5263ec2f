/* AVX-512 (F, BW, DQ, VL), in vectors of 64 bytes. */
#include "../kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)

#define FG_SUFFIX avx512
#define FG_BASELINE 0
#define FG_VECTOR 64
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2"))), \
                             apply_to = function)
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2,prefer-vector-width=512")
#pragma GCC optimize("fp-contract=fast")
#endif
#include "kernels.inc.c"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static int supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

const fg_set fg_set_avx512 = {"avx512", supported, FG_SET(groups)};

#else

static int supported(void) { return 0; }

const fg_set fg_set_avx512 = {"avx512", supported, NULL};

#endif
