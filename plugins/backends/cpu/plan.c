/* SPDX-License-Identifier: MIT */
/* plan.c - a lowered graph becomes an array of items: where numbers are, which kernel runs, and where
 * threads must wait for each other. On the road of a token this comes after core/graph/lower.c and
 * before ops/matmul.c; run.c walks the items. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static const struct { uint32_t op; plan_op_fn plan; } table[] = {
    { AG_OP_GET_ROWS, plan_get_rows },   { AG_OP_MATMUL, plan_matmul },
    { AG_OP_RMS_NORM, plan_norm },       { AG_OP_ADD_RMS_NORM, plan_norm },
    { AG_OP_ADD, plan_binary },          { AG_OP_MUL, plan_binary },
    { AG_OP_SCALE, plan_unary },         { AG_OP_UNARY, plan_unary },
    { AG_OP_SOFTCAP, plan_unary },       { AG_OP_GLU, plan_binary },
    { AG_OP_ROPE, plan_rope },           { AG_OP_KV_WRITE, plan_kv_write },
    { AG_OP_ATTENTION, plan_attention }, { AG_OP_PRIVATE, plan_private },
};

/* ---- memory of a plan ---- */

void *planner_alloc(struct planner *pl, uint64_t bytes) {
    ag_plan *p = pl->plan;
    if (pl->err < 0) return NULL;
    if (p->n_owned == p->cap_owned) {
        uint32_t cap = p->cap_owned ? 2 * p->cap_owned : 16;
        void **grown = cpu_host->alloc(cap * sizeof *grown, 64);
        if (!grown) goto fail;
        if (p->owned) memcpy(grown, p->owned, p->n_owned * sizeof *grown);
        cpu_host->free(p->owned);
        p->owned = grown;
        p->cap_owned = cap;
    }
    uint64_t padded = (bytes + 127) & ~(uint64_t)63; /* 64 readable bytes behind */
    void *mem = padded >= bytes ? cpu_host->alloc(padded, 64) : NULL;
    if (!mem) goto fail;
    memset(mem, 0, padded);
    p->owned[p->n_owned++] = mem;
    p->workspace += padded;
    return mem;
fail:
    pl->err = cpu_host->fail(AG_ENOMEM, "cpu: no memory for %llu bytes of a plan",
                             (unsigned long long)bytes);
    return NULL;
}

void *planner_shared(struct planner *pl, uint64_t bytes) {
    ag_plan *p = pl->plan;
    if (bytes > p->shared_bytes || !p->shared) { /* earlier nodes keep the smaller one */
        p->shared = planner_alloc(pl, bytes);
        p->shared_bytes = bytes;
    }
    return p->shared;
}

uint32_t planner_counter(struct planner *pl) {
    return pl->plan->n_counter++;
}

void planner_scratch(struct planner *pl, uint64_t floats) {
    floats = (floats + 15) & ~(uint64_t)15;
    if (floats > pl->plan->scratch_floats) pl->plan->scratch_floats = floats;
}

/* ---- values ---- */

int value_token_dim(const struct value *v) {
    for (int d = 0; d < AG_MAX_DIM; d++)
        if (v->dim[d] < 0) return d;
    return -1;
}

int64_t class_dim(const struct ag_class *c, int64_t dim) {
    return dim >= 0            ? dim
           : dim == AG_DIM_T   ? c->max_token
           : dim == AG_DIM_R   ? c->max_out
           : dim == AG_DIM_S   ? c->max_seq
                               : 0;
}

/* Elements from the first to the last, at most. */
static uint64_t value_extent(const struct value *v, const struct ag_class *c) {
    uint64_t last = 0;
    for (int d = 0; d < AG_MAX_DIM; d++) {
        int64_t n = class_dim(c, v->dim[d]);
        if (n > 1) last += (uint64_t)(n - 1) * (uint64_t)v->stride[d];
    }
    return last + 1;
}

static void contiguous(struct value *v) {
    int64_t stride = 1;
    for (int d = 0; d < AG_MAX_DIM; d++) {
        v->stride[d] = v->dim[d] == 1 && d > 0 ? 0 : stride;
        stride *= v->dim[d] < 0 ? 1 : v->dim[d];
    }
}

static int resolve_weight(struct planner *pl, const struct ag_node *n, struct value *v) {
    const struct ag_plan_desc *d = pl->desc;
    if (n->slot >= d->n_weight)
        return cpu_host->fail(AG_EINVAL, "cpu: weight slot %u of %u", n->slot, d->n_weight);
    const struct ag_weight_binding *w =
        (const void *)((const char *)d->weight + (size_t)n->slot * d->weight_stride);
    v->data = w->at.buffer->data + w->at.offset;
    if (w->layout.id == LAYOUT_PACKED) v->packed = packed_type(n->dtype);
    if (w->layout.id > LAYOUT_PACKED || (w->layout.id == LAYOUT_PACKED && !v->packed))
        return cpu_host->fail(AG_EINVAL, "cpu: weight slot %u has layout %u, want 0 or %d", n->slot,
                              w->layout.id, LAYOUT_PACKED);
    return AG_OK;
}

static int resolve(struct planner *pl, ag_ref ref) {
    const struct ag_graph *g = pl->desc->graph;
    const struct ag_node *n = graph_node(g, ref);
    struct value *v = &pl->value[ref];
    v->dtype = n->dtype;
    memcpy(v->dim, n->dim, sizeof v->dim);
    contiguous(v);
    uint64_t place = pl->desc->place[ref];
    switch (n->op) {
    case AG_OP_INPUT: v->input = n->slot; break;
    case AG_OP_WEIGHT: return resolve_weight(pl, n, v);
    case AG_OP_CONST: v->data = pl->plan->pool + g->constant[n->slot].offset; break;
    case AG_OP_VIEW: {
        const struct value *from = &pl->value[n->src[0]];
        int64_t offset = n->param[AG_P_VIEW_OFFSET].i;
        *v = *from;
        memcpy(v->dim, n->dim, sizeof v->dim);
        memcpy(v->stride, n->stride, sizeof v->stride);
        for (int d = 1; d < AG_MAX_DIM; d++)
            if (v->dim[d] == 1) v->stride[d] = 0;
        if (from->input) v->offset += offset;
        else if (ag_dtype_info(v->dtype).block_elems != 1)
            return cpu_host->fail(AG_ENOTSUP, "cpu: a view of %s", ag_dtype_name(v->dtype));
        else v->data += offset * ag_dtype_info(v->dtype).block_bytes;
        return AG_OK;
    }
    case AG_OP_STATE:
    case AG_OP_KV_WRITE: break;
    default:
        if (place == UINT64_MAX)
            return cpu_host->fail(AG_EINVAL, "cpu: node %u (%s) has no place", ref, ag_op_name(n->op));
        v->data = pl->desc->scratch.buffer->data + pl->desc->scratch.offset + place;
    }
    v->alloc = v->data;
    return AG_OK;
}

/* Weights that are read as plain f32 rows are copied to aligned memory at the first run. */
static int small_weight(struct planner *pl, struct value *v) {
    ag_plan *p = pl->plan;
    int64_t n = 1;
    for (int d = 0; d < AG_MAX_DIM; d++) n *= v->dim[d];
    for (uint32_t i = 0; i < p->n_small; i++)
        if (p->small[i].from == v->data) {
            v->data = (unsigned char *)p->small[i].to;
            v->dtype = AG_F32;
            return AG_OK;
        }
    struct small_weight s = { v->data, dequant_for(pl->device->features, v->dtype), n, NULL };
    if (!s.fn || v->packed || !ag_row_bytes(v->dtype, (uint64_t)n))
        return cpu_host->fail(AG_ENOTSUP, "cpu: %s%s weight read as rows of numbers",
                              v->packed ? "packed " : "", ag_dtype_name(v->dtype));
    s.to = planner_alloc(pl, (uint64_t)n * sizeof(float));
    if (!s.to) return pl->err;
    p->small[p->n_small++] = s;
    v->data = (unsigned char *)s.to;
    v->dtype = AG_F32;
    return AG_OK;
}

/* ---- who waits for whom ---- */

struct access access_of(const struct item *it, const void *at, uint64_t bytes, int64_t row_bytes,
                        bool write) {
    return (struct access){ .lo = (uintptr_t)at, .hi = (uintptr_t)at + bytes, .alloc = at,
                            .row_bytes = row_bytes, .part = it->part, .sym = it->sym,
                            .write = write };
}

static bool meets(const struct access *a, const struct access *b) {
    if (!(a->write || b->write) || a->hi <= b->lo || b->hi <= a->lo) return false;
    return !(a->part == PART_ROWS && b->part == PART_ROWS && a->sym == b->sym &&
             a->alloc == b->alloc && a->row_bytes == b->row_bytes);
}

static struct access value_access(const struct planner *pl, const struct item *it,
                                  const struct value *v, bool wide, bool write) {
    int t = value_token_dim(v);
    struct access a = access_of(it, v->data, value_extent(v, &pl->desc->cls) * sizeof(float),
                                t < 0 ? 0 : v->stride[t] * (int64_t)sizeof(float), write);
    a.alloc = v->alloc;
    if (wide || (t < 0 ? 0 : -v->dim[t]) != it->sym) a.part = PART_ANY;
    return a;
}

static int add_access(struct planner *pl, struct access a) {
    if (pl->n_access == pl->cap_access) {
        uint32_t cap = pl->cap_access ? 2 * pl->cap_access : 256;
        struct access *grown = cpu_host->alloc(cap * sizeof *grown, 64);
        if (!grown) return pl->err = cpu_host->fail(AG_ENOMEM, "cpu: no memory for a plan");
        if (pl->access) memcpy(grown, pl->access, pl->n_access * sizeof *grown);
        cpu_host->free(pl->access);
        pl->access = grown;
        pl->cap_access = cap;
    }
    pl->access[pl->n_access++] = a;
    return AG_OK;
}

int planner_add(struct planner *pl, struct item *it, uint32_t wide_src, const struct access *extra,
                uint32_t n_extra) {
    ag_plan *p = pl->plan;
    uint32_t before = pl->n_access;
    int err = pl->err;
    bool in_scratch = it->out.data != NULL;
    for (uint32_t i = 0; err == AG_OK && i < it->n_src; i++)
        if (it->src[i].alloc)
            err = add_access(pl, value_access(pl, it, &it->src[i], wide_src >> i & 1, false));
    if (err == AG_OK && in_scratch) err = add_access(pl, value_access(pl, it, &it->out, false, true));
    for (uint32_t i = 0; err == AG_OK && i < n_extra; i++) err = add_access(pl, extra[i]);
    if (err < 0) return err;
    for (uint32_t i = before; i < pl->n_access && !it->barrier; i++)
        for (uint32_t j = 0; j < before && !it->barrier; j++)
            it->barrier = meets(&pl->access[i], &pl->access[j]);
    if (it->barrier) {
        memmove(pl->access, pl->access + before, (pl->n_access - before) * sizeof *pl->access);
        pl->n_access -= before;
    }
    if (p->n_item == p->cap_item) {
        uint32_t cap = p->cap_item ? 2 * p->cap_item : 256;
        struct item *grown = cpu_host->alloc(cap * sizeof *grown, 64);
        if (!grown) return pl->err = cpu_host->fail(AG_ENOMEM, "cpu: no memory for a plan");
        if (p->item) memcpy(grown, p->item, p->n_item * sizeof *grown);
        cpu_host->free(p->item);
        p->item = grown;
        p->cap_item = cap;
    }
    p->item[p->n_item++] = *it;
    return AG_OK;
}

/* ---- nodes ---- */

static int plan_node(struct planner *pl, ag_ref ref) {
    const struct ag_node *n = graph_node(pl->desc->graph, ref);
    int err = resolve(pl, ref);
    if (err < 0 || n->op <= AG_OP_VIEW || n->op == AG_OP_GIVEN) return err;
    struct item it = { .op = n->op, .layer = n->layer, .part = PART_ROWS, .out = pl->value[ref] };
    int t = value_token_dim(&it.out);
    if (t == 0)
        return cpu_host->fail(AG_ENOTSUP, "cpu: node %u (%s) has rows of a step's length", ref,
                              ag_op_name(n->op));
    it.sym = (uint8_t)(t < 0 ? 0 : -it.out.dim[t]);
    memcpy(it.param, n->param, sizeof it.param);
    for (uint32_t i = 0; i < AG_MAX_SRC && n->src[i]; i++) {
        if (n->src[i] >= ref)
            return cpu_host->fail(AG_EINVAL, "cpu: node %u reads node %u, which comes later", ref,
                                  n->src[i]);
        it.src[it.n_src++] = pl->value[n->src[i]];
        bool table_like = i == 0 && (n->op == AG_OP_MATMUL || n->op == AG_OP_GET_ROWS);
        if (graph_node(pl->desc->graph, n->src[i])->op == AG_OP_WEIGHT && !table_like)
            err = small_weight(pl, &it.src[i]);
        if (err < 0) return err;
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].op == n->op) {
            err = table[i].plan(pl, n, &it);
            return err < 0 ? err : pl->err;
        }
    return cpu_host->fail(AG_ENOTSUP, "cpu: op %s (%u)", ag_op_name(n->op), n->op);
}

static int finish(struct planner *pl) {
    ag_plan *p = pl->plan;
    p->counter = planner_alloc(pl, (uint64_t)(p->n_counter + 1) * 64);
    p->scratch = planner_alloc(pl, p->scratch_floats * sizeof(float) * (uint64_t)p->n_thread);
    if (p->flags & AG_PLAN_PROFILE)
        p->profile = planner_alloc(pl, (p->n_item + 1) * sizeof *p->profile);
    return pl->err;
}

void plan_free(ag_plan *p) {
    if (!p) return;
    for (uint32_t i = 0; i < p->n_owned; i++) cpu_host->free(p->owned[i]);
    cpu_host->free(p->owned);
    cpu_host->free(p->item);
    cpu_host->free(p);
}

int plan_create(ag_device *dev, const struct ag_plan_desc *desc, ag_plan **out) {
    const struct ag_graph *g = desc->graph;
    struct planner pl = { .device = dev, .desc = desc };
    int err = AG_ENOMEM;
    *out = NULL;
    ag_plan *p = pl.plan = cpu_host->alloc(sizeof *p, 64);
    if (!p) return cpu_host->fail(AG_ENOMEM, "cpu: no memory for a plan");
    memset(p, 0, sizeof *p);
    p->device = dev;
    p->flags = desc->flags;
    p->cls = desc->cls;
    p->n_thread = cpu_host->team_size();
    pl.value = cpu_host->alloc((g->n + 1) * sizeof *pl.value, 64);
    if (!pl.value) {
        cpu_host->fail(AG_ENOMEM, "cpu: no memory for a plan of %u nodes", g->n);
        goto fail;
    }
    memset(pl.value, 0, (g->n + 1) * sizeof *pl.value);
    p->pool = planner_alloc(&pl, g->pool_bytes);
    p->small = planner_alloc(&pl, (uint64_t)g->n * sizeof *p->small);
    p->rope = planner_alloc(&pl, (uint64_t)g->n * sizeof *p->rope);
    if ((err = pl.err) < 0) goto fail;
    if (g->pool_bytes) memcpy(p->pool, g->pool, g->pool_bytes);
    for (ag_ref i = 1; i < g->n && err == AG_OK; i++) err = plan_node(&pl, i);
    if (err == AG_OK) err = finish(&pl);
    if (err < 0) goto fail;
    cpu_host->free(pl.value);
    cpu_host->free(pl.access);
    *out = p;
    return AG_OK;
fail:
    cpu_host->free(pl.value);
    cpu_host->free(pl.access);
    plan_free(p);
    return err;
}
