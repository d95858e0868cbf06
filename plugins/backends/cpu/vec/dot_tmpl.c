/* SPDX-License-Identifier: MIT */
/* dot_tmpl.c - f32 rows times f32 columns. Each product keeps one vector of partial sums, whatever
 * the tile it is computed in, so tiles do not change bits. */
#include "../cpu.h"

#include SIMD_H

#include <string.h>

dot_kernel FN(dot_4x4_f32), FN(dot_4x1_f32);

static inline float load1(const float *p) { /* mapped weights have no alignment */
    float f;
    memcpy(&f, p, sizeof f);
    return f;
}
static inline const float *row(const float *p, int64_t stride, int r) {
    return (const float *)((const char *)p + stride * r);
}

static inline __attribute__((always_inline)) void dot_tile(const float *w, int64_t w_stride,
                                                           const float *x, int64_t x_stride,
                                                           int64_t n, float *y, const int columns) {
    vf acc[4][4];
    for (int c = 0; c < columns; c++)
        for (int r = 0; r < 4; r++) acc[c][r] = vf_set1(0);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf wv[4];
        for (int r = 0; r < 4; r++) wv[r] = vf_load(row(w, w_stride, r) + i);
        for (int c = 0; c < columns; c++) {
            vf xv = vf_load(row(x, x_stride, c) + i);
            for (int r = 0; r < 4; r++) acc[c][r] = vf_fma(wv[r], xv, acc[c][r]);
        }
    }
    for (int c = 0; c < columns; c++)
        for (int r = 0; r < 4; r++) {
            float sum = vf_sum(acc[c][r]);
            for (int64_t j = i; j < n; j++)
                sum += load1(row(w, w_stride, r) + j) * row(x, x_stride, c)[j];
            y[4 * c + r] = sum;
        }
}

/* Strides are in bytes. */
void FN(dot_4x4_f32)(const float *w, int64_t w_stride, const float *x, int64_t x_stride, int64_t n,
                     float *y) {
    dot_tile(w, w_stride, x, x_stride, n, y, 4);
}
void FN(dot_4x1_f32)(const float *w, int64_t w_stride, const float *x, int64_t x_stride, int64_t n,
                     float *y) {
    dot_tile(w, w_stride, x, x_stride, n, y, 1);
}
