/* SPDX-License-Identifier: MIT */
#include "check_run.h"

#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_TOKENS = 16, N_PAGE = 2, CTX = PAGE_TOKENS * N_PAGE };

/* ---- what is run ---- */

int trial_weight(struct trial *t, const char *name, uint32_t dtype, int64_t k, int64_t n) {
    struct trial_weight *w = &t->weight[t->n_weight];
    *w = (struct trial_weight){ .name = name, .dtype = dtype, .dim = { k, n, 1, 1 } };
    w->bytes = ag_row_bytes(dtype, (uint64_t)k) * (uint64_t)n;
    w->data = w->bytes ? malloc(w->bytes) : NULL;
    if (!w->data) return fail(w->bytes ? AG_ENOMEM : AG_EINVAL, "no weight of %lld x %lld", (long long)k, (long long)n);
    uint64_t seed = 0x9E3779B97F4A7C15u + dtype;
    for (uint64_t i = 0; i < w->bytes; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        /* A float of any format whose bytes are all below 0x3c is finite and below 1. */
        w->data[i] = (unsigned char)((seed >> 32) % 0x3c);
        if (dtype == AG_F32 && i % 4 == 3) w->data[i] = (unsigned char)(0x3e | (seed >> 40 & 0x80));
    }
    t->n_weight++;
    return 0;
}

static int64_t find(const struct trial *t, const char *name) {
    for (uint32_t i = 0; i < t->n_weight; i++)
        if (!strcmp(t->weight[i].name, name)) return i;
    return -1;
}

static int64_t source_weight(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                             uint32_t *dtype) {
    const struct trial *t = ctx;
    int64_t i = find(t, name);
    (void)layer;
    if (i < 0 || memcmp(want, t->weight[i].dim, sizeof t->weight[i].dim))
        return fail(AG_EINVAL, "weight %s has other dims", name);
    *dtype = t->weight[i].dtype;
    return i;
}

static bool source_has(void *ctx, const char *name, int layer) {
    (void)layer;
    return find(ctx, name) >= 0;
}

int trial_begin(struct trial *t) {
    t->source = (struct graph_source){ .who = "check", .ctx = t, .weight = source_weight, .has = source_has };
    t->source.state = (struct ag_state_table){ .size = sizeof t->source.state, .stride = sizeof t->state,
                                               .n = t->n_state, .state = &t->state };
    return graph_create(&t->source, &t->graph);
}

int trial_drawn(struct trial *t) { return graph_finish(t->graph, false); }

void trial_free(struct trial *t) {
    for (uint32_t i = 0; i < t->n_weight; i++) free(t->weight[i].data);
    graph_free(t->graph);
    *t = (struct trial){ 0 };
}

/* ---- running it ---- */

struct run {
    const struct trial *t;
    const struct ag_backend *b;
    ag_device *dev;
    uint32_t flags;
    struct ag_graph *low;
    struct ag_class cls;
    uint64_t *place, scratch_bytes;
    struct ag_weight_binding weight[TRIAL_WEIGHTS];
    struct ag_state_binding state;
    ag_buffer *buffer[TRIAL_WEIGHTS], *scratch, *pages;
    ag_plan *plan;
    struct ag_step *step;
};

static bool native(void *ctx, const struct ag_graph *g, ag_ref ref) {
    const struct run *r = ctx;
    return graph_supported(r->b, r->dev, g, ref);
}

static int lower(struct run *r) {
    int rc = graph_lower(r->t->graph, native, r, &r->low);
    for (ag_ref i = 1; rc >= 0 && i < r->low->n; i++)
        if (!graph_supported(r->b, r->dev, r->low, i))
            rc = fail(AG_ENOTSUP, "no %s for this", ag_op_name(r->low->node[i].op));
    if (rc >= 0 && !(r->place = calloc(r->low->n, sizeof *r->place))) rc = fail(AG_ENOMEM, "out of memory");
    return rc < 0 ? rc : graph_arena(r->low, &r->cls, UINT64_C(1) << AG_TAG_HIDDEN, r->place, &r->scratch_bytes);
}

static uint64_t uses_of(const struct ag_graph *g, uint32_t slot) {
    uint64_t ops = 0;
    for (ag_ref i = 1; i < g->n; i++)
        for (int k = 0; k < AG_MAX_SRC; k++) {
            const struct ag_node *s = &g->node[g->node[i].src[k]];
            if (s->op == AG_OP_WEIGHT && s->slot == slot && g->node[i].op < 64) ops |= UINT64_C(1) << g->node[i].op;
        }
    return ops;
}

/* As in the file, or as the backend wants it repacked; through write(), so that any memory will do. */
static int put_weight(struct run *r, uint32_t i) {
    const struct trial_weight *w = &r->t->weight[i];
    struct ag_weight_binding *at = &r->weight[i];
    struct ag_weight_use use = { .size = sizeof use, .dtype = w->dtype, .ops = uses_of(r->low, i),
                                 .flags = r->flags };
    memcpy(use.dim, w->dim, sizeof use.dim);
    at->layout = (struct ag_layout){ .size = sizeof at->layout, .bytes = w->bytes };
    int rc = r->b->layout ? r->b->layout(r->dev, &use, &at->layout) : 0;
    if (rc < 0) return fail_prefix(rc, "layout of %s", ag_dtype_name(w->dtype));
    if (at->layout.id && (!at->layout.bytes || at->layout.bytes > (uint64_t)1 << 30))
        return fail(AG_EABI, "layout wants %llu bytes", (unsigned long long)at->layout.bytes);
    unsigned char *packed = at->layout.id ? mem_aligned(at->layout.bytes, 64) : NULL;
    if (at->layout.id && !packed) return fail(AG_ENOMEM, "out of memory");
    if (packed) rc = r->b->pack(r->dev, &use, &at->layout, w->data, 0, w->dim[1], packed);
    if (rc >= 0) rc = r->b->alloc(r->dev, at->layout.bytes, AG_BUFFER_DEVICE, 0, &r->buffer[i]);
    if (rc >= 0) rc = r->b->write(r->dev, r->buffer[i], 0, packed ? packed : w->data, at->layout.bytes);
    at->at = (struct ag_binding){ r->buffer[i], 0, at->layout.bytes };
    free(packed);
    return rc;
}

static int make_state(struct run *r) {
    if (!r->t->n_state) return 0;
    r->state = (struct ag_state_binding){ .state = r->t->state, .n_page = N_PAGE };
    r->state.kv = (struct ag_kv_layout){ .size = sizeof r->state.kv, .page_tokens = PAGE_TOKENS,
                                         .k_dtype = AG_F32, .v_dtype = AG_F32 };
    int rc = r->b->kv_layout(r->dev, &r->state.state, &r->state.kv);
    if (rc < 0) return rc;
    if (!r->state.kv.page_bytes || r->state.kv.page_bytes > (uint64_t)1 << 30)
        return fail(AG_EABI, "kv_layout wants pages of %llu bytes", (unsigned long long)r->state.kv.page_bytes);
    uint64_t bytes = N_PAGE * r->state.kv.page_bytes;
    rc = r->b->alloc(r->dev, bytes, AG_BUFFER_DEVICE, 0, &r->pages);
    r->state.at = (struct ag_binding){ r->pages, 0, bytes };
    return rc;
}

/* TRIAL_TOKENS tokens of one sequence whose cache was empty; pages lie in reverse order. */
static int make_step(struct run *r) {
    enum { T = TRIAL_TOKENS };
    const uint32_t len[AG_STEP_FIELDS] = { T, T, T, 4 * T, T, T, T, 1, 1, 1 };
    uint32_t at = sizeof(struct ag_step), ints = T + 1 + N_PAGE;
    for (int f = 0; f < AG_STEP_FIELDS; f++) ints += len[f];
    struct ag_step *s = calloc(1, at + 4 * ints);
    if (!s) return fail(AG_ENOMEM, "out of memory");
    r->step = s;
    s->size = sizeof *s;
    s->bytes = at + 4 * ints;
    s->n_token = s->max_token = s->n_out = s->max_out = T;
    s->n_seq = s->max_seq = s->n_group = 1;
    for (int f = 0; f < AG_STEP_FIELDS; f++) s->off[f] = at, at += 4 * len[f];
    s->group[0] = (struct ag_step_group){ .page_tokens = PAGE_TOKENS, .max_page = N_PAGE, .table_off = at,
                                          .write_off = at + 4 * N_PAGE, .first_off = at + 4 * (N_PAGE + T) };
    for (int32_t i = 0; i < N_PAGE; i++) ag_step_at(s, s->group[0].table_off)[i] = N_PAGE - 1 - i;
    for (int32_t t = 0; t < T; t++) {
        ag_step_array(s, AG_STEP_TOKEN)[t] = (3 * t + 1) % T;
        ag_step_array(s, AG_STEP_ORDER)[t] = ag_step_array(s, AG_STEP_POS)[t] = t;
        ag_step_array(s, AG_STEP_OUT_ROW)[t] = t;
        ag_step_array(s, AG_STEP_PARENT)[t] = -1;
        ag_step_at(s, s->group[0].write_off)[t] = (N_PAGE - 1) * PAGE_TOKENS + t;
    }
    *ag_step_array(s, AG_STEP_Q_LEN) = *ag_step_array(s, AG_STEP_KV_LEN) = T;
    return 0;
}

static int compute(struct run *r, float **out, uint64_t *n) {
    ag_ref result = 0;
    for (uint32_t i = 0; i < r->low->n_tagged; i++)
        if (r->low->tagged[i].tag == AG_TAG_HIDDEN) result = r->low->tagged[i].ref;
    *n = graph_elems(&r->low->node[result], &r->cls);
    if (!result || r->place[result] == UINT64_MAX || !(*out = malloc(*n * sizeof **out)))
        return fail(AG_ENOMEM, "no place for the result");
    const struct ag_plan_desc desc = {
        .size = sizeof desc, .flags = r->flags, .graph = r->low, .cls = r->cls, .weight = r->weight,
        .n_weight = r->t->n_weight, .weight_stride = sizeof *r->weight, .state = &r->state,
        .n_state = r->t->n_state, .state_stride = sizeof r->state,
        .scratch = { r->scratch, 0, r->scratch_bytes }, .place = r->place,
    };
    const struct ag_run run = { .size = sizeof run, .step = r->step };
    int rc = r->b->plan(r->dev, &desc, &r->plan);
    if (rc >= 0) rc = r->b->run(r->plan, &run);
    if (rc >= 0) rc = r->b->read(r->dev, r->scratch, r->place[result], *out, *n * sizeof **out);
    return rc;
}

int trial_run(const struct trial *t, const struct ag_backend *b, ag_device *dev, uint32_t flags, float **out,
              uint64_t *n) {
    struct run r = { .t = t, .b = b, .dev = dev, .flags = flags,
                     .cls = { TRIAL_TOKENS, TRIAL_TOKENS, 1, CTX } };
    *out = NULL;
    int rc = lower(&r);
    for (uint32_t i = 0; rc >= 0 && i < t->n_weight; i++) rc = put_weight(&r, i);
    if (rc >= 0) rc = make_state(&r);
    if (rc >= 0) rc = make_step(&r);
    if (rc >= 0) rc = b->alloc(dev, r.scratch_bytes, AG_BUFFER_DEVICE, 0, &r.scratch);
    if (rc >= 0) rc = compute(&r, out, n);
    b->plan_free(r.plan);
    for (uint32_t i = 0; i < t->n_weight; i++) b->release(dev, r.buffer[i]);
    b->release(dev, r.scratch);
    b->release(dev, r.pages);
    free(r.step);
    free(r.place);
    graph_free(r.low);
    if (rc < 0) {
        free(*out);
        *out = NULL;
    }
    return rc;
}
