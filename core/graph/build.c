/* SPDX-License-Identifier: MIT */
/* build.c - the builder lent to models: checks shapes, appends nodes. Nothing of a backend here. */
#include "graph/build.h"

#include "graph/owned.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODE = 1 << 20, MAX_CONST = 1 << 24 };

/* Keeps the first fault; all later refs are 0. */
__attribute__((format(printf, 2, 3))) static ag_ref fault(struct ag_graph *g, const char *fmt, ...) {
    struct owned *o = owned_of(g);
    if (o->failed) return 0;
    o->failed = true;
    int n = snprintf(o->text, sizeof o->text, "%s: ", o->source ? o->source->who : "graph");
    va_list ap;
    va_start(ap, fmt);
    if (n > 0 && (size_t)n < sizeof o->text) vsnprintf(o->text + n, sizeof o->text - (size_t)n, fmt, ap);
    va_end(ap);
    return 0;
}

static bool failed(const struct ag_graph *g) { return owned_of(g)->failed; }

static const struct ag_node *at(const struct ag_graph *g, ag_ref r) { return &g->node[r]; }

static const char *shape(const struct ag_node *n, char to[96]) {
    size_t used = 0;
    int last = AG_MAX_DIM - 1;
    while (last > 0 && n->dim[last] == 1) last--;
    for (int d = 0; d <= last; d++) {
        const char *x = d ? "x" : "";
        int64_t v = n->dim[d];
        used += (size_t)(v < 0 ? snprintf(to + used, 96 - used, "%s%c", x, "TRS"[-v - 1])
                               : snprintf(to + used, 96 - used, "%s%lld", x, (long long)v));
    }
    return to;
}

static ag_ref misfit(struct ag_graph *g, const char *op, ag_ref a, ag_ref b) {
    if (failed(g)) return 0;
    char x[96], y[96];
    if (!a || !b) return fault(g, "%s: a source is missing", op);
    return fault(g, "%s: shapes %s and %s do not fit", op, shape(at(g, a), x), shape(at(g, b), y));
}

static struct ag_node node(int op, int64_t d0, int64_t d1, int64_t d2, int64_t d3) {
    struct ag_node n = { .op = (uint16_t)op, .dtype = AG_F32, .layer = -1 };
    n.dim[0] = d0, n.dim[1] = d1, n.dim[2] = d2, n.dim[3] = d3;
    return n;
}

static void make_contiguous(struct ag_node *n) {
    int64_t s = 1;
    for (int d = 0; d < AG_MAX_DIM; d++) {
        n->stride[d] = s;
        if (n->dim[d] > 0) s *= n->dim[d]; /* a symbolic dim is the last that counts */
    }
}

bool graph_contiguous(const struct ag_node *n) {
    int64_t s = 1;
    for (int d = 0; d < AG_MAX_DIM; d++) {
        if (n->dim[d] != 1 && n->stride[d] != s) return false;
        if (n->dim[d] > 0) s *= n->dim[d];
    }
    return true;
}

ag_ref graph_append(struct ag_graph *g, const struct ag_node *n) {
    if (g->n == g->cap) {
        size_t cap = g->cap;
        if (g->cap >= MAX_NODE || mem_grow(&g->node, &cap, cap + 1, sizeof *g->node) < 0) return 0;
        g->cap = (uint32_t)cap;
    }
    g->node[g->n] = *n;
    return g->n++;
}

static ag_ref push(struct ag_graph *g, struct ag_node n, ag_ref a, ag_ref b, ag_ref c) {
    if (failed(g)) return 0;
    n.src[0] = a, n.src[1] = b, n.src[2] = c;
    n.layer = owned_of(g)->layer;
    if (!n.stride[0]) make_contiguous(&n);
    ag_ref r = graph_append(g, &n);
    return r ? r : fault(g, "out of memory after %u nodes", g->n);
}

static bool is_f32(const struct ag_graph *g, ag_ref r) { return r && at(g, r)->dtype == AG_F32; }

static bool same_shape(const struct ag_graph *g, ag_ref a, ag_ref b) {
    return is_f32(g, a) && is_f32(g, b) && !memcmp(at(g, a)->dim, at(g, b)->dim, sizeof at(g, a)->dim);
}

/* ---- leaves ---- */

static ag_ref b_weight(struct ag_graph *g, const char *name, int layer, int64_t d0, int64_t d1, int64_t d2) {
    struct owned *o = owned_of(g);
    if (o->failed) return 0;
    o->layer = layer;
    struct ag_node n = node(AG_OP_WEIGHT, d0, d1, d2, 1);
    for (int d = 0; d < 3; d++)
        if (n.dim[d] < 1 || n.dim[d] > INT32_MAX)
            return fault(g, "weight %s: dim %d is %lld, want 1 to 2^31", name, d, (long long)n.dim[d]);
    uint32_t dtype = AG_F32;
    int64_t slot = o->source->weight(o->source->ctx, name, layer, n.dim, &dtype);
    if (slot < 0) return fault(g, "%s", fail_text());
    n.slot = (uint32_t)slot;
    n.dtype = (uint16_t)dtype;
    return push(g, n, 0, 0, 0);
}

static bool b_has(struct ag_graph *g, const char *name, int layer) {
    struct owned *o = owned_of(g);
    return !o->failed && o->source->has(o->source->ctx, name, layer);
}

static ag_ref b_state(struct ag_graph *g, uint32_t slot) {
    struct owned *o = owned_of(g);
    if (o->failed) return 0;
    if (slot >= o->source->state.n) return fault(g, "state %u of %u", slot, o->source->state.n);
    struct ag_node n = node(AG_OP_STATE, 1, 1, 1, 1);
    n.slot = slot;
    n.dtype = AG_DTYPE_NONE;
    return push(g, n, 0, 0, 0);
}

static ag_ref b_input(struct ag_graph *g, int which) {
    static const struct { int which; int64_t d0, d1; } inputs[] = {
        { AG_INPUT_TOKEN, AG_DIM_T, 1 },
        { AG_INPUT_POS, AG_DIM_T, 1 },
        { AG_INPUT_OUT_ROW, AG_DIM_R, 1 },
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        if (inputs[i].which != which) continue;
        struct ag_node n = node(AG_OP_INPUT, inputs[i].d0, inputs[i].d1, 1, 1);
        n.dtype = AG_I32;
        n.slot = (uint32_t)which;
        return push(g, n, 0, 0, 0);
    }
    return fault(g, "input %d is not there", which);
}

static ag_ref b_constant(struct ag_graph *g, const float *data, int64_t count) {
    if (failed(g)) return 0;
    if (count < 1 || count > MAX_CONST) return fault(g, "constant of %lld numbers", (long long)count);
    uint64_t bytes = (uint64_t)count * sizeof *data, begin = (g->pool_bytes + 15) & ~(uint64_t)15;
    size_t pool = (size_t)g->pool_cap, consts = g->cap_const;
    if (mem_grow(&g->pool, &pool, (size_t)(begin + bytes), 1) < 0 ||
        mem_grow(&g->constant, &consts, g->n_const + 1u, sizeof *g->constant) < 0)
        return fault(g, "out of memory");
    g->pool_cap = pool;
    g->cap_const = (uint32_t)consts;
    memcpy(g->pool + begin, data, (size_t)bytes);
    g->pool_bytes = begin + bytes;
    g->constant[g->n_const] = (struct ag_const){ begin, bytes };
    struct ag_node n = node(AG_OP_CONST, count, 1, 1, 1);
    n.slot = g->n_const++;
    return push(g, n, 0, 0, 0);
}

int graph_add_tag(struct ag_graph *g, ag_ref ref, uint32_t tag, int32_t layer) {
    size_t cap = g->cap_tagged;
    if (mem_grow(&g->tagged, &cap, g->n_tagged + 1u, sizeof *g->tagged) < 0) return AG_ENOMEM;
    g->cap_tagged = (uint32_t)cap;
    g->tagged[g->n_tagged++] = (struct ag_tagged){ ref, tag, layer, 0 };
    return AG_OK;
}

static ag_ref b_tag(struct ag_graph *g, ag_ref ref, int tag, int layer) {
    if (failed(g)) return 0;
    if (!ref || tag < 1 || tag > 63) return fault(g, "tag %d of no value", tag);
    return graph_add_tag(g, ref, (uint32_t)tag, layer) < 0 ? fault(g, "out of memory") : ref;
}

/* ---- shapes ---- */

static int64_t fixed_elems(const struct ag_node *n, int64_t *symbol) {
    int64_t e = 1;
    *symbol = 1;
    for (int d = 0; d < AG_MAX_DIM; d++) {
        if (n->dim[d] < 0) *symbol = n->dim[d];
        else if (__builtin_mul_overflow(e, n->dim[d], &e)) return -1;
    }
    return e;
}

static ag_ref b_reshape(struct ag_graph *g, ag_ref x, int64_t d0, int64_t d1, int64_t d2) {
    if (failed(g)) return 0;
    if (!x) return misfit(g, "reshape", x, x);
    struct ag_node n = node(AG_OP_VIEW, d0, d1, d2, 1);
    int64_t had, has, before = fixed_elems(at(g, x), &had), after = fixed_elems(&n, &has);
    char text[96];
    if (!graph_contiguous(at(g, x)) || before != after || had != has)
        return fault(g, "reshape: %s cannot become %lldx%lldx%lld", shape(at(g, x), text),
                     (long long)d0, (long long)d1, (long long)d2);
    n.dtype = at(g, x)->dtype;
    return push(g, n, x, 0, 0);
}

static ag_ref b_slice(struct ag_graph *g, ag_ref x, int64_t first, int64_t count) {
    if (failed(g)) return 0;
    if (!is_f32(g, x)) return misfit(g, "slice", x, x);
    char text[96];
    if (first < 0 || count < 1 || first > at(g, x)->dim[0] - count)
        return fault(g, "slice %lld + %lld of %s", (long long)first, (long long)count, shape(at(g, x), text));
    struct ag_node n = *at(g, x);
    n.op = AG_OP_VIEW;
    n.slot = 0;
    memset(n.src, 0, sizeof n.src);
    memset(n.param, 0, sizeof n.param);
    n.dim[0] = count;
    n.param[AG_P_VIEW_OFFSET].i = first;
    return push(g, n, x, 0, 0);
}

/* ---- primitives ---- */

static ag_ref b_get_rows(struct ag_graph *g, ag_ref table, ag_ref ids, double scale) {
    if (failed(g)) return 0;
    if (!table || !ids || at(g, ids)->dtype != AG_I32 || at(g, table)->dim[2] != 1)
        return misfit(g, "get_rows", table, ids);
    struct ag_node n = node(AG_OP_GET_ROWS, at(g, table)->dim[0], at(g, ids)->dim[0], 1, 1);
    n.param[AG_P_GET_ROWS_SCALE].f = scale;
    return push(g, n, table, ids, 0);
}

static ag_ref b_matmul(struct ag_graph *g, ag_ref w, ag_ref x, ag_ref bias) {
    if (failed(g)) return 0;
    if (!w || !is_f32(g, x) || at(g, w)->dim[0] != at(g, x)->dim[0] || at(g, w)->dim[2] != 1 ||
        at(g, x)->dim[2] != 1)
        return misfit(g, "matmul", w, x);
    if (bias && (!is_f32(g, bias) || at(g, bias)->dim[0] != at(g, w)->dim[1] || at(g, bias)->dim[1] != 1))
        return misfit(g, "matmul bias", w, bias);
    return push(g, node(AG_OP_MATMUL, at(g, w)->dim[1], at(g, x)->dim[1], 1, 1), w, x, bias);
}

static bool is_row_of(const struct ag_graph *g, ag_ref w, ag_ref x) {
    return is_f32(g, w) && at(g, w)->dim[0] == at(g, x)->dim[0] && at(g, w)->dim[1] == 1;
}

static ag_ref b_rmsnorm(struct ag_graph *g, ag_ref x, ag_ref w, double eps) {
    if (failed(g)) return 0;
    if (!is_f32(g, x) || (w && !is_row_of(g, w, x))) return misfit(g, "rmsnorm", x, w ? w : x);
    const int64_t *d = at(g, x)->dim;
    struct ag_node n = node(AG_OP_RMS_NORM, d[0], d[1], d[2], d[3]);
    n.param[AG_P_NORM_EPS].f = eps;
    return push(g, n, x, w, 0);
}

/* a op b, where each dim of b is a's or 1. */
static ag_ref binary(struct ag_graph *g, int op, ag_ref a, ag_ref b) {
    if (failed(g)) return 0;
    bool fits = is_f32(g, a) && is_f32(g, b);
    for (int d = 0; fits && d < AG_MAX_DIM; d++)
        fits = at(g, b)->dim[d] == 1 || at(g, b)->dim[d] == at(g, a)->dim[d];
    if (!fits) return misfit(g, ag_op_name((uint32_t)op), a, b);
    const int64_t *d = at(g, a)->dim;
    return push(g, node(op, d[0], d[1], d[2], d[3]), a, b, 0);
}
static ag_ref b_add(struct ag_graph *g, ag_ref a, ag_ref b) { return binary(g, AG_OP_ADD, a, b); }
static ag_ref b_mul(struct ag_graph *g, ag_ref a, ag_ref b) { return binary(g, AG_OP_MUL, a, b); }

/* A node of a's shape with a as its source. */
static ag_ref like(struct ag_graph *g, struct ag_node n, ag_ref a) {
    if (failed(g)) return 0;
    if (!is_f32(g, a)) return misfit(g, ag_op_name(n.op), a, a);
    memcpy(n.dim, at(g, a)->dim, sizeof n.dim);
    return push(g, n, a, 0, 0);
}

static ag_ref b_scale(struct ag_graph *g, ag_ref a, double s, double t) {
    struct ag_node n = node(AG_OP_SCALE, 1, 1, 1, 1);
    n.param[AG_P_SCALE_S].f = s;
    n.param[AG_P_SCALE_T].f = t;
    return like(g, n, a);
}

static bool is_unary(int kind) { return kind >= AG_UNARY_SILU && kind <= AG_UNARY_NEG; }

static ag_ref b_unary(struct ag_graph *g, ag_ref a, int kind) {
    if (!is_unary(kind)) return fault(g, "unary kind %d is not there", kind);
    struct ag_node n = node(AG_OP_UNARY, 1, 1, 1, 1);
    n.param[AG_P_UNARY_KIND].i = kind;
    return like(g, n, a);
}

static ag_ref b_softcap(struct ag_graph *g, ag_ref a, double cap) {
    if (!(cap > 0)) return a;
    struct ag_node n = node(AG_OP_SOFTCAP, 1, 1, 1, 1);
    n.param[AG_P_SOFTCAP_C].f = cap;
    return like(g, n, a);
}

static ag_ref b_rope(struct ag_graph *g, ag_ref x, ag_ref pos, ag_ref freq, int pairs, int64_t offset,
                     double mscale) {
    if (failed(g)) return 0;
    if (!is_f32(g, x) || !pos || at(g, pos)->dtype != AG_I32 || at(g, x)->dim[2] != at(g, pos)->dim[0])
        return misfit(g, "rope", x, pos);
    if (!is_f32(g, freq) || offset < 0 || offset > at(g, x)->dim[0] - 2 * at(g, freq)->dim[0])
        return misfit(g, "rope frequencies", x, freq);
    struct ag_node n = node(AG_OP_ROPE, at(g, x)->dim[0], at(g, x)->dim[1], at(g, x)->dim[2], 1);
    n.param[AG_P_ROPE_PAIRS].i = pairs;
    n.param[AG_P_ROPE_OFFSET].i = offset;
    n.param[AG_P_ROPE_MSCALE].f = mscale;
    return push(g, n, x, pos, freq);
}

/* ---- state ---- */

/* The declaration behind a STATE or KV_WRITE ref, or NULL. */
static const struct ag_state *state_of(struct ag_graph *g, ag_ref r) {
    if (r && at(g, r)->op == AG_OP_KV_WRITE) r = at(g, r)->src[0];
    if (!r || at(g, r)->op != AG_OP_STATE) return NULL;
    const struct ag_state_table *t = &owned_of(g)->source->state;
    return (const void *)((const char *)t->state + (size_t)t->stride * at(g, r)->slot);
}

static bool is_rows_of(const struct ag_graph *g, ag_ref x, int64_t d0, int64_t d1) {
    return is_f32(g, x) && at(g, x)->dim[0] == d0 && at(g, x)->dim[1] == d1 && at(g, x)->dim[2] == AG_DIM_T;
}

static ag_ref b_kv_write(struct ag_graph *g, ag_ref state, ag_ref k, ag_ref v) {
    if (failed(g)) return 0;
    const struct ag_state *s = state_of(g, state);
    if (!s) return fault(g, "kv_write: source 0 is no state");
    if (!is_rows_of(g, k, s->k_dim, s->n_head) || !is_rows_of(g, v, s->v_dim, s->n_head))
        return misfit(g, "kv_write", k, v);
    struct ag_node n = node(AG_OP_KV_WRITE, 1, 1, 1, 1);
    n.dtype = AG_DTYPE_NONE;
    n.slot = at(g, state)->slot;
    return push(g, n, state, k, v);
}

static ag_ref b_attention(struct ag_graph *g, ag_ref q, ag_ref state, ag_ref sinks, double scale,
                          int64_t window, double softcap, uint32_t flags) {
    if (failed(g)) return 0;
    const struct ag_state *s = state_of(g, state);
    if (!s) return fault(g, "attention: source 1 is no state");
    if (!is_f32(g, q) || at(g, q)->dim[1] % s->n_head || !is_rows_of(g, q, s->k_dim, at(g, q)->dim[1]))
        return misfit(g, "attention", q, q);
    if (sinks && (!is_f32(g, sinks) || at(g, sinks)->dim[0] != at(g, q)->dim[1]))
        return misfit(g, "attention sinks", q, sinks);
    if (window < 0 || (s->kind == AG_STATE_WINDOW && (window == 0 || window > s->window)))
        return fault(g, "attention: window %lld over a state that keeps %d", (long long)window, s->window);
    struct ag_node n = node(AG_OP_ATTENTION, s->v_dim, at(g, q)->dim[1], AG_DIM_T, 1);
    n.slot = at(g, state)->slot;
    n.param[AG_P_ATTN_SCALE].f = scale;
    n.param[AG_P_ATTN_WINDOW].i = window;
    n.param[AG_P_ATTN_SOFTCAP].f = softcap;
    n.param[AG_P_ATTN_FLAGS].i = flags;
    n.param[AG_P_ATTN_V_DIM].i = s->v_dim;
    return push(g, n, q, state, sinks);
}

static ag_ref b_private_op(struct ag_graph *g, uint32_t slot, const ag_ref *src, uint32_t n_src) {
    if (failed(g)) return 0;
    const struct ag_private_op *const *ops = owned_of(g)->source->private_op;
    uint32_t n_op = 0;
    while (ops && ops[n_op]) n_op++;
    if (slot >= n_op || n_src != ops[slot]->n_src || n_src < 1 || n_src > AG_MAX_SRC)
        return fault(g, "private op %u with %u sources: the model has %u such ops", slot, n_src, n_op);
    int64_t dim0[AG_MAX_SRC];
    for (uint32_t i = 0; i < n_src; i++) {
        if (!is_f32(g, src[i]) || at(g, src[i])->dim[1] != AG_DIM_T || !graph_contiguous(at(g, src[i])))
            return misfit(g, ops[slot]->name, src[i], src[i]);
        dim0[i] = at(g, src[i])->dim[0];
    }
    int64_t d = ops[slot]->shape(dim0, n_src);
    if (d < 1 || d > INT32_MAX) return misfit(g, ops[slot]->name, src[0], src[n_src - 1]);
    struct ag_node n = node(AG_OP_PRIVATE, d, AG_DIM_T, 1, 1);
    n.slot = slot;
    ag_ref r = push(g, n, 0, 0, 0);
    if (r) memcpy(g->node[r].src, src, n_src * sizeof *src);
    return r;
}

/* ---- composites ---- */

static ag_ref b_glu(struct ag_graph *g, ag_ref gate, ag_ref up, int kind) {
    if (failed(g)) return 0;
    if (!same_shape(g, gate, up)) return misfit(g, "glu", gate, up);
    if (!is_unary(kind)) return fault(g, "glu kind %d is not there", kind);
    const int64_t *d = at(g, gate)->dim;
    struct ag_node n = node(AG_OP_GLU, d[0], d[1], d[2], d[3]);
    n.param[AG_P_UNARY_KIND].i = kind;
    return push(g, n, gate, up, 0);
}

static ag_ref b_add_rmsnorm(struct ag_graph *g, ag_ref x, ag_ref y, ag_ref w, double eps) {
    if (failed(g)) return 0;
    if (!same_shape(g, x, y)) return misfit(g, "add_rmsnorm", x, y);
    if (!is_row_of(g, w, x)) return misfit(g, "add_rmsnorm", x, w);
    const int64_t *d = at(g, x)->dim;
    struct ag_node n = node(AG_OP_ADD_RMS_NORM, d[0], d[1], d[2], d[3]);
    n.param[AG_P_NORM_EPS].f = eps;
    return push(g, n, x, y, w);
}

const struct ag_build *graph_builder(void) {
    static const struct ag_build table = {
        .size = sizeof table, .weight = b_weight, .has = b_has, .state = b_state, .input = b_input,
        .constant = b_constant, .tag = b_tag, .reshape = b_reshape, .slice = b_slice,
        .get_rows = b_get_rows, .matmul = b_matmul, .rmsnorm = b_rmsnorm, .add = b_add,
        .mul = b_mul, .scale = b_scale, .unary = b_unary, .softcap = b_softcap, .rope = b_rope,
        .kv_write = b_kv_write, .attention = b_attention, .private_op = b_private_op, .glu = b_glu,
        .add_rmsnorm = b_add_rmsnorm,
    };
    return &table;
}
