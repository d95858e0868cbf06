/* SPDX-License-Identifier: MIT */
/* engine.c - from an open model file to a plan that can run: choose model and backend, draw, lower,
 * check, bind. Each step's failure says what was wanted and found. */
#include "engine_impl.h"

#include "graph/build.h"
#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CTX = 4096, DEFAULT_BATCH = 512, MAX_LAYER = 4096 };

/* ---- model ---- */

static int open_model(struct engine *e, struct registry *r) {
    struct plugin *p;
    int err = engine_pick_model(r, e->mf, &p);
    if (err < 0) return err;
    e->model_plugin = p;
    e->model = &p->u.model;
    snprintf(e->who, sizeof e->who, "model %s", p->name);
    if ((err = e->model->create(&e->mf->meta, &e->model_self)) < 0) return fail_prefix(err, "%s", e->who);
    e->info.size = sizeof e->info;
    if ((err = e->model->info(e->model_self, &e->info)) < 0) return fail_prefix(err, "%s", e->who);
    if (e->info.n_layer < 1 || e->info.n_layer > MAX_LAYER || e->info.n_embd < 1 || e->info.n_vocab < 1)
        return fail(AG_EFORMAT, "%s: %d layers of %d, vocabulary %d: want positive numbers", e->who,
                    e->info.n_layer, e->info.n_embd, e->info.n_vocab);
    return AG_OK;
}

static int draw(struct engine *e) {
    struct ag_weight_table table = { .size = sizeof table };
    e->states = (struct ag_state_table){ .size = sizeof e->states };
    int err = e->model->weights(e->model_self, e->mf->scheme, &table);
    if (err < 0 || (err = e->model->states(e->model_self, &e->states)) < 0) return fail_prefix(err, "%s", e->who);
    if ((err = weights_create(e->mf, e->who, &table, &e->weights)) < 0) return err;
    struct graph_source source = { e->who, e->weights, weights_slot, weights_has, e->states, e->model->private_op };
    if ((err = graph_create(&source, &e->drawn)) < 0) return err;
    struct ag_pass pass = { sizeof pass, AG_ROLE_TEXT, 0, e->info.n_layer };
    err = e->model->build(e->model_self, e->drawn, graph_builder(), &pass);
    int fault = graph_finish(e->drawn, true);
    if (fault < 0) return fault; /* the first fault, rather than what followed from it */
    return err < 0 ? fail_prefix(err, "%s", e->who) : AG_OK;
}

/* ---- lowering and checks ---- */

static bool is_native(void *ctx, const struct ag_graph *g, ag_ref r) {
    const struct engine *e = ctx;
    return graph_supported(e->backend, e->device, g, r);
}

static int lower(struct engine *e) {
    int err = graph_lower(e->drawn, is_native, e, &e->lowered);
    if (err < 0) return err;
    for (uint32_t i = 0; i < e->lowered->n_tagged; i++)
        if (e->lowered->tagged[i].tag == AG_TAG_LOGITS) e->logits = e->lowered->tagged[i].ref;
    const int64_t *d = e->lowered->node[e->logits].dim;
    if (d[0] != e->info.n_vocab || d[1] != AG_DIM_R)
        return fail(AG_EINVAL, "%s: logits are %lldx%lld, want %dxR", e->who, (long long)d[0], (long long)d[1],
                    e->info.n_vocab);
    return AG_OK;
}

/* ---- device memory ---- */

static int set_class(struct engine *e, const struct engine_options *o) {
    int32_t trained = e->info.ctx_train > 0 ? e->info.ctx_train : DEFAULT_CTX;
    int32_t ctx = o->ctx_size ? o->ctx_size : trained < DEFAULT_CTX ? trained : DEFAULT_CTX;
    e->cls.max_ctx = ctx;
    e->cls.max_seq = o->max_seq ? o->max_seq : 1;
    e->cls.max_token = o->max_batch ? o->max_batch : DEFAULT_BATCH;
    e->cls.max_out = o->max_out ? o->max_out : e->cls.max_seq;
    if (ctx < 1 || e->cls.max_seq < 1 || e->cls.max_seq > 65536 || e->cls.max_token < 1 ||
        e->cls.max_token > 1 << 20 || e->cls.max_out < 1)
        return fail(AG_EINVAL, "context %d, %d sequences, steps of %d tokens: want positive numbers", ctx,
                    e->cls.max_seq, e->cls.max_token);
    if (e->cls.max_out > e->cls.max_token) e->cls.max_out = e->cls.max_token;
    return AG_OK;
}

static int make_scratch(struct engine *e, bool trace) {
    e->place = malloc(e->lowered->n * sizeof *e->place);
    if (!e->place) return fail(AG_ENOMEM, "out of memory");
    uint64_t keep = (uint64_t)1 << AG_TAG_LOGITS;
    if (trace) keep |= (uint64_t)1 << AG_TAG_EMBED | (uint64_t)1 << AG_TAG_LAYER_OUT;
    int err = graph_arena(e->lowered, &e->cls, keep, e->place, &e->scratch_bytes);
    if (err < 0) return err;
    err = e->backend->alloc(e->device, e->scratch_bytes, AG_BUFFER_DEVICE, 0, &e->scratch);
    if (err < 0) return err;
    if (e->backend->map(e->device, e->scratch)) return AG_OK;
    e->copy_bytes = (uint64_t)e->cls.max_out * (uint64_t)e->info.n_vocab * sizeof(float);
    e->copy = mem_aligned((size_t)e->copy_bytes, 64);
    return e->copy ? AG_OK : fail(AG_ENOMEM, "out of memory");
}

static int open_device(struct engine *e, struct registry *r, const struct engine_options *o) {
    int index, err = engine_pick_device(r, o->backend, o->device, &e->plugin, &index);
    if (err < 0) return err;
    e->backend = &e->plugin->u.backend;
    e->device_info.size = sizeof e->device_info;
    if ((err = e->backend->device_info(index, &e->device_info)) < 0) return err;
    struct ag_device_config config = { .size = sizeof config, .cpu_mask = o->cpu_mask };
    return e->backend->open(index, &config, &e->device);
}

static int build(struct engine *e, struct registry *r, const struct engine_options *o) {
    int err;
    if ((err = open_model(e, r)) < 0) return err;
    if ((err = open_device(e, r, o)) < 0) return err;
    if ((err = set_class(e, o)) < 0) return err;
    if ((err = draw(e)) < 0) return err;
    if ((err = lower(e)) < 0) return err;
    if ((err = engine_place_nodes(e, r, o)) < 0) return err;
    if ((err = engine_make_cache(e, o)) < 0) return err;
    if ((err = make_scratch(e, o->trace)) < 0) return err;
    struct weights_load load = {
        .backend = e->backend, .device = e->device, .graph = e->lowered, .node_device = e->node_device,
        .plan_flags = o->exact ? AG_PLAN_EXACT : 0u, .lazy = o->lazy,
        .progress = o->progress, .progress_ctx = o->progress_ctx,
    };
    if ((err = weights_load(e->weights, &load)) < 0) return err;
    if ((err = engine_load_fallback(e, &load)) < 0) return err;
    if ((err = engine_make_plans(e, o)) < 0) return err;
    return engine_make_step(e);
}

int engine_create(struct registry *r, struct modelfile *mf, const struct engine_options *o, struct engine **out) {
    struct engine *e = calloc(1, sizeof *e);
    if (!e) return fail(AG_ENOMEM, "out of memory");
    e->mf = mf;
    int err = build(e, r, o);
    if (err < 0) engine_free(e);
    else *out = e;
    return err;
}

void engine_free(struct engine *e) {
    if (!e) return;
    engine_free_plans(e);
    weights_free(e->weights);
    if (e->scratch) e->backend->release(e->device, e->scratch);
    for (uint32_t i = 0; e->state_buffer && i < e->states.n; i++)
        if (e->state_buffer[i]) e->backend->release(e->device, e->state_buffer[i]);
    for (int g = 0; g < AG_MAX_GROUP; g++) page_pool_finish(&e->pool[g]);
    if (e->device) e->backend->close(e->device);
    graph_free(e->drawn);
    graph_free(e->lowered);
    if (e->model_self) e->model->destroy(e->model_self);
    free(e->state_buffer);
    free(e->state);
    free(e->place);
    free(e->step);
    free(e->seq_used);
    free(e->copy);
    free(e);
}
