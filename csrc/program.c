/* Replays recorded calls: one loop, no Python. Everything a call needs (addresses, layouts, attributes) was filled in
 * when the program was made or bound. */
#include "program.h"

#include <string.h>

int fg_replay(fg_call *calls, int64_t n, int64_t *at) {
    for (int64_t k = *at; k < n; k++) {
        int code = calls[k].kernel(&calls[k]);
        if (code != FG_OK) {
            *at = k;
            return code;
        }
    }
    *at = n;
    return FG_OK;
}

int fg_copy_bytes(fg_call *call) {
    if (call->attrs->i[0]) memcpy(call->v[0].data, call->v[1].data, (size_t)call->attrs->i[0]);
    return FG_OK;
}
