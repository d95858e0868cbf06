/* SPDX-License-Identifier: MIT */
/* PRIVATE: the model's own function over f32 rows: sources [d_k, rows], result [d, rows]. */
#include "ops/ops.h"

static const struct ag_private_op *find(const struct ag_plan *p, uint32_t slot) {
    for (uint32_t i = 0; p->private_op && p->private_op[i]; i++)
        if (i == slot) return p->private_op[i];
    return NULL;
}

static bool contiguous(const struct ag_node *n) {
    int64_t step = n->dim[0];
    for (int i = 1; i < AG_MAX_DIM && step > 0; i++) {
        if (n->dim[i] != 1 && n->stride[i] != step) return false;
        step = n->dim[i] < 0 ? -1 : step * n->dim[i]; /* a symbolic dim is the last */
    }
    return n->stride[0] == 1;
}

int ref_private_check(const struct ag_plan *p, ag_ref node) {
    const struct ag_node *n = &p->node[node].n;
    const struct ag_private_op *op = find(p, n->slot);
    int64_t dim0[AG_MAX_SRC] = { 0 };
    uint32_t k = 0;
    if (!op) return ref_fault(p, node, "the model has no such op of its own");
    for (; k < AG_MAX_SRC && n->src[k]; k++) {
        int err = ref_check_activation(p, node, k);
        if (err >= 0) err = ref_check_dims(p, node, k, dim0[k] = ref_source(p, node, k)->n.dim[0],
                                           n->dim[1], n->dim[2], n->dim[3]);
        if (err < 0) return err;
        if (!contiguous(&ref_source(p, node, k)->n))
            return ref_fault(p, node, "rows of a source are not adjacent");
    }
    if (k != op->n_src) return ref_fault(p, node, "wrong number of sources");
    if (op->shape(dim0, k) != n->dim[0]) return ref_fault(p, node, "result has another first dim");
    return AG_OK;
}

int ref_private(const struct ref_call *c) {
    const struct ag_private_op *op = find(c->plan, c->node->n.slot);
    struct ref_tensor y = ref_result(c);
    const float *src[AG_MAX_SRC];
    int64_t dim0[AG_MAX_SRC];
    struct ref_range rows = ref_split(c, ref_rows(&y));
    if (rows.begin == rows.end) return AG_OK;
    for (uint32_t k = 0; k < op->n_src; k++) {
        struct ref_tensor x = ref_src(c, k);
        src[k] = (const float *)(void *)ref_row(&x, rows.begin);
        dim0[k] = x.dim[0];
    }
    op->run(src, dim0, (float *)(void *)ref_row(&y, rows.begin), y.dim[0], rows.end - rows.begin);
    return AG_OK;
}
