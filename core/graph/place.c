/* SPDX-License-Identifier: MIT */
/* place.c - a lowered graph as parts, one per run of nodes on the same device, in order. */
#include "graph/build.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

struct split {
    const struct ag_graph *g;
    const uint8_t *device;
    const uint64_t *place;
    ag_ref first, end; /* of the part */
    ag_ref *map;       /* [g->n] node of the part, 0 = not there yet */
    struct graph_part *part;
    size_t cap_place, cap_given;
};

static bool computes(const struct ag_node *n) { return !graph_is_leaf(n->op) && n->op != AG_OP_VIEW; }

static ag_ref put(struct split *s, ag_ref r, const struct ag_node *n) {
    struct graph_part *p = s->part;
    ag_ref to = graph_append(p->graph, n);
    if (!to || mem_grow(&p->place, &s->cap_place, to + 1u, sizeof *p->place) < 0) return 0;
    p->place[0] = UINT64_MAX;
    p->place[to] = s->place[r];
    return s->map[r] = to;
}

/* A value that an earlier part computed. State refs become the state itself: it is written by then. */
static ag_ref put_given(struct split *s, ag_ref r) {
    struct graph_part *p = s->part;
    struct ag_node n = s->g->node[r];
    if (n.op == AG_OP_KV_WRITE) n.op = AG_OP_STATE;
    else n.op = AG_OP_GIVEN;
    memset(n.src, 0, sizeof n.src);
    if (n.op == AG_OP_GIVEN && s->device[r] != p->device) {
        if (mem_grow(&p->given, &s->cap_given, p->n_given + 1u, sizeof *p->given) < 0) return 0;
        p->given[p->n_given++] = r;
    }
    return put(s, r, &n);
}

/* The part's ref of node r, which is put there when a node of the part first asks for it. Sources of
 * views chain, leaves do not: the depth is that of views of views. */
static ag_ref need(struct split *s, ag_ref r) {
    if (s->map[r]) return s->map[r];
    const struct ag_node *n = &s->g->node[r];
    if (graph_is_leaf(n->op)) return put(s, r, n);
    if (n->op != AG_OP_VIEW) return put_given(s, r);
    struct ag_node view = *n;
    view.src[0] = need(s, n->src[0]);
    return view.src[0] ? put(s, r, &view) : 0;
}

static int fill(struct split *s) {
    int err = graph_create(NULL, &s->part->graph);
    if (err < 0) return err;
    if (graph_copy_constants(s->g, s->part->graph) < 0) return AG_ENOMEM;
    memset(s->map, 0, s->g->n * sizeof *s->map);
    for (ag_ref r = s->first; r < s->end; r++) {
        if (!computes(&s->g->node[r])) continue;
        struct ag_node n = s->g->node[r];
        for (int i = 0; i < AG_MAX_SRC && n.src[i]; i++)
            if (!(n.src[i] = need(s, n.src[i]))) return AG_ENOMEM;
        if (!put(s, r, &n)) return AG_ENOMEM;
    }
    return AG_OK;
}

/* One behind the last node of the run that begins at r. */
static ag_ref run_end(const struct ag_graph *g, const uint8_t *device, ag_ref r, int *which) {
    *which = -1;
    for (; r < g->n; r++) {
        if (!computes(&g->node[r])) continue;
        if (*which < 0) *which = device[r];
        else if (device[r] != *which) return r;
    }
    return g->n;
}

int graph_split(const struct ag_graph *g, const uint8_t *device, const uint64_t *place, struct graph_part **out,
                uint32_t *n) {
    struct graph_part *parts = NULL;
    size_t cap = 0;
    int err = AG_OK, which;
    *n = 0;
    ag_ref *map = malloc(g->n * sizeof *map);
    if (!map) return fail(AG_ENOMEM, "out of memory");
    for (ag_ref first = 1; err == AG_OK && first < g->n;) {
        ag_ref end = run_end(g, device, first, &which);
        if (which < 0) break;
        if ((err = mem_grow(&parts, &cap, *n + 1u, sizeof *parts)) < 0) break;
        parts[*n] = (struct graph_part){ .device = which };
        struct split s = { g, device, place, first, end, map, &parts[*n], 0, 0 };
        (*n)++;
        err = fill(&s);
        first = end;
    }
    free(map);
    if (err < 0) {
        graph_parts_free(parts, *n);
        return fail(AG_ENOMEM, "out of memory while placing a graph");
    }
    *out = parts;
    return AG_OK;
}

void graph_parts_free(struct graph_part *parts, uint32_t n) {
    for (uint32_t i = 0; parts && i < n; i++) {
        graph_free(parts[i].graph);
        free(parts[i].place);
        free(parts[i].given);
    }
    free(parts);
}
