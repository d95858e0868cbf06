/* SPDX-License-Identifier: MIT */
/* check_format.c - a format plugin on nothing, on rubbish, and on a sample file cut short everywhere: it
 * may refuse, with a reason, or open what is left; it may never point outside of the file. */
#include "plugin_check.h"

#include "util/error.h"
#include "util/mem.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POINTS = 64, LAST_BYTES = 300, FIRST_BYTES = 200, MOST_FILES = 64 };
static const off_t most_sample = (off_t)64 << 20;

/* All that the plugin says of an open file, held against the files on disk. */
static int walk_tensors(const struct ag_format *f, ag_file *file) {
    uint32_t n_part = f->part_count(file), n = f->tensor_count(file);
    for (uint32_t i = 0; i < n; i++) {
        struct ag_tensor t = { .size = sizeof t };
        int rc = f->tensor(file, i, &t);
        if (rc < 0) return fail_prefix(rc, "tensor %u of %u", i, n);
        if (!t.name || t.n_dim > AG_MAX_DIM || t.n_plane < 1 || t.n_plane > AG_MAX_PLANE)
            return fail(AG_EABI, "tensor %u: no name, or %u dims, %u planes", i, t.n_dim, t.n_plane);
        for (int d = 0; d < AG_MAX_DIM; d++)
            if (t.dim[d] < 0) return fail(AG_EABI, "tensor %s: dim %d is %lld", t.name, d, (long long)t.dim[d]);
        for (uint32_t k = 0; k < t.n_plane; k++) {
            const struct ag_plane *p = &t.plane[k];
            const char *path = p->part < n_part ? f->part(file, p->part) : NULL;
            struct stat st;
            uint64_t end;
            if (!path || stat(path, &st) < 0) return fail(AG_EABI, "tensor %s: there is no part %u", t.name, p->part);
            if (!add_u64(p->offset, p->bytes, &end) || end > (uint64_t)st.st_size)
                return fail(AG_EABI, "tensor %s: %llu bytes at %llu, %s has %llu", t.name,
                            (unsigned long long)p->bytes, (unsigned long long)p->offset, path,
                            (unsigned long long)st.st_size);
        }
    }
    return 0;
}

static int walk(const struct ag_format *f, ag_file *file, uint32_t *tensors, uint32_t *keys) {
    const char *scheme = f->scheme(file), *label = f->label(file);
    if (!scheme || (strcmp(scheme, "gguf") && strcmp(scheme, "hf") && strcmp(scheme, "mlx")))
        return fail(AG_EABI, "scheme is %s, want gguf, hf or mlx", scheme ? scheme : "NULL");
    if (!label || !f->part_count(file)) return fail(AG_EABI, "no label, or no part");
    struct ag_value v = { .size = sizeof v };
    for (*keys = 0; *keys < 1u << 20; ++*keys) {
        const char *key = f->meta_key(file, *keys);
        if (!key) break;
        v = (struct ag_value){ .size = sizeof v };
        if (f->meta(file, key, &v) && v.type == AG_VALUE_STR && v.bytes && !v.data)
            return fail(AG_EABI, "key %s: a string without bytes", key);
    }
    if (f->meta(file, "no such key, ever", &v)) return fail(AG_EABI, "it knows a key that nobody has");
    for (uint32_t role = 0; role < 16; role++) (void)f->file(file, role);
    *tensors = f->tensor_count(file);
    return walk_tensors(f, file);
}

/* 1: opened and whole, 0: refused with a reason, < 0: broken. */
static int try_open(const struct ag_format *f, const char *path, uint32_t *tensors, uint32_t *keys) {
    ag_file *file = NULL;
    fail_clear();
    if (f->open(path, &file) < 0)
        return *fail_text() ? 0 : fail(AG_EABI, "open() refuses it and does not say why");
    int rc = file ? walk(f, file, tensors, keys) : fail(AG_EABI, "open() succeeds and yields nothing");
    f->close(file);
    return rc < 0 ? rc : 1;
}

/* ---- copies to cut ---- */

struct copies {
    char folder[64];
    struct str sample;          /* the copy of what was given */
    char *from[MOST_FILES], *to[MOST_FILES];
    int n;
};

static int copy_file(const char *from, const char *to) {
    char bytes[65536];
    FILE *in = fopen(from, "rbe"), *out = in ? fopen(to, "wbe") : NULL;
    size_t n;
    bool good = out != NULL;
    while (good && (n = fread(bytes, 1, sizeof bytes, in))) good = fwrite(bytes, 1, n, out) == n;
    if (in) good &= !ferror(in), fclose(in);
    if (out) good &= fclose(out) == 0;
    return good ? 0 : fail(AG_EIO, "%s cannot be copied to %s", from, to);
}

static int add_copy(struct copies *k, const char *from, const char *name, const char *folder) {
    struct stat st;
    struct str to = { 0 };
    if (stat(from, &st) < 0 || !S_ISREG(st.st_mode)) return 0;
    if (st.st_size > most_sample)
        return fail(AG_EINVAL, "%s has %lld bytes: want a sample of at most %lld", from, (long long)st.st_size,
                    (long long)most_sample);
    if (k->n == MOST_FILES) return fail(AG_EINVAL, "more than %d files", MOST_FILES);
    str_printf(&to, "%s/%s", folder, name);
    k->from[k->n] = strdup(from);
    k->to[k->n] = to.p;
    if (!k->from[k->n] || to.failed) {
        free(k->from[k->n]);
        str_free(&to);
        return fail(AG_ENOMEM, "out of memory");
    }
    k->n++;
    return copy_file(from, to.p);
}

static int copy_sample(struct copies *k, const char *sample) {
    struct stat st;
    strcpy(k->folder, "/tmp/agave-check-XXXXXX");
    if (stat(sample, &st) < 0) return fail(AG_ENOENT, "%s: %s", sample, strerror(errno));
    if (!mkdtemp(k->folder)) {
        k->folder[0] = 0;
        return fail(AG_EIO, "/tmp: %s", strerror(errno));
    }
    const char *base = strrchr(sample, '/');
    str_printf(&k->sample, "%s/%s", k->folder, base && base[1] ? base + 1 : "sample");
    if (k->sample.failed) return fail(AG_ENOMEM, "out of memory");
    if (!S_ISDIR(st.st_mode)) return add_copy(k, sample, k->sample.p + strlen(k->folder) + 1, k->folder);
    if (mkdir(k->sample.p, 0700) < 0) return fail(AG_EIO, "%s: %s", k->sample.p, strerror(errno));
    DIR *d = opendir(sample);
    if (!d) return fail(AG_EIO, "%s: %s", sample, strerror(errno));
    int rc = 0;
    for (struct dirent *e = readdir(d); rc >= 0 && e; e = readdir(d)) {
        struct str from = { 0 };
        str_printf(&from, "%s/%s", sample, e->d_name);
        rc = from.failed ? fail(AG_ENOMEM, "out of memory") : add_copy(k, from.p, e->d_name, k->sample.p);
        str_free(&from);
    }
    closedir(d);
    return rc;
}

static void remove_copies(struct copies *k) {
    for (int i = 0; i < k->n; i++) {
        unlink(k->to[i]);
        free(k->from[i]);
        free(k->to[i]);
    }
    if (k->sample.p) rmdir(k->sample.p);
    str_free(&k->sample);
    if (k->folder[0]) rmdir(k->folder);
}

/* ---- the tries ---- */

struct cuts { int tried, refused, opened; };

static int cut_at(const struct ag_format *f, const struct copies *k, int i, off_t n, struct cuts *cuts) {
    uint32_t tensors, keys;
    if (truncate(k->to[i], n) < 0) return fail(AG_EIO, "%s: %s", k->to[i], strerror(errno));
    int rc = try_open(f, k->sample.p, &tensors, &keys);
    if (rc < 0) return fail_prefix(rc, "%s cut to %lld bytes", k->from[i], (long long)n);
    cuts->tried++;
    cuts->opened += rc;
    cuts->refused += !rc;
    return 0;
}

/* One file shorter and shorter: the last bytes one by one, then in strides, then the first ones. */
static int cut_file(const struct ag_format *f, const struct copies *k, int i, struct cuts *cuts) {
    struct stat st;
    int rc = stat(k->to[i], &st) < 0 ? fail(AG_EIO, "%s: %s", k->to[i], strerror(errno)) : 0;
    off_t stride = st.st_size / POINTS + 1;
    for (off_t n = st.st_size - 1; rc >= 0 && n >= 0;) {
        rc = cut_at(f, k, i, n, cuts);
        n -= n > st.st_size - LAST_BYTES || n <= FIRST_BYTES ? 1 : stride < n - FIRST_BYTES ? stride : n - FIRST_BYTES;
    }
    return rc < 0 ? rc : copy_file(k->from[i], k->to[i]);
}

static void with_sample(struct check *c, const struct ag_format *f, const char *sample) {
    struct copies k = { 0 };
    struct cuts cuts = { 0 };
    uint32_t tensors, keys;
    int rc = copy_sample(&k, sample);
    if (rc >= 0) {
        rc = try_open(f, k.sample.p, &tensors, &keys);
        if (rc == 0) rc = AG_EFORMAT; /* refused: the text says why */
    }
    if (rc < 0) check_failed(c, "sample", "%s", fail_text());
    else check_ok(c, "sample", "%s: %u tensors, %u keys, all inside the file", sample, tensors, keys);
    for (int i = 0; rc >= 0 && i < k.n; i++) rc = cut_file(f, &k, i, &cuts);
    if (cuts.tried && rc < 0) check_failed(c, "cut short", "%s", fail_text());
    else if (cuts.tried && !cuts.refused) check_failed(c, "cut short", "none of %d cuts is refused", cuts.tried);
    else if (cuts.tried)
        check_ok(c, "cut short", "%d cuts: %d refused, %d opened without pointing outside", cuts.tried,
                 cuts.refused, cuts.opened);
    remove_copies(&k);
}

static void probes(struct check *c, const struct ag_format *f) {
    unsigned char *rubbish = calloc(1, 4096);
    uint64_t seed = 88172645463325252u;
    int taken = 0;
    if (!rubbish) return;
    if (f->probe("", 0, "/nowhere/empty", false) > 0 || f->probe(rubbish, 4096, "/nowhere/zeros", false) > 0)
        check_failed(c, "probe", "takes an empty file, or one of zeros");
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < 4096; k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            rubbish[k] = (unsigned char)(seed >> 32);
        }
        taken += f->probe(rubbish, (size_t)(seed % 4097), "/nowhere/rubbish", false) > 0;
    }
    if (taken) check_failed(c, "probe", "takes %d of 200 files of rubbish", taken);
    else check_ok(c, "probe", "leaves empty files, zeros and rubbish to others");
    free(rubbish);
}

void check_format(struct check *c, const struct plugin *p, const char *sample) {
    const struct ag_format *f = &p->u.format;
    uint32_t tensors, keys;
    probes(c, f);
    int rc = try_open(f, "/nowhere/at/all", &tensors, &keys);
    if (rc) check_failed(c, "open", "a file that is not there: %s", rc < 0 ? fail_text() : "opened");
    else check_ok(c, "open", "a file that is not there: %s", fail_text());
    f->close(NULL);
    if (sample) with_sample(c, f, sample);
    else check_skip(c, "cut short", "no sample given: agave plugin check FILE SAMPLE");
}
