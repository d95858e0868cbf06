/* SPDX-License-Identifier: MIT */
/* penalties.c - repeat penalty (CTRL, arXiv 1909.05858) over the distinct tokens of a window of the
 * context, frequency and presence penalty over the tokens generated in this answer. The cost follows
 * the number of distinct tokens, not the vocabulary. */
#include "sample/chain.h"

#include "util/error.h"

#include <stdlib.h>

int tally_create(struct tally *t, int32_t n_vocab) {
    size_t n = (size_t)n_vocab;
    *t = (struct tally){ .count = calloc(n, sizeof(int32_t)), .place = malloc(n * sizeof(int32_t)),
                         .list = malloc(n * sizeof(int32_t)) };
    if (t->count && t->place && t->list) return AG_OK;
    tally_free(t);
    return fail(AG_ENOMEM, "out of memory (counts of %d tokens)", n_vocab);
}

void tally_free(struct tally *t) {
    free(t->count);
    free(t->place);
    free(t->list);
    *t = (struct tally){ 0 };
}

void tally_clear(struct tally *t) {
    for (int32_t i = 0; i < t->n; i++) t->count[t->list[i]] = 0;
    t->n = 0;
}

void tally_add(struct tally *t, int32_t id) {
    if (t->count[id] == INT32_MAX || t->count[id]++) return;
    t->place[id] = t->n;
    t->list[t->n++] = id;
}

void tally_drop(struct tally *t, int32_t id) {
    if (--t->count[id]) return;
    int32_t last = t->list[--t->n];
    t->list[t->place[id]] = last;
    t->place[last] = t->place[id];
}

static void window_add(struct sampler *s, int32_t id) {
    if (s->ring) {
        if (s->ring_n == s->ring_cap) tally_drop(&s->recent, s->ring[s->ring_next]);
        else s->ring_n++;
        s->ring[s->ring_next] = id;
        s->ring_next = s->ring_next + 1 == s->ring_cap ? 0 : s->ring_next + 1;
    }
    tally_add(&s->recent, id);
}

void penalties_accept(struct sampler *s, int32_t id, bool generated) {
    if (s->recent.count) window_add(s, id);
    if (generated && s->generated.count) tally_add(&s->generated, id);
}

void penalties_apply(struct sampler *s) {
    for (int32_t i = 0; i < s->recent.n; i++) {
        float *l = &s->logits[s->recent.list[i]];
        *l = *l > 0 ? *l / s->p.repeat_penalty : *l * s->p.repeat_penalty;
    }
    for (int32_t i = 0; i < s->generated.n; i++) {
        int32_t id = s->generated.list[i];
        s->logits[id] -= (float)s->generated.count[id] * s->p.frequency_penalty +
                         s->p.presence_penalty;
    }
}
