/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include "util/error.h"
#include "util/log.h"

#include <stdio.h>

enum { CTX_DEFAULT = 4096 };

static int model_info(struct tool *t) {
    struct plugin *plugin;
    void *self = NULL;
    int err = engine_pick_model(t->registry, t->file, &plugin);
    if (err) return err;
    const struct ag_model *m = &plugin->u.model;
    t->info = (struct ag_model_info){ .size = sizeof t->info };
    err = m->create(&t->file->meta, &self);
    if (err) return err;
    err = m->info(self, &t->info);
    m->destroy(self);
    if (!err && (t->info.n_vocab < 1 || t->info.n_embd < 1 || t->info.n_layer < 0))
        return fail(AG_EFORMAT, "%s: the model says it has %d tokens, %d wide, %d layers",
                    t->file->path, t->info.n_vocab, t->info.n_embd, t->info.n_layer);
    return err;
}

static int32_t trained(const struct tool *t) {
    return t->info.ctx_train > 0 ? t->info.ctx_train : CTX_DEFAULT;
}

static void engine_choices(const struct options *o, struct tool *t) {
    if (o->given[OPT_device]) snprintf(t->device, sizeof t->device, "%d", (int)o->device);
    if (o->kv_type && o->kv_type_k && o->kv_type_v)
        log_line(AG_LOG_WARN, "--kv-type has no effect beside --kv-type-k and --kv-type-v");
    t->engine = (struct engine_options){
        .backend = o->backend,
        .device = o->given[OPT_device] ? t->device : NULL,
        .cpu_mask = o->cpu_mask,
        .kv_k = o->kv_type_k ? o->kv_type_k : o->kv_type,
        .kv_v = o->kv_type_v ? o->kv_type_v : o->kv_type,
        .lazy = o->mmap,
        .allow_cpu_fallback = o->allow_cpu_fallback,
    };
    if (!o->given[OPT_ctx_size]) return;
    t->engine.ctx_size = o->ctx_size > 0 ? (int32_t)o->ctx_size : trained(t);
    if (t->engine.ctx_size > trained(t) && t->info.ctx_train > 0)
        log_line(AG_LOG_WARN, "--ctx-size %d is above the %d the model was trained for",
                 t->engine.ctx_size, t->info.ctx_train);
}

int tool_open(const struct env *env, const struct options *o, const char *path, struct tool *t) {
    *t = (struct tool){ 0 };
    int err = env_registry(env, o, &t->registry);
    if (!err) err = modelfile_open(t->registry, path, &t->file);
    if (!err) err = model_info(t);
    if (!err) engine_choices(o, t);
    return err;
}

void tool_close(struct tool *t) {
    modelfile_close(t->file);
    registry_close(t->registry);
    *t = (struct tool){ 0 };
}

int32_t tool_ctx(const struct tool *t) {
    if (t->engine.ctx_size > 0) return t->engine.ctx_size;
    return trained(t) < CTX_DEFAULT ? trained(t) : CTX_DEFAULT;
}
