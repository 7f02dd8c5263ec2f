/* Moving data between views of any layout and dtype. */
#ifndef FG_COPY_H
#define FG_COPY_H

#include "fg.h"

/* to[...] = from[...], broadcast to to's shape and cast to its dtype. The two must not overlap. */
void fg_copy(const fg_view *to, const fg_view *from);

/* The same for n elements, `sd` and `ss` apart: moving, and adding within a dtype. */
typedef void (*fg_run)(int64_t n, void *to, int64_t sd, const void *from, int64_t ss);
fg_run fg_move(int64_t to, int64_t from); /* by dtypes */
fg_run fg_add(int64_t dtype);

#endif
