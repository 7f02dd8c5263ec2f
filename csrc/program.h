/* Replays recorded calls. */
#ifndef FG_PROGRAM_H
#define FG_PROGRAM_H

#include "fg.h"

/* Runs calls[*at] to calls[n - 1]. Returns FG_OK, or the code of the call that *at then names: what it wrote before it
 * is done, and a call that asks for scratch may be run again. */
int fg_replay(fg_call *calls, int64_t n, int64_t *at);

/* A kernel: copies attrs->i[0] bytes of the input to the output, whatever they are. */
int fg_copy_bytes(fg_call *call);

#endif
