/* SPDX-License-Identifier: MIT */
/* stio.c - SafeTensors: u64 length of a JSON header, the header, the bytes of the tensors. */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE /* O_TMPFILE */
#include "stio.h"

#include "util/error.h"
#include "util/mem.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_HEADER = 100 << 20, SLACK = 64 };

struct st_file {
    int fd;
    char *path;
    json_t *root; /* holds the names */
    struct st_tensor *tensor;
    size_t n;
};

static const struct { const char *name; unsigned bytes; } types[] = {
    { "BOOL", 1 }, { "U8", 1 }, { "I8", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 }, { "I16", 2 },
    { "U16", 2 }, { "F16", 2 }, { "BF16", 2 }, { "I32", 4 }, { "U32", 4 }, { "F32", 4 },
    { "F64", 8 }, { "I64", 8 }, { "U64", 8 },
};

static int io_error(const char *what, const char *path) {
    int code = errno == ENOSPC || errno == EDQUOT ? AG_ENOSPC
               : errno == ENOENT                  ? AG_ENOENT
               : errno == EACCES                  ? AG_EDENIED
                                                  : AG_EIO;
    return fail(code, "cannot %s %s: %s", what, path, strerror(errno));
}

static int read_at(int fd, void *to, uint64_t n, uint64_t at, const char *path) {
    char *p = to;
    while (n) {
        ssize_t got = pread(fd, p, n < 1u << 30 ? n : 1u << 30, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error("read", path);
        if (got == 0) return fail(AG_EFORMAT, "%s: the file ends at byte %llu", path,
                                  (unsigned long long)at);
        p += got, at += (uint64_t)got, n -= (uint64_t)got;
    }
    return AG_OK;
}

static int write_at(int fd, const void *from, uint64_t n, uint64_t at, const char *path) {
    const char *p = from;
    while (n) {
        ssize_t put = pwrite(fd, p, n < 1u << 30 ? n : 1u << 30, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return io_error("write", path);
        p += put, at += (uint64_t)put, n -= (uint64_t)put;
    }
    return AG_OK;
}

/* The shape's bytes; false: a type or shape that cannot be. */
static bool shape_bytes(const json_t *type, const json_t *shape, struct st_tensor *t,
                        uint64_t *bytes) {
    size_t n_type = sizeof types / sizeof *types, i = 0;
    if (!json_is_string(type) || !json_is_array(shape) || json_array_size(shape) > ST_MAX_DIM)
        return false;
    while (i < n_type && strcmp(types[i].name, json_string_value(type))) i++;
    if (i == n_type) return false;
    snprintf(t->dtype, sizeof t->dtype, "%s", types[i].name);
    t->n_dim = (int)json_array_size(shape);
    *bytes = types[i].bytes;
    for (int d = 0; d < t->n_dim; d++) {
        const json_t *v = json_array_get(shape, (size_t)d);
        if (!json_is_integer(v) || json_integer_value(v) < 0) return false;
        t->dim[d] = (uint64_t)json_integer_value(v);
        if (!mul_u64(*bytes, t->dim[d], bytes)) return false;
    }
    return true;
}

static int read_row(struct st_file *f, const char *name, const json_t *row, uint64_t data,
                    uint64_t data_bytes) {
    struct st_tensor *t = &f->tensor[f->n];
    const json_t *offs = json_object_get(row, "data_offsets");
    uint64_t want;
    if (!shape_bytes(json_object_get(row, "dtype"), json_object_get(row, "shape"), t, &want))
        return fail(AG_EFORMAT, "%s: tensor %s: unknown type or impossible shape", f->path, name);
    const json_t *a = json_array_get(offs, 0), *b = json_array_get(offs, 1);
    if (!json_is_integer(a) || !json_is_integer(b) || json_integer_value(a) < 0 ||
        json_integer_value(b) < json_integer_value(a) ||
        (uint64_t)json_integer_value(b) > data_bytes)
        return fail(AG_EFORMAT, "%s: tensor %s lies outside the file", f->path, name);
    t->name = name;
    t->bytes = (uint64_t)(json_integer_value(b) - json_integer_value(a));
    t->offset = data + (uint64_t)json_integer_value(a);
    if (t->bytes != want)
        return fail(AG_EFORMAT, "%s: tensor %s: shape wants %llu bytes, file has %llu", f->path,
                    name, (unsigned long long)want, (unsigned long long)t->bytes);
    f->n++;
    return AG_OK;
}

static int read_header(struct st_file *f) {
    struct stat st;
    unsigned char head[8];
    if (fstat(f->fd, &st)) return io_error("read", f->path);
    if (!S_ISREG(st.st_mode) || st.st_size < 8)
        return fail(AG_EFORMAT, "%s is no SafeTensors file", f->path);
    int err = read_at(f->fd, head, 8, 0, f->path);
    if (err) return err;
    uint64_t n = 0, size = (uint64_t)st.st_size;
    for (int i = 7; i >= 0; i--) n = n << 8 | head[i];
    if (n > size - 8 || n > MAX_HEADER)
        return fail(AG_EFORMAT, "%s is no SafeTensors file: its header would have %llu bytes",
                    f->path, (unsigned long long)n);
    char *text = malloc(n + 1);
    if (!text) return fail(AG_ENOMEM, "out of memory (header of %s)", f->path);
    err = read_at(f->fd, text, n, 8, f->path);
    if (!err) {
        json_error_t why;
        f->root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
        if (!f->root) err = fail(AG_EFORMAT, "%s: header: %s", f->path, why.text);
        else if (!json_is_object(f->root))
            err = fail(AG_EFORMAT, "%s: header is no JSON object", f->path);
    }
    free(text);
    if (err) return err;
    f->tensor = calloc(json_object_size(f->root) + 1, sizeof *f->tensor);
    if (!f->tensor) return fail(AG_ENOMEM, "out of memory");
    const char *name;
    json_t *row;
    json_object_foreach(f->root, name, row) {
        if (!strcmp(name, "__metadata__")) continue;
        err = read_row(f, name, row, 8 + n, size - 8 - n);
        if (err) return err;
    }
    return AG_OK;
}

int st_open(const char *path, struct st_file **out) {
    *out = NULL;
    struct st_file *f = calloc(1, sizeof *f);
    if (!f) return fail(AG_ENOMEM, "out of memory");
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    f->path = strdup(path);
    int err = f->fd < 0 ? io_error("open", path) : !f->path ? fail(AG_ENOMEM, "out of memory") : 0;
    if (!err) err = read_header(f);
    if (err) {
        st_close(f);
        return err;
    }
    *out = f;
    return AG_OK;
}

void st_close(struct st_file *f) {
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    json_decref(f->root);
    free(f->path);
    free(f->tensor);
    free(f);
}

size_t st_count(const struct st_file *f) { return f->n; }
const struct st_tensor *st_at(const struct st_file *f, size_t i) { return &f->tensor[i]; }

int st_read(struct st_file *f, const struct st_tensor *t, void *to) {
    return read_at(f->fd, to, t->bytes, t->offset, f->path);
}

struct out_tensor {
    char *name;
    enum st_type type;
    int n_dim;
    uint64_t dim[2], offset; /* from the first byte of data */
};

struct st_writer {
    char *path, *temp;
    int fd;     /* -1 until begun */
    bool named; /* the file at temp is there; else the bytes have no name yet */
    struct out_tensor *tensor;
    size_t n, cap;
    uint64_t bytes, header; /* of data; of the header with its padding */
};

int st_create(const char *path, struct st_writer **out) {
    *out = NULL;
    struct st_writer *w = calloc(1, sizeof *w);
    if (!w) return fail(AG_ENOMEM, "out of memory");
    struct str temp = { 0 };
    str_printf(&temp, "%s.part-%ld", path, (long)getpid());
    w->fd = -1;
    w->path = strdup(path);
    w->temp = temp.p;
    if (!w->path || temp.failed) {
        st_free(w);
        return fail(AG_ENOMEM, "out of memory");
    }
    *out = w;
    return AG_OK;
}

int st_add(struct st_writer *w, const char *name, enum st_type type, int n_dim, uint64_t d0,
           uint64_t d1) {
    for (size_t i = 0; i < w->n; i++)
        if (!strcmp(w->tensor[i].name, name))
            return fail(AG_EINVAL, "%s: two tensors would be called %s", w->path, name);
    uint64_t bytes, end;
    if (!mul_u64(d0, n_dim > 1 ? d1 : 1, &bytes) || !mul_u64(bytes, 4, &bytes) ||
        !add_u64(w->bytes, bytes, &end) || end > INT64_MAX / 2)
        return fail(AG_EINVAL, "%s: tensor %s would be too large", w->path, name);
    int err = mem_grow(&w->tensor, &w->cap, w->n + 1, sizeof *w->tensor);
    if (err) return err;
    char *copy = strdup(name);
    if (!copy || w->n >= INT32_MAX) {
        free(copy);
        return fail(AG_ENOMEM, "out of memory");
    }
    w->tensor[w->n] = (struct out_tensor){ copy, type, n_dim, { d0, d1 }, w->bytes };
    w->bytes = end;
    return (int)w->n++;
}

static int make_header(const struct st_writer *w, char **text) {
    json_t *root = json_object();
    int bad = !root;
    for (size_t i = 0; i < w->n && !bad; i++) {
        const struct out_tensor *t = &w->tensor[i];
        uint64_t n = t->dim[0] * (t->n_dim > 1 ? t->dim[1] : 1);
        json_t *shape = json_pack("[I]", (json_int_t)t->dim[0]);
        if (t->n_dim > 1) bad |= json_array_append_new(shape, json_integer((json_int_t)t->dim[1]));
        json_t *row = json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->type == ST_F32 ? "F32" : "I32",
                                "shape", shape, "data_offsets", (json_int_t)t->offset,
                                (json_int_t)(t->offset + n * 4));
        bad |= json_object_set_new(root, t->name, row);
    }
    *text = bad ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return *text ? AG_OK : fail(AG_ENOMEM, "%s: cannot make the header", w->path);
}

/* A file without a name goes away by itself, even when the process is killed. -1 where the file
 * system has none, or no /proc to give it a name through. */
static int open_nameless(const char *path) {
#if defined(O_TMPFILE)
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder && !access("/proc/self/fd", X_OK)
                 ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666)
                 : -1;
    free(folder);
    return fd;
#else
    (void)path;
    return -1;
#endif
}

static int give_name(struct st_writer *w) {
    char from[40];
    if (w->named) return AG_OK;
    snprintf(from, sizeof from, "/proc/self/fd/%d", w->fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, w->temp, AT_SYMLINK_FOLLOW))
        return io_error("create", w->temp);
    w->named = true;
    return AG_OK;
}

/* A rename would put the result in the place of /dev/null itself, or fail at the end of the work. */
static int check_replaceable(const char *path) {
    struct stat st;
    if (stat(path, &st) || S_ISREG(st.st_mode)) return AG_OK;
    return fail(AG_EINVAL, "%s: want a file name for the result, found a %s", path,
                S_ISDIR(st.st_mode) ? "directory" : "device or pipe");
}

int st_begin(struct st_writer *w) {
    char *text;
    int err = check_replaceable(w->path);
    if (!err) err = make_header(w, &text);
    if (err) return err;
    w->header = (strlen(text) + SLACK + 7) / 8 * 8; /* data begins at a multiple of 8 */
    free(text);
    w->fd = open_nameless(w->path);
    if (w->fd >= 0) return AG_OK;
    w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    w->named = w->fd >= 0;
    return w->named ? AG_OK : io_error("create", w->temp);
}

int st_write(struct st_writer *w, int tensor, uint64_t at, const void *data, uint64_t n) {
    const struct out_tensor *t = &w->tensor[tensor];
    uint64_t all = t->dim[0] * (t->n_dim > 1 ? t->dim[1] : 1);
    if (at > all || n > all - at)
        return fail(AG_EINVAL, "%s: tensor %s: %llu elements at %llu lie outside", w->path, t->name,
                    (unsigned long long)n, (unsigned long long)at);
    return write_at(w->fd, data, n * 4, 8 + w->header + t->offset + at * 4, w->temp);
}

void st_shorten(struct st_writer *w, uint64_t n) {
    struct out_tensor *t = &w->tensor[w->n - 1];
    if (n >= t->dim[0]) return;
    w->bytes -= (t->dim[0] - n) * (t->n_dim > 1 ? t->dim[1] : 1) * 4;
    t->dim[0] = n;
}

int st_commit(struct st_writer *w) {
    char *text, *padded = malloc(8 + w->header);
    int err = padded ? make_header(w, &text) : fail(AG_ENOMEM, "out of memory");
    if (err) goto done;
    size_t n = strlen(text);
    memset(padded, ' ', 8 + w->header);
    for (int i = 0; i < 8; i++) padded[i] = (char)(w->header >> 8 * i & 255);
    memcpy(padded + 8, text, n < w->header ? n : w->header);
    free(text);
    err = write_at(w->fd, padded, 8 + w->header, 0, w->temp);
    if (!err && ftruncate(w->fd, (off_t)(8 + w->header + w->bytes))) err = io_error("write", w->temp);
    if (!err) err = give_name(w);
    if (!err && rename(w->temp, w->path)) err = io_error("rename", w->temp);
    if (!err) w->named = false;
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) && !err) err = io_error("write", w->path);
done:
    free(padded);
    return err;
}

void st_free(struct st_writer *w) {
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->named) unlink(w->temp);
    for (size_t i = 0; i < w->n; i++) free(w->tensor[i].name);
    free(w->tensor);
    free(w->path);
    free(w->temp);
    free(w);
}
