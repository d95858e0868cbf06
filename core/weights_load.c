/* SPDX-License-Identifier: MIT */
/* weights_load.c - bytes of weights: maps the parts of a file, carries out transforms, packs by the
 * backend's layout on all threads, uploads or imports. */
#define _DEFAULT_SOURCE /* madvise */
#include "graph/build.h"
#include "util/error.h"
#include "util/half.h"
#include "util/mem.h"
#include "util/team.h"
#include "weights_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; older kernels answer EINVAL and pages are touched */
#endif

enum { PAGE = 4096, CHUNK = 16 << 20 };

/* Maps a file with a readable page behind its end, so that kernels may read whole vectors. */
static int map_part(const char *path, struct part *p) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int err = errno;
        if (fd >= 0) close(fd);
        return fail(AG_EIO, "%s: cannot open: %s", path, strerror(err));
    }
    p->bytes = (uint64_t)st.st_size;
    size_t whole = ((size_t)p->bytes + PAGE - 1) / PAGE * PAGE;
    void *base = mmap(NULL, whole + PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base != MAP_FAILED && p->bytes &&
        mmap(base, (size_t)p->bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        munmap(base, whole + PAGE);
        base = MAP_FAILED;
    }
    int err = errno;
    close(fd);
    if (base == MAP_FAILED)
        return fail(AG_EIO, "%s: cannot map %llu bytes: %s", path, (unsigned long long)p->bytes, strerror(err));
    p->base = base;
    return AG_OK;
}

static int map_parts(struct weights *w) {
    w->n_part = w->mf->format->part_count(w->mf->file);
    w->part = calloc(w->n_part ? w->n_part : 1, sizeof *w->part);
    if (!w->part) return fail(AG_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < w->n_part; i++) {
        int err = map_part(w->mf->format->part(w->mf->file, i), &w->part[i]);
        if (err < 0) return err;
    }
    return AG_OK;
}

/* Where the tensor's bytes lie; the file may have changed since it was opened. */
static int source(const struct weights *w, const struct weight *e, const unsigned char **src) {
    const struct ag_plane *p = &e->tensor.plane[0];
    if (p->part >= w->n_part || p->offset > w->part[p->part].bytes ||
        p->bytes > w->part[p->part].bytes - p->offset)
        return fail(AG_EFORMAT, "tensor %s: lies beyond the end of its file", e->tensor.name);
    *src = w->part[p->part].base + p->offset;
    return AG_OK;
}

static uint64_t elems(const int64_t dim[AG_MAX_DIM]) {
    return (uint64_t)dim[0] * (uint64_t)dim[1] * (uint64_t)dim[2] * (uint64_t)dim[3];
}

static uint64_t weight_bytes(const struct weight *e) {
    return ag_row_bytes(e->dtype, (uint64_t)e->dim[0]) * (elems(e->dim) / (uint64_t)e->dim[0]);
}

static void to_f32(uint32_t dtype, const unsigned char *src, uint64_t n, float *to) {
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h;
        if (dtype == AG_F32) {
            memcpy(to + i, src + 4 * i, 4);
            continue;
        }
        memcpy(&h, src + 2 * i, 2);
        to[i] = dtype == AG_F16 ? f32_of_f16(h) : f32_of_bf16(h);
    }
}

/* Row j of each head of n rows comes from row j/2 of its first or second half. */
static void pair_rows(const unsigned char *src, uint64_t rows, uint64_t row_bytes, uint64_t n,
                      unsigned char *to) {
    for (uint64_t r = 0; r < rows; r++) {
        uint64_t j = r % n, from = r - j + j / 2 + (j & 1 ? n / 2 : 0);
        memcpy(to + r * row_bytes, src + from * row_bytes, (size_t)row_bytes);
    }
}

/* The weight in memory of our own (*made), or in the file (*made NULL). */
static int materialise(const struct weight *e, const unsigned char *src, const unsigned char **at, void **made) {
    uint64_t rows = elems(e->tensor.dim) / (uint64_t)e->tensor.dim[0];
    uint64_t row_bytes = ag_row_bytes(e->tensor.dtype, (uint64_t)e->tensor.dim[0]);
    uint32_t dtype = e->tensor.dtype;
    uint64_t n = 0; /* elements, once they are F32 */
    *made = NULL;
    *at = src;
    for (int i = 0; i <= AG_MAX_TRANSFORM; i++) {
        uint32_t op = i < AG_MAX_TRANSFORM ? e->row->transform[i].op : AG_TRANSFORM_NONE;
        bool last = op == AG_TRANSFORM_NONE, vector = op == AG_TRANSFORM_ADD || op == AG_TRANSFORM_NEG_EXP;
        if (op == AG_TRANSFORM_ROWS) {
            *at += (uint64_t)e->row->transform[i].a * row_bytes;
            rows = (uint64_t)e->row->transform[i].b;
        } else if (op == AG_TRANSFORM_ROPE_PAIRS) {
            unsigned char *to = mem_aligned((size_t)(rows * row_bytes) + 64, 64);
            if (!to) goto no_memory;
            pair_rows(*at, rows, row_bytes, (uint64_t)e->row->transform[i].a, to);
            free(*made);
            *at = *made = to;
        } else if (vector || (last && dtype != e->dtype)) {
            n = rows * row_bytes / ag_dtype_info(dtype).block_bytes;
            float *to = mem_aligned((size_t)n * sizeof *to + 64, 64);
            if (!to) goto no_memory;
            to_f32(dtype, *at, n, to);
            for (uint64_t k = 0; vector && k < n; k++)
                to[k] = op == AG_TRANSFORM_ADD ? to[k] + (float)e->row->transform[i].f : -expf(to[k]);
            free(*made);
            *made = to;
            *at = (unsigned char *)to;
            dtype = AG_F32;
            row_bytes = n / rows * sizeof *to;
        }
        if (last) break;
    }
    return AG_OK;
no_memory:
    free(*made);
    *made = NULL;
    return fail(AG_ENOMEM, "tensor %s: out of memory", e->tensor.name);
}

static int own(struct weights *w, const struct weights_load *l, uint64_t bytes, ag_buffer **out) {
    if (mem_grow(&w->owned, &w->cap_owned, w->n_owned + 1, sizeof *w->owned) < 0) return AG_ENOMEM;
    int err = l->backend->alloc(l->device, bytes, AG_BUFFER_DEVICE, AG_BUFFER_HUGE, out);
    if (err < 0) return err;
    w->owned[w->n_owned++] = *out;
    w->bytes_owned += bytes;
    return AG_OK;
}

struct packing {
    const struct weights_load *l;
    const struct ag_weight_use *use;
    const struct ag_layout *layout;
    const unsigned char *src;
    unsigned char *dst;
    uint64_t row_bytes;
    int64_t rows;
};

static int pack_some(void *arg, int ith, int nth) {
    const struct packing *p = arg;
    int64_t unit = p->layout->row_group ? p->layout->row_group : 1;
    int64_t units = (p->rows + unit - 1) / unit;
    int64_t first = units * ith / nth * unit, end = units * (ith + 1) / nth * unit;
    if (end > p->rows) end = p->rows;
    if (first >= end) return AG_OK;
    return p->l->backend->pack(p->l->device, p->use, p->layout, p->src + (uint64_t)first * p->row_bytes,
                               first, end - first, p->dst);
}

static int pack(struct weights *w, const struct weights_load *l, const struct ag_weight_use *use,
                const unsigned char *src, struct ag_weight_binding *b) {
    int err = own(w, l, b->layout.bytes, &b->at.buffer);
    if (err < 0) return err;
    b->at.offset = 0;
    b->at.bytes = b->layout.bytes;
    unsigned char *dst = l->backend->map(l->device, b->at.buffer), *staging = NULL;
    if (!dst) dst = staging = mem_aligned((size_t)b->layout.bytes, 64);
    if (!dst) return fail(AG_ENOMEM, "out of memory for packing %llu bytes", (unsigned long long)b->layout.bytes);
    struct packing p = { l, use, &b->layout, src, dst, ag_row_bytes(use->dtype, (uint64_t)use->dim[0]),
                         use->dim[1] * use->dim[2] * use->dim[3] };
    err = team_run(pack_some, &p);
    if (err == AG_OK && staging)
        err = l->backend->write(l->device, b->at.buffer, 0, staging, b->layout.bytes);
    free(staging);
    return err;
}

/* Uses the mapped bytes where they are, if the device can. */
static int bind_mapped(struct weights *w, const struct weights_load *l, const struct weight *e,
                       struct ag_weight_binding *b, bool *done) {
    struct part *p = &w->part[e->tensor.plane[0].part];
    if (!p->tried && l->backend->import) {
        int err = l->backend->import(l->device, p->base, p->bytes, &p->buffer);
        if (err < 0 && err != AG_ENOTSUP) return err;
        if (err < 0) p->buffer = NULL;
    }
    p->tried = true;
    *done = p->buffer != NULL;
    if (!*done) return AG_OK;
    uint64_t skip = 0; /* whole rows, by ROWS transforms */
    for (int i = 0; i < AG_MAX_TRANSFORM; i++)
        if (e->row->transform[i].op == AG_TRANSFORM_ROWS)
            skip += (uint64_t)e->row->transform[i].a * ag_row_bytes(e->dtype, (uint64_t)e->dim[0]);
    b->at = (struct ag_binding){ p->buffer, e->tensor.plane[0].offset + skip, weight_bytes(e) };
    w->bytes_mapped += b->at.bytes;
    return AG_OK;
}

/* Reads the pages of a range now; in pieces, so that progress can be shown. */
static void read_ahead(const unsigned char *at, uint64_t bytes) {
    uintptr_t begin = (uintptr_t)at / PAGE * PAGE, end = (uintptr_t)at + bytes;
    if (madvise((void *)begin, end - begin, MADV_POPULATE_READ) == 0) return;
    for (uintptr_t p = begin; p < end; p += PAGE) (void)*(const volatile unsigned char *)p;
}

/* Pages whose bytes were packed elsewhere are not needed again. */
static void forget(const unsigned char *at, uint64_t bytes) {
    uintptr_t begin = ((uintptr_t)at + PAGE - 1) / PAGE * PAGE, end = ((uintptr_t)at + bytes) / PAGE * PAGE;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static int load_one(struct weights *w, const struct weights_load *l, uint32_t slot) {
    struct weight *e = &w->at[slot];
    struct ag_weight_binding *b = &w->binding[slot];
    const unsigned char *src = NULL, *at = NULL;
    void *made = NULL;
    bool mapped = false;
    int err = source(w, e, &src);
    if (err == AG_OK) err = materialise(e, src, &at, &made);
    if (err < 0) return err;
    struct ag_weight_use use = { .size = sizeof use, .dtype = e->dtype, .ops = e->ops, .flags = l->plan_flags };
    memcpy(use.dim, e->dim, sizeof use.dim);
    b->layout.size = sizeof b->layout;
    if (l->backend->layout) err = l->backend->layout(l->device, &use, &b->layout);
    if (err == AG_OK && b->layout.id) {
        err = pack(w, l, &use, at, b);
        if (!made) forget(src, e->tensor.plane[0].bytes);
    } else if (err == AG_OK) {
        if (!made) err = bind_mapped(w, l, e, b, &mapped);
        if (err == AG_OK && !mapped && (err = own(w, l, weight_bytes(e), &b->at.buffer)) == AG_OK) {
            b->at.bytes = weight_bytes(e);
            err = l->backend->write(l->device, b->at.buffer, 0, at, b->at.bytes);
        }
        if (err == AG_OK && mapped && !l->lazy) read_ahead(at, b->at.bytes);
    }
    free(made);
    return err < 0 ? fail_prefix(err, "%s: tensor %s", w->who, e->tensor.name) : AG_OK;
}

static void note_uses(struct weights *w, const struct weights_load *l) {
    const struct ag_graph *g = l->graph;
    for (ag_ref r = 1; r < g->n; r++)
        for (int i = 0; i < AG_MAX_SRC; i++) {
            ag_ref s = g->node[r].src[i] ? graph_root(g, g->node[r].src[i]) : 0;
            if (l->node_device && l->node_device[r] != l->which) continue;
            if (s && g->node[s].op == AG_OP_WEIGHT)
                w->at[g->node[s].slot].ops |= (uint64_t)1 << (g->node[r].op < 63 ? g->node[r].op : 63);
        }
}

int weights_load(struct weights *w, const struct weights_load *l) {
    w->backend = l->backend;
    w->device = l->device;
    w->binding = calloc(w->n ? w->n : 1, sizeof *w->binding);
    if (!w->binding) return fail(AG_ENOMEM, "out of memory");
    int err = map_parts(w);
    if (err < 0) return err;
    note_uses(w, l);
    uint64_t total = 0, done = 0;
    for (uint32_t i = 0; i < w->n; i++) total += w->at[i].ops ? w->at[i].tensor.plane[0].bytes : 0;
    for (uint32_t i = 0; i < w->n; i++) {
        if (!w->at[i].ops) continue;
        if (l->progress) l->progress(l->progress_ctx, done, total);
        if ((err = load_one(w, l, i)) < 0) return err;
        done += w->at[i].tensor.plane[0].bytes;
    }
    if (l->progress) l->progress(l->progress_ctx, total, total);
    return AG_OK;
}

void weights_free(struct weights *w) {
    if (!w) return;
    for (size_t i = 0; i < w->n_owned; i++) w->backend->release(w->device, w->owned[i]);
    for (uint32_t i = 0; w->part && i < w->n_part; i++) {
        struct part *p = &w->part[i];
        if (p->buffer) w->backend->release(w->device, p->buffer);
        if (p->base) munmap(p->base, ((size_t)p->bytes + PAGE - 1) / PAGE * PAGE + PAGE);
    }
    free(w->part);
    free(w->owned);
    free(w->binding);
    free(w->at);
    free(w);
}
