/* SPDX-License-Identifier: MIT */
/* simd_avx512.h - sixteen lanes; AVX-512 F, BW, DQ, VL. */
#ifndef VEC_SIMD_AVX512_H
#define VEC_SIMD_AVX512_H

#include "../half.h"

#include <immintrin.h>

enum { VL = 16 };
typedef __m512 vf;
typedef int32_t vi __attribute__((vector_size(64)));

static inline vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}
static inline void vf_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}
static inline vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
static inline vf vf_load_f16(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline vf vf_load_bf16(const uint16_t *p) {
    __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));
}
static inline vf vf_load_i8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline void vf_store_f16(uint16_t *p, vf v) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
/* Lanes whose bit is set keep v, the others take w. */
static inline vf vf_keep(uint32_t bits, vf v, vf w) {
    return _mm512_mask_blend_ps((__mmask16)bits, w, v);
}

static inline float vf_hmax(vf v) {
    return _mm512_reduce_max_ps(v);
}
/* Lanes in -128 .. 127. */
static inline void vi_store_i8(int8_t *p, vi v) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
}
static inline int32_t vi_sum(vi v) {
    return _mm512_reduce_add_epi32((__m512i)v);
}

#include "simd_common.h"

#endif
