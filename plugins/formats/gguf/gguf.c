/* SPDX-License-Identifier: MIT */
/* gguf.c - GGUF files, version 2 and 3, whole or in parts: the plugin's table. header.c reads a part,
 * split.c knows the names of parts. */
#include "gguf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

const struct ag_host *gguf_host;

static int init(const struct ag_host *host) {
    gguf_host = host;
    return AG_OK;
}

/* A directory with weights of another kind beside its config.json is rather that. */
static int probe(const void *head, size_t n, const char *path, bool is_dir) {
    uint32_t models;
    bool config;
    if (!is_dir) return n >= 4 && !memcmp(head, "GGUF", 4) ? 100 : 0;
    if (gguf_dir_count(path, &models, &config) < 0 || !models) return 0;
    return config ? 50 : 100;
}

static void close_file(ag_file *f) {
    if (!f) return;
    for (uint32_t i = 0; i < f->n_part; i++) gguf_host->free(f->part[i]);
    if (f->part) gguf_host->free(f->part);
    if (f->map) munmap(f->map, f->map_bytes);
    if (f->tensor) gguf_host->free(f->tensor);
    gguf_keys_finish(&f->keys);
    names_finish(&f->names);
    gguf_host->free(f);
}

/* Takes the path over, also when it fails. */
static int add_part(ag_file *f, char *path) {
    if (!path) return gguf_host->fail(AG_ENOMEM, "out of memory");
    int rc = names_grow(gguf_host, &f->part, &f->cap_part, f->n_part, f->n_part + 1, sizeof *f->part);
    if (rc < 0) {
        gguf_host->free(path);
        return rc;
    }
    f->part[f->n_part++] = path;
    return AG_OK;
}

/* Numbers that a part says of itself: which it is, of how many, tensors in all (-1: does not say). */
struct split { int64_t no, count, tensors; };

static int read_split(const struct gguf_keys *keys, const char *path, struct split *s) {
    *s = (struct split){ .no = 0, .count = 1, .tensors = -1 };
    int rc = gguf_keys_int(keys, path, "split.no", &s->no);
    if (rc >= 0) rc = gguf_keys_int(keys, path, "split.count", &s->count);
    if (rc >= 0) rc = gguf_keys_int(keys, path, "split.tensors.count", &s->tensors);
    if (rc < 0) return rc;
    if (s->count < 0 || s->count > GGUF_MAX_PART || s->no < 0 || s->no >= (s->count ? s->count : 1))
        return gguf_host->fail(AG_EFORMAT, "%s: says it is part %" PRId64 " of %" PRId64
                               ": want 1..%d parts", path, s->no, s->count, GGUF_MAX_PART);
    return AG_OK;
}

/* Part `i` of a set: it must exist and be what its name says. */
static int open_part(ag_file *f, uint32_t i, const struct split *whole) {
    const char *path = f->part[i];
    struct stat st;
    struct gguf_keys keys;
    struct split s;
    void *map = NULL;
    size_t bytes = 0;
    if (stat(path, &st) < 0 && errno == ENOENT)
        return gguf_host->fail(AG_ENOENT, "%s: part %u of %" PRId64 " is missing: want %s beside it",
                               f->part[0], i + 1, whole->count, path);
    gguf_keys_init(&keys);
    int rc = gguf_part_read(f, i, path, &keys, &map, &bytes);
    if (rc == AG_OK) rc = read_split(&keys, path, &s);
    if (rc == AG_OK && (s.no != i || s.count != whole->count))
        rc = gguf_host->fail(AG_EFORMAT, "%s: want part %u of %" PRId64 ", the file says it is part %"
                             PRId64 " of %" PRId64, path, i + 1, whole->count, s.no + 1, s.count);
    if (map) munmap(map, bytes);
    gguf_keys_finish(&keys);
    return rc;
}

/* The other parts of a set whose first one has been read. */
static int open_split(ag_file *f) {
    const char *path = f->part[0];
    struct split whole;
    size_t stem;
    uint32_t no, count;
    int rc = read_split(&f->keys, path, &whole);
    if (rc < 0 || whole.count <= 1) return rc;
    if (!gguf_split_name(path, &stem, &no, &count) || count != whole.count || no != whole.no + 1)
        return gguf_host->fail(AG_EFORMAT, "%s: says it is part %" PRId64 " of %" PRId64 ": want a name "
                               "that ends in -%05u-of-%05u.gguf", path, whole.no + 1, whole.count,
                               (unsigned)whole.no + 1, (unsigned)whole.count);
    if (no != 1) {
        char *first = gguf_split_path(path, stem, 1, count);
        rc = gguf_host->fail(AG_EINVAL, "%s: part %u of %u: open the first part instead, %s", path, no,
                             count, first ? first : "");
        if (first) gguf_host->free(first);
        return rc;
    }
    for (uint32_t i = 1; i < count; i++) {
        rc = add_part(f, gguf_split_path(path, stem, i + 1, count));
        if (rc == AG_OK) rc = open_part(f, i, &whole);
        if (rc < 0) return rc;
    }
    if (whole.tensors >= 0 && whole.tensors != f->names.n)
        return gguf_host->fail(AG_EFORMAT, "%s: want %" PRId64 " tensors in %u parts, found %u", path,
                               whole.tensors, count, f->names.n);
    return AG_OK;
}

static int open_file(const char *path, ag_file **out) {
    struct stat st;
    char *chosen = NULL;
    int rc;
    *out = NULL;
    ag_file *f = gguf_host->alloc(sizeof *f, 16);
    if (!f) return gguf_host->fail(AG_ENOMEM, "out of memory");
    *f = (ag_file){ 0 };
    gguf_keys_init(&f->keys);
    names_init(&f->names, gguf_host);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = gguf_dir_pick(path, &chosen);
        if (rc < 0) goto fail;
    } else {
        chosen = gguf_host->alloc(strlen(path) + 1, 16);
        if (chosen) memcpy(chosen, path, strlen(path) + 1);
    }
    rc = add_part(f, chosen);
    if (rc == AG_OK) rc = gguf_part_read(f, 0, f->part[0], &f->keys, &f->map, &f->map_bytes);
    if (rc == AG_OK) rc = open_split(f);
    if (rc < 0) goto fail;
    snprintf(f->label, sizeof f->label, "GGUF v%u", f->version);
    *out = f;
    return AG_OK;
fail:
    close_file(f);
    return rc;
}

static const char *scheme(ag_file *f) { (void)f; return "gguf"; }

static const char *label(ag_file *f) { return f->label; }

static uint32_t part_count(ag_file *f) { return f->n_part; }

static const char *part(ag_file *f, uint32_t i) { return i < f->n_part ? f->part[i] : NULL; }

static uint32_t tensor_count(ag_file *f) { return f->names.n; }

static int tensor(ag_file *f, uint32_t i, struct ag_tensor *out) {
    if (i >= f->names.n)
        return gguf_host->fail(AG_EINVAL, "tensor %u: the file has %u", i, f->names.n);
    const struct gguf_tensor *t = &f->tensor[i];
    struct ag_tensor v = { .size = out->size, .dtype = t->dtype, .name = f->names.name[i],
                           .n_dim = t->n_dim, .n_plane = 1 };
    memcpy(v.dim, t->dim, sizeof v.dim);
    v.plane[0] = (struct ag_plane){ t->part, t->dtype, t->offset, t->bytes };
    memcpy(out, &v, out->size && out->size < sizeof v ? out->size : sizeof v);
    return AG_OK;
}

static bool meta(ag_file *f, const char *key, struct ag_value *out) {
    int64_t i = names_find(&f->keys.names, key, strlen(key));
    if (i < 0) return false;
    struct ag_value v = { .size = out->size };
    gguf_value_view(&f->keys.value[i], &v);
    memcpy(out, &v, out->size && out->size < sizeof v ? out->size : sizeof v);
    return true;
}

static const char *meta_key(ag_file *f, uint32_t i) {
    return i < f->keys.names.n ? f->keys.names.name[i] : NULL;
}

/* Tokenizer, template and generation settings are keys of the file itself. */
static const char *file(ag_file *f, uint32_t role) { (void)f, (void)role; return NULL; }

static const struct ag_format iface = {
    .size = sizeof iface,
    .probe = probe,
    .open = open_file,
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

AG_PLUGIN(FORMAT, "gguf", "1.0", "MIT", "format=gguf magic=47475546 dir=*.gguf", &iface, .init = init);
