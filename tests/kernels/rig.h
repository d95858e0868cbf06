/* SPDX-License-Identifier: MIT */
/* rig.h - runs a small graph on a backend the way an engine would, with guards and poison. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "graph/build.h"

enum { RIG_MAX_WEIGHT = 8, RIG_PAGE_TOKENS = 16, RIG_MAX_PAGE = 64 };

/* xorshift64*: repeats on every machine. */
struct rng { uint64_t s; };
uint64_t rng_next(struct rng *);
int64_t rng_range(struct rng *, int64_t low, int64_t high); /* both ends included */
float rng_normal(struct rng *);

/* A weight as in a mapped file: at an odd address, poison behind it. */
struct rig_weight {
    const char *name;
    uint32_t dtype;
    int64_t dim[AG_MAX_DIM];
    unsigned char *block, *data; /* data lies in block */
    uint64_t block_bytes, bytes;
};

/* What is run: the graph of one case, its weights, states and maxima. */
struct rig {
    struct rng *rng;
    struct rig_weight weight[RIG_MAX_WEIGHT];
    uint32_t n_weight;
    struct ag_state state;
    uint32_t n_state; /* 0 or 1 */
    uint32_t k_dtype, v_dtype, page_tokens;
    const struct ag_private_op *const *private_op;
    struct graph_source source;
    struct ag_graph *graph;
    struct ag_class cls;
    uint32_t plan_flags;
};

void rig_init(struct rig *, struct rng *, int32_t max_token, int32_t max_seq, int32_t max_ctx);
void rig_finish(struct rig *);
/* Adds a weight of random values (quantised: random valid blocks). */
void rig_weight(struct rig *, const char *name, uint32_t dtype, int64_t d0, int64_t d1);
const struct rig_weight *rig_find(const struct rig *, const char *name);
/* Element row0 .. of a weight as f32. */
void rig_row(const struct rig_weight *, int64_t row, float *to);
/* Begins a graph; draw with graph_builder(), tag the result AG_TAG_HIDDEN, then rig_drawn. */
int rig_draw(struct rig *);
int rig_drawn(struct rig *);

/* A step of rig->cls's maxima, cleared, one page group; caller frees. */
struct ag_step *rig_step(const struct rig *, int32_t n_token, int32_t n_seq);

/* A plan of the rig's graph on a backend. */
struct rig_run {
    const struct ag_backend *b;
    ag_device *dev;
    ag_plan *plan;
    struct ag_graph *lowered;
    ag_buffer *weight[RIG_MAX_WEIGHT], *scratch, *pages;
    struct ag_weight_binding at[RIG_MAX_WEIGHT];
    uint64_t *place;
    uint64_t scratch_bytes, page_bytes, weight_bytes;
    ag_ref out;
    uint32_t n_weight;
    const struct rig *rig;
};

/* native: composites stay where the backend takes them, else all are expanded. AG_ENOTSUP: the
 * backend does not take this graph. */
int rig_open(struct rig_run *, const struct rig *, const struct ag_backend *, ag_device *,
             bool native);
/* One step; result has elements of the tagged value for this step. AG_EDEVICE: a guard changed. */
int rig_run_step(struct rig_run *, const struct ag_step *, float *result, int64_t n);
void rig_close(struct rig_run *);

#endif
