/* SPDX-License-Identifier: MIT */
/* safetensors.c - directories in the layout of Hugging Face: config.json, tokenizer files, and weights
 * in one or several SafeTensors files. The plugin's table; index.c finds the files, header.c reads
 * one, config.c answers for config.json. */
#include "st.h"

#include <stdio.h>
#include <sys/stat.h>

const struct ag_host *st_host;

static int init(const struct ag_host *host) {
    st_host = host;
    return AG_OK;
}

char *st_join(const char *dir, const char *name) {
    size_t n = strlen(dir), room = n + 1 + strlen(name) + 1;
    char *out = st_host->alloc(room, 16);
    if (out) snprintf(out, room, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
    return out;
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool holds(const char *dir, const char *name) {
    char *path = st_join(dir, name);
    bool yes = path && is_file(path);
    if (path) st_host->free(path);
    return yes;
}

/* A single file is ours too, to say that its directory is wanted. */
static int probe(const void *head, size_t n, const char *path, bool is_dir) {
    if (!is_dir) {
        uint64_t header;
        if (n < 9 || ((const char *)head)[8] != '{') return 0;
        memcpy(&header, head, 8);
        return header <= ST_MAX_HEADER ? 10 : 0;
    }
    bool config = holds(path, "config.json");
    bool weights = holds(path, "model.safetensors") || holds(path, "model.safetensors.index.json");
    return config && weights ? 100 : config || weights ? 20 : 0;
}

static void close_file(ag_file *f) {
    if (!f) return;
    st_config_finish(f);
    for (uint32_t i = 0; i < f->parts.n; i++)
        if (f->part_path[i]) st_host->free(f->part_path[i]);
    if (f->part_path) st_host->free(f->part_path);
    for (int i = 0; i < ST_N_ROLE; i++)
        if (f->role[i]) st_host->free(f->role[i]);
    names_finish(&f->parts);
    names_finish(&f->names);
    if (f->tensor) st_host->free(f->tensor);
    if (f->dir) st_host->free(f->dir);
    st_host->free(f);
}

static int find_roles(ag_file *f) {
    static const char *const name[ST_N_ROLE] = {
        [AG_FILE_TOKENIZER] = "tokenizer.json",
        [AG_FILE_TOKENIZER_CONFIG] = "tokenizer_config.json",
        [AG_FILE_CHAT_TEMPLATE] = "chat_template.jinja",
        [AG_FILE_GENERATION] = "generation_config.json",
        [AG_FILE_CONFIG] = "config.json",
        [AG_FILE_SPECIAL_TOKENS] = "special_tokens_map.json",
        [AG_FILE_PREPROCESSOR] = "preprocessor_config.json",
    };
    for (int i = 1; i < ST_N_ROLE; i++) {
        char *path = st_join(f->dir, name[i]);
        if (!path) return st_host->fail(AG_ENOMEM, "out of memory");
        if (is_file(path)) f->role[i] = path;
        else st_host->free(path);
    }
    return AG_OK;
}

static int open_dir(const char *path, ag_file **out) {
    struct stat st;
    *out = NULL;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return st_host->fail(AG_EINVAL, "%s: a file of SafeTensors weights: want the directory with "
                             "config.json that it belongs to", path);
    ag_file *f = st_host->alloc(sizeof *f, 16);
    if (!f) return st_host->fail(AG_ENOMEM, "out of memory");
    *f = (ag_file){ 0 };
    names_init(&f->parts, st_host);
    names_init(&f->names, st_host);
    f->dir = st_host->alloc(strlen(path) + 1, 16);
    int rc = f->dir ? AG_OK : st_host->fail(AG_ENOMEM, "out of memory");
    if (rc == AG_OK) {
        memcpy(f->dir, path, strlen(path) + 1);
        rc = st_config_read(f);
    }
    if (rc == AG_OK) rc = st_parts_read(f);
    if (rc == AG_OK) rc = find_roles(f);
    if (rc < 0) {
        close_file(f);
        return rc;
    }
    *out = f;
    return AG_OK;
}

static const char *scheme(ag_file *f) { (void)f; return "hf"; }

static const char *label(ag_file *f) { (void)f; return "SafeTensors"; }

static uint32_t part_count(ag_file *f) { return f->parts.n; }

static const char *part(ag_file *f, uint32_t i) { return i < f->parts.n ? f->part_path[i] : NULL; }

static uint32_t tensor_count(ag_file *f) { return f->names.n; }

static int tensor(ag_file *f, uint32_t i, struct ag_tensor *out) {
    if (i >= f->names.n)
        return st_host->fail(AG_EINVAL, "tensor %u: the file has %u", i, f->names.n);
    const struct st_tensor *t = &f->tensor[i];
    struct ag_tensor v = { .size = out->size, .dtype = t->dtype, .name = f->names.name[i],
                           .n_dim = t->n_dim, .n_plane = 1 };
    memcpy(v.dim, t->dim, sizeof v.dim);
    v.plane[0] = (struct ag_plane){ t->part, t->dtype, t->offset, t->bytes };
    memcpy(out, &v, out->size && out->size < sizeof v ? out->size : sizeof v);
    return AG_OK;
}

static bool meta(ag_file *f, const char *key, struct ag_value *out) {
    struct ag_value v = { .size = out->size };
    if (!st_config_value(f, key, &v)) return false;
    memcpy(out, &v, out->size && out->size < sizeof v ? out->size : sizeof v);
    return true;
}

static const char *meta_key(ag_file *f, uint32_t i) { return i < f->n_key ? f->key[i] : NULL; }

static const char *file(ag_file *f, uint32_t role) { return role < ST_N_ROLE ? f->role[role] : NULL; }

static const struct ag_format iface = {
    .size = sizeof iface,
    .probe = probe,
    .open = open_dir,
    .close = close_file,
    .scheme = scheme,
    .label = label,
    .part_count = part_count,
    .part = part,
    .tensor_count = tensor_count,
    .tensor = tensor,
    .meta = meta,
    .meta_key = meta_key,
    .file = file,
};

AG_PLUGIN(FORMAT, "safetensors", "1.0", "MIT",
          "format=safetensors dir=config.json dir=model.safetensors* magic=................7b", &iface,
          .init = init);
