/* SPDX-License-Identifier: MIT */
/* GET_ROWS: table [K, N] of any type that can be dequantised, ids i32 [T] -> f32 [K, T].
 * y[:, t] = scale * table[:, ids[t]]; id -1 gives zeros, an id outside -1 .. N-1 is an error. */
#include "ops/ops.h"

int ref_get_rows_check(const struct ag_plan *p, ag_ref node) {
    const struct ag_node *n = &p->node[node].n;
    const struct ref_node *table = ref_source(p, node, 0), *ids = ref_source(p, node, 1);
    if (!ref_can_dequant(table->n.dtype) || !table->base)
        return ref_fault(p, node, "the table's type cannot be dequantised");
    if (table->n.dim[2] != 1 || table->n.dim[3] != 1)
        return ref_fault(p, node, "the table has more than two dims");
    if (ids->n.dtype != AG_I32 || ids->n.stride[0] != 1)
        return ref_fault(p, node, "ids: want I32, one after another");
    int err = ref_check_dims(p, node, 1, n->dim[1], 1, 1, 1);
    return err < 0 ? err : ref_check_result(p, node, table->n.dim[0], n->dim[1], 1, 1);
}

int ref_get_rows(const struct ref_call *c) {
    struct ref_tensor table = ref_src(c, 0), ids = ref_src(c, 1), y = ref_result(c);
    float scale = (float)c->node->n.param[AG_P_GET_ROWS_SCALE].f;
    int64_t K = table.dim[0], row_bytes = ref_row_bytes(&table);
    float *row = (float *)(void *)c->work;
    struct ref_range rows = ref_split(c, y.dim[1]);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        int32_t id = ref_i32(&ids, t);
        unsigned char *to = ref_row(&y, t);
        if (id < -1 || id >= table.dim[1])
            return ref_host->fail(AG_EINVAL, "ref: GET_ROWS: row %d of a table of %lld rows", id,
                                  (long long)table.dim[1]);
        if (id >= 0) ref_dequant(table.dtype, table.data + id * row_bytes, row, K);
        for (int64_t k = 0; k < K; k++) ref_put(to, k, id < 0 ? 0 : row[k] * scale);
    }
    return AG_OK;
}
