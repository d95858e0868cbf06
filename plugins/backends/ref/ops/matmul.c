/* SPDX-License-Identifier: MIT */
/* MATMUL: w [K, N] of any type that can be dequantised, x f32 [K, T] (, bias f32 [N]) -> f32 [N, T].
 * y[n, t] = bias[n] + sum over k of w[k, n] x[k, t], in double, as eight partial sums over k % 8. */
#include "ops/ops.h"

int ref_matmul_check(const struct ag_plan *p, ag_ref node) {
    const struct ag_node *n = &p->node[node].n;
    const struct ref_node *w = ref_source(p, node, 0);
    if (!ref_can_dequant(w->n.dtype) || !w->base)
        return ref_fault(p, node, "the weight's type cannot be dequantised");
    if (w->n.dim[2] != 1 || w->n.dim[3] != 1)
        return ref_fault(p, node, "the weight has more than two dims");
    int err = ref_check_activation(p, node, 1);
    if (err >= 0) err = ref_check_dims(p, node, 1, w->n.dim[0], n->dim[1], 1, 1);
    if (err >= 0) err = ref_check_result(p, node, w->n.dim[1], n->dim[1], 1, 1);
    if (err < 0 || !n->src[2]) return err;
    err = ref_check_f32(p, node, 2);
    return err < 0 ? err : ref_check_dims(p, node, 2, w->n.dim[1], 1, 1, 1);
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum[8] = { 0 };
    int64_t whole = n / 8 * 8;
    for (int64_t i = 0; i < whole; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += (double)a[i + j] * b[i + j];
    for (int64_t i = whole; i < n; i++) sum[i - whole] += (double)a[i] * b[i];
    return (sum[0] + sum[4] + (sum[1] + sum[5])) + (sum[2] + sum[6] + (sum[3] + sum[7]));
}

int ref_matmul(const struct ref_call *c) {
    struct ref_tensor w = ref_src(c, 0), x = ref_src(c, 1), y = ref_result(c);
    bool has_bias = c->node->n.src[2] != 0;
    struct ref_tensor bias = has_bias ? ref_src(c, 2) : x;
    int64_t K = w.dim[0], row_bytes = ref_row_bytes(&w);
    float *row = (float *)(void *)c->work;
    struct ref_range rows = ref_split(c, w.dim[1]);
    for (int64_t n = rows.begin; n < rows.end; n++) {
        ref_dequant(w.dtype, w.data + n * row_bytes, row, K);
        double b = has_bias ? ref_f32(bias.data, n) : 0;
        for (int64_t t = 0; t < x.dim[1]; t++)
            ref_put(ref_row(&y, t), n, b + dot(row, (const float *)(void *)ref_row(&x, t), K));
    }
    return AG_OK;
}
