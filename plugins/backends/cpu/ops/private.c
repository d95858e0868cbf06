/* SPDX-License-Identifier: MIT */
/* private.c - PRIVATE: a function of the model over rows. */
#include "../cpu.h"

static int private_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const float *src[AG_MAX_SRC];
    int64_t dim0[AG_MAX_SRC], first, end;
    item_rows(it, dim_of(p, it->out.dim[1]), ith, nth, &first, &end);
    if (first == end) return AG_OK;
    for (uint32_t i = 0; i < it->n_src; i++) {
        dim0[i] = it->src[i].dim[0];
        src[i] = row_at(&it->src[i], (int64_t[AG_MAX_DIM]){ 0, first });
    }
    it->u.private_op.op->run(src, dim0, row_at(&it->out, (int64_t[AG_MAX_DIM]){ 0, first }),
                             it->out.dim[0], end - first);
    return AG_OK;
}

int plan_private(struct planner *pl, const struct ag_node *n, struct item *it) {
    const struct ag_private_op *const *ops = pl->desc->private_op;
    it->run = private_run;
    for (uint32_t i = 0; ops && i <= n->slot; i++) {
        if (!ops[i]) break;
        if (i == n->slot) it->u.private_op.op = ops[i];
    }
    if (!it->u.private_op.op)
        return cpu_host->fail(AG_EINVAL, "cpu: private op %u is not among those of the model", n->slot);
    for (uint32_t i = 0; i < it->n_src; i++)
        if (it->src[i].input || it->src[i].stride[1] != it->src[i].dim[0])
            return cpu_host->fail(AG_ENOTSUP, "cpu: private op %s wants contiguous rows of f32",
                                  it->u.private_op.op->name);
    return planner_add(pl, it, 0, NULL, 0);
}
