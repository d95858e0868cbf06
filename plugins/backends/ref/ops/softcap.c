/* SPDX-License-Identifier: MIT */
/* SOFTCAP: a f32 -> c tanh(a / c). */
#include "ops/ops.h"

#include <math.h>

int ref_softcap(const struct ref_call *c) {
    struct ref_tensor a = ref_src(c, 0), y = ref_result(c);
    double cap = (float)c->node->n.param[AG_P_SOFTCAP_C].f;
    struct ref_range rows = ref_split(c, ref_rows(&y));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const unsigned char *from = ref_row(&a, r);
        unsigned char *to = ref_row(&y, r);
        for (int64_t i = 0; i < y.dim[0]; i++) ref_put(to, i, cap * tanh(ref_f32(from, i) / cap));
    }
    return AG_OK;
}
