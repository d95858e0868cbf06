/* SPDX-License-Identifier: MIT */
/* check_run.h - one small graph on one device, by nothing but what struct ag_backend offers. */
#ifndef HOST_CHECK_RUN_H
#define HOST_CHECK_RUN_H

#include "graph/build.h"

enum { TRIAL_TOKENS = 5, TRIAL_WEIGHTS = 3 };

struct trial_weight {
    const char *name;
    uint32_t dtype;
    int64_t dim[AG_MAX_DIM];
    unsigned char *data;
    uint64_t bytes;
};

/* What is run. The result is the node tagged AG_TAG_HIDDEN. */
struct trial {
    struct trial_weight weight[TRIAL_WEIGHTS];
    uint32_t n_weight;
    struct ag_state state;
    uint32_t n_state; /* 0 or 1 */
    struct graph_source source;
    struct ag_graph *graph;
};

/* Adds a weight of values that are finite and below 1 in every type; F32: of both signs. */
int trial_weight(struct trial *, const char *name, uint32_t dtype, int64_t k, int64_t n);
int trial_begin(struct trial *); /* then draw into trial->graph with graph_builder(), tag, trial_drawn */
int trial_drawn(struct trial *);
void trial_free(struct trial *);

/* One step of TRIAL_TOKENS tokens of one sequence. *out (caller frees) has *n elements.
 * AG_ENOTSUP: the backend does not take one of the nodes. */
int trial_run(const struct trial *, const struct ag_backend *, ag_device *, uint32_t flags, float **out,
              uint64_t *n);

#endif
