/* SPDX-License-Identifier: MIT */
/* weights.c - finding and checking weights; weights_load.c brings their bytes to a device. */
#include "weights.h"

#include "util/error.h"
#include "util/mem.h"
#include "weights_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ag_weight_row *row_at(const struct weights *w, uint32_t i) {
    return (const void *)((const char *)w->table.row + (size_t)i * w->table.stride);
}

/* "blk.%d.attn_q.weight" with the layer put in; the text is a plugin's, so no printf. */
static bool file_name(const char *pattern, int layer, char *to, size_t n) {
    const char *d = strstr(pattern, "%d");
    int w = d ? snprintf(to, n, "%.*s%d%s", (int)(d - pattern), pattern, layer, d + 2)
              : snprintf(to, n, "%s", pattern);
    return w >= 0 && (size_t)w < n;
}

/* First row and alternative of that name that the file has; tensor index or -1. */
static int64_t find(const struct weights *w, const char *name, int layer,
                    const struct ag_weight_row **row, bool *known) {
    char text[256];
    *known = false;
    for (uint32_t i = 0; i < w->table.n; i++) {
        const struct ag_weight_row *r = row_at(w, i);
        if (strcmp(r->name, name)) continue;
        *known = true;
        for (int a = 0; a < AG_MAX_ALT && r->file[a]; a++) {
            if (!file_name(r->file[a], layer, text, sizeof text)) continue;
            int64_t t = modelfile_tensor(w->mf, text);
            if (t >= 0) {
                *row = r;
                return t;
            }
        }
    }
    return -1;
}

static int missing(const struct weights *w, const char *name, int layer, const int64_t *want, bool known) {
    if (!known)
        return fail(AG_EINVAL, "weight %s has no name in files of scheme %s", name, w->mf->scheme);
    char looked[512] = "", text[256], dims[96];
    size_t used = 0;
    for (uint32_t i = 0; i < w->table.n; i++) {
        const struct ag_weight_row *r = row_at(w, i);
        for (int a = 0; !strcmp(r->name, name) && a < AG_MAX_ALT && r->file[a]; a++) {
            if (!file_name(r->file[a], layer, text, sizeof text)) continue;
            int n = snprintf(looked + used, sizeof looked - used, "%s%s", used ? " or " : "", text);
            if (n > 0 && (size_t)n < sizeof looked - used) used += (size_t)n;
        }
    }
    return fail(AG_EFORMAT, "tensor %s is missing: want %s, the file has no such tensor", looked,
                weights_shape(want, dims));
}

const char *weights_shape(const int64_t dim[AG_MAX_DIM], char to[96]) {
    size_t used = 0;
    int last = AG_MAX_DIM - 1;
    while (last > 0 && dim[last] == 1) last--;
    for (int d = 0; d <= last; d++)
        used += (size_t)snprintf(to + used, 96 - used, "%s%" PRId64, d ? "x" : "", dim[d]);
    return to;
}

static bool is_float(uint32_t dtype) { return dtype == AG_F32 || dtype == AG_F16 || dtype == AG_BF16; }

/* Shape and type after the row's transforms; the bytes follow in weights_load.c. */
static int transformed(struct weight *e, const char *what) {
    memcpy(e->dim, e->tensor.dim, sizeof e->dim);
    e->dtype = e->tensor.dtype;
    for (int i = 0; i < AG_MAX_TRANSFORM && e->row->transform[i].op; i++) {
        const struct ag_transform *t = &e->row->transform[i];
        switch (t->op) {
        case AG_TRANSFORM_ADD:
        case AG_TRANSFORM_NEG_EXP:
            if (!is_float(e->dtype))
                return fail(AG_ENOTSUP, "%s: want F32, F16 or BF16, file has %s", what, ag_dtype_name(e->dtype));
            e->dtype = AG_F32;
            break;
        case AG_TRANSFORM_ROWS:
            if (t->a < 0 || t->b < 1 || t->a > e->dim[1] - t->b || e->dim[2] != 1)
                return fail(AG_EFORMAT, "%s: want at least %llu rows, file has %lld", what,
                            (unsigned long long)t->a + (unsigned long long)t->b, (long long)e->dim[1]);
            e->dim[1] = t->b;
            break;
        case AG_TRANSFORM_ROPE_PAIRS:
            if (t->a < 2 || t->a % 2 || e->dim[1] % t->a || e->dim[2] != 1)
                return fail(AG_EFORMAT, "%s: want heads of %lld rows, file has %lld rows", what,
                            (long long)t->a, (long long)e->dim[1]);
            break;
        case AG_TRANSFORM_SQUEEZE: {
            int to = 0;
            for (int d = 0; d < AG_MAX_DIM; d++)
                if (e->dim[d] != 1) e->dim[to++] = e->dim[d];
            while (to < AG_MAX_DIM) e->dim[to++] = 1;
            break;
        }
        default: return fail(AG_ENOTSUP, "%s: transform %u is not known to this host", what, t->op);
        }
    }
    /* vectors (norms, biases) are F32 for every op that takes them */
    if (e->dim[1] == 1 && e->dim[2] == 1 && is_float(e->dtype)) e->dtype = AG_F32;
    return AG_OK;
}

int64_t weights_slot(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                     uint32_t *dtype) {
    struct weights *w = ctx;
    const struct ag_weight_row *row;
    bool known;
    int64_t t = find(w, name, layer, &row, &known);
    if (t < 0) return missing(w, name, layer, want, known);
    for (uint32_t i = 0; i < w->n; i++)
        if (w->at[i].row == row && w->at[i].layer == layer) {
            *dtype = w->at[i].dtype;
            return i;
        }
    struct weight e = { .row = row, .layer = layer };
    e.tensor.size = sizeof e.tensor;
    int err = w->mf->format->tensor(w->mf->file, (uint32_t)t, &e.tensor);
    if (err < 0) return err;
    char what[320], got[96], wanted[96];
    snprintf(what, sizeof what, "tensor %s", e.tensor.name);
    if (e.tensor.n_plane != 1)
        return fail(AG_ENOTSUP, "%s: stored as %u arrays (%s), which this version does not read", what,
                    e.tensor.n_plane, ag_dtype_name(e.tensor.dtype));
    if ((err = transformed(&e, what)) < 0) return err;
    if (memcmp(e.dim, want, sizeof e.dim))
        return fail(AG_EFORMAT, "%s: want %s, file has %s", what, weights_shape(want, wanted),
                    weights_shape(e.dim, got));
    if (mem_grow(&w->at, &w->cap, w->n + 1u, sizeof *w->at) < 0) return AG_ENOMEM;
    w->at[w->n] = e;
    *dtype = e.dtype;
    return w->n++;
}

bool weights_has(void *ctx, const char *name, int layer) {
    const struct ag_weight_row *row;
    bool known;
    return find(ctx, name, layer, &row, &known) >= 0;
}

const char *weights_name(void *ctx, uint32_t slot) {
    const struct weights *w = ctx;
    return slot < w->n ? w->at[slot].tensor.name : "?";
}

uint32_t weights_count(const struct weights *w) { return w->n; }

int weights_create(const struct modelfile *mf, const char *who, const struct ag_weight_table *table,
                   struct weights **out) {
    struct weights *w = calloc(1, sizeof *w);
    if (!w) return fail(AG_ENOMEM, "out of memory");
    snprintf(w->who, sizeof w->who, "%s", who);
    w->mf = mf;
    w->table = *table;
    *out = w;
    return AG_OK;
}

int weights_again(const struct weights *w, struct weights **out) {
    struct weights *twin = NULL;
    int err = weights_create(w->mf, w->who, &w->table, &twin);
    if (err < 0) return err;
    if (mem_grow(&twin->at, &twin->cap, w->n, sizeof *twin->at) < 0) {
        weights_free(twin);
        return AG_ENOMEM;
    }
    if (w->n) memcpy(twin->at, w->at, w->n * sizeof *twin->at);
    twin->n = w->n;
    for (uint32_t i = 0; i < twin->n; i++) twin->at[i].ops = 0;
    *out = twin;
    return AG_OK;
}

const struct ag_weight_binding *weights_bindings(const struct weights *w) { return w->binding; }

void weights_bytes(const struct weights *w, uint64_t *mapped, uint64_t *owned) {
    *mapped = w->bytes_mapped;
    *owned = w->bytes_owned;
}

uint64_t weights_bytes_per_token(const struct weights *w) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        uint64_t bytes = w->binding[i].at.bytes;
        bool gathered = w->at[i].ops == (uint64_t)1 << AG_OP_GET_ROWS && w->at[i].dim[1] > 0;
        sum += gathered ? bytes / (uint64_t)w->at[i].dim[1] : bytes;
    }
    return sum;
}
