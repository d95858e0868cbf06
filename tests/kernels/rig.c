/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "ref.h"
#include "util/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { GUARD = 64, POISON = 0xff };

uint64_t rng_next(struct rng *r) {
    r->s ^= r->s >> 12, r->s ^= r->s << 25, r->s ^= r->s >> 27;
    return r->s * UINT64_C(2685821657736338717);
}

int64_t rng_range(struct rng *r, int64_t low, int64_t high) {
    return low + (int64_t)(rng_next(r) >> 16) % (high - low + 1);
}

float rng_normal(struct rng *r) { /* Box and Muller */
    double u = ((double)(rng_next(r) >> 11) + 1) / 9007199254740993.0;
    double v = (double)(rng_next(r) >> 11) / 9007199254740992.0;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static void *must(void *p) {
    if (p) return p;
    fputs("kcheck: out of memory\n", stderr);
    exit(1);
}

/* ---- weights ---- */

static int64_t rig_slot(const struct rig *r, const char *name) {
    for (uint32_t i = 0; i < r->n_weight; i++)
        if (strcmp(r->weight[i].name, name) == 0) return i;
    return -1;
}

const struct rig_weight *rig_find(const struct rig *r, const char *name) {
    return &r->weight[rig_slot(r, name)];
}

static int64_t source_weight(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                             uint32_t *dtype) {
    const struct rig *r = ctx;
    int64_t slot = rig_slot(r, name);
    (void)layer;
    if (slot < 0 || memcmp(want, r->weight[slot].dim, sizeof r->weight[slot].dim) != 0)
        return fail(AG_EINVAL, "kcheck: weight %s has other dims", name);
    *dtype = r->weight[slot].dtype;
    return slot;
}

static bool source_has(void *ctx, const char *name, int layer) {
    (void)layer;
    return rig_slot(ctx, name) >= 0;
}

static ag_half small_half(struct rng *r) {
    return ref_half_from_float(rng_normal(r) * 0.02f);
}

/* Half floats of a block, by type: their number and the byte they begin at. */
static const struct { uint8_t n, at; } halves[AG_DTYPE_MAX] = {
    [AG_Q4_0] = { 1, 0 }, [AG_Q4_1] = { 2, 0 }, [AG_Q5_0] = { 1, 0 }, [AG_Q5_1] = { 2, 0 },
    [AG_Q8_0] = { 1, 0 }, [AG_Q4_K] = { 2, 0 }, [AG_Q5_K] = { 2, 0 }, [AG_Q6_K] = { 1, 208 },
};

static void fill_quantised(struct rng *rng, uint32_t dtype, unsigned char *p, uint64_t bytes) {
    uint32_t block = ag_dtype_info(dtype).block_bytes;
    for (uint64_t i = 0; i < bytes; i += block) {
        int64_t kind = rng_range(rng, 0, 19); /* now and then the ends of the range */
        for (uint32_t j = 0; j < block; j++)
            p[i + j] = kind == 0 ? 0 : kind == 1 ? 0xff : (unsigned char)rng_next(rng);
        for (int h = 0; h < halves[dtype].n; h++) {
            ag_half d = kind == 2 ? 0 : small_half(rng);
            memcpy(p + i + halves[dtype].at + 2 * h, &d, sizeof d);
        }
        if (dtype == AG_Q8_0) /* encoders never write -128 */
            for (int j = 2; j < 34; j++) p[i + (uint64_t)j] = p[i + (uint64_t)j] == 0x80 ? 0x81 : p[i + (uint64_t)j];
    }
}

static void fill_float(struct rng *rng, uint32_t dtype, unsigned char *p, uint64_t bytes) {
    uint32_t size = ag_dtype_info(dtype).block_bytes;
    for (uint64_t i = 0; i < bytes; i += size) {
        float f = rng_normal(rng);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        uint16_t h = dtype == AG_F16 ? ref_half_from_float(f) : (uint16_t)(bits >> 16);
        if (dtype == AG_F32) memcpy(p + i, &f, sizeof f);
        else memcpy(p + i, &h, sizeof h);
    }
}

void rig_weight(struct rig *r, const char *name, uint32_t dtype, int64_t d0, int64_t d1) {
    struct rig_weight *w = &r->weight[r->n_weight++];
    *w = (struct rig_weight){ .name = name, .dtype = dtype, .dim = { d0, d1, 1, 1 } };
    w->bytes = ag_row_bytes(dtype, (uint64_t)d0) * (uint64_t)d1;
    w->block_bytes = w->bytes + 3 * GUARD;
    w->block = must(malloc(w->block_bytes));
    memset(w->block, POISON, w->block_bytes);
    w->data = w->block + GUARD + rng_range(r->rng, 0, GUARD - 1);
    if (halves[dtype].n) fill_quantised(r->rng, dtype, w->data, w->bytes);
    else fill_float(r->rng, dtype, w->data, w->bytes);
}

void rig_row(const struct rig_weight *w, int64_t row, float *to) {
    uint64_t bytes = ag_row_bytes(w->dtype, (uint64_t)w->dim[0]);
    ref_dequant(w->dtype, w->data + bytes * (uint64_t)row, to, w->dim[0]);
}

/* ---- graph and step ---- */

void rig_init(struct rig *r, struct rng *rng, int32_t max_token, int32_t max_seq, int32_t max_ctx) {
    *r = (struct rig){ .rng = rng, .k_dtype = AG_F32, .v_dtype = AG_F32,
                        .page_tokens = RIG_PAGE_TOKENS };
    r->cls = (struct ag_class){ max_token, 1, max_seq, max_ctx };
}

void rig_finish(struct rig *r) {
    for (uint32_t i = 0; i < r->n_weight; i++) free(r->weight[i].block);
    graph_free(r->graph);
}

int rig_draw(struct rig *r) {
    r->source = (struct graph_source){
        .who = "kcheck", .ctx = r, .weight = source_weight, .has = source_has,
        .state = { .size = sizeof r->source.state, .stride = sizeof r->state, .n = r->n_state,
                   .state = &r->state },
        .private_op = r->private_op,
    };
    return graph_create(&r->source, &r->graph);
}

int rig_drawn(struct rig *r) { return graph_finish(r->graph, false); }

struct ag_step *rig_step(const struct rig *r, int32_t n_token, int32_t n_seq) {
    uint32_t T = (uint32_t)r->cls.max_token, S = (uint32_t)r->cls.max_seq, at = sizeof(struct ag_step);
    uint32_t len[AG_STEP_FIELDS] = { T, T, T, 4 * T, T, T, (uint32_t)r->cls.max_out, S, S, S };
    uint32_t ints = T + S + S * RIG_MAX_PAGE;
    for (int f = 0; f < AG_STEP_FIELDS; f++) ints += len[f];
    struct ag_step *s = must(calloc(1, at + 4 * ints));
    s->size = sizeof *s;
    s->bytes = at + 4 * ints;
    s->n_token = n_token, s->n_out = 1, s->n_seq = n_seq, s->n_group = 1;
    s->max_token = r->cls.max_token, s->max_out = r->cls.max_out, s->max_seq = r->cls.max_seq;
    for (int f = 0; f < AG_STEP_FIELDS; f++) s->off[f] = at, at += 4 * len[f];
    struct ag_step_group *g = &s->group[0];
    g->page_tokens = r->page_tokens, g->max_page = RIG_MAX_PAGE;
    g->table_off = at, at += 4 * S * RIG_MAX_PAGE;
    g->write_off = at, at += 4 * T;
    g->first_off = at;
    for (int32_t t = 0; t < n_token; t++) ag_step_array(s, AG_STEP_TOKEN)[t] = t;
    return s;
}

/* ---- running ---- */

struct native { const struct ag_backend *b; ag_device *dev; };

static bool is_native(void *ctx, const struct ag_graph *g, ag_ref r) {
    const struct native *n = ctx;
    return graph_supported(n->b, n->dev, g, r);
}

static int lower(struct rig_run *x, bool native) {
    struct native n = { x->b, x->dev };
    int err = graph_lower(x->rig->graph, native ? is_native : NULL, &n, &x->lowered);
    for (ag_ref i = 1; err >= 0 && i < x->lowered->n; i++)
        if (!graph_supported(x->b, x->dev, x->lowered, i))
            err = fail(AG_ENOTSUP, "op %s is not there for this", ag_op_name(x->lowered->node[i].op));
    for (uint32_t i = 0; err >= 0 && i < x->lowered->n_tagged; i++) x->out = x->lowered->tagged[i].ref;
    return err;
}

static uint64_t uses_of(const struct ag_graph *g, uint32_t slot) {
    uint64_t ops = 0;
    for (ag_ref i = 1; i < g->n; i++)
        for (int k = 0; k < AG_MAX_SRC; k++) {
            const struct ag_node *s = &g->node[g->node[i].src[k]];
            if (s->op == AG_OP_WEIGHT && s->slot == slot && g->node[i].op < 64)
                ops |= UINT64_C(1) << g->node[i].op;
        }
    return ops;
}

/* Rows in two calls, as a loader with several threads would. */
static int pack(struct rig_run *x, const struct rig_weight *w, const struct ag_weight_use *use,
                struct ag_weight_binding *at, ag_buffer **buffer) {
    uint64_t row_bytes = ag_row_bytes(w->dtype, (uint64_t)w->dim[0]);
    int64_t group = at->layout.row_group ? at->layout.row_group : 1;
    int64_t half = w->dim[1] / 2 / group * group;
    int err = x->b->alloc(x->dev, at->layout.bytes, AG_BUFFER_DEVICE, 0, buffer);
    if (err < 0) return err;
    void *to = x->b->map(x->dev, *buffer);
    if (!to) return fail(AG_ENOTSUP, "kcheck packs into host memory only");
    memset(to, POISON, at->layout.bytes);
    if (half) err = x->b->pack(x->dev, use, &at->layout, w->data, 0, half, to);
    if (err >= 0)
        err = x->b->pack(x->dev, use, &at->layout, w->data + row_bytes * (uint64_t)half, half,
                         w->dim[1] - half, to);
    at->at = (struct ag_binding){ *buffer, 0, at->layout.bytes };
    return err;
}

static int upload(struct rig_run *x, const struct rig_weight *w, struct ag_weight_binding *at,
                  ag_buffer **buffer) {
    uint64_t offset = (uint64_t)(w->data - w->block);
    int err = x->b->import ? x->b->import(x->dev, w->block, w->block_bytes, buffer) : AG_ENOTSUP;
    if (err == AG_ENOTSUP) {
        err = x->b->alloc(x->dev, w->block_bytes, AG_BUFFER_DEVICE, 0, buffer);
        if (err >= 0) err = x->b->write(x->dev, *buffer, 0, w->block, w->block_bytes);
    }
    at->at = (struct ag_binding){ *buffer, offset, w->bytes };
    return err;
}

static int bind_weight(struct rig_run *x, uint32_t i) {
    const struct rig_weight *w = &x->rig->weight[i];
    struct ag_weight_binding *at = &x->at[i];
    struct ag_weight_use use = { .size = sizeof use, .dtype = w->dtype,
                                 .ops = uses_of(x->lowered, i), .flags = x->rig->plan_flags };
    memcpy(use.dim, w->dim, sizeof use.dim);
    at->layout = (struct ag_layout){ .size = sizeof at->layout, .bytes = w->bytes };
    int err = x->b->layout ? x->b->layout(x->dev, &use, &at->layout) : AG_OK;
    x->weight_bytes += w->bytes;
    if (err < 0) return err;
    return at->layout.id ? pack(x, w, &use, at, &x->weight[i]) : upload(x, w, at, &x->weight[i]);
}

/* No two values share memory here; each has a guard behind it. */
static void place(struct rig_run *x) {
    const struct ag_graph *g = x->lowered;
    x->place = must(calloc(g->n, sizeof *x->place));
    for (ag_ref i = 0; i < g->n; i++) {
        const struct ag_node *n = &g->node[i];
        x->place[i] = UINT64_MAX;
        if (n->op == AG_OP_VIEW && x->place[n->src[0]] != UINT64_MAX)
            x->place[i] = x->place[n->src[0]] + 4 * (uint64_t)n->param[AG_P_VIEW_OFFSET].i;
        if (n->op <= AG_OP_VIEW || n->dtype == AG_DTYPE_NONE) continue;
        x->place[i] = x->scratch_bytes;
        uint64_t bytes = 4 * graph_elems(n, &x->rig->cls);
        x->scratch_bytes += (bytes + GUARD + 63) / 64 * 64 + GUARD;
    }
}

static int memory(struct rig_run *x, struct ag_state_binding *state) {
    const struct rig *r = x->rig;
    place(x);
    int err = x->b->alloc(x->dev, x->scratch_bytes + GUARD, AG_BUFFER_DEVICE, 0, &x->scratch);
    if (err < 0 || !r->n_state) return err;
    *state = (struct ag_state_binding){ .state = r->state, .n_page = RIG_MAX_PAGE };
    state->kv = (struct ag_kv_layout){ .size = sizeof state->kv, .page_tokens = r->page_tokens,
                                       .k_dtype = r->k_dtype, .v_dtype = r->v_dtype };
    err = x->b->kv_layout ? x->b->kv_layout(x->dev, &r->state, &state->kv)
                          : fail(AG_ENOTSUP, "no kv_layout");
    if (err < 0) return err;
    x->page_bytes = state->kv.page_bytes * RIG_MAX_PAGE;
    err = x->b->alloc(x->dev, x->page_bytes + GUARD, AG_BUFFER_DEVICE, 0, &x->pages);
    if (err < 0) return err;
    if (x->b->map(x->dev, x->pages))
        memset(x->b->map(x->dev, x->pages), POISON, x->page_bytes + GUARD);
    state->at = (struct ag_binding){ x->pages, 0, x->page_bytes };
    return err;
}

int rig_open(struct rig_run *x, const struct rig *r, const struct ag_backend *b, ag_device *dev,
             bool native) {
    *x = (struct rig_run){ .b = b, .dev = dev, .rig = r, .n_weight = r->n_weight };
    struct ag_state_binding state = { 0 };
    int err = lower(x, native);
    for (uint32_t i = 0; i < r->n_weight && err >= 0; i++) err = bind_weight(x, i);
    if (err >= 0) err = memory(x, &state);
    if (err < 0) return err;
    struct ag_plan_desc d = {
        .size = sizeof d, .flags = r->plan_flags, .graph = x->lowered, .cls = r->cls,
        .weight = x->at, .n_weight = r->n_weight, .weight_stride = sizeof *x->at,
        .state = &state, .n_state = r->n_state, .state_stride = sizeof state,
        .scratch = { x->scratch, 0, x->scratch_bytes }, .place = x->place,
        .private_op = r->private_op,
    };
    return b->plan(dev, &d, &x->plan);
}

static void poison(struct rig_run *x) {
    unsigned char *p = x->b->map(x->dev, x->scratch);
    if (p) memset(p, POISON, x->scratch_bytes + GUARD);
}

static bool clean(const unsigned char *p) {
    for (int i = 0; i < GUARD; i++)
        if (p[i] != POISON) return false;
    return true;
}

static int check_guards(struct rig_run *x) {
    const unsigned char *p = x->b->map(x->dev, x->scratch);
    for (ag_ref i = 1; p && i < x->lowered->n; i++) {
        const struct ag_node *n = &x->lowered->node[i];
        if (n->op <= AG_OP_VIEW || x->place[i] == UINT64_MAX) continue;
        if (!clean(p + x->place[i] + 4 * graph_elems(n, &x->rig->cls)))
            return fail(AG_EDEVICE, "bytes behind node %u (%s) were written", i, ag_op_name(n->op));
    }
    p = x->pages ? x->b->map(x->dev, x->pages) : NULL;
    return p && !clean(p + x->page_bytes) ? fail(AG_EDEVICE, "bytes behind the pages were written") : AG_OK;
}

int rig_run_step(struct rig_run *x, const struct ag_step *s, float *result, int64_t n) {
    struct ag_run run = { .size = sizeof run, .step = s };
    if (!result) return x->b->run(x->plan, &run); /* for timing */
    poison(x);
    int err = x->b->run(x->plan, &run);
    if (err >= 0)
        err = x->b->read(x->dev, x->scratch, x->place[x->out], result, 4 * (uint64_t)n);
    return err < 0 ? err : check_guards(x);
}

void rig_close(struct rig_run *x) {
    x->b->plan_free(x->plan);
    for (uint32_t i = 0; i < x->n_weight; i++) x->b->release(x->dev, x->weight[i]);
    x->b->release(x->dev, x->scratch);
    x->b->release(x->dev, x->pages);
    free(x->place);
    graph_free(x->lowered);
}
