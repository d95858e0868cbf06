/* SPDX-License-Identifier: MIT */
/* ROPE: x f32 [D, H, T], pos i32 [T], freq f32 [n/2] -> x with dims offset .. offset + n rotated.
 * Pair i of head h, row t turns by the angle pos[t] * freq[i], which is rounded to f32; cos and sin
 * are multiplied by mscale. Pairs are (i, i + n/2) or (2i, 2i + 1), counted from offset. */
#include "ops/ops.h"

#include <math.h>

int ref_rope_check(const struct ag_plan *p, ag_ref node) {
    const struct ag_node *n = &p->node[node].n;
    const struct ref_node *pos = ref_source(p, node, 1), *freq = ref_source(p, node, 2);
    int64_t pairs = n->param[AG_P_ROPE_PAIRS].i, offset = n->param[AG_P_ROPE_OFFSET].i;
    if (n->dim[3] != 1) return ref_fault(p, node, "x has more than three dims");
    if (pairs != AG_ROPE_HALF && pairs != AG_ROPE_ADJACENT)
        return ref_fault(p, node, "unknown pairing");
    int64_t half = freq->n.dim[0];
    if (half < 1 || offset < 0 || offset > n->dim[0] || half > (n->dim[0] - offset) / 2)
        return ref_fault(p, node, "the rotated dims are not inside the head");
    if (pos->n.dtype != AG_I32 || pos->n.stride[0] != 1)
        return ref_fault(p, node, "positions: want I32, one after another");
    int err = ref_check_map(p, node);
    if (err >= 0) err = ref_check_dims(p, node, 1, n->dim[2], 1, 1, 1);
    if (err >= 0) err = ref_check_f32(p, node, 2);
    return err < 0 ? err : ref_check_dims(p, node, 2, half, 1, 1, 1);
}

int ref_rope(const struct ref_call *c) {
    struct ref_tensor x = ref_src(c, 0), pos = ref_src(c, 1), freq = ref_src(c, 2);
    struct ref_tensor y = ref_result(c);
    const union ag_param *param = c->node->n.param;
    bool adjacent = param[AG_P_ROPE_PAIRS].i == AG_ROPE_ADJACENT;
    int64_t offset = param[AG_P_ROPE_OFFSET].i, half = freq.dim[0];
    double mscale = param[AG_P_ROPE_MSCALE].f;
    struct ref_range rows = ref_split(c, ref_rows(&x));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const unsigned char *from = ref_row(&x, r);
        unsigned char *to = ref_row(&y, r);
        float p = (float)ref_i32(&pos, r / x.dim[1]);
        for (int64_t i = 0; i < x.dim[0]; i++) ref_put(to, i, ref_f32(from, i));
        for (int64_t i = 0; i < half; i++) {
            int64_t i0 = offset + (adjacent ? 2 * i : i), i1 = adjacent ? i0 + 1 : i0 + half;
            float angle = p * ref_f32(freq.data, i);
            double cosine = cos(angle) * mscale, sine = sin(angle) * mscale;
            double x0 = ref_f32(from, i0), x1 = ref_f32(from, i1);
            ref_put(to, i0, x0 * cosine - x1 * sine);
            ref_put(to, i1, x0 * sine + x1 * cosine);
        }
    }
    return AG_OK;
}
