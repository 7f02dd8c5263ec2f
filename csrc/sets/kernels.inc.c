/* Every kernel source, compiled for the set whose wrapper includes this file. */
#include "../vmath.h"

#include "../elementwise.inc.c"
#if FG_BASELINE
#include "../integer.inc.c"
#endif
#if __has_include("../copy.inc.c")
#include "../copy.inc.c"
#endif
#if __has_include("../matmul.inc.c")
#include "../matmul.inc.c"
#endif
#if __has_include("../reduce.inc.c")
#include "../reduce.inc.c"
#endif
#if __has_include("../rows.inc.c")
#include "../rows.inc.c"
#endif
#if __has_include("../optim.inc.c")
#include "../optim.inc.c"
#endif

static const fg_entry *const FG_SET(groups)[] = {
    FG_SET(elementwise_entries),
#if FG_BASELINE
    FG_SET(integer_entries),
#endif
#if __has_include("../copy.inc.c")
    FG_SET(copy_entries),
#endif
#if __has_include("../matmul.inc.c")
    FG_SET(matmul_entries),
#endif
#if __has_include("../reduce.inc.c")
    FG_SET(reduce_entries),
#endif
#if __has_include("../rows.inc.c")
    FG_SET(rows_entries),
#endif
#if __has_include("../optim.inc.c")
    FG_SET(optim_entries),
#endif
    NULL,
};
