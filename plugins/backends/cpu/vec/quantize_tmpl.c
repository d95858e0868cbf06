/* SPDX-License-Identifier: MIT */
/* quantize_tmpl.c - activations to 8 bits, 32 to a scale, and to 16 where that matters most; the tile
 * is described in cpu.h. */
#include "../cpu.h"

#include SIMD_H

#include <string.h>

quantize_kernel FN(quantize_q8);

static inline float block_top(const float *x) {
    vf top = vf_set1(0);
    for (int i = 0; i < 32; i += VL) top = vf_max(top, vf_abs(vf_load(x + i)));
    return vf_hmax(top);
}

/* Codes and sums of one block; v, 32 numbers, becomes what is left. */
static inline void codes(vf *v, float step, float inv, int8_t *q, int32_t sum[2]) {
    const vf magic = vf_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    for (int half = 0; half < 2; half++) {
        vi total = { 0 };
        for (int i = half * 16 / VL; i < (half + 1) * 16 / VL; i++) {
            vf r = vf_fma(v[i], vf_set1(inv), magic) - magic;
            vi n = __builtin_convertvector(r, vi);
            v[i] = vf_fma(r, vf_set1(-step), v[i]);
            vi_store_i8(q + i * VL, n);
            total += n;
        }
        sum[half] = vi_sum(total);
    }
}

static inline void put_less(uint8_t *to, int n_col, int col, const int32_t sum[2]) {
    int32_t less[2] = { -sum[0], -sum[1] };
    memcpy(to + 4 * col, &less[0], sizeof less[0]);
    memcpy(to + 4 * (n_col + col), &less[1], sizeof less[1]);
}

void FN(quantize_q8)(const float *x, int64_t n_block, float wide_from, uint8_t *to, int n_col,
                     int col) {
    uint8_t *fine = to + Q8_BLOCK_BYTES * n_col * n_block;
    uint8_t *flag = fine + Q8_FINE_BYTES * n_col * n_block;
    float mean = 0;
    for (int64_t b = 0; b < n_block; b++) {
        float top = block_top(x + 32 * b);
        mean += top * top / (float)n_block;
    }
    for (int64_t b = 0; b < n_block; b++, x += 32) {
        vf v[32 / VL];
        int32_t sum[2], rest[2] = { 0, 0 };
        float top = block_top(x), d = top / 127.0f, inv = d > 0 ? 1.0f / d : 0.0f;
        bool wide = top > 0 && top * top >= wide_from * mean;
        int8_t *q = (int8_t *)fine + 8 * n_col + 32 * col;
        for (int i = 0; i < 32 / VL; i++) v[i] = vf_load(x + i * VL);
        codes(v, d, inv, (int8_t *)to + 16 * n_col + 32 * col, sum);
        if (wide) codes(v, d / Q8_FINE, inv * Q8_FINE, q, rest);
        else memset(q, 0, 32);
        put_less(fine, n_col, col, rest);
        put_less(to + 8 * n_col, n_col, col, sum);
        float s = d * ((float)(sum[0] + sum[1]) + (float)(rest[0] + rest[1]) * (1.0f / Q8_FINE));
        memcpy(to + 4 * col, &d, sizeof d);
        memcpy(to + 4 * (n_col + col), &s, sizeof s);
        flag[n_col * b + col] = wide;
        to += Q8_BLOCK_BYTES * n_col;
        fine += Q8_FINE_BYTES * n_col;
    }
}
