/* SPDX-License-Identifier: MIT */
/* graph.c - making, freeing, measuring and printing graphs. */
#include "graph/build.h"
#include "graph/owned.h"
#include "util/error.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

int graph_create(const struct graph_source *source, struct ag_graph **out) {
    struct owned *o = calloc(1, sizeof *o);
    if (!o) return fail(AG_ENOMEM, "out of memory");
    o->g.size = sizeof o->g;
    o->g.node_size = sizeof *o->g.node;
    o->source = source;
    o->layer = -1;
    struct ag_node none = { 0 };
    graph_append(&o->g, &none);
    if (!o->g.node) {
        free(o);
        return fail(AG_ENOMEM, "out of memory");
    }
    *out = &o->g;
    return AG_OK;
}

void graph_free(struct ag_graph *g) {
    if (!g) return;
    free(g->node);
    free(g->tagged);
    free(g->constant);
    free(g->pool);
    free(owned_of(g));
}

int graph_copy_constants(const struct ag_graph *in, struct ag_graph *out) {
    if (!in->n_const) return AG_OK;
    out->constant = malloc(in->n_const * sizeof *in->constant);
    out->pool = malloc((size_t)in->pool_bytes);
    if (!out->constant || !out->pool) return AG_ENOMEM;
    memcpy(out->constant, in->constant, in->n_const * sizeof *in->constant);
    memcpy(out->pool, in->pool, (size_t)in->pool_bytes);
    out->n_const = out->cap_const = in->n_const;
    out->pool_bytes = out->pool_cap = in->pool_bytes;
    return AG_OK;
}

int graph_finish(struct ag_graph *g, bool head) {
    struct owned *o = owned_of(g);
    if (o->failed) return fail(AG_EINVAL, "%s", o->text);
    bool logits = false;
    for (uint32_t i = 0; i < g->n_tagged; i++) logits |= g->tagged[i].tag == AG_TAG_LOGITS;
    if (head && !logits) return fail(AG_EINVAL, "%s: drew no node tagged as logits", o->source->who);
    o->source = NULL;
    return AG_OK;
}

int64_t graph_dim(int64_t dim, const struct ag_class *c) {
    return dim == AG_DIM_T   ? c->max_token
           : dim == AG_DIM_R ? c->max_out
           : dim == AG_DIM_S ? c->max_seq
                             : dim;
}

uint64_t graph_elems(const struct ag_node *n, const struct ag_class *c) {
    uint64_t e = 1;
    for (int d = 0; d < AG_MAX_DIM; d++)
        if (!mul_u64(e, (uint64_t)graph_dim(n->dim[d], c), &e)) return UINT64_MAX;
    return e;
}

ag_ref graph_root(const struct ag_graph *g, ag_ref r) {
    while (g->node[r].op == AG_OP_VIEW) r = g->node[r].src[0];
    return r;
}

bool graph_supported(const struct ag_backend *b, ag_device *dev, const struct ag_graph *g, ag_ref r) {
    const struct ag_node *n = &g->node[r];
    if (graph_is_leaf(n->op) || n->op == AG_OP_VIEW) return true;
    uint32_t dtype = n->src[0] ? g->node[n->src[0]].dtype : AG_F32;
    for (uint32_t i = 0; i < b->n_support; i++) {
        const struct ag_support *s = (const void *)((const char *)b->support + (size_t)i * b->support_stride);
        if (s->op != n->op) continue;
        /* a state's type is the cache's business: kv_layout says what it takes */
        bool typed = dtype == AG_DTYPE_NONE || (s->dtypes ? s->dtypes >> dtype & 1 : dtype == AG_F32);
        if (typed) return !b->supports || b->supports(dev, g, r);
    }
    return false;
}

static void put_node(struct str *s, const struct ag_graph *g, ag_ref r, graph_name_fn name, void *ctx) {
    const struct ag_node *n = &g->node[r];
    str_printf(s, "%%%u = %s", r, ag_op_name(n->op));
    if (n->op == AG_OP_WEIGHT && name) str_printf(s, " %s", name(ctx, n->slot));
    else if (n->op <= AG_OP_CONST || n->op == AG_OP_PRIVATE) str_printf(s, " #%u", n->slot);
    for (int i = 0; i < AG_MAX_SRC && n->src[i]; i++) str_printf(s, " %%%u", n->src[i]);
    if (n->dtype) {
        str_printf(s, " : %s [", ag_dtype_name(n->dtype));
        int last = AG_MAX_DIM - 1;
        while (last > 0 && n->dim[last] == 1) last--;
        for (int d = 0; d <= last; d++) {
            if (d) str_puts(s, ", ");
            if (n->dim[d] < 0) str_putc(s, "TRS"[-n->dim[d] - 1]);
            else str_printf(s, "%lld", (long long)n->dim[d]);
        }
        str_putc(s, ']');
    }
    if (n->layer >= 0) str_printf(s, " layer %d", n->layer);
    for (uint32_t i = 0; i < g->n_tagged; i++)
        if (g->tagged[i].ref == r) str_printf(s, " tag %u.%d", g->tagged[i].tag, g->tagged[i].layer);
    str_putc(s, '\n');
}

int graph_text(const struct ag_graph *g, graph_name_fn name, void *ctx, char **out) {
    struct str s = { 0 };
    for (ag_ref r = 1; r < g->n; r++) put_node(&s, g, r, name, ctx);
    if (s.failed || !s.p) {
        str_free(&s);
        return fail(AG_ENOMEM, "out of memory");
    }
    *out = s.p;
    return AG_OK;
}
