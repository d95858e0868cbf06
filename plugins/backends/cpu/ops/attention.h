/* SPDX-License-Identifier: MIT */
/* attention.h - kernels of ATTENTION.
 *
 * A tile is M query rows (of one KV head) against a chunk of CHUNK entries in blocks of 16. */
#ifndef CPU_OPS_ATTENTION_H
#define CPU_OPS_ATTENTION_H

#include "kv.h"

enum { ATTN_M = 8, ATTN_CHUNK = 64, ATTN_BLOCKS = ATTN_CHUNK / KV_BLOCK };

/* A block of values and the entries [first, end) of it that count; v NULL: none. */
struct v_block { const uint8_t *v; int first, end; };

/* q [k_dim][M] times the 16 keys of a block: s [M], rows ATTN_CHUNK apart. */
typedef void score_kernel(const uint8_t *k, int64_t k_dim, const float *q, float *s);
/* Scores s [M][ATTN_CHUNK] become p = exp(s - most), 0 where the row's bit of `seen` is not set; most
 * [M], sum [M] and o [M][v_dim] are brought to the new maximum. cap 0 = none. */
typedef void softmax_kernel(float *s, const uint64_t *seen, int m, float cap, float *most, float *sum,
                            float *o, int64_t v_dim);
/* o [M][v_dim] += p [M][ATTN_CHUNK] times the values of the chunk */
typedef void value_kernel(const struct v_block *v, int64_t v_dim, const float *p, float *o);

#endif
