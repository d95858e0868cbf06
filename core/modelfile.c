/* SPDX-License-Identifier: MIT */
/* modelfile.c - opens a model file: the format plugin that reads it, tensors by name, and metadata as
 * model plugins see them. Comes after registry.c and before engine.c.
 *
 * A format plugin says in its note how its files look, so that others need not be loaded:
 *   magic=47475546     first bytes in hex, ".." is any byte
 *   dir=config.json    a directory that holds a name of this pattern
 * A plugin without such words is loaded and asked each time. */
#include "modelfile.h"

#include "util/error.h"
#include "util/mem.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096, SMALL_BYTES = 64 << 10, KEY_BYTES = 512 };

/* Tensors by name: slots of index + 1, linear probing; and what each type holds. */
struct lookup {
    uint32_t *slot, mask, n;
    const char **name;
    uint64_t seed, params, type_bytes[AG_DTYPE_MAX];
    uint64_t *part_bytes;
};

static uint64_t hash_name(uint64_t seed, const char *s) {
    uint64_t h = seed;
    for (; *s; s++) {
        h = (h ^ (unsigned char)*s) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    return h;
}

/* ---- which format ------------------------------------------------------------------------------ */

struct head {
    const char *path;
    unsigned char byte[HEAD_BYTES];
    size_t n;
    bool is_dir;
};

static int read_head(const char *path, struct head *h) {
    struct stat st;
    *h = (struct head){ .path = path };
    if (stat(path, &st) < 0)
        return fail(errno == ENOENT ? AG_ENOENT : AG_EIO,
                    "%s: want a model file or directory, found none: %s", path, strerror(errno));
    h->is_dir = S_ISDIR(st.st_mode);
    if (h->is_dir) {
        if (access(path, R_OK | X_OK) == 0) return AG_OK;
        return fail(AG_EDENIED, "%s: cannot read the directory: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode))
        return fail(AG_EINVAL, "%s: want a regular file or a directory, found something else", path);
    if (!st.st_size) return fail(AG_EFORMAT, "%s: want a model, found an empty file", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(errno == EACCES ? AG_EDENIED : AG_EIO, "%s: cannot read the file: %s", path,
                    strerror(errno));
    ssize_t n = read(fd, h->byte, sizeof h->byte);
    int err = errno;
    close(fd);
    if (n < 0) return fail(AG_EIO, "%s: cannot read the file: %s", path, strerror(err));
    h->n = (size_t)n;
    return AG_OK;
}

static bool magic_matches(const char *hex, size_t len, const struct head *h) {
    if (h->is_dir || len % 2 || len / 2 > h->n) return false;
    for (size_t i = 0; i < len / 2; i++) {
        char two[3] = { hex[2 * i], hex[2 * i + 1], 0 }, *end;
        if (!strcmp(two, "..")) continue;
        unsigned long v = strtoul(two, &end, 16);
        if (*end || v != h->byte[i]) return false;
    }
    return true;
}

static bool dir_matches(const char *glob, size_t len, const struct head *h) {
    char pattern[64];
    if (!h->is_dir || len >= sizeof pattern) return false;
    memcpy(pattern, glob, len);
    pattern[len] = 0;
    DIR *d = opendir(h->path);
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));)
        found = !fnmatch(pattern, e->d_name, FNM_PERIOD);
    if (d) closedir(d);
    return found;
}

/* Do the words of a plugin's note allow this file? */
static bool hints_match(const char *provides, const struct head *h) {
    bool any = false;
    for (const char *p = provides ? provides : ""; *p;) {
        p += strspn(p, " ");
        size_t n = strcspn(p, " ");
        bool magic = !strncmp(p, "magic=", 6), dir = !strncmp(p, "dir=", 4);
        if (magic && magic_matches(p + 6, n - 6, h)) return true;
        if (dir && dir_matches(p + 4, n - 4, h)) return true;
        any = any || magic || dir;
        p += n;
    }
    return !any;
}

/* "gguf, safetensors": the usable format plugins, for messages. */
static void list_formats(struct registry *r, struct str *to) {
    for (size_t i = 0; i < registry_count(r); i++) {
        const struct plugin *p = registry_at(r, i);
        if (p->kind != AG_KIND_FORMAT || p->refused || p->shadowed) continue;
        str_printf(to, "%s%s", to->n ? ", " : "", p->name);
    }
}

/* "; refused: PATH: REASON" of the first plugin that might have been the one. A file that may not be
 * read has no kind, only a name. */
static void name_refused(struct registry *r, struct str *to) {
    for (size_t i = 0; i < registry_count(r) && !to->n; i++) {
        const struct plugin *p = registry_at(r, i);
        const char *base = strrchr(p->path, '/');
        if (p->refused && !strncmp(base ? base + 1 : p->path, "format_", 7))
            str_printf(to, "; refused: %s: %s", p->path, p->refused);
    }
}

static int no_format(struct registry *r, const struct head *h) {
    struct str known = { 0 }, refused = { 0 };
    char found[64];
    list_formats(r, &known);
    name_refused(r, &refused);
    if (h->is_dir) {
        snprintf(found, sizeof found, "a directory without such files");
    } else {
        size_t at = (size_t)snprintf(found, sizeof found, "a file that begins with");
        for (size_t i = 0; i < 4 && i < h->n; i++)
            at += (size_t)snprintf(found + at, sizeof found - at, " %02x", h->byte[i]);
    }
    int rc = known.n ? fail(AG_EFORMAT, "%s: want a model in a known format (%s), found %s%s", h->path,
                            str_text(&known), found, str_text(&refused))
                     : fail(AG_ENOENT, "%s: no format plugin to read it with; searched: %s%s", h->path,
                            registry_searched(r), str_text(&refused));
    str_free(&refused);
    str_free(&known);
    return rc;
}

static int choose(struct registry *r, const struct head *h, struct plugin **out) {
    int best = 0, failed = AG_OK;
    *out = NULL;
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->kind != AG_KIND_FORMAT || p->shadowed || !hints_match(p->provides, h)) continue;
        int rc = p->refused ? fail(AG_EABI, "%s: %s", p->path, p->refused) : registry_load(r, p);
        if (rc < 0) {
            failed = rc;
            continue;
        }
        if (!p->u.format.probe || !p->u.format.open) continue;
        int score = p->u.format.probe(h->byte, h->n, h->path, h->is_dir);
        if (score > best) best = score, *out = p;
    }
    if (*out) return AG_OK;
    return failed < 0 ? fail_prefix(failed, "%s: the plugin for this format is not usable", h->path)
                      : no_format(r, h);
}

/* ---- metadata as models see them --------------------------------------------------------------- */

static bool is_gguf(const struct modelfile *m) { return !strcmp(m->scheme, "gguf"); }

static bool get(const struct modelfile *m, const char *key, struct ag_value *v) {
    *v = (struct ag_value){ .size = sizeof *v };
    return m->format->meta(m->file, key, v);
}

/* The value a row means, by the rules of ag_param_row; `key` gets the key that was found, or the one
 * that would be looked for first. */
static bool find_value(const struct modelfile *m, const char *gguf, const char *hf,
                       char key[KEY_BYTES], struct ag_value *v) {
    *key = 0;
    if (is_gguf(m)) {
        if (!gguf) return false;
        bool whole = *gguf == '/';
        snprintf(key, KEY_BYTES, "%s%s%s", whole ? "" : m->arch, whole ? "" : ".", gguf + whole);
        return get(m, key, v);
    }
    if (!hf) return false;
    snprintf(key, KEY_BYTES, "text_config/%s", hf);
    if (get(m, key, v)) return true;
    snprintf(key, KEY_BYTES, "%s", hf);
    return get(m, key, v);
}

static const char *describe(const struct ag_value *v, char to[64]) {
    switch (v->type) {
    case AG_VALUE_INT: snprintf(to, 64, "%" PRId64, v->i); break;
    case AG_VALUE_FLOAT: snprintf(to, 64, "%g", v->f); break;
    case AG_VALUE_BOOL: snprintf(to, 64, "%s", v->i ? "true" : "false"); break;
    case AG_VALUE_STR: snprintf(to, 64, "a text"); break;
    case AG_VALUE_ARRAY: snprintf(to, 64, "an array of %" PRIu64, v->count); break;
    default: snprintf(to, 64, "an object"); break;
    }
    return to;
}

/* Is the value of the row's type and in its range? Then *number is it. */
static bool row_takes(const struct ag_param_row *row, const struct ag_value *v, double *number) {
    bool is_int = v->type == AG_VALUE_INT || v->type == AG_VALUE_BOOL;
    if (row->type == AG_PARAM_BOOL) {
        *number = (double)v->i;
        return is_int && (v->i == 0 || v->i == 1);
    }
    if (v->type != AG_VALUE_INT && v->type != AG_VALUE_FLOAT) return false;
    *number = v->type == AG_VALUE_INT ? (double)v->i : v->f;
    if (!isfinite(*number)) return row->type == AG_PARAM_F32 && !isnan(*number) && row->max == INFINITY;
    bool any = row->min == 0 && row->max == 0;
    if (row->type == AG_PARAM_I32 &&
        (*number < INT32_MIN || *number > INT32_MAX || *number != floor(*number)))
        return false;
    return any || (*number >= row->min && *number <= row->max);
}

static int bad_param(const struct modelfile *m, const struct ag_param_row *row, const char *key,
                     const struct ag_value *v) {
    char found[64], range[80] = "";
    const char *want = row->type == AG_PARAM_BOOL ? "true or false"
                     : row->type == AG_PARAM_I32 ? "a whole number" : "a number";
    if (row->type != AG_PARAM_BOOL && (row->min != 0 || row->max != 0)) {
        want = "a number";
        snprintf(range, sizeof range, " in %.10g..%.10g", row->min, row->max);
    }
    return fail(AG_EFORMAT, "model %s: key %s: want %s%s, file has %s", m->arch, key, want, range,
                describe(v, found));
}

static int meta_params(const struct ag_meta *meta, const struct ag_param_row *rows, uint32_t n,
                       void *fill) {
    const struct modelfile *m = meta->ctx;
    for (uint32_t i = 0; i < n; i++) {
        const struct ag_param_row *row = &rows[i];
        struct ag_value v;
        char key[KEY_BYTES];
        double number;
        if (!find_value(m, row->gguf, row->hf, key, &v)) {
            if (!(row->flags & AG_PARAM_REQUIRED) || !*key) continue;
            return fail(AG_EFORMAT, "model %s: key %s: wanted, but the file lacks it", m->arch, key);
        }
        if (!row_takes(row, &v, &number)) return bad_param(m, row, key, &v);
        char *to = (char *)fill + row->offset;
        if (row->type == AG_PARAM_I32) memcpy(to, &(int32_t){ (int32_t)number }, sizeof(int32_t));
        else if (row->type == AG_PARAM_F32) memcpy(to, &(float){ (float)number }, sizeof(float));
        else memcpy(to, &(bool){ number != 0 }, sizeof(bool));
    }
    return AG_OK;
}

static bool meta_value(const struct ag_meta *meta, const char *gguf, const char *hf,
                       struct ag_value *out) {
    char key[KEY_BYTES];
    struct ag_value v;
    if (!find_value(meta->ctx, gguf, hf, key, &v)) return false;
    memcpy(out, &v, sizeof v);
    return true;
}

static bool meta_tensor(const struct ag_meta *meta, const char *name, struct ag_tensor *out) {
    const struct modelfile *m = meta->ctx;
    int64_t i = modelfile_tensor(m, name);
    out->size = sizeof *out;
    return i >= 0 && m->format->tensor(m->file, (uint32_t)i, out) == AG_OK;
}

static float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 1023, bits;
    float f;
    if (!exp) return (sign ? -1.0f : 1.0f) * (float)man * 0x1p-24f;
    bits = sign | (exp == 31 ? 255u : exp + 112) << 23 | man << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void widen(uint32_t dtype, const unsigned char *from, float *to, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h;
        if (dtype == AG_F32) {
            memcpy(&to[i], from + 4 * i, 4);
            continue;
        }
        memcpy(&h, from + 2 * i, 2);
        uint32_t bits = (uint32_t)h << 16;
        if (dtype == AG_F16) to[i] = half_to_float(h);
        else memcpy(&to[i], &bits, 4);
    }
}

static int read_bytes(const char *path, void *to, uint64_t bytes, uint64_t offset) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(AG_EIO, "%s: %s", path, strerror(errno));
    uint64_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(fd, (char *)to + done, (size_t)(bytes - done), (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += (uint64_t)n;
    }
    int err = errno;
    close(fd);
    return done == bytes ? AG_OK
                         : fail(AG_EIO, "%s: want %" PRIu64 " bytes at offset %" PRIu64 ", got %" PRIu64
                                ": %s", path, bytes, offset, done,
                                done ? "the file became shorter" : strerror(err));
}

static int meta_read(const struct ag_meta *meta, const char *name, float *to, uint64_t n) {
    const struct modelfile *m = meta->ctx;
    struct ag_tensor t;
    if (!meta_tensor(meta, name, &t))
        return fail(AG_EFORMAT, "model %s: tensor %s: wanted, but the file lacks it", m->arch, name);
    uint64_t have = 1;
    for (int d = 0; d < AG_MAX_DIM; d++) have *= (uint64_t)t.dim[d]; /* checked by index_tensors */
    if (have != n)
        return fail(AG_EFORMAT, "model %s: tensor %s: want %" PRIu64 " elements, file has %" PRIu64,
                    m->arch, name, n, have);
    if (t.dtype != AG_F32 && t.dtype != AG_F16 && t.dtype != AG_BF16)
        return fail(AG_ENOTSUP, "model %s: tensor %s: want F32, F16 or BF16, file has %s", m->arch, name,
                    ag_dtype_name(t.dtype));
    if (n > SMALL_BYTES / sizeof(float))
        return fail(AG_EINVAL, "model %s: tensor %s: %" PRIu64 " elements: only small tensors (%zu) are "
                    "read here", m->arch, name, n, SMALL_BYTES / sizeof(float));
    unsigned char *raw = malloc(t.plane[0].bytes ? t.plane[0].bytes : 1);
    if (!raw) return fail(AG_ENOMEM, "out of memory");
    int rc = read_bytes(m->format->part(m->file, t.plane[0].part), raw, t.plane[0].bytes,
                        t.plane[0].offset);
    if (rc == AG_OK) widen(t.dtype, raw, to, n);
    free(raw);
    return rc;
}

/* ---- opening ----------------------------------------------------------------------------------- */

static int measure_parts(struct modelfile *m, struct lookup *l) {
    uint32_t n = m->format->part_count(m->file);
    l->part_bytes = calloc(n ? n : 1, sizeof *l->part_bytes);
    if (!l->part_bytes) return fail(AG_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        struct stat st;
        const char *path = m->format->part(m->file, i);
        if (!path || stat(path, &st) < 0)
            return fail(AG_EIO, "%s: %s", path ? path : m->path, strerror(errno));
        l->part_bytes[i] = (uint64_t)st.st_size;
        m->bytes += (uint64_t)st.st_size;
    }
    return AG_OK;
}

/* What a format plugin says of a tensor must hold, whoever wrote the plugin. */
static int check_tensor(const struct modelfile *m, const struct lookup *l, const struct ag_tensor *t,
                        uint64_t *elems) {
    uint32_t n_part = m->format->part_count(m->file);
    struct ag_dtype_info info = ag_dtype_info(t->dtype);
    uint64_t bytes;
    bool ok = t->name && t->n_plane >= 1 && t->n_plane <= AG_MAX_PLANE && info.name;
    *elems = 1;
    for (int d = 0; ok && d < AG_MAX_DIM; d++)
        ok = t->dim[d] >= 0 && mul_u64(*elems, (uint64_t)t->dim[d], elems);
    if (ok && t->n_plane == 1)
        ok = mul_u64(*elems / info.block_elems, info.block_bytes, &bytes) && bytes == t->plane[0].bytes;
    for (uint32_t k = 0; ok && k < t->n_plane; k++) {
        uint64_t end;
        ok = t->plane[k].part < n_part && add_u64(t->plane[k].offset, t->plane[k].bytes, &end) &&
             end <= l->part_bytes[t->plane[k].part];
    }
    return ok ? AG_OK
              : fail(AG_EFORMAT, "%s: tensor %s: it does not lie inside the file, or the file became "
                     "shorter", m->path, t->name ? t->name : "?");
}

static int index_tensors(struct modelfile *m, struct lookup *l) {
    uint32_t n = m->format->tensor_count(m->file), cap = 64;
    if (n > 1u << 28) return fail(AG_EFORMAT, "%s: %u tensors are too many", m->path, n);
    while (cap < 2 * n) cap *= 2;
    l->slot = calloc(cap, sizeof *l->slot);
    l->name = calloc(n ? n : 1, sizeof *l->name);
    if (!l->slot || !l->name) return fail(AG_ENOMEM, "out of memory");
    l->mask = cap - 1, l->n = n, l->seed = (uint64_t)(uintptr_t)l * 0x9E3779B97F4A7C15u;
    for (uint32_t i = 0; i < n; i++) {
        struct ag_tensor t = { .size = sizeof t };
        uint64_t elems = 0;
        int rc = m->format->tensor(m->file, i, &t);
        if (rc == AG_OK) rc = check_tensor(m, l, &t, &elems);
        if (rc < 0) return rc;
        if (!add_u64(l->params, elems, &l->params)) l->params = UINT64_MAX;
        for (uint32_t k = 0; k < t.n_plane; k++) l->type_bytes[t.dtype] += t.plane[k].bytes;
        l->name[i] = t.name;
        uint32_t at = (uint32_t)hash_name(l->seed, t.name) & l->mask;
        while (l->slot[at]) at = (at + 1) & l->mask;
        l->slot[at] = i + 1;
    }
    return AG_OK;
}

static int read_arch(struct modelfile *m) {
    static const char *const gguf[] = { "general.architecture", NULL };
    static const char *const hf[] = { "text_config/model_type", "model_type", NULL };
    const char *p = NULL;
    size_t n = 0;
    const char *const *key = is_gguf(m) ? gguf : hf;
    for (; *key; key++)
        if (modelfile_str(m, *key, &p, &n)) break;
    if (!*key || !n || n > 64 || memchr(p, 0, n))
        return fail(AG_EFORMAT, "%s: key %s: want the name of an architecture, file has %s", m->path,
                    is_gguf(m) ? gguf[0] : hf[1], *key ? "no proper one" : "none");
    m->arch = strndup(p, n);
    if (!m->arch) return fail(AG_ENOMEM, "out of memory");
    for (char *c = m->arch; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return AG_OK;
}

static bool complete(const struct ag_format *f) {
    return f->open && f->close && f->scheme && f->label && f->part_count && f->part &&
           f->tensor_count && f->tensor && f->meta && f->meta_key && f->file;
}

int modelfile_open(struct registry *r, const char *path, struct modelfile **out) {
    struct head head;
    struct plugin *plugin;
    struct lookup *l = NULL;
    *out = NULL;
    int rc = read_head(path, &head);
    if (rc == AG_OK) rc = choose(r, &head, &plugin);
    if (rc < 0) return rc;
    if (!complete(&plugin->u.format))
        return fail(AG_EABI, "%s: format plugin %s lacks a function", path, plugin->path);
    struct modelfile *m = calloc(1, sizeof *m);
    if (!m || !(m->path = strdup(path)) || !(m->lookup = l = calloc(1, sizeof *l))) {
        rc = fail(AG_ENOMEM, "out of memory");
        goto fail;
    }
    m->plugin = plugin;
    m->format = &plugin->u.format;
    rc = m->format->open(path, &m->file);
    if (rc < 0) goto fail;
    m->scheme = m->format->scheme(m->file);
    rc = measure_parts(m, l);
    if (rc == AG_OK) rc = index_tensors(m, l);
    if (rc == AG_OK) rc = read_arch(m);
    if (rc < 0) goto fail;
    m->meta = (struct ag_meta){ .size = sizeof m->meta, .ctx = m, .arch = m->arch, .scheme = m->scheme,
                                .params = meta_params, .value = meta_value, .tensor = meta_tensor,
                                .read = meta_read };
    *out = m;
    return AG_OK;
fail:
    modelfile_close(m);
    return rc;
}

void modelfile_close(struct modelfile *m) {
    if (!m) return;
    struct lookup *l = m->lookup;
    if (m->file) m->format->close(m->file);
    if (l) {
        free(l->slot);
        free(l->name);
        free(l->part_bytes);
        free(l);
    }
    free(m->arch);
    free(m->path);
    free(m);
}

/* ---- questions --------------------------------------------------------------------------------- */

int64_t modelfile_tensor(const struct modelfile *m, const char *name) {
    const struct lookup *l = m->lookup;
    uint32_t at = (uint32_t)hash_name(l->seed, name) & l->mask;
    for (; l->slot[at]; at = (at + 1) & l->mask)
        if (!strcmp(l->name[l->slot[at] - 1], name)) return l->slot[at] - 1;
    return -1;
}

const char *modelfile_quant(const struct modelfile *m) {
    /* general.file_type of GGUF files */
    static const char *const label[] = {
        [0] = "F32", [1] = "F16", [2] = "Q4_0", [3] = "Q4_1", [7] = "Q8_0", [8] = "Q5_0", [9] = "Q5_1",
        [10] = "Q2_K", [11] = "Q3_K_S", [12] = "Q3_K_M", [13] = "Q3_K_L", [14] = "Q4_K_S",
        [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M", [18] = "Q6_K", [25] = "IQ4_NL",
        [30] = "IQ4_XS", [32] = "BF16", [36] = "TQ1_0", [37] = "TQ2_0", [38] = "MXFP4", [39] = "NVFP4",
    };
    const struct lookup *l = m->lookup;
    int64_t type;
    uint32_t best = 0;
    if (is_gguf(m) && modelfile_i64(m, "general.file_type", &type) && type >= 0 &&
        (size_t)type < sizeof label / sizeof *label && label[type])
        return label[type];
    for (uint32_t i = 1; i < AG_DTYPE_MAX; i++)
        if (l->type_bytes[i] > l->type_bytes[best]) best = i;
    return ag_dtype_name(best);
}

void modelfile_name(const struct modelfile *m, char *to, size_t n) {
    const char *p;
    size_t len;
    if (is_gguf(m) && modelfile_str(m, "general.name", &p, &len) && len) {
        snprintf(to, n, "%.*s", (int)(len < 4096 ? len : 4096), p);
        return;
    }
    size_t end = strlen(m->path);
    while (end > 1 && m->path[end - 1] == '/') end--;
    size_t start = end;
    while (start && m->path[start - 1] != '/') start--;
    snprintf(to, n, "%.*s", (int)(end - start), m->path + start);
}

uint64_t modelfile_params(const struct modelfile *m) { return ((struct lookup *)m->lookup)->params; }

bool modelfile_i64(const struct modelfile *m, const char *key, int64_t *out) {
    struct ag_value v;
    if (!get(m, key, &v) || v.type != AG_VALUE_INT) return false;
    *out = v.i;
    return true;
}

bool modelfile_str(const struct modelfile *m, const char *key, const char **p, size_t *n) {
    struct ag_value v;
    if (!get(m, key, &v) || v.type != AG_VALUE_STR) return false;
    *p = v.data;
    *n = (size_t)v.bytes;
    return true;
}
