/* SPDX-License-Identifier: MIT */
/* quantize_tmpl.c - activations to 8 bits, 32 to a scale; the tile is described in cpu.h. */
#include "../cpu.h"

#include SIMD_H

#include <string.h>

quantize_kernel FN(quantize_q8);

void FN(quantize_q8)(const float *x, int64_t n_block, uint8_t *to, int n_col, int col) {
    const vf magic = vf_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    for (int64_t b = 0; b < n_block; b++, x += 32, to += Q8_BLOCK_BYTES * n_col) {
        vf v[32 / VL], top = vf_set1(0);
        for (int i = 0; i < 32 / VL; i++) {
            v[i] = vf_load(x + i * VL);
            top = vf_max(top, vf_abs(v[i]));
        }
        float d = vf_hmax(top) / 127.0f, inv = d > 0 ? 1.0f / d : 0.0f;
        int32_t code[32], sum[2] = { 0, 0 };
        int8_t *q = (int8_t *)to + 16 * n_col + 32 * col;
        for (int i = 0; i < 32 / VL; i++) {
            vi r = __builtin_convertvector(vf_fma(v[i], vf_set1(inv), magic) - magic, vi);
            memcpy(code + i * VL, &r, sizeof r);
        }
        for (int i = 0; i < 32; i++) {
            q[i] = (int8_t)code[i];
            sum[i / 16] += code[i];
        }
        float s = d * (float)(sum[0] + sum[1]);
        int32_t less[2] = { -sum[0], -sum[1] };
        memcpy(to + 4 * col, &d, sizeof d);
        memcpy(to + 4 * (n_col + col), &s, sizeof s);
        memcpy(to + 4 * (2 * n_col + col), &less[0], sizeof less[0]);
        memcpy(to + 4 * (3 * n_col + col), &less[1], sizeof less[1]);
    }
}
