/* SPDX-License-Identifier: MIT */
/* matmul_q_avx2.h - packed weights by quantised activations with VPMADDUBSW, for all types. The
 * counterpart of matmul_q_avx512vnni.h: each chunk of 64 bytes is two registers of 8 rows.
 *
 * VPMADDUBSW adds two products in 16 bits. Codes of up to 6 bits are unsigned and cannot overflow
 * there; codes of 8 bits are taken as |w| * (x with the sign of w), at most 2 * 128 * 127. */
#ifndef X86_MATMUL_Q_AVX2_H
#define X86_MATMUL_Q_AVX2_H

#include "../cpu.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef struct { __m256 lo, hi; } f32x16;
typedef f32x16 acc_t;
/* [chunk][half of the rows] */
typedef __m256i weights_t[8][2];

struct head16 { f32x16 scale, min; };
struct head_k { f32x16 d, dmin; uint8_t sc[8][16], mn[8][16]; };
struct head_6k { f32x16 d; const int8_t *sc; };
struct scales { f32x16 first, second, min; };
struct kind { int unit, shift, min, split; };

INLINE f32x16 acc_zero(void) {
    return (f32x16){ _mm256_setzero_ps(), _mm256_setzero_ps() };
}
INLINE void acc_store(float *y, acc_t a) {
    _mm256_storeu_ps(y, a.lo);
    _mm256_storeu_ps(y + 8, a.hi);
}
INLINE f32x16 times(f32x16 a, f32x16 b) {
    return (f32x16){ _mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi) };
}
INLINE f32x16 halves(const uint8_t *p) {
    return (f32x16){ _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                     _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 16))) };
}
INLINE f32x16 bytes_f32(const uint8_t *p) {
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    return (f32x16){ _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v)),
                     _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))) };
}
INLINE f32x16 signed_f32(const int8_t *p) {
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    return (f32x16){ _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(v)),
                     _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(v, 8))) };
}
INLINE __m256i load32(const uint8_t *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE void unpack_4(const uint8_t *low, weights_t w) {
    const __m256i mask = _mm256_set1_epi8(15);
    for (int i = 0; i < 4; i++)
        for (int h = 0; h < 2; h++) {
            __m256i v = load32(low + 64 * i + 32 * h);
            w[i][h] = _mm256_and_si256(v, mask);
            w[i + 4][h] = _mm256_and_si256(_mm256_srli_epi16(v, 4), mask);
        }
}
INLINE __m256i or_masked(__m256i a, __m256i b, __m256i mask) {
    return _mm256_or_si256(a, _mm256_and_si256(b, mask));
}
INLINE void unpack_5(const uint8_t *block, weights_t w) {
    const __m256i mask = _mm256_set1_epi8(16);
    unpack_4(block + 64, w);
    for (int h = 0; h < 2; h++) {
        __m256i high = load32(block + 32 * h);
        for (int c = 0; c < 5; c++) w[c][h] = or_masked(w[c][h], _mm256_slli_epi16(high, 4 - c), mask);
        for (int c = 5; c < 8; c++) w[c][h] = or_masked(w[c][h], _mm256_srli_epi16(high, c - 4), mask);
    }
}
INLINE void unpack_6(const uint8_t *block, weights_t w) {
    const __m256i mask = _mm256_set1_epi8(48);
    unpack_4(block + 128, w);
    for (int part = 0; part < 2; part++)
        for (int h = 0; h < 2; h++) {
            __m256i high = load32(block + 64 * part + 32 * h);
            for (int c = 0; c < 3; c++)
                w[4 * part + c][h] = or_masked(w[4 * part + c][h], _mm256_slli_epi16(high, 4 - 2 * c), mask);
            w[4 * part + 3][h] = or_masked(w[4 * part + 3][h], _mm256_srli_epi16(high, 2), mask);
        }
}
INLINE void unpack_8(const uint8_t *block, weights_t w) {
    for (int c = 0; c < 8; c++)
        for (int h = 0; h < 2; h++) w[c][h] = load32(block + 64 * c + 32 * h);
}

INLINE void head_plain(const uint8_t *p, struct head16 *h) {
    h->scale = halves(p);
    h->min = acc_zero();
}
INLINE void head_min(const uint8_t *p, struct head16 *h) {
    h->scale = halves(p);
    h->min = halves(p + 32);
}
INLINE void head_k(const uint8_t *p, struct head_k *h) {
    const __m256i six = _mm256_set1_epi8(63), four = _mm256_set1_epi8(15), top = _mm256_set1_epi8(48);
    f32x16 dmin = halves(p + 32);
    h->d = halves(p);
    h->dmin.lo = _mm256_sub_ps(_mm256_setzero_ps(), dmin.lo);
    h->dmin.hi = _mm256_sub_ps(_mm256_setzero_ps(), dmin.hi);
    for (int i = 0; i < 4; i += 2) { /* two sub-blocks a register */
        __m256i a = load32(p + 64 + 16 * i), b = load32(p + 128 + 16 * i), c = load32(p + 192 + 16 * i);
        _mm256_storeu_si256((__m256i *)h->sc[i], _mm256_and_si256(a, six));
        _mm256_storeu_si256((__m256i *)h->mn[i], _mm256_and_si256(b, six));
        _mm256_storeu_si256((__m256i *)h->sc[i + 4],
                            or_masked(_mm256_and_si256(c, four), _mm256_srli_epi16(a, 2), top));
        _mm256_storeu_si256((__m256i *)h->mn[i + 4],
                            or_masked(_mm256_and_si256(_mm256_srli_epi16(c, 4), four),
                                      _mm256_srli_epi16(b, 2), top));
    }
}
INLINE void head_6k(const uint8_t *p, struct head_6k *h) {
    h->d = halves(p);
    h->sc = (const int8_t *)p + 32;
}

INLINE struct scales scales_16(const struct head16 *h, int b) {
    (void)b;
    return (struct scales){ h->scale, h->scale, h->min };
}
INLINE struct scales scales_k(const struct head_k *h, int b) {
    f32x16 s = times(h->d, bytes_f32(h->sc[b]));
    return (struct scales){ s, s, times(h->dmin, bytes_f32(h->mn[b])) };
}
INLINE struct scales scales_6k(const struct head_6k *h, int b) {
    return (struct scales){ times(h->d, signed_f32(h->sc + 32 * b)),
                            times(h->d, signed_f32(h->sc + 32 * b + 16)), acc_zero() };
}

INLINE __m256 broadcast_f32(const uint8_t *p) {
    float f;
    memcpy(&f, p, sizeof f);
    return _mm256_set1_ps(f);
}
INLINE __m256i broadcast_i32(const uint8_t *p) {
    int32_t i;
    memcpy(&i, p, sizeof i);
    return _mm256_set1_epi32(i);
}

/* Chunks c .. c + 3 of 8 rows, as whole numbers. Pairs of unsigned products are added in 16 bits
 * once more (4 * 63 * 127 fits), those of 8-bit codes not. */
INLINE __m256i dot4(weights_t w, int c, int h, const uint8_t *q, bool eight) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    for (int i = c; i < c + 4; i += 2) {
        __m256i x0 = broadcast_i32(q + 4 * i), x1 = broadcast_i32(q + 4 * i + 4);
        if (eight) {
            __m256i p0 = _mm256_maddubs_epi16(_mm256_abs_epi8(w[i][h]), _mm256_sign_epi8(x0, w[i][h]));
            __m256i p1 = _mm256_maddubs_epi16(_mm256_abs_epi8(w[i + 1][h]),
                                              _mm256_sign_epi8(x1, w[i + 1][h]));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p0, ones));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p1, ones));
        } else {
            __m256i p = _mm256_add_epi16(_mm256_maddubs_epi16(w[i][h], x0),
                                         _mm256_maddubs_epi16(w[i + 1][h], x1));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p, ones));
        }
    }
    return sum;
}

/* Whole-number dots of one block and column by scales, 8 rows; less: sums of 16 codes, negative. */
INLINE __m256 dot(weights_t w, int h, __m256 first, __m256 second, const uint8_t *q,
                  const uint8_t *less, int n_col, struct kind k) {
    bool eight = k.shift == 7;
    __m256i a = dot4(w, 0, h, q, eight), b = dot4(w, 4, h, q, eight);
    if (k.shift && !eight) {
        a = _mm256_add_epi32(a, _mm256_slli_epi32(broadcast_i32(less), k.shift));
        b = _mm256_add_epi32(b, _mm256_slli_epi32(broadcast_i32(less + 4 * n_col), k.shift));
    }
    if (!k.split) return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(a, b)), first);
    __m256 t = _mm256_mul_ps(_mm256_cvtepi32_ps(a), first);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(b), second, t);
}

INLINE f32x16 dots(weights_t w, const struct scales *s, const uint8_t *q, const uint8_t *less,
                   int n_col, struct kind k) {
    return (f32x16){ dot(w, 0, s->first.lo, s->second.lo, q, less, n_col, k),
                     dot(w, 1, s->first.hi, s->second.hi, q, less, n_col, k) };
}
INLINE acc_t add_times(f32x16 a, __m256 b, acc_t acc) {
    return (acc_t){ _mm256_fmadd_ps(a.lo, b, acc.lo), _mm256_fmadd_ps(a.hi, b, acc.hi) };
}

INLINE acc_t column(weights_t w, const struct scales *s, const uint8_t *x, int n_col, int c,
                    struct kind k, acc_t acc) {
    f32x16 t = dots(w, s, x + 16 * n_col + 32 * c, x + 4 * (2 * n_col + c), n_col, k);
    acc = add_times(t, broadcast_f32(x + 4 * c), acc);
    if (k.min) acc = add_times(s->min, broadcast_f32(x + 4 * (n_col + c)), acc);
    return acc;
}

INLINE acc_t column_fine(weights_t w, const struct scales *s, const uint8_t *x, const uint8_t *fine,
                         int n_col, int c, struct kind k, acc_t acc) {
    f32x16 t = dots(w, s, fine + 8 * n_col + 32 * c, fine + 4 * c, n_col, k);
    __m256 step = _mm256_mul_ps(broadcast_f32(x + 4 * c), _mm256_set1_ps(1.0f / Q8_FINE));
    return add_times(t, step, acc);
}

#define TILE(type, n)                                                                             \
    static void matmul_##type##_avx2_##n(const uint8_t *group, const uint8_t *x, int64_t n_block, \
                                         float *y) {                                              \
        tile(group, x, n_block, y, n);                                                            \
    }
#define TILES(type)                                                                               \
    TILE(type, 1)                                                                                 \
    TILE(type, 2)                                                                                 \
    TILE(type, 4)                                                                                 \
    TILE(type, 8)                                                                                 \
    extern matmul_q_kernel *const matmul_##type##_avx2[4];                                        \
    matmul_q_kernel *const matmul_##type##_avx2[4] = { matmul_##type##_avx2_1,                    \
                                                       matmul_##type##_avx2_2,                    \
                                                       matmul_##type##_avx2_4,                    \
                                                       matmul_##type##_avx2_8 };

#endif
