/* SPDX-License-Identifier: MIT */
/* session.c - timelines of tokens, and the steps that compute them.
 * The road of a token: from host/cmd_run.c and core/token/ to here; the step block filled here is what
 * the backend's plan (plugins/backends/cpu/plan.c) reads. */
#include "session.h"

#include "engine_impl.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

int session_create(struct engine *e, struct session **out) {
    int32_t slot = 0;
    while (slot < e->cls.max_seq && e->seq_used[slot]) slot++;
    if (slot == e->cls.max_seq)
        return fail(AG_ENOSPC, "this engine holds %d sequences, all in use", e->cls.max_seq);
    struct session *s = calloc(1, sizeof *s);
    if (!s) return fail(AG_ENOMEM, "out of memory");
    s->e = e;
    s->slot = slot;
    s->ids = malloc((size_t)e->cls.max_ctx * sizeof *s->ids);
    int err = s->ids ? AG_OK : fail(AG_ENOMEM, "out of memory");
    for (int32_t g = 0; err == AG_OK && g < e->n_group; g++) err = page_table_init(&s->table[g], e->max_page);
    e->seq_used[slot] = true;
    if (err < 0) session_free(s);
    else *out = s;
    return err;
}

void session_free(struct session *s) {
    if (!s) return;
    for (int32_t g = 0; g < s->e->n_group; g++) page_table_finish(&s->table[g], &s->e->pool[g]);
    s->e->seq_used[s->slot] = false;
    free(s->ids);
    free(s);
}

int32_t session_length(const struct session *s) { return s->n; }

int32_t session_shared(const struct session *s, const int32_t *ids, int32_t n) {
    int32_t same = 0;
    while (same < n && same < s->n && s->ids[same] == ids[same]) same++;
    return same;
}

int32_t session_rewind(struct session *s, int32_t n) {
    if (n >= s->n) return s->n;
    if (n < 0) n = 0;
    for (int32_t g = 0; g < s->e->n_group; g++)
        if (!page_table_can_cut(&s->table[g], &s->e->pool[g], n)) n = 0;
    for (int32_t g = 0; g < s->e->n_group; g++) page_table_cut(&s->table[g], &s->e->pool[g], n);
    return s->n = n;
}

/* ---- one step ---- */

static int check_items(const struct engine *e, const struct step_item *items, int32_t n_items) {
    int64_t rows = 0, outs = 0;
    for (int32_t i = 0; i < n_items; i++) {
        const struct step_item *it = &items[i];
        if (it->n < 1 || it->n_out < 0 || it->n_out > it->n)
            return fail(AG_EINVAL, "a step item of %d tokens, %d with logits", it->n, it->n_out);
        if (it->n > e->cls.max_ctx - it->session->n)
            return fail(AG_ENOSPC, "%d cached tokens and %d more do not fit a context of %d", it->session->n, it->n,
                        e->cls.max_ctx);
        for (int32_t k = 0; k < it->n; k++)
            if (it->ids[k] < 0 || it->ids[k] >= e->info.n_vocab)
                return fail(AG_EINVAL, "token id %d is outside the vocabulary of %d", it->ids[k], e->info.n_vocab);
        rows += it->n;
        outs += it->n_out;
    }
    if (n_items < 1 || n_items > e->cls.max_seq || rows > e->cls.max_token || outs > e->cls.max_out)
        return fail(AG_EINVAL, "a step of %d sequences, %lld tokens, %lld outputs; at most %d, %d, %d", n_items,
                    (long long)rows, (long long)outs, e->cls.max_seq, e->cls.max_token, e->cls.max_out);
    return AG_OK;
}

static void fill_group(struct engine *e, int32_t g, const struct step_item *items, int32_t n_items) {
    const struct ag_step_group *sg = &e->step->group[g];
    int32_t *table = ag_step_at(e->step, sg->table_off), *write = ag_step_at(e->step, sg->write_off);
    int32_t *first = ag_step_at(e->step, sg->first_off), row = 0;
    for (int32_t i = 0; i < n_items; i++) {
        const struct page_table *t = &items[i].session->table[g];
        memcpy(table + (size_t)i * sg->max_page, t->page, (size_t)t->end * sizeof *table);
        first[i] = t->first * PAGE_TOKENS;
        for (int32_t k = 0; k < items[i].n; k++, row++) {
            int32_t entry = items[i].session->n + k;
            write[row] = t->page[entry / PAGE_TOKENS] * PAGE_TOKENS + entry % PAGE_TOKENS;
        }
    }
}

static void fill_step(struct engine *e, const struct step_item *items, int32_t n_items) {
    struct ag_step *st = e->step;
    int32_t *token = ag_step_array(st, AG_STEP_TOKEN), *seq = ag_step_array(st, AG_STEP_SEQ);
    int32_t *order = ag_step_array(st, AG_STEP_ORDER), *pos = ag_step_array(st, AG_STEP_POS);
    int32_t *out_row = ag_step_array(st, AG_STEP_OUT_ROW), row = 0, out = 0;
    for (int32_t i = 0; i < n_items; i++) {
        const struct step_item *it = &items[i];
        ag_step_array(st, AG_STEP_Q_BEGIN)[i] = row;
        ag_step_array(st, AG_STEP_Q_LEN)[i] = it->n;
        ag_step_array(st, AG_STEP_KV_LEN)[i] = it->session->n + it->n;
        for (int32_t k = 0; k < it->n; k++, row++) {
            token[row] = it->ids[k];
            seq[row] = i;
            order[row] = it->session->n + k;
            for (int axis = 0; axis < 4; axis++) pos[(size_t)axis * (size_t)st->max_token + (size_t)row] = order[row];
            if (k >= it->n - it->n_out) out_row[out++] = row;
        }
    }
    st->n_token = row;
    st->n_out = out;
    st->n_seq = n_items;
    st->flags = 0;
    for (int32_t g = 0; g < e->n_group; g++) fill_group(e, g, items, n_items);
}

int engine_step(struct engine *e, const struct step_item *items, int32_t n_items) {
    int err = check_items(e, items, n_items);
    for (int32_t i = 0; err == AG_OK && i < n_items; i++)
        for (int32_t g = 0; err == AG_OK && g < e->n_group; g++)
            err = page_table_extend(&items[i].session->table[g], &e->pool[g], items[i].session->n, items[i].n);
    if (err < 0) return err;
    fill_step(e, items, n_items);
    e->n_out = e->n_token = 0;
    if ((err = engine_run_parts(e)) < 0) return err; /* nothing counts: sessions stay as they were */
    e->n_out = e->step->n_out;
    e->n_token = e->step->n_token;
    for (int32_t i = 0; i < n_items; i++) {
        struct session *s = items[i].session;
        memmove(s->ids + s->n, items[i].ids, (size_t)items[i].n * sizeof *s->ids);
        s->n += items[i].n;
    }
    if (!e->copy) return AG_OK;
    return e->backend->read(e->device, e->scratch, e->place[e->logits], e->copy,
                            (uint64_t)e->n_out * (uint64_t)e->info.n_vocab * sizeof(float));
}

float *engine_logits(struct engine *e, int32_t i) {
    if (i < 0 || i >= e->n_out) return NULL;
    char *base = e->copy ? (char *)e->copy : (char *)e->backend->map(e->device, e->scratch) + e->place[e->logits];
    return (float *)(void *)base + (size_t)i * (size_t)e->info.n_vocab;
}

const float *engine_trace(struct engine *e, uint32_t tag, int32_t layer, int32_t t) {
    const struct ag_graph *g = e->lowered;
    char *base = e->backend->map(e->device, e->scratch);
    if (!base || t < 0 || t >= e->n_token) return NULL;
    for (uint32_t i = 0; i < g->n_tagged; i++) {
        const struct ag_tagged *at = &g->tagged[i];
        if (at->tag != tag || (layer >= 0 && at->layer != layer)) continue;
        return (const float *)(const void *)(base + e->place[at->ref]) + (size_t)t * (size_t)g->node[at->ref].dim[0];
    }
    return NULL;
}

/* ---- whole prefixes ---- */

int session_sync(struct session *s, const int32_t *ids, int32_t n, const struct session_progress *p, int32_t *reused) {
    struct engine *e = s->e;
    if (n < 1) return fail(AG_EINVAL, "an empty prompt");
    if (n > e->cls.max_ctx)
        return fail(AG_ENOSPC, "%d tokens do not fit the context of %d; --ctx-size makes it larger", n, e->cls.max_ctx);
    session_rewind(s, session_shared(s, ids, n - 1));
    if (reused) *reused = s->n;
    while (s->n < n) {
        int32_t left = n - s->n, take = left < e->cls.max_token ? left : e->cls.max_token;
        struct step_item item = { s, ids + s->n, take, take == left };
        int err = engine_step(e, &item, 1);
        if (err < 0) return err;
        if (p && p->on_chunk) p->on_chunk(p->ctx, s->n, n);
    }
    return AG_OK;
}

float *session_logits(struct session *s) { return engine_logits(s->e, s->e->n_out - 1); }
