/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include "util/error.h"

#include <stdio.h>
#include <string.h>

static const struct fake_entry *lookup(const struct fake *f, const char *key) {
    const struct fake_entry *list[] = { f->own, f->base };
    for (int k = 0; k < 2 && key; k++)
        for (const struct fake_entry *e = list[k]; e && e->key; e++)
            if (strcmp(e->key, key) == 0) return e->type ? e : NULL;
    return NULL;
}

static const struct fake_entry *of_scheme(const struct ag_meta *m, const char *gguf, const char *hf) {
    return lookup(m->ctx, strcmp(m->scheme, "gguf") == 0 ? gguf : hf);
}

static bool fake_value(const struct ag_meta *m, const char *gguf, const char *hf, struct ag_value *out) {
    const struct fake_entry *e = of_scheme(m, gguf, hf);
    if (!e) return false;
    *out = (struct ag_value){ .size = sizeof *out, .type = e->type, .elem = e->elem, .i = e->i, .f = e->f,
                              .data = e->p, .bytes = e->bytes };
    if (e->type == AG_VALUE_STR) out->bytes = strlen(e->p);
    if (e->type == AG_VALUE_ARRAY) out->count = (uint64_t)e->i;
    return true;
}

static int fake_params(const struct ag_meta *m, const struct ag_param_row *row, uint32_t n, void *fill) {
    for (uint32_t i = 0; i < n; i++) {
        const struct fake_entry *e = of_scheme(m, row[i].gguf, row[i].hf);
        const char *key = strcmp(m->scheme, "gguf") == 0 ? row[i].gguf : row[i].hf;
        unsigned char *to = (unsigned char *)fill + row[i].offset;
        if (!e && row[i].flags & AG_PARAM_REQUIRED) return fail(AG_EFORMAT, "key %s: wanted", key);
        if (!e) continue;
        double v = e->type == AG_VALUE_FLOAT ? e->f : (double)e->i;
        bool typed = e->type == AG_VALUE_INT || (e->type == AG_VALUE_FLOAT && row[i].type == AG_PARAM_F32);
        if (row[i].type == AG_PARAM_BOOL) typed = e->type == AG_VALUE_BOOL;
        if (!typed || ((row[i].min != 0 || row[i].max != 0) && !(v >= row[i].min && v <= row[i].max)))
            return fail(AG_EFORMAT, "key %s: want %g to %g", key, row[i].min, row[i].max);
        int32_t whole = (int32_t)v;
        float real = (float)v;
        if (row[i].type == AG_PARAM_I32) memcpy(to, &whole, sizeof whole);
        else if (row[i].type == AG_PARAM_F32) memcpy(to, &real, sizeof real);
        else *(bool *)to = e->i != 0;
    }
    return AG_OK;
}

static const struct fake_tensor *find_tensor(const struct ag_meta *m, const char *name) {
    const struct fake *f = m->ctx;
    for (const struct fake_tensor *t = f->tensor; t && t->name; t++)
        if (strcmp(t->name, name) == 0) return t;
    return NULL;
}

static bool fake_tensor(const struct ag_meta *m, const char *name, struct ag_tensor *out) {
    const struct fake_tensor *t = find_tensor(m, name);
    if (t)
        *out = (struct ag_tensor){ .size = sizeof *out, .dtype = AG_F32, .name = name,
                                   .dim = { t->d0, t->d1, 1, 1 }, .n_dim = 2 };
    return t != NULL;
}

static int fake_read(const struct ag_meta *m, const char *name, float *to, uint64_t n) {
    const struct fake_tensor *t = find_tensor(m, name);
    if (!t || !t->data || n != (uint64_t)t->d0) return fail(AG_EFORMAT, "tensor %s: other size", name);
    memcpy(to, t->data, n * sizeof *to);
    return AG_OK;
}

static bool in_table(const struct fake *f, const char *name) {
    for (uint32_t i = 0; i < f->weights.n; i++) {
        const struct ag_weight_row *r = (const void *)((const char *)f->weights.row + (size_t)i * f->weights.stride);
        if (strcmp(r->name, name) == 0) return true;
    }
    return false;
}

static int64_t source_weight(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                             uint32_t *dtype) {
    struct fake *f = ctx;
    if (!in_table(f, name)) return fail(AG_EINVAL, "weight %s has no name", name);
    if (layer < 1 && f->n_asked < 64)
        snprintf(f->asked[f->n_asked++], sizeof *f->asked, "%s %lldx%lld", name, (long long)want[0],
                 (long long)want[1]);
    *dtype = AG_F32;
    return f->slots++;
}

static bool source_has(void *ctx, const char *name, int layer) {
    const struct fake *f = ctx;
    (void)layer;
    for (const char *const *h = f->has; h && *h; h++)
        if (strcmp(*h, name) == 0) return true;
    return false;
}

bool fake_asked(const struct fake *f, const char *what) {
    for (int i = 0; i < f->n_asked; i++)
        if (strcmp(f->asked[i], what) == 0) return true;
    return false;
}

void fake_init(struct fake *f, const char *arch, const char *scheme, const struct fake_entry *own,
               const struct fake_entry *base, const struct fake_tensor *tensor) {
    *f = (struct fake){ .own = own, .base = base, .tensor = tensor };
    f->meta = (struct ag_meta){ .size = sizeof f->meta, .ctx = f, .arch = arch, .scheme = scheme,
                                .params = fake_params, .value = fake_value, .tensor = fake_tensor,
                                .read = fake_read };
    f->weights.size = sizeof f->weights;
    f->source = (struct graph_source){ .who = "test", .ctx = f, .weight = source_weight, .has = source_has };
    f->source.state.size = sizeof f->source.state;
}

int fake_draw(struct fake *f, const struct ag_model *m, void **self, struct ag_graph **g) {
    struct ag_model_info info = { .size = sizeof info };
    *self = NULL;
    *g = NULL;
    int err = m->create(&f->meta, self);
    if (err >= 0) err = m->weights(*self, f->meta.scheme, &f->weights);
    if (err >= 0) err = m->states(*self, &f->source.state);
    if (err >= 0) err = m->info(*self, &info);
    if (err >= 0) err = graph_create(&f->source, g);
    struct ag_pass pass = { .size = sizeof pass, .role = AG_ROLE_TEXT, .layer_end = info.n_layer };
    if (err >= 0) err = m->build(*self, *g, graph_builder(), &pass);
    return err < 0 ? err : graph_finish(*g, true);
}
