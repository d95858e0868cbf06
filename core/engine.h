/* SPDX-License-Identifier: MIT */
/* engine.h - a loaded model on its device: weights, graph, plan, cache. session.h is how to use it.
 *
 * Thread: one thread runs steps of an engine. Several engines may live in one process. */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "modelfile.h"

struct engine;

/* kv types are enum ag_dtype: F32, F16, BF16, Q8_0. 0 in a field takes the default. */
struct engine_options {
    const char *backend;      /* "auto" or NULL, or a backend's name */
    const char *device;       /* index or name; NULL = first */
    const char *cpu_mask;     /* CPU features to hide */
    int32_t ctx_size;         /* entries of one sequence; 0: min(trained, 4096) */
    int32_t max_seq;          /* sequences at once; 0: 1 */
    int32_t max_batch;        /* token rows of a step; 0: 512 */
    int32_t max_out;          /* rows of logits of a step; 0: max_seq */
    uint32_t kv_k, kv_v;      /* 0: F16, F32 with exact */
    bool exact;               /* AG_PLAN_EXACT */
    bool profile;
    bool lazy;                /* --mmap: do not read all pages at load */
    bool trace;               /* keep AG_TAG_EMBED and AG_TAG_LAYER_OUT */
    bool allow_cpu_fallback;
    /* Loading progress, any thread; NULL = none. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *progress_ctx;
};

/* The file must stay open while the engine lives. */
int engine_create(struct registry *, struct modelfile *, const struct engine_options *,
                  struct engine **out);
void engine_free(struct engine *); /* NULL is fine; after its sessions */

/* Bytes by owner; they sum up what the engine allocated or mapped. */
struct engine_memory { uint64_t weights_mapped, weights_packed, kv, scratch, workspace; };

const struct ag_model_info *engine_info(const struct engine *);
const struct ag_model *engine_model(const struct engine *); /* chat, recipes */
const char *engine_model_plugin(const struct engine *);    /* "gemma3" */
const char *engine_backend(const struct engine *);          /* "cpu" */
const struct ag_device_info *engine_device(const struct engine *);
int32_t engine_ctx(const struct engine *);
void engine_kv_types(const struct engine *, uint32_t *k, uint32_t *v);
uint64_t engine_kv_bytes_per_token(const struct engine *);
struct engine_memory engine_memory(const struct engine *);
/* Bytes of weights read for one decoded token (embedding: one row). */
uint64_t engine_bytes_per_token(const struct engine *);
/* KV bytes read by one decoded token when `depth` entries are cached. */
uint64_t engine_kv_bytes_at(const struct engine *, int32_t depth);
uint32_t engine_profile(const struct engine *, struct ag_profile_row *rows, uint32_t max);
/* Bytes copied between devices since the engine was made (CPU fallback). */
uint64_t engine_seam_bytes(const struct engine *);
/* Set from a signal handler or another thread: the running step ends with AG_ECANCELED. */
void engine_cancel(struct engine *, bool on);

/* Which backend an option names, loaded and with its device index chosen; lists what is there
 * when it cannot. For engine_create, --list-devices, doctor. */
int engine_pick_device(struct registry *, const char *backend, const char *device,
                       struct plugin **out, int *index);
/* Which model plugin reads this file, loaded; an error names the plugin wanted. */
int engine_pick_model(struct registry *, struct modelfile *, struct plugin **out);

/* The drawn graph as text, one node a line; lowered = after what the backend claims and lowers.
 * Caller frees. */
int engine_graph_text(const struct engine *, bool lowered, char **out);

#endif
