/* SPDX-License-Identifier: MIT */
/* pack.h - how block-quantised weights lie for the integer kernels.
 *
 * Sixteen rows form a group, so that one 64-byte load holds 4 codes of each and no kernel sums across
 * lanes. A group of K columns is, in order:
 *   payload  [K/32] blocks of 32 columns, each: high planes (high_bits x 64 bytes), then low codes
 *   head     [K/32/unit] scales of the 16 rows, one per file block
 *   padding  to 64 bytes
 * A chunk c (0..7) of a block is columns 4c .. 4c+3; its codes are [16 rows][4 columns].
 *   low, 8 bits: chunk c is the 64 bytes at 64 c
 *   low, 4 bits: chunk c < 4 is the low nibbles of the 64 bytes at 64 c, chunk c + 4 the high ones
 *   high, 1 bit: bit c of the byte [row][column % 4]
 *   high, 2 bits: bits 2 (c % 4) and the next of that byte in plane c / 4
 * The last group is padded with rows of zeros. Bytes a weight are those of the file. */
#ifndef CPU_PACK_H
#define CPU_PACK_H

#include <agave/quant.h>

enum { PACK_ROWS = 16, PACK_MAX_UNIT = 8 };

/* Scales of a unit as numbers: weight = scale[b * n_scale + half] * (code - offset) + min[b]. */
struct unit_scales {
    float scale[2 * PACK_MAX_UNIT][PACK_ROWS];
    float min[PACK_MAX_UNIT][PACK_ROWS];
};

struct packed_type {
    uint32_t dtype;
    uint16_t unit;       /* blocks of 32 that share a head */
    uint16_t head_bytes; /* of 16 rows */
    uint8_t low_bits, high_bits;
    uint8_t offset;      /* taken from each code; codes of 8 bits are signed already */
    uint8_t n_scale;     /* a block: 2 = one for each half of 16 columns */
    /* One file block of row r: its 32 * unit codes, and its part of the head. */
    void (*read)(const void *block, uint8_t *code, uint8_t *head, int r);
    void (*scales)(const uint8_t *head, struct unit_scales *);
};

/* NULL for types that stay as in the file. */
const struct packed_type *packed_type(uint32_t dtype);

static inline uint32_t packed_block_bytes(const struct packed_type *t) {
    return 64u * (t->low_bits + t->high_bits);
}
/* Bytes of a group of n_col columns, a multiple of 64. */
uint64_t packed_group_bytes(const struct packed_type *, int64_t n_col);

/* Rows row0 .. row0 + n of a tensor, which src holds as in the file; row0 is a multiple of 16. */
void packed_write(const struct packed_type *, const void *src, int64_t n_col, int64_t row0, int64_t n,
                  void *dst);
/* Codes less the offset of block b of a unit. */
void packed_codes(const struct packed_type *, const uint8_t *block, int8_t code[8][64]);
/* One row of a group as numbers. */
void packed_row(const struct packed_type *, const uint8_t *group, int64_t n_col, int row, float *to);

#endif
