/* What every kernel source (`*.inc.c`) may use. The wrapper of an instruction set (sets/) defines first
 *   FG_SUFFIX    the set's name, pasted to every static name
 *   FG_BASELINE  1 in the baseline set, where the integer and bool kernels are compiled, else 0
 *   FG_VECTOR    bytes of one vector register
 * Rejected: intrinsics. Plain loops over branch-free expressions vectorise for every set from one source. */
#ifndef FG_KERNEL_H
#define FG_KERNEL_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fg.h"
#include "iter.h"

#define FG_PASTE_(a, b) a##_##b
#define FG_PASTE(a, b) FG_PASTE_(a, b)
#define FG_SET(name) FG_PASTE(name, FG_SUFFIX)

/* Before a loop whose iterations are independent though its pointers may be equal (an in-place call aliases exactly,
 * so `restrict` would be a lie). */
#if defined(__clang__)
#define FG_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define FG_IVDEP _Pragma("GCC ivdep")
#else
#define FG_IVDEP
#endif

#if defined(__GNUC__)
#define FG_LIKELY(test) __builtin_expect(!!(test), 1)
#define FG_NOINLINE __attribute__((noinline))
#define FG_PREFETCH(p) __builtin_prefetch(p) /* may name what does not exist */
#else
#define FG_PREFETCH(p) (void)(p)
#define FG_LIKELY(test) (test)
#define FG_NOINLINE
#endif

#endif
