/* SPDX-License-Identifier: MIT */
/* kv.h - pages of keys and values.
 *
 * A page holds its entries in blocks of 16; a block is
 *   K of each head: [k_dim][16 entries], so that 16 keys are scored at once without sums across lanes;
 *     Q8_0: per 32 dims f16 scales [16], i8 codes [32][16]
 *   V of each head: [16 entries][v_dim]; Q8_0: blocks as in files */
#ifndef CPU_OPS_KV_H
#define CPU_OPS_KV_H

#include "rung.h"

enum { KV_BLOCK = 16 };

/* k: one row into column `place` of a block; v: into row `place`. */
typedef void kv_kernel(const float *x, int64_t n, uint8_t *block, int place);

struct kv {
    unsigned char *pages;
    uint64_t page_bytes, block_bytes, k_head_bytes, v_head_bytes;
    uint32_t page_tokens, group, k_dtype, v_dtype;
    int32_t n_head, k_dim, v_dim;
    kv_kernel *write_k, *write_v;
};

/* Sizes of a state's pages; AG_ENOTSUP with a text. */
int kv_init(struct kv *, const struct ag_state *, const struct ag_kv_layout *);
/* The state that a STATE or KV_WRITE node stands for, bound. */
int kv_bind(struct planner *, ag_ref ref, struct kv *, struct access *, const struct item *,
            bool write);

/* Block of 16 entries that holds entry `place` of a page. */
static inline unsigned char *kv_block(const struct kv *kv, int64_t page, int64_t place) {
    return kv->pages + (uint64_t)page * kv->page_bytes +
           (uint64_t)(place / KV_BLOCK) * kv->block_bytes;
}
static inline unsigned char *kv_k(const struct kv *kv, unsigned char *block, int64_t head) {
    return block + (uint64_t)head * kv->k_head_bytes;
}
static inline unsigned char *kv_v(const struct kv *kv, unsigned char *block, int64_t head) {
    return block + (uint64_t)kv->n_head * kv->k_head_bytes + (uint64_t)head * kv->v_head_bytes;
}

#endif
