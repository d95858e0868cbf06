/* SPDX-License-Identifier: MIT */
/* draw.c - the end of the chain: argmax for temperature 0, else one draw from exp(logit / T) by
 * inverting the cumulative sum with one uniform number. */
#include "sample/chain.h"

#include "util/error.h"

#include <math.h>

enum { BLOCK = 4096 }; /* logits whose maximum is kept apart; a multiple of SCAN_LANES */

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

/* splitmix64 fills the state, which therefore is never all zeros. */
void draw_seed(struct sampler *s, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        s->rng[i] = z ^ z >> 31;
    }
}

/* xoshiro256** (Blackman, Vigna), top 53 bits: uniform in [0, 1). */
static double uniform(uint64_t r[4]) {
    uint64_t bits = rotate(r[1] * 5, 7) * 9, t = r[1] << 17;
    r[2] ^= r[0];
    r[3] ^= r[1];
    r[1] ^= r[2];
    r[0] ^= r[3];
    r[2] ^= t;
    r[3] = rotate(r[3], 45);
    return (double)(bits >> 11) * 0x1p-53;
}

/* As scan_max, for any n >= 1. */
static float block_max(const float *x, int32_t n, int *nan) {
    int32_t whole = n - n % SCAN_LANES;
    float m = whole ? scan_max(x, whole, nan) : x[0];
    for (int32_t i = whole; i < n; i++) {
        m = x[i] > m ? x[i] : m;
        *nan |= x[i] != x[i];
    }
    return m;
}

int draw_greedy(struct sampler *s, int32_t *id) {
    int nan = 0;
    int32_t at = 0;
    float best = -INFINITY;
    for (int32_t i = 0; i < s->n_vocab; i += BLOCK) {
        int32_t n = s->n_vocab - i < BLOCK ? s->n_vocab - i : BLOCK;
        float m = block_max(s->logits + i, n, &nan);
        if (m > best) {
            best = m;
            at = i;
        }
    }
    if (nan) return fail(AG_EDEVICE, "a logit is not a number");
    if (best == INFINITY) return fail(AG_EDEVICE, "a logit is infinite");
    if (best == -INFINITY) return fail(AG_EINVAL, "no token is left to draw: all are banned");
    while (s->logits[at] != best) at++;
    s->max = best;
    *id = at;
    return AG_OK;
}

/* Whole vocabulary: weights replace the logits; one pass sums them, one looks for the place. */
static int32_t draw_from_all(struct sampler *s, double u) {
    double sum = 0;
    for (int32_t i = 0; i < s->n_vocab; i++) {
        s->logits[i] = expf((s->logits[i] - s->max) / s->p.temperature);
        sum += (double)s->logits[i];
    }
    double want = u * sum, seen = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < s->n_vocab; i++) {
        if (s->logits[i] <= 0) continue;
        last = i;
        seen += (double)s->logits[i];
        if (seen > want) break;
    }
    return last;
}

int32_t draw_weighted(struct sampler *s) {
    double u = uniform(s->rng);
    if (!s->listed) return draw_from_all(s, u);
    double sum = 0;
    for (int32_t i = 0; i < s->n; i++) {
        s->list[i].logit = expf((s->list[i].logit - s->max) / s->p.temperature);
        sum += (double)s->list[i].logit;
    }
    double want = u * sum, seen = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < s->n; i++) {
        if (s->list[i].logit <= 0) continue;
        last = i;
        seen += (double)s->list[i].logit;
        if (seen > want) break;
    }
    return s->list[last].id;
}
