/* AVX2 and FMA: x86-64 processors since 2013. */
#include "../kernel.h"

#if defined(__x86_64__) && defined(__GNUC__)

#define FG_SUFFIX avx2
#define FG_BASELINE 0
#define FG_VECTOR 32
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi2"))), apply_to = function)
#pragma clang fp contract(fast)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2")
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
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

const fg_set fg_set_avx2 = {"avx2", supported, FG_SET(groups)};

#else

static int supported(void) { return 0; }

const fg_set fg_set_avx2 = {"avx2", supported, NULL};

#endif
