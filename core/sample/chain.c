/* SPDX-License-Identifier: MIT */
/* chain.c - runs the samplers in their order: ban, penalties, top-k, top-p, min-p, temperature, draw.
 * The last file on the road of a token: logits come from the session, the id goes back to the host.
 * Greedy takes one pass over the vocabulary; nothing is allocated after create. */
#include "sample/chain.h"

#include "util/error.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sampler_params sampler_defaults(void) {
    return (struct sampler_params){ .top_p = 1, .repeat_penalty = 1, .repeat_last_n = 64 };
}

static int check_number(const char *name, float v, float least, float most, const char *range) {
    if (v >= least && v <= most) return AG_OK; /* NaN compares false */
    return fail(AG_EINVAL, "%s: want %s, got %g", name, range, (double)v);
}

static int check_params(const struct sampler_params *p) {
    int err = check_number("temperature", p->temperature, 0, 3.4e38f, "a number from 0 on");
    if (!err) err = check_number("top-p", p->top_p, 1e-30f, 1, "a number in (0, 1]");
    if (!err) err = check_number("min-p", p->min_p, 0, 1, "a number in [0, 1]");
    if (!err)
        err = check_number("repeat penalty", p->repeat_penalty, 1e-30f, 1e30f, "a number above 0");
    if (!err)
        err = check_number("frequency penalty", p->frequency_penalty, -1e30f, 1e30f, "a number");
    if (!err)
        err = check_number("presence penalty", p->presence_penalty, -1e30f, 1e30f, "a number");
    if (err) return err;
    if (p->top_k < 0) return fail(AG_EINVAL, "top-k: want 0 (off) or more, got %d", p->top_k);
    if (p->repeat_last_n < -1)
        return fail(AG_EINVAL, "repeat window: want -1 (all), 0 (off) or more, got %d",
                    p->repeat_last_n);
    return AG_OK;
}

static int create_window(struct sampler *s) {
    if (s->p.repeat_penalty == 1 || s->p.repeat_last_n == 0) return AG_OK;
    int err = tally_create(&s->recent, s->n_vocab);
    if (err || s->p.repeat_last_n < 0) return err;
    s->ring_cap = s->p.repeat_last_n;
    s->ring = malloc((size_t)s->ring_cap * sizeof *s->ring);
    return s->ring ? AG_OK : fail(AG_ENOMEM, "out of memory (repeat window of %d)", s->ring_cap);
}

int sampler_create(const struct sampler_params *p, int32_t n_vocab, struct sampler **out) {
    *out = NULL;
    int err = check_params(p);
    if (err) return err;
    if (n_vocab < 1) return fail(AG_EINVAL, "sampler: want a vocabulary, got %d tokens", n_vocab);
    struct sampler *s = calloc(1, sizeof *s);
    if (!s) return fail(AG_ENOMEM, "out of memory");
    s->p = *p;
    s->n_vocab = n_vocab;
    draw_seed(s, p->seed);
    err = create_window(s);
    if (!err && (p->frequency_penalty != 0 || p->presence_penalty != 0))
        err = tally_create(&s->generated, n_vocab);
    if (!err && p->temperature > 0) {
        s->list = malloc((size_t)n_vocab * sizeof *s->list);
        if (!s->list) err = fail(AG_ENOMEM, "out of memory (%d candidates)", n_vocab);
    }
    if (err) {
        sampler_free(s);
        return err;
    }
    *out = s;
    return AG_OK;
}

void sampler_free(struct sampler *s) {
    if (!s) return;
    tally_free(&s->recent);
    tally_free(&s->generated);
    free(s->ring);
    free(s->banned);
    free(s->list);
    free(s);
}

static int check_id(const struct sampler *s, int32_t id) {
    if (id >= 0 && id < s->n_vocab) return AG_OK;
    return fail(AG_EINVAL, "sampler: token %d is outside the vocabulary of %d", id, s->n_vocab);
}

int sampler_ban(struct sampler *s, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int err = check_id(s, ids[i]);
        if (err) return err;
    }
    if (n > SIZE_MAX - s->n_banned) return fail(AG_ENOMEM, "out of memory");
    int err = mem_grow(&s->banned, &s->cap_banned, s->n_banned + n, sizeof *ids);
    if (err || !n) return err;
    memcpy(s->banned + s->n_banned, ids, n * sizeof *ids);
    s->n_banned += n;
    return AG_OK;
}

int sampler_accept(struct sampler *s, int32_t id, bool generated) {
    int err = check_id(s, id);
    if (!err) penalties_accept(s, id, generated);
    return err;
}

/* A NaN is an error even where it would be overwritten: it says that the numbers are wrong. */
static int apply_bans(struct sampler *s) {
    for (size_t i = 0; i < s->n_banned; i++) {
        float *l = &s->logits[s->banned[i]];
        if (isnan(*l)) return fail(AG_EDEVICE, "logit of token %d is not a number", s->banned[i]);
        *l = -INFINITY;
    }
    return AG_OK;
}

int sampler_sample(struct sampler *s, float *logits, int32_t *id) {
    s->logits = logits;
    s->listed = false;
    s->n = s->n_vocab;
    int err = apply_bans(s);
    if (err) return err;
    penalties_apply(s);
    err = draw_greedy(s, id);
    if (err || s->p.temperature == 0) return err;
    top_k_apply(s);
    top_p_apply(s);
    min_p_apply(s);
    *id = draw_weighted(s);
    return AG_OK;
}

void sampler_reset(struct sampler *s) {
    tally_clear(&s->recent);
    tally_clear(&s->generated);
    s->ring_n = s->ring_next = 0;
}
