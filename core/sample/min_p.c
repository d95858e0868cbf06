/* SPDX-License-Identifier: MIT */
/* min_p.c - keeps the tokens whose probability is at least min_p times that of the best one
 * (arXiv 2407.01082): logit >= max + ln(min_p). */
#include "sample/chain.h"

#include <math.h>

void min_p_apply(struct sampler *s) {
    if (s->p.min_p <= 0) return;
    float least = s->max + logf(s->p.min_p);
    int32_t kept = 0;
    if (s->listed) {
        while (kept < s->n && s->list[kept].logit >= least) kept++;
    } else {
        for (int32_t i = 0; i < s->n_vocab; i++)
            if (s->logits[i] >= least) s->list[kept++] = (struct candidate){ s->logits[i], i };
        s->listed = true;
    }
    s->n = kept;
}
