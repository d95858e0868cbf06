/* SPDX-License-Identifier: MIT */
#include "loaded.h"

#include "input.h"
#include "own_template.h"
#include "progress.h"
#include "text.h"
#include "util/error.h"
#include "util/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* What the model says of its sizes, before any weight is read. */
static int model_info(struct loaded *l) {
    const struct ag_model *m = &l->model->u.model;
    void *self = NULL;
    int status = m->create(&l->file->meta, &self);
    if (status < 0) return status;
    l->info = (struct ag_model_info){ .size = sizeof l->info };
    status = m->info(self, &l->info);
    m->destroy(self);
    return status;
}

static int sampling(struct loaded *l) {
    const struct options *o = l->o;
    struct sampler_params *s = &l->sampling;
    *s = sampler_defaults();
    s->temperature = (float)o->temperature;
    s->top_k = (int32_t)o->top_k;
    s->top_p = (float)o->top_p;
    s->min_p = (float)o->min_p;
    s->repeat_penalty = (float)o->repeat_penalty;
    s->frequency_penalty = (float)o->frequency_penalty;
    s->presence_penalty = (float)o->presence_penalty;
    s->seed = o->seed;
    if (!o->given[OPT_seed]) {
        if (getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed)
            return fail(AG_EIO, "no random seed to be had from the system; give one with --seed N");
        s->seed >>= 1; /* so that it is an integer everywhere it is told */
    }
    l->max_tokens = (int32_t)o->max_tokens;
    return 0;
}

static int check_texts(const struct options *o) {
    int status = o->system ? input_check_utf8("--system", o->system, strlen(o->system)) : 0;
    for (size_t i = 0; status == 0 && i < o->stop.n; i++)
        status = input_check_utf8("--stop", o->stop.at[i], strlen(o->stop.at[i]));
    return status;
}

static void warnings(const struct loaded *l) {
    const struct options *o = l->o;
    if (o->n_extra) log_line(AG_LOG_WARN, "extra arguments ignored: %d after the prompt", o->n_extra);
    if (o->kv_type && o->kv_type_k && o->kv_type_v)
        log_line(AG_LOG_WARN, "--kv-type has no effect: --kv-type-k and --kv-type-v are given");
    if (o->allow_cpu_fallback && !strcmp(l->backend->name, "cpu"))
        log_line(AG_LOG_WARN, "--allow-cpu-fallback has no effect: the CPU computes all of it");
    static const struct { uint32_t type; int bits; } width[] = {
        { AG_F32, 32 }, { AG_F16, 16 }, { AG_BF16, 16 }, { AG_Q8_0, 8 },
    };
    uint32_t k = o->kv_type_k ? o->kv_type_k : o->kv_type, v = o->kv_type_v ? o->kv_type_v : o->kv_type;
    int kb = 16, vb = 16;
    for (size_t i = 0; i < sizeof width / sizeof *width; i++) {
        if (width[i].type == k) kb = width[i].bits;
        if (width[i].type == v) vb = width[i].bits;
    }
    if (vb > kb)
        log_line(AG_LOG_WARN, "values of the cache are stored wider (%d bits) than keys (%d bits): keys "
                              "need the precision more", vb, kb);
    bool switched = l->jinja && (jinja_uses(l->jinja, "enable_thinking") || jinja_uses(l->jinja, "thinking"));
    if (strcmp(o->think, "auto") && !switched && !(!l->jinja && l->chat && l->chat->think_begin && l->chat->think_end))
        log_line(AG_LOG_WARN, "--think has no effect: the chat template has no reasoning");
    if (o->raw && o->chat_template)
        log_line(AG_LOG_WARN, "--chat-template has no effect with --raw");
    if (!l->chat && o->system)
        log_line(AG_LOG_WARN, "--system has no effect without a chat template");
}

int loaded_open(const struct env *env, const struct options *o, struct loaded *l) {
    *l = (struct loaded){ .env = env, .o = o, .quiet = o->quiet, .verbose = o->verbose,
                          .debug = o->debug,
                          .color_out = env_color(env, o, STDOUT_FILENO),
                          .color_err = env_color(env, o, STDERR_FILENO) };
    int status = check_texts(o);
    if (status == 0) status = env_registry(env, o, &l->registry);
    if (status == 0) status = modelfile_open(l->registry, o->arg[0], &l->file);
    if (status == 0) status = engine_pick_model(l->registry, l->file, &l->model);
    char device[16];
    snprintf(device, sizeof device, "%d", (int)o->device);
    if (status == 0)
        status = engine_pick_device(l->registry, o->backend,
                                    o->given[OPT_device] ? device : NULL, &l->backend, &l->device);
    if (status == 0) status = model_info(l);
    if (status == 0) status = tokenizer_open(l->file->format, l->file->file, &l->tokenizer);
    if (status == 0) status = chat_pick(l);
    if (status == 0) status = sampling(l);
    if (status == 0) warnings(l);
    return status;
}

int loaded_start(struct loaded *l) {
    const struct options *o = l->o;
    int32_t ctx = 0;
    int status = recipe_apply(l, &ctx);
    if (status == 0) status = context_size(l, ctx, &ctx);
    if (status < 0) return status;
    char device[16];
    snprintf(device, sizeof device, "%d", l->device);
    struct progress bar;
    progress_begin(&bar, l->quiet, l->file->bytes);
    const struct engine_options e = {
        .backend = l->backend->name, .device = device, .cpu_mask = o->cpu_mask,
        .ctx_size = ctx, .max_batch = (int32_t)o->prefill_batch_size,
        .kv_k = o->kv_type_k ? o->kv_type_k : o->kv_type,
        .kv_v = o->kv_type_v ? o->kv_type_v : o->kv_type,
        .profile = o->profile, .lazy = o->mmap, .allow_cpu_fallback = o->allow_cpu_fallback,
        .progress = progress_tell, .progress_ctx = &bar,
    };
    status = engine_create(l->registry, l->file, &e, &l->engine);
    l->load_ms = progress_end(&bar, status == 0);
    if (status == 0) l->info = *engine_info(l->engine);
    return status;
}

void loaded_close(struct loaded *l) {
    engine_free(l->engine);
    jinja_free(l->jinja);
    tokenizer_free(l->tokenizer);
    modelfile_close(l->file);
    registry_close(l->registry);
    *l = (struct loaded){ 0 };
}
