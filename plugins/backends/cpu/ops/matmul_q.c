/* SPDX-License-Identifier: MIT */
/* matmul_q.c - packed weights by quantised activations: the portable version and the ladder.
 *
 * For each block of 32 columns the dot of codes is a whole number; f32 work is one multiply-add per
 * block and row: y += (scale_w * scale_x) * dot + min_w * sum_x. */
#include "matmul.h"

static void dot_block(int8_t code[8][64], const int8_t *x, int first, int end,
                      int32_t dot[PACK_ROWS]) {
    memset(dot, 0, PACK_ROWS * sizeof *dot);
    for (int c = first; c < end; c++)
        for (int r = 0; r < PACK_ROWS; r++)
            for (int k = 0; k < 4; k++) dot[r] += code[c][4 * r + k] * x[4 * c + k];
}

/* out += scale * step * dot of a block's codes; parts: scales a block. */
static void add_dots(int8_t code[8][64], const int8_t *q, const float (*scale)[PACK_ROWS], int parts,
                     float step, float *out) {
    for (int part = 0; part < parts; part++) {
        int32_t dot[PACK_ROWS];
        dot_block(code, q, part * 8 / parts, (part + 1) * 8 / parts, dot);
        for (int r = 0; r < PACK_ROWS; r++) out[r] += scale[part][r] * step * (float)dot[r];
    }
}

static inline void matmul_q_portable(const struct packed_type *t, const uint8_t *group,
                                     const uint8_t *x, int64_t n_block, float *y, int n_col) {
    uint32_t block_bytes = packed_block_bytes(t);
    const uint8_t *head = group + n_block * block_bytes;
    const uint8_t *fine = x + n_block * Q8_BLOCK_BYTES * n_col;
    const uint8_t *flag = fine + n_block * Q8_FINE_BYTES * n_col;
    struct unit_scales s;
    memset(y, 0, (size_t)n_col * PACK_ROWS * sizeof *y);
    for (int64_t b = 0; b < n_block; b++, flag += n_col) {
        int in_unit = (int)(b % t->unit), parts = t->n_scale;
        const float(*scale)[PACK_ROWS] = (const float(*)[PACK_ROWS])s.scale + in_unit * parts;
        int8_t code[8][64];
        if (in_unit == 0) t->scales(head + b / t->unit * t->head_bytes, &s);
        packed_codes(t, group + b * block_bytes, code);
        for (int c = 0; c < n_col; c++) {
            float d, sum, *out = y + c * PACK_ROWS;
            memcpy(&d, x + 4 * c, sizeof d);
            memcpy(&sum, x + 4 * (n_col + c), sizeof sum);
            add_dots(code, (const int8_t *)x + 16 * n_col + 32 * c, scale, parts, d, out);
            if (flag[c])
                add_dots(code, (const int8_t *)fine + 8 * n_col + 32 * c, scale, parts,
                         d * (1.0f / Q8_FINE), out);
            for (int r = 0; r < PACK_ROWS; r++) out[r] += s.min[in_unit][r] * sum;
        }
        x += Q8_BLOCK_BYTES * n_col;
        fine += Q8_FINE_BYTES * n_col;
    }
}

#define PORTABLE_1(id, type, n)                                                                   \
    static void matmul_##type##_portable_##n(const uint8_t *group, const uint8_t *x,              \
                                             int64_t n_block, float *y) {                         \
        matmul_q_portable(packed_type(AG_##id), group, x, n_block, y, n);                   \
    }
#define PORTABLE(id, type)                                                                        \
    PORTABLE_1(id, type, 1)                                                                       \
    PORTABLE_1(id, type, 2)                                                                       \
    PORTABLE_1(id, type, 4)                                                                       \
    PORTABLE_1(id, type, 8)                                                                       \
    matmul_q_kernel *const matmul_##type##_portable[4] = {                                        \
        matmul_##type##_portable_1, matmul_##type##_portable_2, matmul_##type##_portable_4,       \
        matmul_##type##_portable_8                                                                \
    };
PORTABLE(Q4_0, q4_0)
PORTABLE(Q4_1, q4_1)
PORTABLE(Q5_0, q5_0)
PORTABLE(Q5_1, q5_1)
PORTABLE(Q8_0, q8_0)
PORTABLE(Q4_K, q4_k)
PORTABLE(Q5_K, q5_k)
PORTABLE(Q6_K, q6_k)

struct matmul_q_rung { uint32_t need; matmul_q_kernel *const *fn; };
static const struct matmul_q_rung q4_0[] = { MATMUL_Q_RUNGS(q4_0) };
static const struct matmul_q_rung q4_1[] = { MATMUL_Q_RUNGS(q4_1) };
static const struct matmul_q_rung q5_0[] = { MATMUL_Q_RUNGS(q5_0) };
static const struct matmul_q_rung q5_1[] = { MATMUL_Q_RUNGS(q5_1) };
static const struct matmul_q_rung q8_0[] = { MATMUL_Q_RUNGS(q8_0) };
static const struct matmul_q_rung q4_k[] = { MATMUL_Q_RUNGS(q4_k) };
static const struct matmul_q_rung q5_k[] = { MATMUL_Q_RUNGS(q5_k) };
static const struct matmul_q_rung q6_k[] = { MATMUL_Q_RUNGS(q6_k) };

static const struct { uint32_t dtype; const struct matmul_q_rung *ladder; } types[] = {
    { AG_Q4_0, q4_0 }, { AG_Q4_1, q4_1 }, { AG_Q5_0, q5_0 },
    { AG_Q5_1, q5_1 }, { AG_Q8_0, q8_0 }, { AG_Q4_K, q4_k },
    { AG_Q5_K, q5_k }, { AG_Q6_K, q6_k },
};

matmul_q_kernel *const *matmul_q_for(uint32_t features, uint32_t dtype) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].dtype == dtype)
            return types[i].ladder[RUNG_PICK(types[i].ladder, features)].fn;
    return NULL;
}
