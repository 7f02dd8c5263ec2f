/* Matrix products of a BLAS library that is in the process already, called by pointer: NumPy brings one, so fastgrad
 * needs neither a library of its own nor a second thread pool. Which file to try is decided in Python
 * (fastgrad/_core/_blas.py); a library is used only after it has given the right answer to a small product.
 * Nothing here is required: without a BLAS every product takes the kernels of gemm.h. */
#ifndef FG_BLAS_H
#define FG_BLAS_H

#include <stdint.h>

/* Why a library was not taken; `fg_blas_open` answers one of these, and 0 when it is in use. */
enum {
    FG_BLAS_ABSENT = 1,  /* no such library */
    FG_BLAS_NO_GEMM = 2, /* it has no cblas_sgemm and cblas_dgemm under these names */
    FG_BLAS_WRONG = 3    /* its product of small integers is wrong */
};

/* `path` NULL searches what the process has loaded already. A suffix that contains "64" means 64-bit integers. */
int fg_blas_open(const char *path, const char *prefix, const char *suffix);
void fg_blas_close(void);

int fg_blas_loaded(void);
const char *fg_blas_core(void);  /* the processor kernel it has chosen, "" if it does not say */
int fg_blas_threads(void);       /* 0 if it does not say */
int fg_blas_set_threads(int n);  /* process-wide; 0 if the library cannot */

/* Row-major c = op(a) op(b) + beta c; op transposes where `ta`, `tb` are set. Returns 0, and has done nothing, without
 * a library or where a size does not fit its integers. */
int fg_blas_f32(int ta, int tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                int64_t ldb, float beta, float *c, int64_t ldc);
int fg_blas_f64(int ta, int tb, int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b,
                int64_t ldb, double beta, double *c, int64_t ldc);

#endif
