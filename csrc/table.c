/* The instruction sets and the one that was chosen; finding a kernel by name and dtype. */
#include <string.h>

#include "fg.h"

/* Best first. */
static const fg_set *const sets[] = {&fg_set_avx512, &fg_set_avx2, &fg_set_neon, &fg_set_baseline};
enum { NSETS = sizeof sets / sizeof *sets };

/* Kernels compiled once, not per set: they move data, or must give the same numbers everywhere. */
extern const fg_entry fg_copy_entries[], fg_index_entries[], fg_random_entries[], fg_sort_entries[], fg_view_entries[];
static const fg_entry *const common[] = {fg_copy_entries, fg_index_entries, fg_random_entries,
                                         fg_sort_entries, fg_view_entries,  NULL};

/* Written at import only (and by the tests that walk through the sets). */
static const fg_set *chosen = &fg_set_baseline;

const char *fg_choose_set(const char *name) {
    for (int k = 0; k < NSETS; k++) {
        if (!sets[k]->supported() || (name && strcmp(name, sets[k]->name) != 0)) continue;
        chosen = sets[k];
        return chosen->name;
    }
    return NULL;
}

const char *fg_set_names(int k, int *supported) {
    if (k < 0 || k >= NSETS) return NULL;
    *supported = sets[k]->supported();
    return sets[k]->name;
}

/* A name may have several rows (one for floats, one for integers); the first with a kernel for the dtype counts. */
static fg_kernel find(const fg_entry *const *groups, const char *name, int dtype) {
    for (; *groups; groups++)
        for (const fg_entry *e = *groups; e->name; e++)
            if (e->by_dtype[dtype] && strcmp(e->name, name) == 0) return e->by_dtype[dtype];
    return NULL;
}

fg_kernel fg_find(const char *name, int dtype) {
    fg_kernel kernel = find(chosen->groups, name, dtype);
    if (!kernel) kernel = find(fg_set_baseline.groups, name, dtype);
    if (!kernel) kernel = find(common, name, dtype);
    return kernel;
}

/* The baseline has every kernel of every set. A name with several rows appears as often. */
const char *fg_kernel_names(int k) {
    const fg_entry *const *const all[] = {fg_set_baseline.groups, common};
    for (int part = 0; part < 2; part++)
        for (const fg_entry *const *g = all[part]; *g; g++)
            for (const fg_entry *e = *g; e->name; e++)
                if (k-- == 0) return e->name;
    return NULL;
}
