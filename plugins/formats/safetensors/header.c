/* SPDX-License-Identifier: MIT */
/* header.c - one SafeTensors file: 8 bytes of length, that many bytes of JSON, data.
 *   {"name": {"dtype": "BF16", "shape": [4, 2], "data_offsets": [0, 16]}, "__metadata__": {...}}
 * Offsets count from the end of the header and fill the data without holes. Data may begin at any
 * byte: not all writers pad. */
#include "st.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct { const char *name; uint32_t dtype; } types[] = {
    { "F64", AG_F64 },         { "F32", AG_F32 },         { "F16", AG_F16 },   { "BF16", AG_BF16 },
    { "I64", AG_I64 },         { "I32", AG_I32 },         { "I16", AG_I16 },   { "I8", AG_I8 },
    { "U64", AG_U64 },         { "U32", AG_U32 },         { "U16", AG_U16 },   { "U8", AG_U8 },
    { "BOOL", AG_BOOL },       { "F8_E4M3", AG_F8_E4M3 }, { "F8_E5M2", AG_F8_E5M2 },
    { "F8_E8M0", AG_F8_E8M0 },
};

/* A tensor's entry while it is read. */
struct entry {
    char shown[96]; /* name, for messages */
    uint32_t dtype, rank;
    uint64_t shape[ST_MAX_RANK], begin, end;
    bool has_dtype, has_shape, has_offsets;
};

static int read_dtype(struct st_scan *s, struct entry *e) {
    const char *text;
    size_t n;
    char shown[96];
    int rc = st_string(s, &text, &n);
    if (rc < 0) return rc;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == n && !memcmp(types[i].name, text, n)) e->dtype = types[i].dtype;
    if (e->dtype) return AG_OK;
    return st_host->fail(AG_EFORMAT, "%s: tensor %s: type %s is not known; the file may be newer than "
                         "this program", s->path, e->shown, names_show(shown, text, n));
}

static int read_shape(struct st_scan *s, struct entry *e) {
    bool first = true;
    int rc = st_take(s, '[');
    while (rc == AG_OK && (rc = st_next(s, ']', &first)) == 1) {
        if (e->rank == ST_MAX_RANK)
            return st_host->fail(AG_EFORMAT, "%s: tensor %s: want at most %d dimensions", s->path,
                                 e->shown, ST_MAX_RANK);
        rc = st_number(s, &e->shape[e->rank++]);
    }
    return rc;
}

static int read_offsets(struct st_scan *s, struct entry *e) {
    int rc = st_take(s, '[');
    if (rc == AG_OK) rc = st_number(s, &e->begin);
    if (rc == AG_OK) rc = st_take(s, ',');
    if (rc == AG_OK) rc = st_number(s, &e->end);
    if (rc == AG_OK) rc = st_take(s, ']');
    return rc;
}

static int read_field(struct st_scan *s, struct entry *e) {
    static const struct {
        const char *name;
        int (*read)(struct st_scan *, struct entry *);
        size_t seen;
    } field[] = {
        { "dtype", read_dtype, offsetof(struct entry, has_dtype) },
        { "shape", read_shape, offsetof(struct entry, has_shape) },
        { "data_offsets", read_offsets, offsetof(struct entry, has_offsets) },
    };
    const char *key;
    size_t n;
    char shown[96];
    int rc = st_string(s, &key, &n);
    if (rc == AG_OK) rc = st_take(s, ':');
    if (rc < 0) return rc;
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        if (strlen(field[i].name) != n || memcmp(field[i].name, key, n)) continue;
        bool *seen = (bool *)((char *)e + field[i].seen);
        if (*seen)
            return st_host->fail(AG_EFORMAT, "%s: tensor %s: %s is there twice", s->path, e->shown,
                                 field[i].name);
        *seen = true;
        return field[i].read(s, e);
    }
    return st_host->fail(AG_EFORMAT, "%s: tensor %s: want dtype, shape and data_offsets, found %s",
                         s->path, e->shown, names_show(shown, key, n));
}

/* The entry's numbers agree with each other; *t gets them, dims turned to fastest first and folded to
 * AG_MAX_DIM. Its offset counts from the end of the header. */
static int check_entry(const struct st_scan *s, const struct entry *e, struct st_tensor *t) {
    uint64_t bytes = ag_dtype_info(e->dtype).block_bytes;
    if (!e->has_dtype || !e->has_shape || !e->has_offsets)
        return st_host->fail(AG_EFORMAT, "%s: tensor %s: lacks %s", s->path, e->shown,
                             !e->has_dtype ? "dtype" : !e->has_shape ? "shape" : "data_offsets");
    for (int i = 0; i < AG_MAX_DIM; i++) t->dim[i] = 1;
    for (uint32_t i = 0; i < e->rank; i++) {
        uint64_t dim = e->shape[e->rank - 1 - i];
        int64_t *to = &t->dim[i < AG_MAX_DIM ? i : AG_MAX_DIM - 1];
        if (dim > INT64_MAX || __builtin_mul_overflow(bytes, dim, &bytes) || bytes > INT64_MAX ||
            __builtin_mul_overflow(*to, (int64_t)dim, to))
            return st_host->fail(AG_EFORMAT, "%s: tensor %s: a dimension of %" PRIu64 ": too large",
                                 s->path, e->shown, dim);
    }
    if (e->end < e->begin || e->end - e->begin != bytes)
        return st_host->fail(AG_EFORMAT, "%s: tensor %s: its shape wants %" PRIu64 " bytes, its offsets "
                             "%" PRIu64 "..%" PRIu64 " are others", s->path, e->shown, bytes, e->begin,
                             e->end);
    t->dtype = e->dtype;
    t->n_dim = e->rank < AG_MAX_DIM ? e->rank : AG_MAX_DIM;
    t->offset = e->begin;
    t->bytes = bytes;
    return AG_OK;
}

static int read_tensor(struct st_scan *s, ag_file *f, uint32_t part, const char *name, size_t n) {
    struct entry e = { .rank = 0 };
    bool first = true;
    names_show(e.shown, name, n);
    if (!n || n > ST_MAX_NAME)
        return st_host->fail(AG_EFORMAT, "%s: want names of 1..%d bytes, found one of %zu", s->path,
                             ST_MAX_NAME, n);
    if (f->names.n >= ST_MAX_TENSOR)
        return st_host->fail(AG_EFORMAT, "%s: more than %d tensors", s->path, ST_MAX_TENSOR);
    int rc = names_grow(st_host, &f->tensor, &f->cap_tensor, f->names.n, f->names.n + 1,
                        sizeof *f->tensor);
    if (rc == AG_OK) rc = names_add(&f->names, name, n);
    if (rc < 0) return rc;
    if (!rc) return st_host->fail(AG_EFORMAT, "%s: tensor %s is there twice", s->path, e.shown);
    rc = st_take(s, '{');
    while (rc == AG_OK && (rc = st_next(s, '}', &first)) == 1) rc = read_field(s, &e);
    struct st_tensor t = { .part = part };
    if (rc == AG_OK) rc = check_entry(s, &e, &t);
    f->tensor[f->names.n - 1] = t;
    return rc;
}

static int read_entries(struct st_scan *s, ag_file *f, uint32_t part) {
    bool first = true;
    int rc = st_take(s, '{');
    while (rc == AG_OK && (rc = st_next(s, '}', &first)) == 1) {
        const char *name;
        size_t n;
        rc = st_string(s, &name, &n);
        if (rc == AG_OK) rc = st_take(s, ':');
        if (rc < 0) return rc;
        if (n == 12 && !memcmp(name, "__metadata__", 12)) rc = st_skip(s);
        else rc = read_tensor(s, f, part, name, n);
    }
    if (rc < 0) return rc;
    st_peek(s, ' '); /* blanks behind the object are padding */
    return s->p == s->end ? AG_OK : st_fail(s, "the end of the header");
}

/* For sorting by place. */
struct span { uint64_t begin, end; uint32_t tensor; };

static int by_place(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The tensors from `first` on fill `have` bytes of data without holes; offsets become places in the
 * file, whose data begin at `data`. */
static int place_tensors(const struct st_scan *s, ag_file *f, uint32_t first, uint64_t data,
                         uint64_t have) {
    uint32_t n = f->names.n - first;
    uint64_t at = 0;
    char shown[96];
    int rc = AG_OK;
    struct span *span = st_host->alloc(n ? n * sizeof *span : 1, 16);
    if (!span) return st_host->fail(AG_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        struct st_tensor *t = &f->tensor[first + i];
        span[i] = (struct span){ t->offset, t->offset + t->bytes, first + i };
    }
    qsort(span, n, sizeof *span, by_place);
    for (uint32_t i = 0; i < n && rc == AG_OK; i++) {
        const char *name = f->names.name[span[i].tensor];
        names_show(shown, name, strlen(name));
        if (span[i].begin != at)
            rc = st_host->fail(AG_EFORMAT, "%s: tensor %s: want it to begin where the one before ends (%"
                               PRIu64 "), file has %" PRIu64, s->path, shown, at, span[i].begin);
        else if (span[i].end > have)
            rc = st_host->fail(AG_EFORMAT, "%s: tensor %s: want %" PRIu64 " bytes at offset %" PRIu64
                               ", file has %" PRIu64 " bytes: it is cut off or damaged, fetch it again",
                               s->path, shown, span[i].end - span[i].begin, data + span[i].begin,
                               data + have);
        at = span[i].end;
        f->tensor[span[i].tensor].offset += data;
    }
    if (rc == AG_OK && at != have)
        rc = st_host->fail(AG_EFORMAT, "%s: want %" PRIu64 " bytes in all, file has %" PRIu64, s->path,
                           data + at, data + have);
    st_host->free(span);
    return rc;
}

static bool read_at(int fd, void *to, uint64_t n, uint64_t offset) {
    for (uint64_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)to + done, (size_t)(n - done), (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (uint64_t)got;
    }
    return true;
}

static int read_header(ag_file *f, uint32_t part, const char *path, int fd, uint64_t size) {
    uint64_t n = 0;
    if (size < 8 || !read_at(fd, &n, 8, 0) || n > size - 8 || n > ST_MAX_HEADER || n < 2)
        return st_host->fail(AG_EFORMAT, "%s: want a header of 2..%d bytes inside the file, found %"
                             PRIu64 " in a file of %" PRIu64 ": it is cut off or no SafeTensors file",
                             path, ST_MAX_HEADER, n, size);
    char *text = st_host->alloc((size_t)n, 16);
    if (!text) return st_host->fail(AG_ENOMEM, "out of memory (%" PRIu64 " bytes of header)", n);
    struct st_scan s = { .path = path, .start = text, .p = text, .end = text + n };
    uint32_t first = f->names.n;
    int rc = read_at(fd, text, n, 8) ? AG_OK : st_host->fail(AG_EIO, "%s: cannot read the header", path);
    if (rc == AG_OK) rc = read_entries(&s, f, part);
    if (rc == AG_OK) rc = place_tensors(&s, f, first, 8 + n, size - 8 - n);
    st_host->free(text);
    return rc;
}

int st_part_read(ag_file *f, uint32_t part, const char *path) {
    struct stat st;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = st_host->fail(errno == ENOENT ? AG_ENOENT : AG_EIO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = st_host->fail(AG_EFORMAT, "%s: want a SafeTensors file, found no regular file", path);
    else
        rc = read_header(f, part, path, fd, (uint64_t)st.st_size);
    if (fd >= 0) close(fd);
    return rc;
}
