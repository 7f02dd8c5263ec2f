/* Threads for large elementwise calls: off until somebody asks for them. */
#ifndef FG_PARALLEL_H
#define FG_PARALLEL_H

#include "fg.h"

/* Written under the interpreter's lock; 1 where the platform has no POSIX threads. Returns what is now set. */
int fg_set_threads(int n);
int fg_threads(void);

/* Runs an elementwise call, in parts on several threads where it is large enough for its `cost` (operations for each
 * element, roughly). The bits are those of one thread. */
int fg_run_elementwise(fg_call *call, int cost);

/* Fewer elements are never divided. */
#define FG_PARALLEL_WORK 16384

#endif
