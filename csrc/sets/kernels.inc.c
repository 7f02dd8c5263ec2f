/* Every kernel source, compiled for the set whose wrapper includes this file. */
#include "../elementwise.inc.c"
#if FG_BASELINE
#include "../integer.inc.c"
#endif
#include "../matmul.inc.c"
#include "../reduce.inc.c"
#include "../rows.inc.c"
#include "../optim.inc.c" /* after reduce: the norm of gradients is its */

static const fg_entry *const FG_SET(groups)[] = {
    FG_SET(elementwise_entries),
#if FG_BASELINE
    FG_SET(integer_entries),
#endif
    FG_SET(matmul_entries),      FG_SET(reduce_entries), FG_SET(rows_entries), FG_SET(optim_entries), NULL,
};
