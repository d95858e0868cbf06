/* SPDX-License-Identifier: MIT */
/* top_p.c - nucleus sampling (arXiv 1904.09751): the smallest set of best tokens whose probability
 * reaches p; the token that crosses p is kept. Without a list the best few hundred are tried first,
 * since they nearly always hold p. */
#include "sample/chain.h"

#include <math.h>

enum { FIRST_TRY = 256, GROWTH = 8 };

static double weight_of_all(const struct sampler *s) {
    double sum = 0;
    for (int32_t i = 0; i < s->n_vocab; i++) sum += (double)expf(s->logits[i] - s->max);
    return sum;
}

static double weight_of_list(const struct sampler *s) {
    double sum = 0;
    for (int32_t i = 0; i < s->n; i++) sum += (double)expf(s->list[i].logit - s->max);
    return sum;
}

/* How many of the list reach `want`; 0: all together do not. */
static int32_t crossing(const struct sampler *s, double want) {
    double sum = 0;
    for (int32_t i = 0; i < s->n; i++) {
        sum += (double)expf(s->list[i].logit - s->max);
        if (sum >= want) return i + 1;
    }
    return 0;
}

void top_p_apply(struct sampler *s) {
    if (s->p.top_p >= 1) return;
    int32_t kept;
    if (s->listed) {
        kept = crossing(s, (double)s->p.top_p * weight_of_list(s));
    } else {
        double want = (double)s->p.top_p * weight_of_all(s);
        int32_t k = FIRST_TRY;
        for (;;) {
            top_k_select(s, k < s->n_vocab ? k : s->n_vocab);
            kept = crossing(s, want);
            if (kept || s->n == s->n_vocab) break;
            k = k > s->n_vocab / GROWTH ? s->n_vocab : k * GROWTH;
        }
    }
    if (kept) s->n = kept;
}
