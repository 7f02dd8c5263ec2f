/* Tells callgrind where a workload starts and ends; does nothing in a program that valgrind does not run. */
#include <valgrind/callgrind.h>

void marker_start(void) {
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

void marker_stop(const char *name) {
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}
