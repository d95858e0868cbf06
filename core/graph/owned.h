/* SPDX-License-Identifier: MIT */
/* owned.h - a graph with what only its maker sees. Inside core/graph. */
#ifndef CORE_GRAPH_OWNED_H
#define CORE_GRAPH_OWNED_H

#include "graph/build.h"

struct owned {
    struct ag_graph g; /* first: a pointer to it is a pointer to this */
    const struct graph_source *source;
    int32_t layer; /* of the weight asked for last: the layer of the nodes that follow */
    bool failed;
    char text[1024];
};

static inline struct owned *owned_of(const struct ag_graph *g) { return (struct owned *)(uintptr_t)g; }

#endif
