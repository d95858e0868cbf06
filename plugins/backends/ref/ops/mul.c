/* SPDX-License-Identifier: MIT */
/* MUL: a, b f32 -> a * b of a's shape; a dim of b that is 1 repeats. */
#include "ops/ops.h"

int ref_mul(const struct ref_call *c) {
    struct ref_tensor a = ref_src(c, 0), b = ref_repeat(ref_src(c, 1), &a), y = ref_result(c);
    struct ref_range rows = ref_split(c, ref_rows(&y));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const unsigned char *pa = ref_row(&a, r), *pb = ref_row(&b, r);
        unsigned char *to = ref_row(&y, r);
        for (int64_t i = 0; i < y.dim[0]; i++)
            ref_put(to, i, (double)ref_f32(pa, i) * ref_f32(pb, i * b.stride[0]));
    }
    return AG_OK;
}
