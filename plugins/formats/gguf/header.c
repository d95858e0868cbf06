/* SPDX-License-Identifier: MIT */
/* header.c - the header of one GGUF file: keys, tensors, and every check on them. Nothing in the file
 * is trusted: counts are held against the bytes that are left, sums and products are checked before
 * use, memory grows with what was read, nothing recurses. Weights are never touched. */
#include "gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { V_U8, V_I8, V_U16, V_I16, V_U32, V_I32, V_F32, V_BOOL, V_STR, V_ARRAY, V_U64, V_I64, V_F64,
       V_COUNT };

/* GGUF value types: bytes of a number (0 for what has a length) and the ABI's element type. */
static const struct { uint8_t bytes, elem, type; } value_type[V_COUNT] = {
    [V_U8] = { 1, AG_ELEM_U8, AG_VALUE_INT },      [V_I8] = { 1, AG_ELEM_I8, AG_VALUE_INT },
    [V_U16] = { 2, AG_ELEM_U16, AG_VALUE_INT },    [V_I16] = { 2, AG_ELEM_I16, AG_VALUE_INT },
    [V_U32] = { 4, AG_ELEM_U32, AG_VALUE_INT },    [V_I32] = { 4, AG_ELEM_I32, AG_VALUE_INT },
    [V_F32] = { 4, AG_ELEM_F32, AG_VALUE_FLOAT },  [V_BOOL] = { 1, AG_ELEM_BOOL, AG_VALUE_BOOL },
    [V_STR] = { 0, AG_ELEM_STR, AG_VALUE_STR },    [V_ARRAY] = { 0, AG_ELEM_OTHER, AG_VALUE_ARRAY },
    [V_U64] = { 8, AG_ELEM_U64, AG_VALUE_INT },    [V_I64] = { 8, AG_ELEM_I64, AG_VALUE_INT },
    [V_F64] = { 8, AG_ELEM_F64, AG_VALUE_FLOAT },
};

/* Fewest bytes that a key or a tensor takes in a header: length, one letter, type and value. */
enum { KEY_MIN = 8 + 1 + 4 + 1, TENSOR_MIN = 8 + 1 + 4 + 4 + 8, NEST_MAX = 8 };

struct reader {
    const char *path;
    const uint8_t *p;
    uint64_t at, end; /* end: of the file, or of what a header may take */
    uint64_t file;    /* bytes of the file */
};

static uint32_t get_u32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t get_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t left(const struct reader *r) { return r->end - r->at; }

/* The header ends before `want` bytes of `what`. */
static int ends_early(const struct reader *r, uint64_t want, const char *what) {
    if (r->end < r->file)
        return gguf_host->fail(AG_EFORMAT, "%s: %s at offset %" PRIu64 " takes %" PRIu64
                               " bytes: want a header of at most %d MiB, the file is damaged", r->path,
                               what, r->at, want, GGUF_MAX_HEADER >> 20);
    return gguf_host->fail(AG_EFORMAT, "%s: want %" PRIu64 " bytes for %s at offset %" PRIu64
                           ", file has %" PRIu64 " bytes: it is cut off or damaged, fetch it again",
                           r->path, want, what, r->at, r->file);
}

/* For messages: a product, or the largest number there is. */
static uint64_t times(uint64_t a, uint64_t b) {
    return __builtin_mul_overflow(a, b, &a) ? UINT64_MAX : a;
}

static int take_u32(struct reader *r, const char *what, uint32_t *out) {
    if (left(r) < 4) return ends_early(r, 4, what);
    *out = get_u32(r->p + r->at);
    r->at += 4;
    return AG_OK;
}

static int take_u64(struct reader *r, const char *what, uint64_t *out) {
    if (left(r) < 8) return ends_early(r, 8, what);
    *out = get_u64(r->p + r->at);
    r->at += 8;
    return AG_OK;
}

/* A length and its bytes. */
static int take_text(struct reader *r, const char *what, const uint8_t **p, uint64_t *n) {
    int rc = take_u64(r, what, n);
    if (rc < 0) return rc;
    if (*n > left(r)) return ends_early(r, *n, what);
    *p = r->p + r->at;
    r->at += *n;
    return AG_OK;
}

/* A name: a text that is not empty, not long and holds no zero byte. */
static int take_name(struct reader *r, const char *what, const uint8_t **p, uint64_t *n) {
    char shown[96];
    int rc = take_text(r, what, p, n);
    if (rc < 0) return rc;
    if (!*n || *n > GGUF_MAX_NAME)
        return gguf_host->fail(AG_EFORMAT, "%s: %s: want a name of 1..%d bytes, file has %" PRIu64,
                               r->path, what, GGUF_MAX_NAME, *n);
    if (memchr(*p, 0, *n))
        return gguf_host->fail(AG_EFORMAT, "%s: %s %s: the name holds a zero byte", r->path, what,
                               names_show(shown, *p, *n));
    return AG_OK;
}

/* Walks over `count` texts, once. */
static int skip_texts(struct reader *r, uint64_t count, const char *what) {
    const uint8_t *p = r->p;
    uint64_t at = r->at, end = r->end;
    if (count > (end - at) / 8) return ends_early(r, times(count, 8), what);
    for (uint64_t i = 0; i < count; i++) {
        if (end - at < 8 || get_u64(p + at) > end - at - 8) {
            r->at = at;
            return ends_early(r, end - at < 8 ? 8 : get_u64(p + at), what);
        }
        at += 8 + get_u64(p + at);
    }
    r->at = at;
    return AG_OK;
}

static int bad_type(const struct reader *r, const char *key, uint32_t type) {
    return gguf_host->fail(AG_EFORMAT, "%s: key %s: value type %u is none (known: 0..%d)", r->path, key,
                           type, V_COUNT - 1);
}

/* Type and count of an array's elements, then its elements unless they are arrays themselves. */
static int take_flat(struct reader *r, const char *key, uint32_t *type, uint64_t *count) {
    int rc = take_u32(r, key, type);
    if (rc == AG_OK) rc = take_u64(r, key, count);
    if (rc < 0) return rc;
    if (*type >= V_COUNT) return bad_type(r, key, *type);
    if (*type == V_ARRAY) return AG_OK;
    if (*type == V_STR) return skip_texts(r, *count, key);
    if (*count > left(r) / value_type[*type].bytes)
        return ends_early(r, times(*count, value_type[*type].bytes), key);
    r->at += *count * value_type[*type].bytes;
    return AG_OK;
}

/* Walks over the arrays inside an array of `count` arrays; `open` counts what is left per level. */
static int skip_nested(struct reader *r, const char *key, uint64_t count) {
    uint64_t open[NEST_MAX] = { count }, inner = 0;
    uint32_t depth = 1, type = 0;
    while (depth) {
        if (!open[depth - 1]) {
            depth--;
            continue;
        }
        open[depth - 1]--;
        int rc = take_flat(r, key, &type, &inner);
        if (rc < 0) return rc;
        if (type != V_ARRAY) continue;
        if (depth == NEST_MAX)
            return gguf_host->fail(AG_EFORMAT, "%s: key %s: arrays inside arrays, more than %d deep",
                                   r->path, key, NEST_MAX);
        open[depth++] = inner;
    }
    return AG_OK;
}

static int take_array(struct reader *r, const char *key, struct gguf_value *v) {
    uint64_t start = r->at + 4 + 8;
    int rc = take_flat(r, key, &v->type, &v->count);
    if (rc < 0) return rc;
    v->array = true;
    if (v->type == V_ARRAY) {
        v->nested = true;
        return skip_nested(r, key, v->count);
    }
    v->data = r->p + start;
    v->bytes = r->at - start;
    return AG_OK;
}

static int take_value(struct reader *r, const char *key, struct gguf_value *v) {
    *v = (struct gguf_value){ 0 };
    int rc = take_u32(r, key, &v->type);
    if (rc < 0) return rc;
    if (v->type >= V_COUNT) return bad_type(r, key, v->type);
    if (v->type == V_ARRAY) return take_array(r, key, v);
    if (v->type == V_STR) return take_text(r, key, &v->data, &v->bytes);
    v->bytes = value_type[v->type].bytes;
    if (v->bytes > left(r)) return ends_early(r, v->bytes, key);
    v->data = r->p + r->at;
    r->at += v->bytes;
    if (v->type == V_U64 && get_u64(v->data) > INT64_MAX)
        return gguf_host->fail(AG_EFORMAT, "%s: key %s: want a number up to %" PRId64 ", file has %"
                               PRIu64, r->path, key, INT64_MAX, get_u64(v->data));
    return AG_OK;
}

static int read_keys(struct reader *r, struct gguf_keys *keys, uint64_t count) {
    char shown[96];
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *name;
        uint64_t n;
        int rc = take_name(r, "a key", &name, &n);
        if (rc == AG_OK)
            rc = names_grow(gguf_host, &keys->value, &keys->cap, keys->names.n, keys->names.n + 1,
                            sizeof *keys->value);
        if (rc == AG_OK) rc = names_add(&keys->names, name, (size_t)n);
        if (rc < 0) return rc;
        names_show(shown, name, (size_t)n);
        if (!rc) return gguf_host->fail(AG_EFORMAT, "%s: key %s is there twice", r->path, shown);
        rc = take_value(r, shown, &keys->value[keys->names.n - 1]);
        if (rc < 0) return rc;
    }
    return AG_OK;
}

static uint32_t dtype_of(uint32_t gguf) {
    switch (gguf) {
#define X(num, id, name, elems, bytes, gguf_) \
    case (uint32_t)(gguf_ < 0 ? -1 - num : gguf_): return num;
#include <agave/dtype.def>
#undef X
    default: return AG_DTYPE_NONE;
    }
}

/* Dims, type and place of tensor `name`; its offset is still relative to the data. */
static int take_tensor(struct reader *r, const char *name, struct gguf_tensor *t) {
    uint64_t elems = 1, dim;
    uint32_t type = 0;
    int rc = take_u32(r, name, &t->n_dim);
    if (rc < 0) return rc;
    if (t->n_dim > AG_MAX_DIM)
        return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: want at most %d dimensions, file has %u",
                               r->path, name, AG_MAX_DIM, t->n_dim);
    for (uint32_t i = 0; i < AG_MAX_DIM; i++) {
        dim = 1;
        rc = i < t->n_dim ? take_u64(r, name, &dim) : AG_OK;
        if (rc < 0) return rc;
        if (!dim || dim > INT64_MAX || __builtin_mul_overflow(elems, dim, &elems) ||
            elems > INT64_MAX)
            return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: dimension %u is %" PRIu64
                                   ": want at least 1 and less than 2^63 elements in all", r->path,
                                   name, i, dim);
        t->dim[i] = (int64_t)dim;
    }
    rc = take_u32(r, name, &type);
    if (rc == AG_OK) rc = take_u64(r, name, &t->offset);
    if (rc < 0) return rc;
    t->dtype = type < INT32_MAX ? dtype_of(type) : AG_DTYPE_NONE;
    struct ag_dtype_info info = ag_dtype_info(t->dtype);
    if (!info.name)
        return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: type %u is not known; the file may be newer "
                               "than this program", r->path, name, type);
    if ((uint64_t)t->dim[0] % info.block_elems)
        return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: %s wants rows of a multiple of %u elements, "
                               "file has %" PRId64, r->path, name, info.name, info.block_elems,
                               t->dim[0]);
    if (__builtin_mul_overflow(elems / info.block_elems, (uint64_t)info.block_bytes, &t->bytes))
        return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: too large", r->path, name);
    return AG_OK;
}

static int read_tensors(struct reader *r, struct ag_file *f, uint32_t part, uint64_t count) {
    char shown[96];
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *name;
        uint64_t n;
        int rc = take_name(r, "a tensor", &name, &n);
        if (rc == AG_OK && f->names.n >= GGUF_MAX_TENSOR)
            return gguf_host->fail(AG_EFORMAT, "%s: more than %d tensors", r->path, GGUF_MAX_TENSOR);
        if (rc == AG_OK)
            rc = names_grow(gguf_host, &f->tensor, &f->cap_tensor, f->names.n, f->names.n + 1,
                            sizeof *f->tensor);
        if (rc == AG_OK) rc = names_add(&f->names, name, (size_t)n);
        if (rc < 0) return rc;
        names_show(shown, name, (size_t)n);
        if (!rc) return gguf_host->fail(AG_EFORMAT, "%s: tensor %s is there twice", r->path, shown);
        struct gguf_tensor *t = &f->tensor[f->names.n - 1];
        *t = (struct gguf_tensor){ .part = part };
        rc = take_tensor(r, shown, t);
        if (rc < 0) return rc;
    }
    return AG_OK;
}

/* Turns the offsets of tensors from `first` on into places in the file, all of them inside. */
static int place_tensors(const struct reader *r, struct ag_file *f, uint32_t first,
                         const struct gguf_keys *keys) {
    char shown[96];
    int64_t align = 32;
    int rc = gguf_keys_int(keys, r->path, "general.alignment", &align);
    if (rc < 0) return rc;
    if (align < 1 || align > 1 << 20 || (align & (align - 1)))
        return gguf_host->fail(AG_EFORMAT, "%s: key general.alignment: want a power of two up to %d, "
                               "file has %" PRId64, r->path, 1 << 20, align);
    uint64_t mask = (uint64_t)align - 1, data = (r->at + mask) & ~mask, end;
    for (uint32_t i = first; i < f->names.n; i++) {
        struct gguf_tensor *t = &f->tensor[i];
        names_show(shown, f->names.name[i], strlen(f->names.name[i]));
        if (t->offset & mask)
            return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: want an offset that is a multiple of %"
                                   PRId64 ", file has %" PRIu64, r->path, shown, align, t->offset);
        if (__builtin_add_overflow(t->offset, data, &t->offset) ||
            __builtin_add_overflow(t->offset, t->bytes, &end) || end > r->file)
            return gguf_host->fail(AG_EFORMAT, "%s: tensor %s: want %" PRIu64 " bytes at offset %"
                                   PRIu64 ", file has %" PRIu64 " bytes: it is cut off or damaged, "
                                   "fetch it again", r->path, shown, t->bytes, t->offset, r->file);
    }
    return AG_OK;
}

static int read_version(struct reader *r, uint32_t *version) {
    uint32_t magic;
    int rc = take_u32(r, "the magic number", &magic);
    if (rc < 0) return rc;
    if (memcmp(r->p, "GGUF", 4))
        return gguf_host->fail(AG_EFORMAT, "%s: want a file that begins with \"GGUF\", found bytes %02x "
                               "%02x %02x %02x", r->path, r->p[0], r->p[1], r->p[2], r->p[3]);
    rc = take_u32(r, "the version", version);
    if (rc < 0) return rc;
    if (*version == 2 || *version == 3) return AG_OK;
    if (*version && !(*version & 0xffff))
        return gguf_host->fail(AG_ENOTSUP, "%s: a big-endian GGUF file: want little endian, convert it "
                               "with gguf_convert_endian.py", r->path);
    return gguf_host->fail(AG_ENOTSUP, "%s: GGUF version %u: want 2 or 3%s", r->path, *version,
                           *version == 1 ? "; convert the model again" : "");
}

static int read_all(struct reader *r, struct ag_file *f, uint32_t part, struct gguf_keys *keys) {
    uint64_t n_tensor = 0, n_key = 0;
    uint32_t version = 0, first = f->names.n;
    int rc = read_version(r, &version);
    if (rc == AG_OK) rc = take_u64(r, "the number of tensors", &n_tensor);
    if (rc == AG_OK) rc = take_u64(r, "the number of keys", &n_key);
    if (rc < 0) return rc;
    if (n_key > GGUF_MAX_KEY || n_key > left(r) / KEY_MIN)
        return gguf_host->fail(AG_EFORMAT, "%s: says it has %" PRIu64 " keys: want at most %d, and a "
                               "file of %" PRIu64 " bytes cannot hold more than %" PRIu64, r->path,
                               n_key, GGUF_MAX_KEY, r->file, left(r) / KEY_MIN);
    if (n_tensor > GGUF_MAX_TENSOR || n_tensor > left(r) / TENSOR_MIN)
        return gguf_host->fail(AG_EFORMAT, "%s: says it has %" PRIu64 " tensors: want at most %d, and a "
                               "file of %" PRIu64 " bytes cannot hold more than %" PRIu64, r->path,
                               n_tensor, GGUF_MAX_TENSOR, r->file, left(r) / TENSOR_MIN);
    if (!part) f->version = version;
    rc = read_keys(r, keys, n_key);
    if (rc == AG_OK) rc = read_tensors(r, f, part, n_tensor);
    if (rc == AG_OK) rc = place_tensors(r, f, first, keys);
    return rc;
}

int gguf_header_read(struct ag_file *f, uint32_t part, const char *path, const void *bytes, uint64_t have,
                     uint64_t file, struct gguf_keys *keys, uint64_t *used) {
    struct reader r = { .path = path, .p = bytes, .end = have, .file = file };
    int rc = read_all(&r, f, part, keys);
    *used = r.at;
    return rc;
}

int gguf_part_read(struct ag_file *f, uint32_t part, const char *path, struct gguf_keys *keys,
                   void **map, size_t *map_bytes) {
    struct stat st;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = gguf_host->fail(errno == ENOENT ? AG_ENOENT : AG_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
        rc = gguf_host->fail(AG_EFORMAT, "%s: want a GGUF file, found %s", path,
                             S_ISREG(st.st_mode) ? "an empty one" : "no regular file");
        goto out;
    }
    uint64_t file = (uint64_t)st.st_size, used;
    size_t have = (size_t)(file < GGUF_MAX_HEADER ? file : GGUF_MAX_HEADER);
    void *p = mmap(NULL, have, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        rc = gguf_host->fail(AG_EIO, "%s: cannot map %zu bytes: %s", path, have, strerror(errno));
        goto out;
    }
    rc = gguf_header_read(f, part, path, p, have, file, keys, &used);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), keep = rc < 0 ? 0 : (size_t)used;
    keep = (keep + page - 1) & ~(page - 1);
    if (keep < have) munmap((char *)p + keep, have - keep);
    *map = rc < 0 ? NULL : p;
    *map_bytes = keep < have ? keep : have;
out:
    if (fd >= 0) close(fd);
    return rc;
}

void gguf_keys_init(struct gguf_keys *keys) {
    *keys = (struct gguf_keys){ 0 };
    names_init(&keys->names, gguf_host);
}

void gguf_keys_finish(struct gguf_keys *keys) {
    names_finish(&keys->names);
    if (keys->value) gguf_host->free(keys->value);
    keys->value = NULL;
}

static int64_t number_of(const struct gguf_value *v) {
    uint64_t raw = 0;
    memcpy(&raw, v->data, v->bytes);
    switch (v->type) {
    case V_I8: return (int8_t)raw;
    case V_I16: return (int16_t)raw;
    case V_I32: return (int32_t)raw;
    case V_BOOL: return raw != 0;
    default: return (int64_t)raw;
    }
}

int gguf_keys_int(const struct gguf_keys *keys, const char *path, const char *key, int64_t *out) {
    int64_t i = names_find(&keys->names, key, strlen(key));
    if (i < 0) return 0;
    const struct gguf_value *v = &keys->value[i];
    uint32_t type = v->array ? AG_VALUE_ARRAY : value_type[v->type].type;
    if (type != AG_VALUE_INT && type != AG_VALUE_BOOL)
        return gguf_host->fail(AG_EFORMAT, "%s: key %s: want an integer, file has another type", path,
                               key);
    *out = number_of(v);
    return 1;
}

void gguf_value_view(const struct gguf_value *v, struct ag_value *out) {
    out->type = v->array ? AG_VALUE_ARRAY : value_type[v->type].type;
    if (v->array) {
        out->elem = v->nested ? AG_ELEM_OTHER : value_type[v->type].elem;
        out->data = v->data, out->bytes = v->bytes, out->count = v->count;
    } else if (v->type == V_STR) {
        out->data = v->data, out->bytes = v->bytes;
    } else if (v->type == V_F64) {
        memcpy(&out->f, v->data, sizeof out->f);
    } else if (v->type == V_F32) {
        float x;
        memcpy(&x, v->data, sizeof x);
        out->f = (double)x;
    } else {
        out->i = number_of(v);
    }
}
