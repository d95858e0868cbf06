/* SPDX-License-Identifier: MIT */
/* engine_query.c - what an engine says about itself, and which plugins it would take. */
#include "engine_impl.h"

#include "graph/build.h"
#include "util/error.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ag_model_info *engine_info(const struct engine *e) { return &e->info; }
const struct ag_model *engine_model(const struct engine *e) { return e->model; }
const char *engine_model_plugin(const struct engine *e) { return e->model_plugin->name; }
const char *engine_backend(const struct engine *e) { return e->plugin->name; }
const struct ag_device_info *engine_device(const struct engine *e) { return &e->device_info; }
int32_t engine_ctx(const struct engine *e) { return e->cls.max_ctx; }
void engine_cancel(struct engine *e, bool on) { e->cancel = on; }

void engine_kv_types(const struct engine *e, uint32_t *k, uint32_t *v) {
    *k = e->kv_k;
    *v = e->kv_v;
}

uint64_t engine_kv_bytes_per_token(const struct engine *e) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < e->states.n; i++) sum += e->state[i].kv.page_bytes / PAGE_TOKENS;
    return sum;
}

uint64_t engine_kv_bytes_at(const struct engine *e, int32_t depth) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < e->states.n; i++) {
        int32_t w = e->state[i].state.kind == AG_STATE_WINDOW ? e->state[i].state.window : depth;
        sum += e->state[i].kv.page_bytes * (uint64_t)(w < depth ? w : depth) / PAGE_TOKENS;
    }
    return sum;
}

struct engine_memory engine_memory(const struct engine *e) {
    struct engine_memory m = { .kv = e->kv_bytes, .scratch = e->scratch_bytes, .workspace = e->workspace_bytes };
    weights_bytes(e->weights, &m.weights_mapped, &m.weights_packed);
    return m;
}

uint64_t engine_seam_bytes(const struct engine *e) { return e->seam_copied; }

uint64_t engine_bytes_per_token(const struct engine *e) { return weights_bytes_per_token(e->weights); }

uint32_t engine_profile(const struct engine *e, struct ag_profile_row *rows, uint32_t max) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n_part; i++) {
        const struct ag_backend *b = e->part[i].device ? e->fallback.backend : e->backend;
        if (b->profile && n < max) n += b->profile(e->plan[i], rows + n, max - n);
    }
    return n;
}

static const char *slot_name(void *ctx, uint32_t slot) { return weights_name(ctx, slot); }

int engine_graph_text(const struct engine *e, bool lowered, char **out) {
    return graph_text(lowered ? e->lowered : e->drawn, slot_name, e->weights, out);
}

/* ---- choosing plugins ---- */

/* The number behind `key` in a plugin's words ("auto=10"), 0 when it is not there. */
static long word_number(const char *provides, const char *key) {
    size_t n = strlen(key);
    for (const char *p = provides; p && *p; p = strchr(p, ' '), p += p != NULL)
        if (!strncmp(p, key, n)) return strtol(p + n, NULL, 10);
    return 0;
}

/* The untried backend that prefers itself most. Those without auto= are only used by name. */
static struct plugin *next_auto(struct registry *r, long *below) {
    struct plugin *best = NULL;
    long score = 0;
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->kind != AG_KIND_BACKEND || p->refused || p->shadowed) continue;
        long s = word_number(p->provides, "auto=");
        if (s > score && s < *below) best = p, score = s;
    }
    *below = score;
    return best;
}

static void list_devices(struct registry *r, struct str *s) {
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->kind != AG_KIND_BACKEND || p->refused || p->shadowed) continue;
        str_printf(s, "%s%s", s->n ? ", " : "", p->name);
    }
}

static int no_backend(struct registry *r, const char *name) {
    struct str s = { 0 };
    list_devices(r, &s);
    const struct plugin *refused = name ? registry_refused(r, AG_KIND_BACKEND, name) : NULL;
    if (refused) {
        int err = fail(AG_ENOENT, "backend %s cannot be used: %s: %s", name, refused->path, refused->refused);
        str_free(&s);
        return err;
    }
    int err = name ? fail(AG_ENOENT, "no backend %s (backend_%s.so); there are: %s; folders searched: %s", name, name,
                          s.n ? str_text(&s) : "none", registry_searched(r))
                   : fail(AG_ENOENT, "no backend has a device; folders searched: %s", registry_searched(r));
    str_free(&s);
    return err;
}

static int pick_index(const struct plugin *p, const char *device, int *index) {
    const struct ag_backend *b = &p->u.backend;
    int n = b->device_count();
    if (n < 0) return n;
    if (n == 0) return fail(AG_ENOENT, "backend %s finds no device", p->name);
    *index = 0;
    if (!device) return AG_OK;
    char *end;
    long number = strtol(device, &end, 10);
    if (*device && !*end && number >= 0 && number < n) {
        *index = (int)number;
        return AG_OK;
    }
    struct str s = { 0 };
    for (int i = 0; i < n; i++) {
        struct ag_device_info info = { .size = sizeof info };
        if (b->device_info(i, &info) < 0) continue;
        if (!strcmp(info.name, device)) {
            str_free(&s);
            *index = i;
            return AG_OK;
        }
        str_printf(&s, "%s%d (%s)", s.n ? ", " : "", i, info.name);
    }
    int err = fail(AG_ENOENT, "no device %s of backend %s; there are: %s", device, p->name, str_text(&s));
    str_free(&s);
    return err;
}

int engine_pick_device(struct registry *r, const char *backend, const char *device, struct plugin **out, int *index) {
    int err;
    if (backend && strcmp(backend, "auto")) {
        struct plugin *p = registry_find(r, AG_KIND_BACKEND, backend);
        if (!p) return no_backend(r, backend);
        if ((err = registry_load(r, p)) < 0) return fail_prefix(err, "backend %s", backend);
        *out = p;
        return pick_index(p, device, index);
    }
    long below = 1000000;
    for (struct plugin *p; (p = next_auto(r, &below));) {
        if (registry_load(r, p) < 0 || p->u.backend.device_count() < 1) continue;
        *out = p;
        return pick_index(p, device, index);
    }
    return no_backend(r, NULL);
}

static int no_model(struct registry *r, const char *arch) {
    struct str s = { 0 };
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->kind == AG_KIND_MODEL && !p->refused && !p->shadowed) str_printf(&s, "%s%s", s.n ? ", " : "", p->name);
    }
    const struct plugin *refused = registry_refused(r, AG_KIND_MODEL, arch);
    int err = refused ? fail(AG_ENOTSUP, "architecture '%.64s' needs a plugin, and the one there is refused: %s: %s",
                             arch, refused->path, refused->refused)
                      : fail(AG_ENOTSUP, "architecture '%.64s' needs a plugin (model_%.64s.so) that is not there; there are: %s; "
                             "folders searched: %s", arch, arch, s.n ? str_text(&s) : "none", registry_searched(r));
    str_free(&s);
    return err;
}

/* Asks the plugins whose notes hold the word: the surest match, or the text of the one that refuses. */
static int ask_models(struct registry *r, struct modelfile *mf, const char *key, struct plugin **out) {
    char what[160];
    snprintf(what, sizeof what, "%s=%s", key, mf->arch);
    int best = 0, refused = 0;
    for (struct plugin *p = NULL; (p = registry_provider(r, AG_KIND_MODEL, what, p));) {
        int err = registry_load(r, p);
        if (err < 0) return fail_prefix(err, "plugin %s", p->path);
        int score = p->u.model.match(&mf->meta);
        if (score < 0) refused = fail_prefix(score, "model %s", p->name);
        if (score > best) best = score, *out = p;
    }
    return best > 0 ? best : refused;
}

/* Those that read the architecture; else those that know it as a relative they refuse by name. */
int engine_pick_model(struct registry *r, struct modelfile *mf, struct plugin **out) {
    int score = ask_models(r, mf, "arch", out);
    if (score == 0) score = ask_models(r, mf, "relative", out);
    return score > 0 ? AG_OK : score < 0 ? score : no_model(r, mf->arch);
}
