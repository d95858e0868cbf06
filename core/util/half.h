/* SPDX-License-Identifier: MIT */
/* half.h - 16-bit floats as float32; exact. */
#ifndef UTIL_HALF_H
#define UTIL_HALF_H

#include <stdint.h>
#include <string.h>

static inline float f32_of_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float f32_of_bf16(uint16_t h) { return f32_of_bits((uint32_t)h << 16); }

static inline float f32_of_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 1023;
    if (exp == 31) return f32_of_bits(sign | 0x7f800000u | man << 13);
    if (exp) return f32_of_bits(sign | (exp + 112) << 23 | man << 13);
    float f = (float)man * 0x1p-24f; /* subnormal */
    return sign ? -f : f;
}

#endif
