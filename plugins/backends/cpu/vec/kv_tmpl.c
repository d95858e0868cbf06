/* SPDX-License-Identifier: MIT */
/* kv_tmpl.c - one row of keys or values into a block of 16 entries (ops/kv.h). */
#include "../ops/kv.h"

#include SIMD_H

#include <math.h>

kv_kernel FN(kv_write_k_f32), FN(kv_write_k_f16), FN(kv_write_k_bf16), FN(kv_write_k_q8_0),
    FN(kv_write_v_f32), FN(kv_write_v_f16), FN(kv_write_v_bf16), FN(kv_write_v_q8_0);

void FN(kv_write_k_f32)(const float *x, int64_t n, uint8_t *block, int place) {
    float *to = (float *)(void *)block + place;
    for (int64_t i = 0; i < n; i++) to[KV_BLOCK * i] = x[i];
}

void FN(kv_write_k_f16)(const float *x, int64_t n, uint8_t *block, int place) {
    uint16_t *to = (uint16_t *)(void *)block + place, half[VL];
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf_store_f16(half, vf_load(x + i));
        for (int j = 0; j < VL; j++) to[KV_BLOCK * (i + j)] = half[j];
    }
    for (; i < n; i++) to[KV_BLOCK * i] = f32_to_half(x[i]);
}

void FN(kv_write_k_bf16)(const float *x, int64_t n, uint8_t *block, int place) {
    uint16_t *to = (uint16_t *)(void *)block + place;
    for (int64_t i = 0; i < n; i++) to[KV_BLOCK * i] = f32_to_bf16(x[i]);
}

/* Codes of 32 numbers; returns the scale as f16 bits. */
static inline uint16_t quantize_32(const float *x, int8_t *q, int stride) {
    float top = 0;
    for (int j = 0; j < 32; j++) top = fmaxf(top, fabsf(x[j]));
    float d = top / 127.0f, inv = d > 0 ? 1.0f / d : 0.0f;
    for (int j = 0; j < 32; j++) {
        float r = fminf(fmaxf(x[j] * inv, -127.0f), 127.0f) + 12582912.0f; /* rounds */
        q[stride * j] = (int8_t)(f32_to_bits(r) & 0xff);
    }
    return f32_to_half(d);
}

void FN(kv_write_k_q8_0)(const float *x, int64_t n, uint8_t *block, int place) {
    for (; n > 0; n -= 32, x += 32, block += KV_BLOCK * 34) {
        uint16_t d = quantize_32(x, (int8_t *)block + 2 * KV_BLOCK + place, KV_BLOCK);
        memcpy(block + 2 * place, &d, sizeof d);
    }
}

void FN(kv_write_v_f32)(const float *x, int64_t n, uint8_t *block, int place) {
    memcpy(block + (size_t)place * (size_t)n * sizeof *x, x, (size_t)n * sizeof *x);
}

void FN(kv_write_v_f16)(const float *x, int64_t n, uint8_t *block, int place) {
    uint16_t *to = (uint16_t *)(void *)block + place * n;
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vf_store_f16(to + i, vf_load(x + i));
    for (; i < n; i++) to[i] = f32_to_half(x[i]);
}

void FN(kv_write_v_bf16)(const float *x, int64_t n, uint8_t *block, int place) {
    uint16_t *to = (uint16_t *)(void *)block + place * n;
    for (int64_t i = 0; i < n; i++) to[i] = f32_to_bf16(x[i]);
}

void FN(kv_write_v_q8_0)(const float *x, int64_t n, uint8_t *block, int place) {
    struct ag_block_q8_0 *to = (struct ag_block_q8_0 *)(void *)block + place * (n / 32);
    for (int64_t i = 0; i < n / 32; i++) to[i].d = quantize_32(x + 32 * i, to[i].qs, 1);
}
