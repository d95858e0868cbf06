/* SPDX-License-Identifier: MIT */
/* attention_tmpl.c - the three steps of a tile: scores, running softmax, weighted values. */
#include "../ops/attention.h"

#include SIMD_H

#include <math.h>

score_kernel FN(score4_f32), FN(score4_f16), FN(score4_bf16), FN(score4_q8_0), FN(score8_f32),
    FN(score8_f16), FN(score8_bf16), FN(score8_q8_0);
value_kernel FN(value4_f32), FN(value4_f16), FN(value4_bf16), FN(value4_q8_0), FN(value8_f32),
    FN(value8_f16), FN(value8_bf16), FN(value8_q8_0);
softmax_kernel FN(softmax_f32);

typedef vf load_fn(const uint8_t *p, int64_t i); /* numbers i .. i + VL of a row */

static inline vf load_f32(const uint8_t *p, int64_t i) {
    return vf_load((const float *)(const void *)p + i);
}
static inline vf load_f16(const uint8_t *p, int64_t i) {
    return vf_load_f16((const uint16_t *)(const void *)p + i);
}
static inline vf load_bf16(const uint8_t *p, int64_t i) {
    return vf_load_bf16((const uint16_t *)(const void *)p + i);
}
static inline float load_one(uint32_t dtype, const uint8_t *p, int64_t i) {
    if (dtype == AG_F32) return ((const float *)(const void *)p)[i];
    uint16_t h = ((const uint16_t *)(const void *)p)[i];
    return dtype == AG_F16 ? half_to_f32(h) : bf16_to_f32(h);
}

/* ---- scores ---- */

static inline __attribute__((always_inline)) void score(load_fn load, const uint8_t *k, int64_t k_dim,
                                                        const float *q, float *s, const int M) {
    for (int h = 0; h < KV_BLOCK; h += VL) {
        vf acc[ATTN_M];
        for (int m = 0; m < M; m++) acc[m] = vf_set1(0);
        for (int64_t d = 0; d < k_dim; d++) {
            vf key = load(k, KV_BLOCK * d + h);
            for (int m = 0; m < M; m++) acc[m] = vf_fma(key, vf_set1(q[M * d + m]), acc[m]);
        }
        for (int m = 0; m < M; m++) vf_store(s + m * ATTN_CHUNK + h, acc[m]);
    }
}

static inline __attribute__((always_inline)) void score_q8_0(const uint8_t *k, int64_t k_dim,
                                                             const float *q, float *s, const int M) {
    for (int h = 0; h < KV_BLOCK; h += VL) {
        vf acc[ATTN_M];
        for (int m = 0; m < M; m++) acc[m] = vf_set1(0);
        for (int64_t b = 0; b < k_dim / 32; b++) {
            const uint8_t *block = k + b * KV_BLOCK * 34;
            const int8_t *code = (const int8_t *)block + 2 * KV_BLOCK;
            vf scale = load_f16(block, h), part[ATTN_M];
            for (int m = 0; m < M; m++) part[m] = vf_set1(0);
            for (int d = 0; d < 32; d++) {
                vf key = vf_load_i8(code + KV_BLOCK * d + h);
                for (int m = 0; m < M; m++)
                    part[m] = vf_fma(key, vf_set1(q[M * (32 * b + d) + m]), part[m]);
            }
            for (int m = 0; m < M; m++) acc[m] = vf_fma(part[m], scale, acc[m]);
        }
        for (int m = 0; m < M; m++) vf_store(s + m * ATTN_CHUNK + h, acc[m]);
    }
}

/* ---- values ---- */

/* Columns d .. d + N * VL of o. */
static inline __attribute__((always_inline)) void value_columns(load_fn load, size_t row_bytes,
                                                                const struct v_block *v, int64_t d,
                                                                int64_t v_dim, const float *p,
                                                                float *o, const int M, const int N) {
    vf acc[2][ATTN_M];
    for (int n = 0; n < N; n++)
        for (int m = 0; m < M; m++) acc[n][m] = vf_load(o + m * v_dim + d + n * VL);
    for (int b = 0; b < ATTN_BLOCKS; b++) {
        if (!v[b].v) continue;
        for (int j = v[b].first; j < v[b].end; j++) {
            const uint8_t *row = v[b].v + (size_t)j * row_bytes;
            const float *pj = p + b * KV_BLOCK + j;
            for (int n = 0; n < N; n++) {
                vf value = load(row, d + n * VL);
                for (int m = 0; m < M; m++)
                    acc[n][m] = vf_fma(value, vf_set1(pj[m * ATTN_CHUNK]), acc[n][m]);
            }
        }
    }
    for (int n = 0; n < N; n++)
        for (int m = 0; m < M; m++) vf_store(o + m * v_dim + d + n * VL, acc[n][m]);
}

static inline __attribute__((always_inline)) void value(load_fn load, uint32_t dtype,
                                                        const struct v_block *v, int64_t v_dim,
                                                        const float *p, float *o, const int M) {
    const size_t row_bytes = (size_t)v_dim * (dtype == AG_F32 ? 4 : 2);
    enum { WIDE = VL == 16 ? 2 : 1 }; /* registers for two columns at once */
    int64_t d = 0;
    for (; d + WIDE * VL <= v_dim; d += WIDE * VL)
        value_columns(load, row_bytes, v, d, v_dim, p, o, M, WIDE);
    for (; d + VL <= v_dim; d += VL) value_columns(load, row_bytes, v, d, v_dim, p, o, M, 1);
    for (; d < v_dim; d++)
        for (int b = 0; b < ATTN_BLOCKS; b++)
            for (int j = v[b].first; v[b].v && j < v[b].end; j++) {
                float x = load_one(dtype, v[b].v + (size_t)j * row_bytes, d);
                for (int m = 0; m < M; m++)
                    o[m * v_dim + d] += p[m * ATTN_CHUNK + b * KV_BLOCK + j] * x;
            }
}

static inline __attribute__((always_inline)) void value_q8_0(const struct v_block *v, int64_t v_dim,
                                                             const float *p, float *o, const int M) {
    for (int64_t d = 0; d < v_dim; d += VL) {
        vf acc[ATTN_M];
        for (int m = 0; m < M; m++) acc[m] = vf_load(o + m * v_dim + d);
        for (int b = 0; b < ATTN_BLOCKS; b++) {
            if (!v[b].v) continue;
            for (int j = v[b].first; j < v[b].end; j++) {
                const struct ag_block_q8_0 *q =
                    (const struct ag_block_q8_0 *)(const void *)v[b].v + j * (v_dim / 32) + d / 32;
                vf x = vf_load_i8(q->qs + d % 32) * half_to_f32(q->d);
                for (int m = 0; m < M; m++)
                    acc[m] = vf_fma(x, vf_set1(p[m * ATTN_CHUNK + b * KV_BLOCK + j]), acc[m]);
            }
        }
        for (int m = 0; m < M; m++) vf_store(o + m * v_dim + d, acc[m]);
    }
}

void FN(score4_f32)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score(load_f32, k, k_dim, q, s, 4);
}
void FN(score8_f32)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score(load_f32, k, k_dim, q, s, 8);
}
void FN(score4_f16)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score(load_f16, k, k_dim, q, s, 4);
}
void FN(score8_f16)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score(load_f16, k, k_dim, q, s, 8);
}
void FN(score4_bf16)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score(load_bf16, k, k_dim, q, s, 4);
}
void FN(score8_bf16)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score(load_bf16, k, k_dim, q, s, 8);
}
void FN(score4_q8_0)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score_q8_0(k, k_dim, q, s, 4);
}
void FN(score8_q8_0)(const uint8_t *k, int64_t k_dim, const float *q, float *s) {
    score_q8_0(k, k_dim, q, s, 8);
}
void FN(value4_f32)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value(load_f32, AG_F32, v, v_dim, p, o, 4);
}
void FN(value8_f32)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value(load_f32, AG_F32, v, v_dim, p, o, 8);
}
void FN(value4_f16)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value(load_f16, AG_F16, v, v_dim, p, o, 4);
}
void FN(value8_f16)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value(load_f16, AG_F16, v, v_dim, p, o, 8);
}
void FN(value4_bf16)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value(load_bf16, AG_BF16, v, v_dim, p, o, 4);
}
void FN(value8_bf16)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value(load_bf16, AG_BF16, v, v_dim, p, o, 8);
}
void FN(value4_q8_0)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value_q8_0(v, v_dim, p, o, 4);
}
void FN(value8_q8_0)(const struct v_block *v, int64_t v_dim, const float *p, float *o) {
    value_q8_0(v, v_dim, p, o, 8);
}

/* ---- softmax ---- */

void FN(softmax_f32)(float *s, const uint64_t *seen, int m, float cap, float *most, float *sum,
                     float *o, int64_t v_dim) {
    const vf least = vf_set1(-INFINITY), zero = vf_set1(0);
    const float inv_cap = cap > 0 ? 1.0f / cap : 0;
    for (int i = 0; i < m; i++, s += ATTN_CHUNK, o += v_dim) {
        vf top = least, total = zero;
        for (int j = 0; j < ATTN_CHUNK; j += VL) {
            vf x = vf_load(s + j);
            if (cap > 0) x = cap * vf_tanh(x * inv_cap);
            x = vf_keep((uint32_t)(seen[i] >> j), x, least);
            vf_store(s + j, x);
            top = vf_max(x, top);
        }
        float next = vf_hmax(top);
        if (!(next > most[i])) next = most[i];
        if (next == -INFINITY) { /* nothing seen yet */
            for (int j = 0; j < ATTN_CHUNK; j += VL) vf_store(s + j, zero);
            continue;
        }
        for (int j = 0; j < ATTN_CHUNK; j += VL) {
            vf p = vf_exp_clamped(vf_load(s + j) - next);
            p = vf_keep((uint32_t)(seen[i] >> j), p, zero);
            vf_store(s + j, p);
            total += p;
        }
        if (next != most[i]) {
            float shrink = expf(most[i] - next);
            sum[i] *= shrink;
            int64_t d = 0;
            for (; d + VL <= v_dim; d += VL) vf_store(o + d, vf_load(o + d) * shrink);
            for (; d < v_dim; d++) o[d] *= shrink;
            most[i] = next;
        }
        sum[i] += vf_sum(total);
    }
}
