/* SPDX-License-Identifier: MIT */
/* index.c - which files hold the weights: model.safetensors, or the shards that
 * model.safetensors.index.json names: {"metadata": {...}, "weight_map": {"tensor": "file", ...}}. */
#include "st.h"

#include <unistd.h>

static const char single[] = "model.safetensors", listed[] = "model.safetensors.index.json";

/* Where the index says each tensor is. */
struct map {
    struct names names;
    uint32_t *part, cap;
};

/* A shard lies in the directory itself: its name comes from the file and must not lead elsewhere. */
static int add_part(ag_file *f, const struct st_scan *s, const char *name, size_t n, uint32_t *part) {
    char shown[96];
    int64_t at = names_find(&f->parts, name, n);
    if (at >= 0) {
        *part = (uint32_t)at;
        return AG_OK;
    }
    if (!n || n > 255 || memchr(name, '/', n) || name[0] == '.')
        return st_host->fail(AG_EFORMAT, "%s: want names of files in the directory, found %s", s->path,
                             names_show(shown, name, n));
    if (f->parts.n >= ST_MAX_PART)
        return st_host->fail(AG_EFORMAT, "%s: more than %d files", s->path, ST_MAX_PART);
    int rc = names_grow(st_host, &f->part_path, &f->cap_path, f->parts.n, f->parts.n + 1,
                        sizeof *f->part_path);
    if (rc == AG_OK) rc = names_add(&f->parts, name, n);
    if (rc < 0) return rc;
    *part = f->parts.n - 1;
    f->part_path[*part] = st_join(f->dir, f->parts.name[*part]);
    return f->part_path[*part] ? AG_OK : st_host->fail(AG_ENOMEM, "out of memory");
}

static int read_place(ag_file *f, struct st_scan *s, struct map *m) {
    const char *tensor, *file;
    size_t n_tensor, n_file;
    char shown[96];
    int rc = st_string(s, &tensor, &n_tensor);
    if (rc == AG_OK) rc = st_take(s, ':');
    if (rc == AG_OK) rc = st_string(s, &file, &n_file);
    if (rc < 0) return rc;
    if (m->names.n >= ST_MAX_TENSOR)
        return st_host->fail(AG_EFORMAT, "%s: more than %d tensors", s->path, ST_MAX_TENSOR);
    rc = names_grow(st_host, &m->part, &m->cap, m->names.n, m->names.n + 1, sizeof *m->part);
    if (rc == AG_OK) rc = names_add(&m->names, tensor, n_tensor);
    if (rc < 0) return rc;
    if (!rc)
        return st_host->fail(AG_EFORMAT, "%s: tensor %s is there twice", s->path,
                             names_show(shown, tensor, n_tensor));
    return add_part(f, s, file, n_file, &m->part[m->names.n - 1]);
}

static int read_index(ag_file *f, struct st_scan *s, struct map *m) {
    bool first = true, seen = false;
    int rc = st_take(s, '{');
    while (rc == AG_OK && (rc = st_next(s, '}', &first)) == 1) {
        const char *key;
        size_t n;
        rc = st_string(s, &key, &n);
        if (rc == AG_OK) rc = st_take(s, ':');
        if (rc < 0) return rc;
        if (seen || n != 10 || memcmp(key, "weight_map", 10)) {
            rc = st_skip(s);
            continue;
        }
        bool first_place = true;
        seen = true;
        rc = st_take(s, '{');
        while (rc == AG_OK && (rc = st_next(s, '}', &first_place)) == 1) rc = read_place(f, s, m);
    }
    if (rc < 0) return rc;
    if (!m->names.n)
        return st_host->fail(AG_EFORMAT, "%s: want a weight_map that names files, found %s", s->path,
                             seen ? "an empty one" : "none");
    return AG_OK;
}

/* All parts, then: is every tensor where the index says? */
static int read_parts(ag_file *f, const char *index, const struct map *m) {
    char shown[96];
    for (uint32_t i = 0; i < f->parts.n; i++) {
        if (access(f->part_path[i], F_OK) < 0)
            return st_host->fail(AG_ENOENT, "%s: names %s, which is missing: fetch it again", index,
                                 f->parts.name[i]);
        int rc = st_part_read(f, i, f->part_path[i]);
        if (rc < 0) return rc;
    }
    for (uint32_t i = 0; i < m->names.n; i++) {
        size_t n = strlen(m->names.name[i]);
        int64_t at = names_find(&f->names, m->names.name[i], n);
        if (at < 0 || f->tensor[at].part != m->part[i])
            return st_host->fail(AG_EFORMAT, "%s: tensor %s: want it in %s, which lacks it", index,
                                 names_show(shown, m->names.name[i], n), f->parts.name[m->part[i]]);
    }
    return AG_OK;
}

static int read_listed(ag_file *f, const char *index) {
    char *text;
    size_t n = 0;
    struct map m = { .cap = 0 };
    names_init(&m.names, st_host);
    int rc = st_read_file(index, ST_MAX_INDEX, &text, &n);
    if (rc < 0) return rc;
    struct st_scan s = { .path = index, .start = text, .p = text, .end = text + n };
    rc = read_index(f, &s, &m);
    if (rc == AG_OK) rc = read_parts(f, index, &m);
    names_finish(&m.names);
    if (m.part) st_host->free(m.part);
    st_host->free(text);
    return rc;
}

int st_parts_read(ag_file *f) {
    char *one = st_join(f->dir, single), *index = st_join(f->dir, listed);
    uint32_t part;
    int rc;
    if (!one || !index) {
        rc = st_host->fail(AG_ENOMEM, "out of memory");
    } else if (access(one, F_OK) == 0) {
        rc = add_part(f, NULL, single, sizeof single - 1, &part);
        if (rc == AG_OK) rc = st_part_read(f, part, one);
    } else if (access(index, F_OK) == 0) {
        rc = read_listed(f, index);
    } else {
        rc = st_host->fail(AG_ENOENT, "%s: want %s or %s in the directory, found neither", f->dir, single,
                           listed);
    }
    if (one) st_host->free(one);
    if (index) st_host->free(index);
    return rc;
}
