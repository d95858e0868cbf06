/* SPDX-License-Identifier: MIT */
/* rope_tmpl.c - rotating pairs of dims. */
#include "../cpu.h"

#include SIMD_H

rope_kernel FN(rope_half_f32), FN(rope_adjacent_f32);

/* Pairs (i, i + half). */
void FN(rope_half_f32)(const float *x, const float *cos, const float *sin, int64_t half, float *y) {
    int64_t i = 0;
    for (; i + VL <= half; i += VL) {
        vf a = vf_load(x + i), b = vf_load(x + half + i), c = vf_load(cos + i), s = vf_load(sin + i);
        vf_store(y + i, a * c - b * s);
        vf_store(y + half + i, b * c + a * s);
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i];
        y[i] = a * cos[i] - b * sin[i];
        y[half + i] = b * cos[i] + a * sin[i];
    }
}

/* Pairs (2i, 2i + 1). */
void FN(rope_adjacent_f32)(const float *x, const float *cos, const float *sin, int64_t half,
                           float *y) {
    for (int64_t i = 0; i < half; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cos[i] - b * sin[i];
        y[2 * i + 1] = b * cos[i] + a * sin[i];
    }
}
