/* SPDX-License-Identifier: MIT */
/* get_rows.c - GET_ROWS: rows of a table by number, as f32. */
#include "rung.h"

VEC_DECLARE(unary_kernel, scale_f32);

struct unary_rung { uint32_t need; unary_kernel *fn; };
static const struct unary_rung scale_ladder[] = { VEC_RUNGS(scale_f32) };

static void read_row(const struct item *it, int64_t row, float *out) {
    const struct value *table = &it->src[0];
    int64_t n = it->out.dim[0];
    if (table->packed)
        packed_row(table->packed,
                   table->data + (uint64_t)(row / PACK_ROWS) * packed_group_bytes(table->packed, n), n,
                   (int)(row % PACK_ROWS), out);
    else if (table->alloc && table->dtype == AG_F32)
        memcpy(out, table->data + row * table->stride[1] * (int64_t)sizeof(float),
               (size_t)n * sizeof(float));
    else it->u.get_rows.fn(table->data + (uint64_t)row * ag_row_bytes(table->dtype, (uint64_t)n), n, out);
}

static int get_rows_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const int32_t *id = input_at(p, &it->src[1]);
    int64_t first, end, n = it->out.dim[0], rows = dim_of(p, it->src[0].dim[1]);
    item_rows(it, dim_of(p, it->out.dim[1]), ith, nth, &first, &end);
    for (int64_t t = first; t < end; t++) {
        float *out = row_at(&it->out, (int64_t[AG_MAX_DIM]){ 0, t });
        if (id[t] == -1) {
            memset(out, 0, (size_t)n * sizeof *out);
            continue;
        }
        if (id[t] < 0 || id[t] >= rows)
            return cpu_host->fail(AG_EINVAL, "cpu: GET_ROWS: row %d of a table of %lld", id[t],
                                  (long long)rows);
        read_row(it, id[t], out);
        if (it->u.get_rows.scale != 1.0f)
            it->u.get_rows.scale_fn(out, n, it->u.get_rows.scale, 0, out);
    }
    return AG_OK;
}

int plan_get_rows(struct planner *pl, const struct ag_node *n, struct item *it) {
    uint32_t features = pl->device->features;
    if (!it->src[1].input || it->src[1].input == AG_INPUT_POS4)
        return cpu_host->fail(AG_ENOTSUP, "cpu: GET_ROWS by ids that are not a row of the step");
    it->run = get_rows_run;
    it->u.get_rows.fn = dequant_for(features, it->src[0].dtype);
    it->u.get_rows.scale_fn = scale_ladder[RUNG_PICK(scale_ladder, features)].fn;
    it->u.get_rows.scale = (float)n->param[AG_P_GET_ROWS_SCALE].f;
    if (!it->u.get_rows.fn)
        return cpu_host->fail(AG_ENOTSUP, "cpu: GET_ROWS of %s", ag_dtype_name(it->src[0].dtype));
    return planner_add(pl, it, 1, NULL, 0);
}
