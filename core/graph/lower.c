/* SPDX-License-Identifier: MIT */
/* lower.c - composites as primitives: one function per composite, in one table. The same expansions are
 * the oracle for every fused kernel of every backend.
 * The road of a token: from a model's build() to here, then to the backend's plan. */
#include "graph/build.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

/* Appends the expansion of `n`, whose sources are refs of `out` already; returns the last node. */
typedef ag_ref (*expand_fn)(struct ag_graph *out, const struct ag_node *n);

/* A node of n's shape with another op and sources. */
static struct ag_node derive(const struct ag_node *n, int op, ag_ref a, ag_ref b) {
    struct ag_node p = *n;
    p.op = (uint16_t)op;
    memset(p.src, 0, sizeof p.src);
    memset(p.param, 0, sizeof p.param);
    p.src[0] = a;
    p.src[1] = b;
    return p;
}

static ag_ref expand_glu(struct ag_graph *out, const struct ag_node *n) {
    struct ag_node p = derive(n, AG_OP_UNARY, n->src[0], 0);
    p.param[AG_P_UNARY_KIND] = n->param[AG_P_UNARY_KIND];
    ag_ref act = graph_append(out, &p);
    p = derive(n, AG_OP_MUL, act, n->src[1]);
    return act ? graph_append(out, &p) : 0;
}

static ag_ref expand_add_rms_norm(struct ag_graph *out, const struct ag_node *n) {
    struct ag_node p = derive(n, AG_OP_RMS_NORM, n->src[1], n->src[2]);
    p.param[AG_P_NORM_EPS] = n->param[AG_P_NORM_EPS];
    p.param[AG_P_NORM_W_OFF] = n->param[AG_P_NORM_W_OFF];
    ag_ref norm = graph_append(out, &p);
    p = derive(n, AG_OP_ADD, n->src[0], norm);
    return norm ? graph_append(out, &p) : 0;
}

static const struct { uint32_t op; expand_fn expand; } expansions[] = {
    { AG_OP_GLU, expand_glu },
    { AG_OP_ADD_RMS_NORM, expand_add_rms_norm },
};

static expand_fn expansion(uint32_t op) {
    for (size_t i = 0; i < sizeof expansions / sizeof expansions[0]; i++)
        if (expansions[i].op == op) return expansions[i].expand;
    return NULL;
}

static int copy_node(const struct ag_graph *in, ag_ref r, graph_native_fn native, void *ctx,
                     struct ag_graph *out, ag_ref *map) {
    struct ag_node n = in->node[r];
    for (int i = 0; i < AG_MAX_SRC; i++) n.src[i] = map[n.src[i]];
    bool keep = n.op < AG_OP_FIRST_COMPOSITE || (native && native(ctx, in, r));
    expand_fn expand = keep ? NULL : expansion(n.op);
    if (!keep && !expand) return fail(AG_ENOTSUP, "op %s has no expansion", ag_op_name(n.op));
    map[r] = keep ? graph_append(out, &n) : expand(out, &n);
    return map[r] ? AG_OK : fail(AG_ENOMEM, "out of memory while lowering a graph");
}

int graph_lower(const struct ag_graph *in, graph_native_fn native, void *ctx, struct ag_graph **result) {
    struct ag_graph *out = NULL;
    ag_ref *map = calloc(in->n, sizeof *map);
    int err = map ? graph_create(NULL, &out) : fail(AG_ENOMEM, "out of memory");
    if (err == AG_OK && graph_copy_constants(in, out) < 0) err = fail(AG_ENOMEM, "out of memory");
    for (ag_ref r = 1; err == AG_OK && r < in->n; r++) err = copy_node(in, r, native, ctx, out, map);
    for (uint32_t i = 0; err == AG_OK && i < in->n_tagged; i++)
        err = graph_add_tag(out, map[in->tagged[i].ref], in->tagged[i].tag, in->tagged[i].layer);
    free(map);
    if (err < 0) graph_free(out);
    else *result = out;
    return err;
}
