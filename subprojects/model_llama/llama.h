/* SPDX-License-Identifier: MIT */
/* llama.h - hyper-parameters of Llama (arXiv 2302.13971, 2407.21783). config.c reads them, names.c
 * names the weights, model.c draws the pass. */
#ifndef LLAMA_H
#define LLAMA_H

#include <agave/model.h>

enum { LLAMA_MAX_LAYER = 1024, LLAMA_MAX_HEAD_DIM = 4096, LLAMA_MAX_NAME = 32 };

struct llama {
    int32_t n_layer;
    int32_t n_embd;             /* d: width of the residual stream */
    int32_t n_head;             /* H query heads */
    int32_t n_head_kv;          /* Hkv; H is a multiple */
    int32_t head_dim, v_dim;    /* D; equal, even */
    int32_t n_rot;              /* dims of a head that rope turns, from the first on; even */
    int32_t n_ff;               /* F: width of the feed-forward block */
    int32_t n_vocab;            /* V: rows of the embedding */
    int32_t ctx_train;
    int32_t n_expert;           /* must be 0 */
    int32_t window;             /* must be 0 */
    float eps;
    float theta;                /* rope base */
    float partial;              /* must be 1: rotated share of a head in config.json */
    float rope_factor;          /* linear and llama3 scaling */
    float low_factor, high_factor, ctx_before; /* llama3 scaling; ctx_before 0 = other */
    float freq[LLAMA_MAX_HEAD_DIM / 2];        /* [n_rot/2] radians a position */
    struct ag_weight_row name[LLAMA_MAX_NAME];
    struct ag_state state[LLAMA_MAX_LAYER];    /* one a layer: K and V [D, Hkv] of a token */
};

extern const struct ag_host *llama_host;

int llama_config(const struct ag_meta *, struct llama *);
int llama_weights(void *self, const char *scheme, struct ag_weight_table *out);

#endif
