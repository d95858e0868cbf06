/* SPDX-License-Identifier: MIT */
/* engine_impl.h - the inside of an engine, shared by engine*.c and session.c. */
#ifndef CORE_ENGINE_IMPL_H
#define CORE_ENGINE_IMPL_H

#include "cache/pages.h"
#include "engine.h"
#include "graph/build.h"
#include "session.h"
#include "weights.h"

enum { PAGE_TOKENS = 16 };

/* The CPU beside the engine's own device; there only when fallback was allowed and needed. */
struct fallback {
    struct plugin *plugin;
    const struct ag_backend *backend;
    ag_device *device;
    struct weights *weights;
    ag_buffer *scratch;
    bool apart; /* has scratch memory of its own */
};

struct engine {
    struct modelfile *mf;
    const struct plugin *model_plugin;
    const struct ag_model *model;
    void *model_self;
    struct ag_model_info info;
    char who[96]; /* "model gemma3" */

    struct plugin *plugin; /* of the backend */
    const struct ag_backend *backend;
    ag_device *device;
    struct ag_device_info device_info;

    struct weights *weights;
    struct ag_state_table states;
    struct ag_graph *drawn, *lowered;
    struct ag_class cls;
    uint64_t *place; /* [lowered->n] */
    uint64_t scratch_bytes;
    ag_buffer *scratch;
    ag_buffer **state_buffer;
    struct ag_state_binding *state;
    struct page_pool pool[AG_MAX_GROUP];
    int32_t n_group;
    uint64_t kv_bytes;
    uint32_t kv_k, kv_v;
    uint8_t *node_device; /* [lowered->n] 0 own, 1 fallback */
    struct fallback fallback;
    struct graph_part *part;
    uint32_t n_part;
    ag_plan **plan; /* [n_part] */
    unsigned char *seam;
    uint64_t seam_bytes, seam_copied;
    uint64_t workspace_bytes;

    struct ag_step *step;
    int32_t max_page;
    volatile int32_t cancel;
    bool *seq_used; /* [max_seq] */
    ag_ref logits;
    float *copy;        /* of values, where scratch is not host memory */
    uint64_t copy_bytes;
    int32_t n_out;      /* of the last step */
    int32_t n_token;
};

struct session {
    struct engine *e;
    int32_t *ids; /* [ctx] what the cache holds */
    int32_t n;
    int32_t slot;
    struct page_table table[AG_MAX_GROUP];
};

static inline const struct ag_state *engine_state(const struct engine *e, uint32_t i) {
    return (const void *)((const char *)e->states.state + (size_t)i * e->states.stride);
}

int engine_place_nodes(struct engine *, struct registry *, const struct engine_options *);
int engine_load_fallback(struct engine *, const struct weights_load *like);
int engine_make_plans(struct engine *, const struct engine_options *);
int engine_run_parts(struct engine *);
void engine_free_plans(struct engine *);
int engine_make_step(struct engine *);
int engine_make_cache(struct engine *, const struct engine_options *);

#endif
