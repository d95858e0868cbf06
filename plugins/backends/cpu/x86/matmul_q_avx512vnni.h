/* SPDX-License-Identifier: MIT */
/* matmul_q_avx512vnni.h - packed weights by quantised activations with VPDPBUSD, for all types.
 *
 * Each matmul_<type>_avx512vnni.c includes this and gives inline functions
 *   unpack(block, w)   the eight chunks of a block, as unsigned codes [16 rows][4]
 *   head(at, h)        once per head: scales of a unit
 *   scales(h, b, ...)  f32 scales and minima of block b of the unit
 * and instantiates the tile. Codes are unsigned here: what they are too large by times the sum of x is
 * taken off in whole numbers, so a dot is exact. */
#ifndef X86_MATMUL_Q_AVX512VNNI_H
#define X86_MATMUL_Q_AVX512VNNI_H

#include "../cpu.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Heads of simple types: f16 scales, then f16 minima. */
struct head16 { __m512 scale, min; };
/* Heads of K types: 6-bit numbers spread to bytes [8][16 rows]. */
struct head_k { __m512 d, dmin; uint8_t sc[8][16], mn[8][16]; };
struct head_6k { __m512 d; const int8_t *sc; };

INLINE __m512 halves(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
INLINE __m512 bytes_f32(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
INLINE __m512i load64(const uint8_t *p) {
    return _mm512_loadu_si512(p);
}

/* Four-bit codes. */
INLINE void unpack_low(const uint8_t *low, __m512i w[8]) {
    const __m512i mask = _mm512_set1_epi8(15);
    for (int i = 0; i < 4; i++) {
        __m512i v = load64(low + 64 * i);
        w[i] = _mm512_and_si512(v, mask);
        w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(v, 4), mask);
    }
}
/* a | (b & mask) */
INLINE __m512i or_masked(__m512i a, __m512i b, __m512i mask) {
    return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
}
INLINE void unpack_4(const uint8_t *block, __m512i w[8]) {
    unpack_low(block, w);
}
INLINE void unpack_5(const uint8_t *block, __m512i w[8]) {
    const __m512i mask = _mm512_set1_epi8(16);
    __m512i high = load64(block);
    unpack_low(block + 64, w);
    for (int c = 0; c < 4; c++) w[c] = or_masked(w[c], _mm512_slli_epi16(high, 4 - c), mask);
    w[4] = or_masked(w[4], high, mask);
    for (int c = 5; c < 8; c++) w[c] = or_masked(w[c], _mm512_srli_epi16(high, c - 4), mask);
}
INLINE void unpack_6(const uint8_t *block, __m512i w[8]) {
    const __m512i mask = _mm512_set1_epi8(48);
    unpack_low(block + 128, w);
    for (int half = 0; half < 2; half++) {
        __m512i high = load64(block + 64 * half);
        w[4 * half] = or_masked(w[4 * half], _mm512_slli_epi16(high, 4), mask);
        w[4 * half + 1] = or_masked(w[4 * half + 1], _mm512_slli_epi16(high, 2), mask);
        w[4 * half + 2] = or_masked(w[4 * half + 2], high, mask);
        w[4 * half + 3] = or_masked(w[4 * half + 3], _mm512_srli_epi16(high, 2), mask);
    }
}
INLINE void unpack_8(const uint8_t *block, __m512i w[8]) {
    const __m512i flip = _mm512_set1_epi8(-128);
    for (int c = 0; c < 8; c++) w[c] = _mm512_xor_si512(load64(block + 64 * c), flip);
}

INLINE void head_plain(const uint8_t *p, struct head16 *h) {
    h->scale = halves(p);
    h->min = _mm512_setzero_ps();
}
INLINE void head_min(const uint8_t *p, struct head16 *h) {
    h->scale = halves(p);
    h->min = halves(p + 32);
}
INLINE void head_k(const uint8_t *p, struct head_k *h) {
    const __m512i six = _mm512_set1_epi8(63), four = _mm512_set1_epi8(15), top = _mm512_set1_epi8(48);
    __m512i a = load64(p + 64), b = load64(p + 128), c = load64(p + 192);
    h->d = halves(p);
    h->dmin = _mm512_sub_ps(_mm512_setzero_ps(), halves(p + 32));
    _mm512_storeu_si512(h->sc[0], _mm512_and_si512(a, six));
    _mm512_storeu_si512(h->mn[0], _mm512_and_si512(b, six));
    _mm512_storeu_si512(h->sc[4], or_masked(_mm512_and_si512(c, four), _mm512_srli_epi16(a, 2), top));
    _mm512_storeu_si512(h->mn[4], or_masked(_mm512_and_si512(_mm512_srli_epi16(c, 4), four),
                                            _mm512_srli_epi16(b, 2), top));
}
INLINE void head_6k(const uint8_t *p, struct head_6k *h) {
    h->d = halves(p);
    h->sc = (const int8_t *)p + 32;
}

/* Scales of block b of the unit: for chunks 0..3, for 4..7, and the minimum. */
struct scales { __m512 first, second, min; };

INLINE struct scales scales_16(const struct head16 *h, int b) {
    (void)b;
    return (struct scales){ h->scale, h->scale, h->min };
}
INLINE struct scales scales_k(const struct head_k *h, int b) {
    __m512 s = _mm512_mul_ps(h->d, bytes_f32(h->sc[b]));
    return (struct scales){ s, s, _mm512_mul_ps(h->dmin, bytes_f32(h->mn[b])) };
}
INLINE __m512 signed_f32(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
INLINE struct scales scales_6k(const struct head_6k *h, int b) {
    return (struct scales){ _mm512_mul_ps(h->d, signed_f32(h->sc + 32 * b)),
                            _mm512_mul_ps(h->d, signed_f32(h->sc + 32 * b + 16)),
                            _mm512_setzero_ps() };
}

INLINE __m512 broadcast_f32(const uint8_t *p) {
    float f;
    memcpy(&f, p, sizeof f);
    return _mm512_set1_ps(f);
}
INLINE __m512i broadcast_i32(const uint8_t *p) {
    int32_t i;
    memcpy(&i, p, sizeof i);
    return _mm512_set1_epi32(i);
}

/* What a type is: blocks a head, log2 of what codes are too large by (0 = nothing), has it minima,
 * two scales a block. */
struct kind { int unit, shift, min, split; };

/* Whole-number dots of one block and column by scales; less: sums of 16 codes, negative. */
INLINE __m512 dot(const __m512i w[8], const struct scales *s, const uint8_t *q, const uint8_t *less,
                  int n_col, struct kind k) {
    __m512i a = _mm512_setzero_si512(), b = a;
    if (k.shift) {
        a = _mm512_slli_epi32(broadcast_i32(less), (unsigned)k.shift);
        b = _mm512_slli_epi32(broadcast_i32(less + 4 * n_col), (unsigned)k.shift);
    }
    for (int i = 0; i < 4; i++) {
        a = _mm512_dpbusd_epi32(a, w[i], broadcast_i32(q + 4 * i));
        b = _mm512_dpbusd_epi32(b, w[i + 4], broadcast_i32(q + 16 + 4 * i));
    }
    if (!k.split) return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(a, b)), s->first);
    __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(a), s->first);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(b), s->second, t);
}

INLINE __m512 column(const __m512i w[8], const struct scales *s, const uint8_t *x, int n_col, int c,
                     struct kind k, __m512 acc) {
    __m512 t = dot(w, s, x + 16 * n_col + 32 * c, x + 4 * (2 * n_col + c), n_col, k);
    acc = _mm512_fmadd_ps(t, broadcast_f32(x + 4 * c), acc);
    if (k.min) acc = _mm512_fmadd_ps(s->min, broadcast_f32(x + 4 * (n_col + c)), acc);
    return acc;
}

INLINE __m512 column_fine(const __m512i w[8], const struct scales *s, const uint8_t *x,
                          const uint8_t *fine, int n_col, int c, struct kind k, __m512 acc) {
    __m512 t = dot(w, s, fine + 8 * n_col + 32 * c, fine + 4 * c, n_col, k);
    __m512 step = _mm512_mul_ps(broadcast_f32(x + 4 * c), _mm512_set1_ps(1.0f / Q8_FINE));
    return _mm512_fmadd_ps(t, step, acc);
}

typedef __m512 acc_t;
typedef __m512i weights_t[8];

INLINE acc_t acc_zero(void) {
    return _mm512_setzero_ps();
}
INLINE void acc_store(float *y, acc_t a) {
    _mm512_storeu_ps(y, a);
}

#define TILE(type, n)                                                                             \
    static void matmul_##type##_avx512vnni_##n(const uint8_t *group, const uint8_t *x,            \
                                               int64_t n_block, float *y) {                       \
        tile(group, x, n_block, y, n);                                                            \
    }
#define TILES(type)                                                                               \
    TILE(type, 1)                                                                                 \
    TILE(type, 2)                                                                                 \
    TILE(type, 4)                                                                                 \
    TILE(type, 8)                                                                                 \
    extern matmul_q_kernel *const matmul_##type##_avx512vnni[4];                                  \
    matmul_q_kernel *const matmul_##type##_avx512vnni[4] = {                                      \
        matmul_##type##_avx512vnni_1, matmul_##type##_avx512vnni_2, matmul_##type##_avx512vnni_4, \
        matmul_##type##_avx512vnni_8                                                              \
    };

#endif
