/* SPDX-License-Identifier: MIT */
/* rope.c - ROPE. Angles depend on positions and frequencies only, so a table of their cosines and sines
 * is made once a step for each pair of them and read by all layers. */
#include "rung.h"

#include "../plan.h"

#include <math.h>

VEC_DECLARE(rope_kernel, rope_half_f32);
VEC_DECLARE(rope_kernel, rope_adjacent_f32);

static const struct { uint32_t need; rope_kernel *fn; } half_ladder[] = { VEC_RUNGS(rope_half_f32) };
static const struct { uint32_t need; rope_kernel *fn; } adjacent_ladder[] = {
    VEC_RUNGS(rope_adjacent_f32)
};

/* src: pos, freq. Table rows are cos [half], sin [half]. */
static int table_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const struct rope_table *table = it->u.rope.table;
    const int32_t *pos = input_at(p, &it->src[0]);
    const float *freq = (const float *)(const void *)it->src[1].data;
    int64_t first, end, half = table->half;
    item_rows(it, p->n[it->sym], ith, nth, &first, &end);
    for (int64_t t = first; t < end; t++) {
        float *row = table->data + 2 * half * t;
        for (int64_t i = 0; i < half; i++) {
            float angle = (float)pos[t] * freq[i];
            row[i] = cosf(angle) * table->mscale;
            row[half + i] = sinf(angle) * table->mscale;
        }
    }
    return AG_OK;
}

static void rope_row(const struct item *it, const struct pass *p, const int64_t i[AG_MAX_DIM],
                     int ith) {
    const struct rope_table *table = it->u.rope.table;
    int64_t half = table->half, first = it->u.rope.offset, end = first + 2 * half, n = it->out.dim[0];
    const float *x = row_at(&it->src[0], i), *row = table->data + 2 * half * i[2];
    float *y = row_at(&it->out, i);
    (void)p, (void)ith;
    if (x != y) {
        memcpy(y, x, (size_t)first * sizeof *y);
        memcpy(y + end, x + end, (size_t)(n - end) * sizeof *y);
    }
    it->u.rope.fn(x + first, row, row + half, half, y + first);
}

static int rope_run(const struct item *it, const struct pass *p, int ith, int nth) {
    each_row(it, p, ith, nth, rope_row);
    return AG_OK;
}

static struct access table_access(const struct item *it, const struct rope_table *t, int64_t rows,
                                  bool write) {
    int64_t row_bytes = 2 * t->half * (int64_t)sizeof(float);
    return access_of(it, t->data, (uint64_t)(rows * row_bytes), row_bytes, write);
}

/* The table of these sources, planned at its first use. */
static const struct rope_table *table_for(struct planner *pl, const struct ag_node *n,
                                          const struct item *it) {
    ag_plan *p = pl->plan;
    float mscale = (float)n->param[AG_P_ROPE_MSCALE].f;
    for (uint32_t i = 0; i < p->n_rope; i++)
        if (p->rope[i].pos == n->src[1] && p->rope[i].freq == n->src[2] &&
            p->rope[i].mscale == mscale)
            return &p->rope[i];
    int64_t half = it->src[2].dim[0], rows = class_dim(&p->cls, it->out.dim[2]);
    struct rope_table *t = &p->rope[p->n_rope];
    *t = (struct rope_table){ n->src[1], n->src[2], mscale, half, NULL };
    t->data = planner_alloc(pl, (uint64_t)rows * 2 * (uint64_t)half * sizeof(float));
    if (!t->data) return NULL;
    struct item make = { .run = table_run, .op = it->op, .layer = -1, .part = PART_ROWS,
                         .sym = it->sym, .n_src = 2, .src = { it->src[1], it->src[2] } };
    make.u.rope.table = t;
    struct access a = table_access(&make, t, rows, true);
    if (planner_add(pl, &make, 0, &a, 1) < 0) return NULL;
    p->n_rope++;
    return t;
}

int plan_rope(struct planner *pl, const struct ag_node *n, struct item *it) {
    uint32_t features = pl->device->features;
    const struct value *x = &it->src[0], *freq = &it->src[2];
    int64_t offset = n->param[AG_P_ROPE_OFFSET].i;
    if (!it->src[1].input || freq->dtype != AG_F32 || freq->input || x->dim[3] != 1 ||
        it->out.dim[2] >= 0)
        return cpu_host->fail(AG_ENOTSUP, "cpu: ROPE wants x [D, H, T], positions of the step, "
                                          "frequencies in f32");
    if (offset < 0 || offset + 2 * freq->dim[0] > x->dim[0])
        return cpu_host->fail(AG_EINVAL, "cpu: ROPE of dims %lld to %lld of %lld", (long long)offset,
                              (long long)(offset + 2 * freq->dim[0]), (long long)x->dim[0]);
    it->run = rope_run;
    it->u.rope.table = table_for(pl, n, it);
    if (!it->u.rope.table) return pl->err < 0 ? pl->err : AG_ENOMEM;
    it->u.rope.fn = n->param[AG_P_ROPE_PAIRS].i == AG_ROPE_ADJACENT
                        ? adjacent_ladder[RUNG_PICK(adjacent_ladder, features)].fn
                        : half_ladder[RUNG_PICK(half_ladder, features)].fn;
    it->u.rope.offset = offset;
    struct access a = table_access(it, it->u.rope.table, class_dim(&pl->plan->cls, it->out.dim[2]),
                                   false);
    return planner_add(pl, it, 0, &a, 1);
}
