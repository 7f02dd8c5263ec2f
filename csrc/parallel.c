/* A small pool of threads and the division of an elementwise call among them.
 *
 * A job is a number of parts; the caller and whichever workers are awake take one after the other, so that a worker
 * that gets no processor costs nothing but the part it holds. Waiting for such a part can take milliseconds: where a
 * job took longer than its parts would have taken the caller alone, the pool rests for many times what was lost.
 * Rejected: fixed shares for each thread (the slowest decides); OpenMP (a second runtime in the process, and one that
 * does not survive fork).
 *
 * One job at a time: a second Python thread finds the pool taken and runs its call alone. Workers spin for some
 * microseconds after a job, since the next one often follows at once, then sleep. */
#define _GNU_SOURCE
#include "parallel.h"

#include "dtype.h"

#if defined(__unix__) || defined(__APPLE__)

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

enum { MOST_THREADS = 64, MOST_PARTS = 64, SPINS = 2000, ALIGNED = 1024 };

/* From how many elements threads pay. Waking a worker takes some 5 us, of which the caller notices 1 to 2. */
enum { CHEAP = 8, CHEAP_FROM = 65536, COSTLY_FROM = FG_PARALLEL_WORK };

#define REST 100.0 /* so that what is lost stays near 1% */

typedef struct {
    fg_call *call;
    int64_t size; /* along what is divided: all elements, or the first axis */
    int64_t part;
    int flat;
} job;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    const job *job;           /* NULL between jobs: nobody may join */
    atomic_uint number;       /* of the last job */
    atomic_llong next;        /* where the next part begins */
    atomic_int inside;        /* workers in the job */
    int waiting;              /* the caller sleeps until the last of them leaves */
    int asleep, started, taken;
    double rested;            /* when the pool may work again */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static atomic_int threads = 1;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A child of fork has none of the workers, and the lock may have been held. */
static void after_fork(void) {
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.job = NULL;
    pool.inside = 0;
    pool.waiting = pool.asleep = pool.started = pool.taken = 0;
}

/* ---- one part ------------------------------------------------------------------------------------------------------ */

static void run_part(const job *j, int64_t from) {
    const fg_call *whole = j->call;
    const fg_view *v = whole->v;
    int64_t count = j->size - from < j->part ? j->size - from : j->part;
    fg_view views[4];
    fg_layout lays[4];
    fg_call call = *whole;
    call.v = views;
    for (int k = 0; k <= whole->nin; k++) {
        const fg_layout *lay = v[k].lay;
        views[k] = v[k];
        int divided = j->flat ? lay->size > 1 : lay->ndim == v[0].lay->ndim && lay->shape[0] > 1;
        if (!divided) continue;
        int same = 0; /* one layout stays one layout: kernels compare their addresses */
        while (v[same].lay != lay) same++;
        views[k].lay = &lays[same];
        int64_t step = j->flat ? 1 : lay->stride[0];
        views[k].data = (char *)v[k].data + from * step * fg_itemsize[v[k].dtype];
        if (same < k) continue;
        if (j->flat) {
            lays[k] = (fg_layout){.ndim = 1, .flags = FG_DENSE, .size = count, .shape = {count}, .stride = {1}};
        } else {
            lays[k] = *lay;
            lays[k].size = lay->size / lay->shape[0] * count;
            lays[k].shape[0] = count;
        }
    }
    call.kernel(&call);
}

/* Takes parts until none is left; returns how many it took. */
static int take_parts(const job *j) {
    for (int taken = 0;; taken++) {
        int64_t from = atomic_fetch_add(&pool.next, j->part);
        if (from >= j->size) return taken;
        run_part(j, from);
    }
}

/* ---- workers ------------------------------------------------------------------------------------------------------- */

static void *work(void *arg) {
    unsigned seen = (unsigned)(uintptr_t)arg;
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load_explicit(&pool.number, memory_order_relaxed) == seen; spin++)
            relax();
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.number) == seen) {
            pool.asleep++;
            pthread_cond_wait(&pool.wake, &pool.lock);
            pool.asleep--;
        }
        seen = atomic_load(&pool.number);
        const job *j = pool.job;
        if (j && atomic_load(&pool.inside) < atomic_load(&threads) - 1) atomic_fetch_add(&pool.inside, 1);
        else j = NULL;
        pthread_mutex_unlock(&pool.lock);
        if (!j) continue;
        take_parts(j);
        if (atomic_fetch_sub(&pool.inside, 1) > 1) continue;
        pthread_mutex_lock(&pool.lock);
        if (pool.waiting) pthread_cond_signal(&pool.done);
        pthread_mutex_unlock(&pool.lock);
    }
    return NULL;
}

/* With the lock held. Workers get no signals: those are Python's main thread's affair. */
static void start_workers(int wanted) {
    static int registered = 0;
    sigset_t all, before;
    pthread_attr_t attributes;
    if (!registered) registered = pthread_atfork(NULL, NULL, after_fork) == 0;
    if (!registered || pthread_attr_init(&attributes)) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.started < wanted) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, work, (void *)(uintptr_t)atomic_load(&pool.number))) break;
        pool.started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* ---- a job --------------------------------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits for the workers that still hold a part; for a while without sleeping. */
static void wait_for_workers(void) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load(&pool.inside) == 0) return;
        relax();
    }
    pthread_mutex_lock(&pool.lock);
    pool.waiting = 1;
    while (atomic_load(&pool.inside) > 0) pthread_cond_wait(&pool.done, &pool.lock);
    pool.waiting = 0;
    pthread_mutex_unlock(&pool.lock);
}

/* Returns 0, and has done nothing, where the pool is taken or rests. */
static int run_job(const job *j) {
    double start = now();
    pthread_mutex_lock(&pool.lock);
    if (pool.taken || start < pool.rested) {
        pthread_mutex_unlock(&pool.lock);
        return 0;
    }
    int wanted = atomic_load(&threads) - 1;
    if (pool.started < wanted) start_workers(wanted);
    pool.taken = 1;
    pool.job = j;
    atomic_store(&pool.next, 0);
    atomic_fetch_add(&pool.number, 1);
    if (pool.asleep) pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);

    double begun = now();
    int64_t mine = take_parts(j) * j->part;
    double took = now() - begun;

    pthread_mutex_lock(&pool.lock);
    pool.job = NULL;
    pthread_mutex_unlock(&pool.lock);
    wait_for_workers();
    double end = now(), lost = mine ? end - start - took * (double)j->size / (double)mine : end - start;

    pthread_mutex_lock(&pool.lock);
    if (lost > 0) pool.rested = end + REST * lost;
    pool.taken = 0;
    pthread_mutex_unlock(&pool.lock);
    return 1;
}

static int64_t divided(int64_t n, int64_t by) { return (n + by - 1) / by; }

int fg_run_elementwise(fg_call *call, int cost) {
    const fg_view *v = call->v;
    const fg_layout *y = v[0].lay;
    int64_t least = cost > CHEAP ? COSTLY_FROM : CHEAP_FROM;
    if (atomic_load_explicit(&threads, memory_order_relaxed) == 1 || y->size < least || call->nin > 3)
        return call->kernel(call);
    job j = {.call = call, .size = y->size, .flat = 1};
    for (int k = 0; k <= call->nin; k++) {
        if (v[k].lay->size == 1) continue;
        j.flat = j.flat && v[k].lay->flags & FG_DENSE && v[k].lay->size == y->size;
        if (k > 0 && !fg_is_real((int)v[k].dtype) && v[k].dtype != FG_BOOL) return call->kernel(call); /* may fail */
    }
    int64_t parts = 4 * y->size / least < MOST_PARTS ? 4 * y->size / least : MOST_PARTS;
    if (j.flat) {
        /* a multiple of what kernels look at as a whole, so that each block stays a block */
        j.part = divided(divided(j.size, parts), ALIGNED) * ALIGNED;
    } else {
        if (call->nin < 2 || y->ndim == 0) return call->kernel(call);
        j.size = y->shape[0];
        j.part = divided(j.size, parts);
    }
    return j.part < j.size && run_job(&j) ? FG_OK : call->kernel(call);
}

int fg_set_threads(int n) {
    atomic_store(&threads, n < MOST_THREADS ? n : MOST_THREADS);
    return fg_threads();
}

int fg_threads(void) { return atomic_load(&threads); }

#else

int fg_run_elementwise(fg_call *call, int cost) {
    (void)cost;
    return call->kernel(call);
}

int fg_set_threads(int n) {
    (void)n;
    return 1;
}

int fg_threads(void) { return 1; }

#endif
