/* SPDX-License-Identifier: MIT */
/* SCALE: a f32 -> s a + t, s and t taken as f32. */
#include "ops/ops.h"

int ref_scale(const struct ref_call *c) {
    struct ref_tensor a = ref_src(c, 0), y = ref_result(c);
    double s = (float)c->node->n.param[AG_P_SCALE_S].f, t = (float)c->node->n.param[AG_P_SCALE_T].f;
    struct ref_range rows = ref_split(c, ref_rows(&y));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const unsigned char *from = ref_row(&a, r);
        unsigned char *to = ref_row(&y, r);
        for (int64_t i = 0; i < y.dim[0]; i++) ref_put(to, i, s * ref_f32(from, i) + t);
    }
    return AG_OK;
}
