/* SPDX-License-Identifier: MIT */
/* pack.c - writing and reading the packed layout; the integer kernels are in ops/matmul.c and x86/. */
#include "pack.h"

#include "half.h"

#include <assert.h>
#include <string.h>

static void put_half(uint8_t *head, int row, ag_half h) {
    memcpy(head + 2 * row, &h, sizeof h);
}
static float get_half(const uint8_t *head, int row) {
    ag_half h;
    memcpy(&h, head + 2 * row, sizeof h);
    return half_to_f32(h);
}

static void split_nibbles(const uint8_t *qs, uint8_t *code) {
    for (int j = 0; j < 16; j++) {
        code[j] = qs[j] & 15;
        code[j + 16] = qs[j] >> 4;
    }
}
static void add_fifth_bits(const uint8_t qh[4], uint8_t *code) {
    for (int j = 0; j < 32; j++) code[j] |= (uint8_t)((qh[j / 8] >> j % 8 & 1) << 4);
}

static void read_q4_0(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q4_0 *b = block;
    put_half(head, r, b->d);
    split_nibbles(b->qs, code);
}
static void read_q4_1(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q4_1 *b = block;
    put_half(head, r, b->d);
    put_half(head + 32, r, b->m);
    split_nibbles(b->qs, code);
}
static void read_q5_0(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q5_0 *b = block;
    put_half(head, r, b->d);
    split_nibbles(b->qs, code);
    add_fifth_bits(b->qh, code);
}
static void read_q5_1(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q5_1 *b = block;
    put_half(head, r, b->d);
    put_half(head + 32, r, b->m);
    split_nibbles(b->qs, code);
    add_fifth_bits(b->qh, code);
}
static void read_q8_0(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q8_0 *b = block;
    put_half(head, r, b->d);
    memcpy(code, b->qs, 32);
}

/* Heads of the K types keep the twelve bytes of 6-bit numbers as they are: [12][16 rows]. */
static void read_k_head(ag_half d, ag_half dmin, const uint8_t scales[12], uint8_t *head, int r) {
    put_half(head, r, d);
    put_half(head + 32, r, dmin);
    for (int i = 0; i < 12; i++) head[64 + 16 * i + r] = scales[i];
}
static void read_k_nibbles(const uint8_t *qs, uint8_t *code) {
    for (int i = 0; i < 4; i++)
        for (int l = 0; l < 32; l++) {
            code[64 * i + l] = qs[32 * i + l] & 15;
            code[64 * i + 32 + l] = qs[32 * i + l] >> 4;
        }
}
static void read_q4_k(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q4_k *b = block;
    read_k_head(b->d, b->dmin, b->scales, head, r);
    read_k_nibbles(b->qs, code);
}
static void read_q5_k(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q5_k *b = block;
    read_k_head(b->d, b->dmin, b->scales, head, r);
    read_k_nibbles(b->qs, code);
    for (int j = 0; j < 8; j++)
        for (int l = 0; l < 32; l++) code[32 * j + l] |= (uint8_t)((b->qh[l] >> j & 1) << 4);
}
static void read_q6_k(const void *block, uint8_t *code, uint8_t *head, int r) {
    const struct ag_block_q6_k *b = block;
    put_half(head, r, b->d);
    for (int i = 0; i < 16; i++) head[32 + 16 * i + r] = (uint8_t)b->scales[i];
    for (int h = 0; h < 2; h++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *low = b->ql + 64 * h, high = b->qh[32 * h + l];
            uint8_t *q = code + 128 * h + l;
            q[0] = (uint8_t)((low[l] & 15) | (high & 3) << 4);
            q[32] = (uint8_t)((low[l + 32] & 15) | (high >> 2 & 3) << 4);
            q[64] = (uint8_t)(low[l] >> 4 | (high >> 4 & 3) << 4);
            q[96] = (uint8_t)(low[l + 32] >> 4 | (high >> 6) << 4);
        }
}

static void scales_plain(const uint8_t *head, struct unit_scales *s) {
    for (int r = 0; r < PACK_ROWS; r++) {
        s->scale[0][r] = get_half(head, r);
        s->min[0][r] = 0;
    }
}
static void scales_with_min(const uint8_t *head, struct unit_scales *s) {
    for (int r = 0; r < PACK_ROWS; r++) {
        s->scale[0][r] = get_half(head, r);
        s->min[0][r] = get_half(head + 32, r);
    }
}
static void scales_k(const uint8_t *head, struct unit_scales *s) {
    for (int r = 0; r < PACK_ROWS; r++) {
        float d = get_half(head, r), dmin = get_half(head + 32, r);
        const uint8_t *p = head + 64 + r;
        for (int j = 0; j < 4; j++) {
            int a = p[16 * j], b = p[16 * (j + 4)], c = p[16 * (j + 8)];
            s->scale[j][r] = d * (float)(a & 63);
            s->min[j][r] = -(dmin * (float)(b & 63));
            s->scale[j + 4][r] = d * (float)((c & 15) | a >> 6 << 4);
            s->min[j + 4][r] = -(dmin * (float)(c >> 4 | b >> 6 << 4));
        }
    }
}
static void scales_q6_k(const uint8_t *head, struct unit_scales *s) {
    memset(s->min, 0, sizeof s->min);
    for (int i = 0; i < 16; i++)
        for (int r = 0; r < PACK_ROWS; r++)
            s->scale[i][r] = get_half(head, r) * (float)(int8_t)head[32 + 16 * i + r];
}

static const struct packed_type types[] = {
    { AG_Q4_0, 1, 32, 4, 0, 8, 1, read_q4_0, scales_plain },
    { AG_Q4_1, 1, 64, 4, 0, 0, 1, read_q4_1, scales_with_min },
    { AG_Q5_0, 1, 32, 4, 1, 16, 1, read_q5_0, scales_plain },
    { AG_Q5_1, 1, 64, 4, 1, 0, 1, read_q5_1, scales_with_min },
    { AG_Q8_0, 1, 32, 8, 0, 0, 1, read_q8_0, scales_plain },
    { AG_Q4_K, 8, 256, 4, 0, 0, 1, read_q4_k, scales_k },
    { AG_Q5_K, 8, 256, 4, 1, 0, 1, read_q5_k, scales_k },
    { AG_Q6_K, 8, 288, 4, 2, 32, 2, read_q6_k, scales_q6_k },
};

const struct packed_type *packed_type(uint32_t dtype) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].dtype == dtype) return &types[i];
    return NULL;
}

uint64_t packed_group_bytes(const struct packed_type *t, int64_t n_col) {
    uint64_t blocks = (uint64_t)n_col / 32;
    uint64_t bytes = blocks * packed_block_bytes(t) + blocks / t->unit * t->head_bytes;
    return (bytes + 63) & ~(uint64_t)63;
}

/* Codes of one row's block of 32 columns into their places, four at a time: a chunk of a row is a word. */
static void place_codes(const struct packed_type *t, const uint8_t code[32], int row,
                        uint8_t *block) {
    uint8_t *low = block + 64 * t->high_bits + 4 * row;
    uint32_t word[8], plane[2] = { 0, 0 };
    memcpy(word, code, sizeof word);
    if (t->low_bits == 8) {
        for (int c = 0; c < 8; c++) memcpy(low + 64 * c, &word[c], sizeof word[c]);
        return;
    }
    for (int c = 0; c < 4; c++) {
        uint32_t both = (word[c] & 0x0f0f0f0fu) | (word[c + 4] & 0x0f0f0f0fu) << 4;
        memcpy(low + 64 * c, &both, sizeof both);
    }
    for (int c = 0; c < 8; c++) {
        if (t->high_bits == 1) plane[0] |= (word[c] >> 4 & 0x01010101u) << c;
        if (t->high_bits == 2) plane[c / 4] |= (word[c] >> 4 & 0x03030303u) << 2 * (c % 4);
    }
    for (int p = 0; p < t->high_bits; p++) memcpy(block + 64 * p + 4 * row, &plane[p], sizeof plane[p]);
}

void packed_write(const struct packed_type *t, const void *src, int64_t n_col, int64_t row0, int64_t n,
                  void *dst) {
    assert(row0 % PACK_ROWS == 0);
    uint64_t group_bytes = packed_group_bytes(t, n_col);
    uint64_t row_bytes = ag_row_bytes(t->dtype, (uint64_t)n_col);
    uint32_t unit_bytes = ag_dtype_info(t->dtype).block_bytes, block_bytes = packed_block_bytes(t);
    for (int64_t g = 0; g < n; g += PACK_ROWS) {
        uint8_t *group = (uint8_t *)dst + (uint64_t)((row0 + g) / PACK_ROWS) * group_bytes;
        uint8_t *head = group + (uint64_t)(n_col / 32) * block_bytes;
        memset(group, 0, group_bytes);
        for (int r = 0; r < PACK_ROWS && g + r < n; r++) {
            const uint8_t *row = (const uint8_t *)src + (uint64_t)(g + r) * row_bytes;
            for (int64_t u = 0; u < n_col / 32 / t->unit; u++) {
                uint8_t code[32 * PACK_MAX_UNIT];
                t->read(row + (uint64_t)u * unit_bytes, code, head + u * t->head_bytes, r);
                for (int b = 0; b < t->unit; b++)
                    place_codes(t, code + 32 * b, r, group + (u * t->unit + b) * block_bytes);
            }
        }
    }
}

void packed_codes(const struct packed_type *t, const uint8_t *block, int8_t code[8][64]) {
    const uint8_t *low = block + 64 * t->high_bits;
    for (int c = 0; c < 8; c++)
        for (int i = 0; i < 64; i++) {
            int q = t->low_bits == 8 ? (int8_t)low[64 * c + i]
                                     : low[64 * (c % 4) + i] >> 4 * (c / 4) & 15;
            if (t->high_bits == 1) q |= (block[i] >> c & 1) << 4;
            if (t->high_bits == 2) q |= (block[64 * (c / 4) + i] >> 2 * (c % 4) & 3) << 4;
            code[c][i] = (int8_t)(q - t->offset);
        }
}

/* The code of one row and column, less the offset. */
static int code_at(const struct packed_type *t, const uint8_t *block, int row, int k) {
    const uint8_t *low = block + 64 * t->high_bits;
    int c = k / 4, at = 4 * row + k % 4;
    if (t->low_bits == 8) return (int8_t)low[64 * c + at];
    int q = low[64 * (c % 4) + at] >> 4 * (c / 4) & 15;
    if (t->high_bits == 1) q |= (block[at] >> c & 1) << 4;
    if (t->high_bits == 2) q |= (block[64 * (c / 4) + at] >> 2 * (c % 4) & 3) << 4;
    return q - t->offset;
}

void packed_row(const struct packed_type *t, const uint8_t *group, int64_t n_col, int row, float *to) {
    uint32_t block_bytes = packed_block_bytes(t);
    const uint8_t *head = group + (uint64_t)(n_col / 32) * block_bytes;
    struct unit_scales s;
    for (int64_t b = 0; b < n_col / 32; b++) {
        int in_unit = (int)(b % t->unit);
        if (in_unit == 0) t->scales(head + b / t->unit * t->head_bytes, &s);
        for (int k = 0; k < 32; k++) {
            float scale = s.scale[in_unit * t->n_scale + (t->n_scale == 2 ? k / 16 : 0)][row];
            float q = (float)code_at(t, group + b * block_bytes, row, k);
            to[32 * b + k] = scale * q + s.min[in_unit][row];
        }
    }
}
