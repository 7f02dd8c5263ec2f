/* Time for a profile: the processor's own counter where it runs at one rate (5 ns), else the system's clock (25 ns). */
#ifndef FG_CLOCK_H
#define FG_CLOCK_H

#include <stdint.h>

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <intrin.h>
static inline int64_t fg_ticks(void) { return (int64_t)__rdtsc(); }
#elif defined(__x86_64__)
static inline int64_t fg_ticks(void) { return (int64_t)__builtin_ia32_rdtsc(); }
#elif defined(__aarch64__) && defined(__GNUC__)
static inline int64_t fg_ticks(void) {
    int64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
}
#else
#include <time.h>
static inline int64_t fg_ticks(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
#endif

#endif
