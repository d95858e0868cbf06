/* SPDX-License-Identifier: MIT */
/* arena.c - where values lie in scratch memory: lives that do not overlap share bytes. */
#include "graph/build.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BEHIND = 64 };

/* Free ranges below `end`, sorted by place, neighbours merged. */
struct hole { uint64_t begin, bytes; };
struct holes { struct hole *at; size_t n, cap; uint64_t end; };

static void drop(struct holes *h, size_t i) {
    memmove(h->at + i, h->at + i + 1, (h->n - i - 1) * sizeof *h->at);
    h->n--;
}

/* The smallest hole that fits, or fresh bytes at the end. */
static uint64_t take(struct holes *h, uint64_t bytes) {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < h->n; i++)
        if (h->at[i].bytes >= bytes && (best == SIZE_MAX || h->at[i].bytes < h->at[best].bytes)) best = i;
    uint64_t begin = h->end;
    if (best != SIZE_MAX) {
        begin = h->at[best].begin;
        h->at[best].begin += bytes;
        h->at[best].bytes -= bytes;
        if (!h->at[best].bytes) drop(h, best);
        return begin;
    }
    if (h->n && h->at[h->n - 1].begin + h->at[h->n - 1].bytes == h->end)
        begin = h->at[--h->n].begin; /* a hole at the end can grow */
    h->end = begin + bytes;
    return begin;
}

static int give(struct holes *h, uint64_t begin, uint64_t bytes) {
    if (mem_grow(&h->at, &h->cap, h->n + 1, sizeof *h->at) < 0) return AG_ENOMEM;
    size_t i = h->n;
    while (i > 0 && h->at[i - 1].begin > begin) i--;
    memmove(h->at + i + 1, h->at + i, (h->n - i) * sizeof *h->at);
    h->at[i] = (struct hole){ begin, bytes };
    h->n++;
    if (i + 1 < h->n && begin + bytes == h->at[i + 1].begin) {
        h->at[i].bytes += h->at[i + 1].bytes;
        drop(h, i + 1);
    }
    if (i > 0 && h->at[i - 1].begin + h->at[i - 1].bytes == begin) {
        h->at[i - 1].bytes += h->at[i].bytes;
        drop(h, i);
    }
    return AG_OK;
}

static bool has_memory(const struct ag_node *n) {
    return n->op > AG_OP_VIEW && n->dtype != AG_DTYPE_NONE;
}

static void last_uses(const struct ag_graph *g, uint64_t keep, ag_ref *last) {
    for (ag_ref r = 1; r < g->n; r++) {
        last[r] = r;
        for (int i = 0; i < AG_MAX_SRC; i++)
            if (g->node[r].src[i]) last[graph_root(g, g->node[r].src[i])] = r;
    }
    for (uint32_t i = 0; i < g->n_tagged; i++)
        if (keep >> g->tagged[i].tag & 1) last[graph_root(g, g->tagged[i].ref)] = g->n;
}

static int value_bytes(const struct ag_node *n, const struct ag_class *cls, uint64_t *bytes) {
    uint64_t e = graph_elems(n, cls);
    if (e > (uint64_t)1 << 48) return fail(AG_EINVAL, "a value of op %s is too large", ag_op_name(n->op));
    *bytes = (e * 4 + BEHIND + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    return AG_OK;
}

/* What node r read for the last time is free for the next. */
static int release(const struct ag_graph *g, ag_ref r, const struct ag_class *cls, ag_ref *last,
                   const uint64_t *place, struct holes *holes) {
    const struct ag_node *n = &g->node[r];
    for (int i = 0; i < AG_MAX_SRC; i++) {
        ag_ref s = n->src[i] ? graph_root(g, n->src[i]) : 0;
        uint64_t bytes = 0;
        if (!s || last[s] != r || !has_memory(&g->node[s])) continue;
        last[s] = 0; /* a node may read one value twice */
        int err = value_bytes(&g->node[s], cls, &bytes);
        if (err == AG_OK) err = give(holes, place[s], bytes);
        if (err < 0) return err;
    }
    return AG_OK;
}

int graph_arena(const struct ag_graph *g, const struct ag_class *cls, uint64_t keep, uint64_t *place,
                uint64_t *total) {
    struct holes holes = { 0 };
    ag_ref *last = calloc(g->n, sizeof *last);
    if (!last) return fail(AG_ENOMEM, "out of memory");
    last_uses(g, keep, last);
    place[0] = UINT64_MAX;
    int err = AG_OK;
    for (ag_ref r = 1; err == AG_OK && r < g->n; r++) {
        const struct ag_node *n = &g->node[r];
        uint64_t bytes = 0, base;
        place[r] = UINT64_MAX;
        if (n->op == AG_OP_VIEW) {
            base = place[n->src[0]];
            if (base != UINT64_MAX) place[r] = base + (uint64_t)n->param[AG_P_VIEW_OFFSET].i * 4;
        } else if (has_memory(n)) {
            if ((err = value_bytes(n, cls, &bytes)) < 0) break;
            place[r] = take(&holes, bytes);
        }
        err = release(g, r, cls, last, place, &holes);
    }
    *total = holes.end;
    free(last);
    free(holes.at);
    return err;
}
