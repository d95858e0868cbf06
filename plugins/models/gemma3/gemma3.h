/* SPDX-License-Identifier: MIT */
/* gemma3.h - hyper-parameters of Gemma 3 (arXiv 2503.19786). config.c reads them, names.c names the
 * weights, model.c draws the pass. */
#ifndef GEMMA3_H
#define GEMMA3_H

#include <agave/model.h>

enum { GEMMA3_MAX_LAYER = 1024, GEMMA3_MAX_HEAD_DIM = 4096 };

struct gemma3 {
    int32_t n_layer;
    int32_t n_embd;            /* d: width of the residual stream */
    int32_t n_head;            /* H query heads */
    int32_t n_head_kv;         /* Hkv; H is a multiple */
    int32_t head_dim, v_dim;   /* D of queries, keys and values; equal, even */
    int32_t n_ff;              /* F: width of the feed-forward block */
    int32_t n_vocab;           /* V: rows of the embedding */
    int32_t ctx_train;
    int32_t window;            /* W: a sliding layer sees itself and W - 1 earlier tokens; 0 = all */
    float eps;
    float theta_full, theta_sliding; /* rope bases by layer type */
    float rope_factor;         /* linear scaling, full layers only */
    float score_scale;         /* on q k */
    float query_scalar;        /* score_scale = query_scalar^-1/2; 0 = from head_dim */
    float score_cap, logit_cap; /* soft caps, 0 = off */
    bool sliding[GEMMA3_MAX_LAYER];
    struct ag_state state[GEMMA3_MAX_LAYER]; /* one a layer: K and V [D, Hkv] of a token */
};

extern const struct ag_host *gemma3_host;

int gemma3_config(const struct ag_meta *, struct gemma3 *);
int gemma3_weights(void *self, const char *scheme, struct ag_weight_table *out);

#endif
