/* SPDX-License-Identifier: MIT */
/* rows.c - walking the rows of an item. */
#include "cpu.h"

void each_row(const struct item *it, const struct pass *p, int ith, int nth, row_fn fn) {
    int64_t lo[AG_MAX_DIM] = { 0 }, hi[AG_MAX_DIM], i[AG_MAX_DIM] = { 0 };
    int token = value_token_dim(&it->out);
    for (int d = 1; d < AG_MAX_DIM; d++) hi[d] = dim_of(p, it->out.dim[d]);
    if (token > 0) rows_of(hi[token], ith, nth, &lo[token], &hi[token]);
    else if (ith > 0) return; /* item_rows() */
    for (i[3] = lo[3]; i[3] < hi[3]; i[3]++)
        for (i[2] = lo[2]; i[2] < hi[2]; i[2]++)
            for (i[1] = lo[1]; i[1] < hi[1]; i[1]++) fn(it, p, i, ith);
}

const int32_t *input_at(const struct pass *p, const struct value *v) {
    static const uint8_t field[] = {
        [AG_INPUT_TOKEN] = AG_STEP_TOKEN,
        [AG_INPUT_POS] = AG_STEP_POS,
        [AG_INPUT_OUT_ROW] = AG_STEP_OUT_ROW,
        [AG_INPUT_POS4] = AG_STEP_POS,
    };
    return ag_step_array(p->step, field[v->input]) + v->offset;
}
