/* SPDX-License-Identifier: MIT */
/* RMS_NORM: x f32 [K, ...] (, w f32 [K]) -> x / sqrt(mean(x^2) + eps) * (w_off + w), per row of K;
 * without w the last factor is absent. */
#include "ops/ops.h"

#include <math.h>

int ref_rms_norm_check(const struct ag_plan *p, ag_ref node) {
    int err = ref_check_map(p, node);
    if (err < 0 || !p->node[node].n.src[1]) return err;
    err = ref_check_f32(p, node, 1);
    return err < 0 ? err : ref_check_dims(p, node, 1, p->node[node].n.dim[0], 1, 1, 1);
}

int ref_rms_norm(const struct ref_call *c) {
    struct ref_tensor x = ref_src(c, 0), y = ref_result(c);
    bool has_w = c->node->n.src[1] != 0;
    struct ref_tensor w = has_w ? ref_src(c, 1) : x;
    double eps = c->node->n.param[AG_P_NORM_EPS].f, w_off = c->node->n.param[AG_P_NORM_W_OFF].f;
    int64_t K = x.dim[0];
    struct ref_range rows = ref_split(c, ref_rows(&x));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const unsigned char *from = ref_row(&x, r);
        unsigned char *to = ref_row(&y, r);
        double sum = 0;
        for (int64_t k = 0; k < K; k++) sum += (double)ref_f32(from, k) * ref_f32(from, k);
        double inverse = 1 / sqrt(sum / (double)K + eps);
        for (int64_t k = 0; k < K; k++)
            ref_put(to, k, ref_f32(from, k) * inverse * (has_w ? w_off + ref_f32(w.data, k) : 1));
    }
    return AG_OK;
}
