/* SPDX-License-Identifier: MIT */
/* top_p.c - nucleus sampling (arXiv 1904.09751): the smallest set of best tokens whose probability
 * reaches p; the token that crosses p is kept. Of a whole vocabulary only the tokens that can be in
 * the set are sorted: one pass weighs them by how far they lie below the best. */
#include "sample/chain.h"

#include <math.h>

enum { BUCKETS = 1024, PER_NAT = 32 };

/* Falls as the logit rises; everything far below the best shares the last one. */
static int bucket(const struct sampler *s, float logit) {
    float at = (s->max - logit) * PER_NAT;
    return at < BUCKETS - 1 ? (int)at : BUCKETS - 1;
}

static double weight_of_list(const struct sampler *s) {
    double sum = 0;
    for (int32_t i = 0; i < s->n; i++) sum += (double)expf(s->list[i].logit - s->max);
    return sum;
}

/* How many of the list reach `want`; all of them where rounding keeps the sum just below. */
static int32_t crossing(const struct sampler *s, double want) {
    double sum = 0;
    for (int32_t i = 0; i < s->n; i++) {
        sum += (double)expf(s->list[i].logit - s->max);
        if (sum >= want) return i + 1;
    }
    return s->n;
}

/* Lists the tokens of the best buckets that reach p together; returns the weight wanted of them. */
static double list_nucleus(struct sampler *s) {
    double weight[BUCKETS] = { 0 }, all = 0, sum = 0;
    for (int32_t i = 0; i < s->n_vocab; i++)
        weight[bucket(s, s->logits[i])] += (double)expf(s->logits[i] - s->max);
    for (int b = 0; b < BUCKETS; b++) all += weight[b];
    double want = (double)s->p.top_p * all;
    int last = 0;
    while (last < BUCKETS - 1 && (sum += weight[last]) < want) last++;
    if (last < BUCKETS - 1) last++; /* sums in another order may cross one bucket later */
    s->n = 0;
    for (int32_t i = 0; i < s->n_vocab; i++)
        if (bucket(s, s->logits[i]) <= last)
            s->list[s->n++] = (struct candidate){ s->logits[i], i };
    list_sort(s->list, s->n);
    s->listed = true;
    return want;
}

void top_p_apply(struct sampler *s) {
    if (s->p.top_p >= 1) return;
    double want = s->listed ? (double)s->p.top_p * weight_of_list(s) : list_nucleus(s);
    s->n = crossing(s, want);
}
