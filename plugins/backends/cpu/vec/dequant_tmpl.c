/* SPDX-License-Identifier: MIT */
/* dequant_tmpl.c - rows as they lie in files, at any address, into f32. Formulas: agave/quant.h. The
 * loops are plain C so that every instruction set yields the same bits. */
#include "../cpu.h"

#include SIMD_H

#include <string.h>

dequant_kernel FN(dequant_f32), FN(dequant_f16), FN(dequant_bf16), FN(dequant_q4_0),
    FN(dequant_q4_1), FN(dequant_q5_0), FN(dequant_q5_1), FN(dequant_q8_0), FN(dequant_q4_k),
    FN(dequant_q5_k), FN(dequant_q6_k);

void FN(dequant_f32)(const void *from, int64_t n, float *to) {
    memcpy(to, from, (size_t)n * sizeof *to);
}

void FN(dequant_f16)(const void *from, int64_t n, float *to) {
    const char *p = from;
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(to + i, vf_load_f16((const void *)(p + 2 * i)));
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        to[i] = half_to_f32(h);
    }
}

void FN(dequant_bf16)(const void *from, int64_t n, float *to) {
    const char *p = from;
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(to + i, vf_load_bf16((const void *)(p + 2 * i)));
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        to[i] = bf16_to_f32(h);
    }
}

void FN(dequant_q4_0)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q4_0 *b = from; n > 0; b++, n -= 32, to += 32) {
        float d = half_to_f32(b->d);
        for (int j = 0; j < 16; j++) {
            to[j] = d * (float)((b->qs[j] & 15) - 8);
            to[j + 16] = d * (float)((b->qs[j] >> 4) - 8);
        }
    }
}

void FN(dequant_q4_1)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q4_1 *b = from; n > 0; b++, n -= 32, to += 32) {
        float d = half_to_f32(b->d), m = half_to_f32(b->m);
        for (int j = 0; j < 16; j++) {
            to[j] = d * (float)(b->qs[j] & 15) + m;
            to[j + 16] = d * (float)(b->qs[j] >> 4) + m;
        }
    }
}

static inline void q5_codes(const uint8_t qh[4], const uint8_t qs[16], int8_t code[32]) {
    for (int j = 0; j < 16; j++) {
        code[j] = (int8_t)((qs[j] & 15) | (qh[j / 8] >> j % 8 & 1) << 4);
        code[j + 16] = (int8_t)((qs[j] >> 4) | (qh[j / 8 + 2] >> j % 8 & 1) << 4);
    }
}

void FN(dequant_q5_0)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q5_0 *b = from; n > 0; b++, n -= 32, to += 32) {
        int8_t code[32];
        float d = half_to_f32(b->d);
        q5_codes(b->qh, b->qs, code);
        for (int j = 0; j < 32; j++) to[j] = d * (float)(code[j] - 16);
    }
}

void FN(dequant_q5_1)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q5_1 *b = from; n > 0; b++, n -= 32, to += 32) {
        int8_t code[32];
        float d = half_to_f32(b->d), m = half_to_f32(b->m);
        q5_codes(b->qh, b->qs, code);
        for (int j = 0; j < 32; j++) to[j] = d * (float)code[j] + m;
    }
}

void FN(dequant_q8_0)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q8_0 *b = from; n > 0; b++, n -= 32, to += 32) {
        float d = half_to_f32(b->d);
        for (int j = 0; j < 32; j++) to[j] = d * (float)b->qs[j];
    }
}

static inline void k_scale(const uint8_t *s, int j, int *sc, int *mn) {
    *sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *mn = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

void FN(dequant_q4_k)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q4_k *b = from; n > 0; b++, n -= 256, to += 256) {
        float d = half_to_f32(b->d), dmin = half_to_f32(b->dmin);
        for (int j = 0; j < 8; j++) {
            int sc, mn, shift = 4 * (j & 1);
            k_scale(b->scales, j, &sc, &mn);
            float ds = d * (float)sc, m = dmin * (float)mn;
            const uint8_t *qs = b->qs + 32 * (j / 2);
            for (int l = 0; l < 32; l++) to[32 * j + l] = ds * (float)(qs[l] >> shift & 15) - m;
        }
    }
}

void FN(dequant_q5_k)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q5_k *b = from; n > 0; b++, n -= 256, to += 256) {
        float d = half_to_f32(b->d), dmin = half_to_f32(b->dmin);
        for (int j = 0; j < 8; j++) {
            int sc, mn, shift = 4 * (j & 1);
            k_scale(b->scales, j, &sc, &mn);
            float ds = d * (float)sc, m = dmin * (float)mn;
            const uint8_t *qs = b->qs + 32 * (j / 2);
            for (int l = 0; l < 32; l++) {
                int q = (qs[l] >> shift & 15) | (b->qh[l] >> j & 1) << 4;
                to[32 * j + l] = ds * (float)q - m;
            }
        }
    }
}

void FN(dequant_q6_k)(const void *from, int64_t n, float *to) {
    for (const struct ag_block_q6_k *b = from; n > 0; b++, n -= 256, to += 256) {
        float d = half_to_f32(b->d);
        for (int part = 0; part < 8; part++) {
            const uint8_t *low = b->ql + 64 * (part / 4) + 32 * (part & 1);
            const uint8_t *high = b->qh + 32 * (part / 4);
            int low_shift = part & 2 ? 4 : 0, high_shift = 2 * (part & 3);
            for (int l = 0; l < 32; l++) {
                int q = (low[l] >> low_shift & 15) | (high[l] >> high_shift & 3) << 4;
                float ds = d * (float)b->scales[2 * part + l / 16];
                to[32 * part + l] = ds * (float)(q - 32);
            }
        }
    }
}
