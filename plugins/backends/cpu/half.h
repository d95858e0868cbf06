/* SPDX-License-Identifier: MIT */
/* half.h - binary16 and bfloat16 in plain C, exact; narrowing rounds to nearest even. */
#ifndef CPU_HALF_H
#define CPU_HALF_H

#include <stdint.h>
#include <string.h>

static inline float bits_to_f32(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
static inline uint32_t f32_to_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float bf16_to_f32(uint16_t b) {
    return bits_to_f32((uint32_t)b << 16);
}
static inline uint16_t f32_to_bf16(float f) {
    uint32_t u = f32_to_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40); /* NaN stays one */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

static inline float half_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, mag = h & 0x7fffu;
    if (mag >= 0x7c00) return bits_to_f32(sign | 0x7f800000u | (mag & 0x3ffu) << 13);
    /* 2^112 moves the exponent from f16's bias to f32's; subnormals come out right by themselves */
    return bits_to_f32(sign | f32_to_bits(bits_to_f32(mag << 13) * 0x1p112f));
}
static inline uint16_t f32_to_half(float f) {
    uint32_t u = f32_to_bits(f), sign = u >> 16 & 0x8000, mag = u & 0x7fffffffu;
    if (mag > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
    if (mag >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* 65520 and above */
    if (mag < 0x38800000u) /* subnormal: the addition rounds at 2^-24 */
        return (uint16_t)(sign | (f32_to_bits(bits_to_f32(mag) + 0.5f) - 0x3f000000u));
    mag += 0xfffu + (mag >> 13 & 1);
    return (uint16_t)(sign | ((mag - 0x38000000u) >> 13));
}

#endif
