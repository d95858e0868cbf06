/* SPDX-License-Identifier: MIT */
/* simd_portable.h - four lanes of GNU vector extensions, which every target of gcc and clang has. */
#ifndef VEC_SIMD_PORTABLE_H
#define VEC_SIMD_PORTABLE_H

#include "../half.h"

#include <string.h>

enum { VL = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

static inline vf vf_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vf_store(float *p, vf v) {
    memcpy(p, &v, sizeof v);
}
static inline vf vf_fma(vf a, vf b, vf c) {
    return a * b + c;
}
static inline vf vf_max(vf a, vf b) {
    vi m = (vi)(a > b);
    return (vf)((m & (vi)a) | (~m & (vi)b));
}
static inline vf vf_min(vf a, vf b) {
    vi m = (vi)(a < b);
    return (vf)((m & (vi)a) | (~m & (vi)b));
}
static inline vf vf_load_f16(const uint16_t *at) {
    uint16_t p[VL]; /* mapped weights start at any byte */
    memcpy(p, at, sizeof p);
    return (vf){ half_to_f32(p[0]), half_to_f32(p[1]), half_to_f32(p[2]), half_to_f32(p[3]) };
}
static inline vf vf_load_bf16(const uint16_t *at) {
    uint16_t p[VL];
    memcpy(p, at, sizeof p);
    return (vf){ bf16_to_f32(p[0]), bf16_to_f32(p[1]), bf16_to_f32(p[2]), bf16_to_f32(p[3]) };
}
static inline vf vf_load_i8(const int8_t *p) {
    return (vf){ p[0], p[1], p[2], p[3] };
}
static inline void vf_store_f16(uint16_t *p, vf v) {
    for (int i = 0; i < VL; i++) p[i] = f32_to_half(v[i]);
}
/* Lanes whose bit is set keep v, the others take w. */
static inline vf vf_keep(uint32_t bits, vf v, vf w) {
    const vi lane = { 1, 2, 4, 8 };
    vi m = (((vi){ 0 } + (int32_t)bits) & lane) != 0;
    return (vf)((m & (vi)v) | (~m & (vi)w));
}

static inline float vf_hmax(vf v) {
    float m = v[0];
    for (int i = 1; i < VL; i++) m = v[i] > m ? v[i] : m;
    return m;
}
/* Lanes in -128 .. 127. */
static inline void vi_store_i8(int8_t *p, vi v) {
    for (int i = 0; i < VL; i++) p[i] = (int8_t)v[i];
}
static inline int32_t vi_sum(vi v) {
    return v[0] + v[1] + v[2] + v[3];
}

#include "simd_common.h"

#endif
