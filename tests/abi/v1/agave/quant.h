/* SPDX-License-Identifier: MIT */
/* quant.h - storage types and the layout of their blocks, as they lie in files (little endian, no
 * alignment: a block in a mapped file may start at any byte, so these structs are packed).
 * Formulas: x is the value of an element, lo/hi the nibbles of a byte. */
#ifndef AGAVE_QUANT_H
#define AGAVE_QUANT_H

#include <agave/base.h>

enum ag_dtype {
    AG_DTYPE_NONE = 0,
#define X(num, id, name, elems, bytes, gguf) AG_##id = num,
#include <agave/dtype.def>
#undef X
};
#define AG_DTYPE_MAX 64 /* all numbers are below */

struct ag_dtype_info {
    const char *name;
    uint32_t block_elems, block_bytes;
    int32_t gguf; /* id in GGUF files, or -1 */
};

/* The row of a type; name is NULL for numbers that are none. */
static inline struct ag_dtype_info ag_dtype_info(uint32_t dtype) {
    struct ag_dtype_info t = { 0, 0, 0, -1 };
    switch (dtype) {
#define X(num, id, name_, elems, bytes, gguf_) \
    case num: t.name = name_, t.block_elems = elems, t.block_bytes = bytes, t.gguf = gguf_; break;
#include <agave/dtype.def>
#undef X
    default: break;
    }
    return t;
}

static inline const char *ag_dtype_name(uint32_t dtype) {
    const char *name = ag_dtype_info(dtype).name;
    return name ? name : "?";
}

/* Bytes of a row of n elements, 0 if n is no multiple of the block (or the type is unknown). */
static inline uint64_t ag_row_bytes(uint32_t dtype, uint64_t n) {
    struct ag_dtype_info t = ag_dtype_info(dtype);
    return t.name && n % t.block_elems == 0 ? n / t.block_elems * t.block_bytes : 0;
}

#if defined(__GNUC__)
#define AG_PACKED __attribute__((packed))
#endif

typedef uint16_t ag_half; /* IEEE binary16 bits */

enum { AG_QK = 32, AG_QK_K = 256 };

/* x[j] = d (lo(qs[j]) - 8), x[j + 16] = d (hi(qs[j]) - 8) */
struct ag_block_q4_0 { ag_half d; uint8_t qs[16]; } AG_PACKED;
/* x[j] = d lo(qs[j]) + m, x[j + 16] = d hi(qs[j]) + m */
struct ag_block_q4_1 { ag_half d, m; uint8_t qs[16]; } AG_PACKED;
/* q[j] = lo(qs[j]) | bit j of qh << 4, q[j + 16] = hi(qs[j]) | bit j + 16 << 4; x = d (q - 16) */
struct ag_block_q5_0 { ag_half d; uint8_t qh[4]; uint8_t qs[16]; } AG_PACKED;
/* the same q; x = d q + m */
struct ag_block_q5_1 { ag_half d, m; uint8_t qh[4]; uint8_t qs[16]; } AG_PACKED;
/* x = d q */
struct ag_block_q8_0 { ag_half d; int8_t qs[32]; } AG_PACKED;
/* eight sub-blocks j of 32 with 6-bit scale sc and minimum mn packed in scales:
 * j < 4: sc = s[j] & 63, mn = s[j+4] & 63; else sc = lo(s[j+4]) | (s[j-4] >> 6) << 4,
 * mn = hi(s[j+4]) | (s[j] >> 6) << 4. qs[32 i ..]: lo -> sub-block 2i, hi -> 2i+1.
 * x = d sc q - dmin mn */
struct ag_block_q4_k { ag_half d, dmin; uint8_t scales[12]; uint8_t qs[128]; } AG_PACKED;
/* as q4_k with q += 16 * bit j of qh[l], l the place in the sub-block */
struct ag_block_q5_k { ag_half d, dmin; uint8_t scales[12]; uint8_t qh[32]; uint8_t qs[128]; } AG_PACKED;
/* halves h of 128, L = ql + 64 h, H = qh + 32 h, l < 32: q[l] = lo(L[l]) | (H[l] & 3) << 4,
 * q[l+32] = lo(L[l+32]) | (H[l] >> 2 & 3) << 4, q[l+64] = hi(L[l]) | (H[l] >> 4 & 3) << 4,
 * q[l+96] = hi(L[l+32]) | (H[l] >> 6) << 4; x = d scales[e / 16] (q - 32) */
struct ag_block_q6_k { uint8_t ql[128]; uint8_t qh[64]; int8_t scales[16]; ag_half d; } AG_PACKED;

#endif
