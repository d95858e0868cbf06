/* SPDX-License-Identifier: MIT */
/* sampler.h - from logits to a token: bias, penalties, top-k, top-p, min-p, temperature, draw; one
 * file per sampler, chain.c runs them in that order. One object per sequence: same seed and same
 * logits give the same tokens, whatever else runs. */
#ifndef SAMPLE_SAMPLER_H
#define SAMPLE_SAMPLER_H

#include <agave/base.h>

struct sampler;

struct sampler_params {
    float temperature;       /* 0 = greedy: argmax, lowest id on ties */
    int32_t top_k;           /* 0 = off */
    float top_p;             /* 1 = off */
    float min_p;             /* 0 = off */
    float repeat_penalty;    /* 1 = off */
    int32_t repeat_last_n;   /* 64; 0 = off, -1 = all */
    float frequency_penalty; /* 0 = off; counts generated tokens only */
    float presence_penalty;
    uint64_t seed;
};
struct sampler_params sampler_defaults(void); /* greedy, seed 0 */

int sampler_create(const struct sampler_params *, int32_t n_vocab, struct sampler **out);
void sampler_free(struct sampler *);
/* Ids that may never be drawn. */
int sampler_ban(struct sampler *, const int32_t *ids, size_t n);
/* Tells of a token of the context; generated = drawn in this answer. */
int sampler_accept(struct sampler *, int32_t id, bool generated);
/* Draws from logits [n_vocab], which it changes. NaN logits are AG_EDEVICE. */
int sampler_sample(struct sampler *, float *logits, int32_t *id);
void sampler_reset(struct sampler *); /* forgets the context; the random stream goes on */

#endif
