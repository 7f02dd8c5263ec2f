/* The baseline set: whatever the compiler may assume of the architecture. It alone has integer and bool kernels. */
#include "../kernel.h"

#define FG_SUFFIX baseline
#define FG_BASELINE 1
#define FG_VECTOR 16
#include "kernels.inc.c"

static int supported(void) { return 1; }

const fg_set fg_set_baseline = {"baseline", supported, FG_SET(groups)};
