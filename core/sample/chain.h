/* SPDX-License-Identifier: MIT */
/* chain.h - what the samplers of one chain share. A step starts with the whole vocabulary in play;
 * a sampler that drops tokens turns it into a list, best first. */
#ifndef SAMPLE_CHAIN_H
#define SAMPLE_CHAIN_H

#include "sample/sampler.h"

struct candidate { float logit; int32_t id; };

/* How often each token occurs, with a list of those that do. All arrays are [n_vocab]. */
struct tally {
    int32_t *count; /* by id */
    int32_t *place; /* by id: where in list, valid when count > 0 */
    int32_t *list;
    int32_t n;
};

struct sampler {
    struct sampler_params p;
    int32_t n_vocab;
    uint64_t rng[4]; /* xoshiro256** */

    int32_t *banned; /* owned; NULL when none */
    size_t n_banned, cap_banned;

    struct tally recent;    /* of the repeat penalty's window; empty arrays when it is off */
    int32_t *ring;          /* [ring_cap] the window's tokens; NULL when it has no end */
    int32_t ring_cap, ring_n, ring_next;
    struct tally generated; /* of frequency and presence penalty; empty arrays when both are off */

    struct candidate *list; /* [n_vocab]; NULL for greedy */

    /* of the running step */
    float *logits; /* [n_vocab], the caller's */
    float max;     /* of the logits in play; samplers never drop it */
    bool listed;   /* list[0 .. n) holds what is left, else the whole vocabulary does */
    int32_t n;
};

int tally_create(struct tally *, int32_t n_vocab);
void tally_free(struct tally *);
void tally_clear(struct tally *);
void tally_add(struct tally *, int32_t id);
void tally_drop(struct tally *, int32_t id);

void penalties_accept(struct sampler *, int32_t id, bool generated);
void penalties_apply(struct sampler *);

/* The best k of the vocabulary into the list, best first; of equals the lower id is better. */
void top_k_select(struct sampler *, int32_t k);
void list_sort(struct candidate *list, int32_t n); /* best first */
void top_k_apply(struct sampler *);
void top_p_apply(struct sampler *);
void min_p_apply(struct sampler *);

/* Largest logit and the lowest id that has it. AG_EDEVICE: a NaN or infinite logit; AG_EINVAL: no
 * token is left. */
int draw_greedy(struct sampler *, int32_t *id);
int32_t draw_weighted(struct sampler *); /* temperature, then one uniform number */
void draw_seed(struct sampler *, uint64_t seed);

/* Lanes that a compiler turns into vector registers: x > m ? x : m is what max instructions do. */
enum { SCAN_LANES = 16 };

/* Maximum of n logits, n a multiple of SCAN_LANES; *nan |= is one of them NaN. */
static inline float scan_max(const float *x, int32_t n, int *nan) {
    float m[SCAN_LANES];
    int bad[SCAN_LANES] = { 0 };
    for (int j = 0; j < SCAN_LANES; j++) m[j] = x[j];
    for (int32_t i = 0; i < n; i += SCAN_LANES)
        for (int j = 0; j < SCAN_LANES; j++) {
            float v = x[i + j];
            m[j] = v > m[j] ? v : m[j];
            bad[j] |= v != v;
        }
    for (int j = 1; j < SCAN_LANES; j++) {
        m[0] = m[j] > m[0] ? m[j] : m[0];
        bad[0] |= bad[j];
    }
    *nan |= bad[0];
    return m[0];
}

#endif
