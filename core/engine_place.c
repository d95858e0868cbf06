/* SPDX-License-Identifier: MIT */
/* engine_place.c - which device computes which node. One device computes all, unless --allow-cpu-fallback
 * lets the CPU take what it cannot: then the graph is cut where the device changes, and values cross
 * the seams. */
#include "engine_impl.h"

#include "graph/build.h"
#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static int unsupported(const struct engine *e, ag_ref r) {
    const struct ag_node *n = &e->lowered->node[r];
    const struct ag_node *s = n->src[0] ? &e->lowered->node[n->src[0]] : n;
    bool weight = s->op == AG_OP_WEIGHT;
    return fail(AG_ENOTSUP, "backend %s has no %s of %s%s%s%s; another --backend or --allow-cpu-fallback may have",
                e->plugin->name, ag_op_name(n->op), ag_dtype_name(s->dtype), weight ? " (tensor " : "",
                weight ? weights_name(e->weights, s->slot) : "", weight ? ")" : "");
}

static int open_fallback(struct engine *e, struct registry *r, const struct engine_options *o) {
    struct fallback *f = &e->fallback;
    int index, err = engine_pick_device(r, "cpu", NULL, &f->plugin, &index);
    if (err < 0) return fail_prefix(err, "no CPU to fall back to");
    f->backend = &f->plugin->u.backend;
    struct ag_device_config config = { .size = sizeof config, .cpu_mask = o->cpu_mask };
    return f->backend->open(index, &config, &f->device);
}

static bool is_cached(uint32_t op) { return op == AG_OP_KV_WRITE || op == AG_OP_ATTENTION; }

int engine_place_nodes(struct engine *e, struct registry *r, const struct engine_options *o) {
    uint64_t warned[8] = { 0 }; /* a bit per op */
    e->node_device = calloc(e->lowered->n, 1);
    if (!e->node_device) return fail(AG_ENOMEM, "out of memory");
    for (ag_ref i = 1; i < e->lowered->n; i++) {
        uint32_t op = e->lowered->node[i].op;
        if (graph_supported(e->backend, e->device, e->lowered, i)) continue;
        if (!o->allow_cpu_fallback || is_cached(op) || !strcmp(e->plugin->name, "cpu")) return unsupported(e, i);
        int err = e->fallback.device ? AG_OK : open_fallback(e, r, o);
        if (err < 0) return err;
        if (!graph_supported(e->fallback.backend, e->fallback.device, e->lowered, i)) return unsupported(e, i);
        e->node_device[i] = 1;
        if (op < 512 && !(warned[op / 64] >> op % 64 & 1)) {
            warned[op / 64] |= (uint64_t)1 << op % 64;
            log_line(AG_LOG_WARN, "%s runs on the CPU: backend %s does not have it", ag_op_name(op), e->plugin->name);
        }
    }
    return AG_OK;
}

/* The fallback's view of scratch: the same memory where both see it, else a twin. */
static int make_fallback_scratch(struct engine *e) {
    struct fallback *f = &e->fallback;
    void *host = e->backend->map(e->device, e->scratch);
    if (host && f->backend->import) {
        int err = f->backend->import(f->device, host, e->scratch_bytes, &f->scratch);
        if (err != AG_ENOTSUP) return err;
    }
    f->apart = true;
    return f->backend->alloc(f->device, e->scratch_bytes, AG_BUFFER_DEVICE, 0, &f->scratch);
}

int engine_load_fallback(struct engine *e, const struct weights_load *like) {
    struct fallback *f = &e->fallback;
    if (!f->device) return AG_OK;
    int err = make_fallback_scratch(e);
    if (err < 0 || (err = weights_again(e->weights, &f->weights)) < 0) return err;
    struct weights_load load = *like;
    load.backend = f->backend;
    load.device = f->device;
    load.which = 1;
    return weights_load(f->weights, &load);
}

static int make_plan(struct engine *e, const struct engine_options *o, uint32_t i) {
    const struct graph_part *part = &e->part[i];
    bool own = part->device == 0;
    struct weights *weights = own ? e->weights : e->fallback.weights;
    struct ag_plan_desc d = {
        .size = sizeof d,
        .flags = (o->exact ? AG_PLAN_EXACT : 0u) | (o->profile ? AG_PLAN_PROFILE : 0u),
        .graph = part->graph,
        .cls = e->cls,
        .weight = weights_bindings(weights),
        .n_weight = weights_count(weights),
        .weight_stride = sizeof(struct ag_weight_binding),
        .state = e->state,
        .n_state = own ? e->states.n : 0,
        .state_stride = sizeof(struct ag_state_binding),
        .scratch = { own ? e->scratch : e->fallback.scratch, 0, e->scratch_bytes },
        .place = part->place,
        .private_op = e->model->private_op,
    };
    const struct ag_backend *b = own ? e->backend : e->fallback.backend;
    int err = b->plan(own ? e->device : e->fallback.device, &d, &e->plan[i]);
    if (err < 0) return fail_prefix(err, "backend %s", own ? e->plugin->name : e->fallback.plugin->name);
    struct ag_plan_info info = { .size = sizeof info };
    if (b->plan_info && b->plan_info(e->plan[i], &info) == AG_OK) e->workspace_bytes += info.workspace_bytes;
    return AG_OK;
}

int engine_make_plans(struct engine *e, const struct engine_options *o) {
    int err = graph_split(e->lowered, e->node_device, e->place, &e->part, &e->n_part);
    if (err < 0) return err;
    e->plan = calloc(e->n_part ? e->n_part : 1, sizeof *e->plan);
    if (!e->plan) return fail(AG_ENOMEM, "out of memory");
    for (uint32_t i = 0; err == AG_OK && i < e->n_part; i++) err = make_plan(e, o, i);
    return err;
}

/* Brings values of the other device over a seam, through memory of the host. */
static int cross(struct engine *e, const struct graph_part *part) {
    const struct fallback *f = &e->fallback;
    struct ag_class now = { e->step->n_token, e->step->n_out, e->step->n_seq, e->cls.max_ctx };
    for (uint32_t i = 0; i < part->n_given; i++) {
        ag_ref r = part->given[i];
        uint64_t bytes = graph_elems(&e->lowered->node[r], &now) * sizeof(float), at = e->place[r];
        size_t cap = (size_t)e->seam_bytes;
        if (mem_grow(&e->seam, &cap, (size_t)bytes, 1) < 0) return AG_ENOMEM;
        e->seam_bytes = cap;
        bool to_own = part->device == 0;
        int err = to_own ? f->backend->read(f->device, f->scratch, at, e->seam, bytes)
                         : e->backend->read(e->device, e->scratch, at, e->seam, bytes);
        if (err == AG_OK)
            err = to_own ? e->backend->write(e->device, e->scratch, at, e->seam, bytes)
                         : f->backend->write(f->device, f->scratch, at, e->seam, bytes);
        if (err < 0) return err;
        e->seam_copied += bytes;
    }
    return AG_OK;
}

int engine_run_parts(struct engine *e) {
    struct ag_run run = { .size = sizeof run, .step = e->step, .cancel = &e->cancel };
    for (uint32_t i = 0; i < e->n_part; i++) {
        const struct graph_part *part = &e->part[i];
        int err = e->fallback.apart ? cross(e, part) : AG_OK;
        if (err == AG_OK) err = (part->device ? e->fallback.backend : e->backend)->run(e->plan[i], &run);
        if (err < 0) return err;
    }
    return AG_OK;
}

void engine_free_plans(struct engine *e) {
    struct fallback *f = &e->fallback;
    for (uint32_t i = 0; e->plan && i < e->n_part; i++)
        if (e->plan[i]) (e->part[i].device ? f->backend : e->backend)->plan_free(e->plan[i]);
    free(e->plan);
    graph_parts_free(e->part, e->n_part);
    weights_free(f->weights);
    if (f->scratch) f->backend->release(f->device, f->scratch);
    if (f->device) f->backend->close(f->device);
    free(e->node_device);
    free(e->seam);
}
