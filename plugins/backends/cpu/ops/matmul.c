/* SPDX-License-Identifier: MIT */
/* matmul.c - MATMUL. Block-quantised weights lie packed (pack.h) and meet activations quantised to 8
 * bits; all others, and all of a plan that must be exact, are read as f32 rows. On the road of a token
 * this comes after plan.c and before core/sample/chain.c. */
#include "matmul.h"

VEC_DECLARE(quantize_kernel, quantize_q8);
VEC_DECLARE(dot_kernel, dot_4x4_f32);
VEC_DECLARE(dot_kernel, dot_4x1_f32);

static const struct { uint32_t need; quantize_kernel *fn; } quantize_ladder[] = {
    VEC_RUNGS(quantize_q8)
};
struct dot_rung { uint32_t need; dot_kernel *fn; };
static const struct dot_rung dot4_ladder[] = { VEC_RUNGS(dot_4x4_f32) };
static const struct dot_rung dot1_ladder[] = { VEC_RUNGS(dot_4x1_f32) };

/* ---- tiles of quantised activations: eights, then what is left as 4 + 2 + 1 ---- */

struct tile { int64_t first; int n_col, log2; };

static struct tile tile_at(int64_t t, int64_t n) {
    int64_t whole = n & ~(int64_t)(Q8_TILE - 1);
    if (t < whole) return (struct tile){ t & ~(int64_t)(Q8_TILE - 1), 8, 3 };
    int64_t at = whole, rest = n - whole;
    for (int log2 = 2; log2 > 0; log2--) {
        if (!(rest >> log2 & 1)) continue;
        if (t < at + (1 << log2)) return (struct tile){ at, 1 << log2, log2 };
        at += 1 << log2;
    }
    return (struct tile){ at, 1, 0 };
}

/* Few rows wait for memory, not for sums: all of their blocks are wide. Of many, the coarsest, which
 * are a sixth of them and hold three fifths of the error. */
enum { WIDE_ROWS = 128, WIDE_FROM = 4 };

static int quantize_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const struct value *x = &it->src[0];
    int64_t first, end, n = dim_of(p, x->dim[1]), n_block = x->dim[0] / 32;
    item_rows(it, n, ith, nth, &first, &end);
    for (int64_t t = first; t < end; t++) {
        struct tile tile = tile_at(t, n);
        it->u.quantize.fn(row_at(x, (int64_t[AG_MAX_DIM]){ 0, t }), n_block,
                          n <= WIDE_ROWS ? 0 : WIDE_FROM, it->u.quantize.to + tile.first * n_block * Q8_COLUMN_BYTES, tile.n_col,
                          (int)(t - tile.first));
    }
    return AG_OK;
}

/* ---- packed weights ---- */

/* Piece of the result: groups of 16 rows by columns. Sizes may follow the number of threads, as each
 * number is computed alone. */
struct pieces { int64_t group, column, n_group, n_column, n; };

static struct pieces cut(int64_t n_row, int64_t n_col, int nth) {
    struct pieces c = { .group = 4, .column = 128, .n_group = (n_row + PACK_ROWS - 1) / PACK_ROWS };
    if (n_col <= Q8_TILE) {
        c.group = c.n_group / (6 * nth);
        c.group = c.group < 1 ? 1 : c.group > 64 ? 64 : c.group;
    }
    c.n_column = (n_col + c.column - 1) / c.column;
    c.n = (c.n_group + c.group - 1) / c.group * c.n_column;
    return c;
}

static void store_tile(const struct item *it, int64_t row, const struct tile *tile, const float *y) {
    int64_t left = it->out.dim[0] - row, n = left < PACK_ROWS ? left : PACK_ROWS;
    const float *bias = it->n_src > 2 ? (const float *)(const void *)it->src[2].data + row : NULL;
    for (int c = 0; c < tile->n_col; c++, y += PACK_ROWS) {
        float *out = row_at(&it->out, (int64_t[AG_MAX_DIM]){ 0, tile->first + c }) + row;
        if (!bias && n == PACK_ROWS) memcpy(out, y, PACK_ROWS * sizeof *y);
        else
            for (int64_t r = 0; r < n; r++) out[r] = bias ? y[r] + bias[r] : y[r];
    }
}

static int matmul_q_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const struct value *w = &it->src[0];
    int64_t k = w->dim[0], n_block = k / 32, n_col = dim_of(p, it->out.dim[1]);
    uint64_t group_bytes = packed_group_bytes(w->packed, k);
    struct pieces c = cut(w->dim[1], n_col, nth);
    _Alignas(64) float y[Q8_TILE * PACK_ROWS];
    (void)ith;
    for (int64_t i; (i = take_piece(p, it)) < c.n;) {
        int64_t g0 = i / c.n_column * c.group, t0 = i % c.n_column * c.column;
        int64_t g1 = g0 + c.group < c.n_group ? g0 + c.group : c.n_group;
        int64_t t1 = t0 + c.column < n_col ? t0 + c.column : n_col;
        for (int64_t t = t0; t < t1;) {
            struct tile tile = tile_at(t, n_col);
            const uint8_t *x = it->u.matmul_q.x + tile.first * n_block * Q8_COLUMN_BYTES;
            for (int64_t g = g0; g < g1; g++) {
                it->u.matmul_q.fn[tile.log2](w->data + (uint64_t)g * group_bytes, x, n_block, y);
                store_tile(it, g * PACK_ROWS, &tile, y);
            }
            t += tile.n_col;
        }
    }
    return AG_OK;
}

/* The workspace that holds x quantised; consecutive products of one source share it. */
static const uint8_t *quantized(struct planner *pl, const struct ag_node *n, const struct item *it,
                                struct access *read) {
    ag_plan *p = pl->plan;
    const struct value *x = &it->src[1];
    int64_t n_block = x->dim[0] / 32;
    uint64_t row = (uint64_t)n_block * Q8_COLUMN_BYTES;
    uint64_t bytes = row * (uint64_t)class_dim(&p->cls, x->dim[1]);
    for (int i = 0; i < 2; i++)
        if (p->q8[i].owner == n->src[1]) {
            *read = access_of(it, p->q8[i].data, bytes, (int64_t)row, false);
            return p->q8[i].data;
        }
    struct q8_slot *slot = &p->q8[p->q8_next++ & 1];
    if (slot->bytes < bytes) { /* the smaller one stays allocated: others read it */
        slot->data = planner_alloc(pl, bytes);
        if (!slot->data) return NULL;
        slot->bytes = bytes;
    }
    slot->owner = n->src[1];
    struct item make = { .run = quantize_run, .op = AG_OP_MATMUL, .layer = it->layer,
                         .part = PART_ROWS, .sym = it->sym, .n_src = 1, .src = { *x } };
    make.u.quantize.fn = quantize_ladder[RUNG_PICK(quantize_ladder, pl->device->features)].fn;
    make.u.quantize.to = slot->data;
    struct access write = access_of(&make, slot->data, bytes, (int64_t)row, true);
    if (planner_add(pl, &make, 0, &write, 1) < 0) return NULL;
    *read = access_of(it, slot->data, bytes, (int64_t)row, false);
    return slot->data;
}

/* ---- rows of f32 ---- */

enum { F_ROWS = 16, F_COLUMNS = 32 };

/* Rows [row, row + F_ROWS) as f32: where they are, or in scratch; short ends repeat the last row. */
static const float *float_rows(const struct item *it, int64_t row, int64_t n_row, float *scratch,
                               int64_t *stride) {
    const struct value *w = &it->src[0];
    int64_t k = w->dim[0];
    uint64_t bytes = w->dtype == AG_F32 ? (uint64_t)w->stride[1] * sizeof(float)
                                              : ag_row_bytes(w->dtype, (uint64_t)k);
    if (w->dtype == AG_F32 && row + F_ROWS <= n_row) {
        *stride = (int64_t)bytes;
        return (const float *)(const void *)(w->data + (uint64_t)row * bytes);
    }
    for (int r = 0; r < F_ROWS; r++) {
        int64_t from = row + r < n_row ? row + r : n_row - 1;
        it->u.matmul_f.fn(w->data + (uint64_t)from * bytes, k, scratch + r * k);
    }
    *stride = k * (int64_t)sizeof(float);
    return scratch;
}

static void float_tile(const struct item *it, const float *w, int64_t w_stride, int64_t row,
                       int64_t n_row, int64_t t, int n_col) {
    const struct value *x = &it->src[1];
    const float *bias = it->n_src > 2 ? (const float *)(const void *)it->src[2].data : NULL;
    int64_t k = it->src[0].dim[0];
    float y[16];
    for (int r = 0; r < F_ROWS && row + r < n_row; r += 4) {
        (n_col == 4 ? it->u.matmul_f.dot4 : it->u.matmul_f.dot1)(
            (const float *)((const char *)w + r * w_stride), w_stride,
            row_at(x, (int64_t[AG_MAX_DIM]){ 0, t }), x->stride[1] * (int64_t)sizeof(float), k, y);
        for (int c = 0; c < n_col; c++) {
            float *out = row_at(&it->out, (int64_t[AG_MAX_DIM]){ 0, t + c });
            for (int i = 0; i < 4 && row + r + i < n_row; i++)
                out[row + r + i] = bias ? y[4 * c + i] + bias[row + r + i] : y[4 * c + i];
        }
    }
}

static int matmul_f_run(const struct item *it, const struct pass *p, int ith, int nth) {
    int64_t n_row = dim_of(p, it->src[0].dim[1]), n_col = dim_of(p, it->out.dim[1]);
    int64_t n_column = (n_col + F_COLUMNS - 1) / F_COLUMNS;
    int64_t n_block = (n_row + F_ROWS - 1) / F_ROWS;
    (void)nth;
    for (int64_t b; (b = take_piece(p, it)) < n_block;) {
        int64_t stride;
        const float *w = float_rows(it, b * F_ROWS, n_row, thread_scratch(p, ith), &stride);
        for (int64_t c = 0; c < n_column; c++) {
            int64_t t = c * F_COLUMNS, end = t + F_COLUMNS < n_col ? t + F_COLUMNS : n_col;
            for (; t + 4 <= end; t += 4) float_tile(it, w, stride, b * F_ROWS, n_row, t, 4);
            for (; t < end; t++) float_tile(it, w, stride, b * F_ROWS, n_row, t, 1);
        }
    }
    return AG_OK;
}

int plan_matmul(struct planner *pl, const struct ag_node *n, struct item *it) {
    uint32_t features = pl->device->features;
    const struct value *w = &it->src[0], *x = &it->src[1];
    if (w->dim[2] != 1 || w->dim[3] != 1 || x->dim[2] != 1 || x->dim[3] != 1 || x->input)
        return cpu_host->fail(AG_ENOTSUP, "cpu: MATMUL wants w [K, N] and x [K, T]");
    it->part = PART_ANY;
    it->counter = planner_counter(pl);
    if (w->packed) {
        struct access read;
        it->run = matmul_q_run;
        it->u.matmul_q.fn = matmul_q_for(features, w->dtype);
        it->u.matmul_q.x = quantized(pl, n, it, &read);
        if (!it->u.matmul_q.x) return pl->err < 0 ? pl->err : AG_ENOMEM;
        struct item bare = *it; /* x itself is read by the quantisation alone */
        bare.src[1].alloc = NULL;
        return planner_add(pl, &bare, 0, &read, 1);
    }
    it->run = matmul_f_run;
    it->u.matmul_f.fn = dequant_for(features, w->dtype);
    it->u.matmul_f.dot4 = dot4_ladder[RUNG_PICK(dot4_ladder, features)].fn;
    it->u.matmul_f.dot1 = dot1_ladder[RUNG_PICK(dot1_ladder, features)].fn;
    if (!it->u.matmul_f.fn)
        return cpu_host->fail(AG_ENOTSUP, "cpu: MATMUL by %s weights", ag_dtype_name(w->dtype));
    planner_scratch(pl, (uint64_t)F_ROWS * (uint64_t)w->dim[0]);
    return planner_add(pl, it, 0, NULL, 0);
}
