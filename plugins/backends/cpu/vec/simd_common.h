/* SPDX-License-Identifier: MIT */
/* simd_common.h - vector arithmetic that does not depend on the instruction set.
 *
 * Included at the end of each simd_<isa>.h, which has defined: VL (lanes), vf and vi (GNU vector
 * types of VL f32 / i32), vf_load, vf_store, vf_fma, vf_max, vf_min, vf_load_f16, vf_load_i8,
 * vf_store_f16, vf_keep, vf_hmax, vi_store_i8,
 * vi_sum. Templates in this folder are compiled once per instruction set, with the
 * header named by SIMD_H and the suffix of their symbols by ISA. */
#ifndef VEC_SIMD_COMMON_H
#define VEC_SIMD_COMMON_H

#define CAT_(a, b) a##_##b
#define CAT(a, b) CAT_(a, b)
#define FN(name) CAT(name, ISA)

static inline vf vf_set1(float x) {
    return (vf){ 0 } + x;
}
static inline vi vi_set1(int32_t x) {
    return (vi){ 0 } + x;
}
static inline vf vf_select(vi mask, vf yes, vf no) {
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
static inline vf vf_abs(vf x) {
    return (vf)((vi)x & vi_set1(0x7fffffff));
}

/* Sums lanes as a tree whose shape follows VL only. */
static inline float vf_sum(vf v) {
    float x[VL];
    vf_store(x, v);
    for (int n = VL / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x[i] += x[i + n];
    return x[0];
}
/* e^x for x in [-87.3, 88.3], beyond that the value at the border. Cephes' expf: about 1 ulp. */
static inline vf vf_exp_clamped(vf x) {
    const vf magic = vf_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    x = vf_min(vf_max(x, vf_set1(-87.3f)), vf_set1(88.3f));
    vf n = vf_fma(x, vf_set1(1.44269504088896341f), magic) - magic;
    vf r = vf_fma(n, vf_set1(-0.693359375f), x);
    r = vf_fma(n, vf_set1(2.12194440e-4f), r);
    vf p = vf_set1(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set1(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set1(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set1(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set1(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set1(5.0000001201e-1f));
    p = vf_fma(p, r * r, r + 1.0f);
    return (vf)((vi)p + (__builtin_convertvector(n, vi) << 23));
}

static inline vf vf_exp(vf x) {
    vf y = vf_exp_clamped(x);
    y = vf_select((vi)(x < -87.3f), vf_set1(0.0f), y);
    return vf_select((vi)(x > 88.3f), vf_set1(__builtin_inff()), y);
}

static inline vf vf_sigmoid(vf x) {
    return 1.0f / (1.0f + vf_exp_clamped(-x));
}

/* Near 0 a polynomial (Cephes' tanhf), as 1 - 2 / (e^2x + 1) would cancel there. */
static inline vf vf_tanh(vf x) {
    vf z = x * x;
    vf p = vf_set1(-5.70498872745e-3f);
    p = vf_fma(p, z, vf_set1(2.06390887954e-2f));
    p = vf_fma(p, z, vf_set1(-5.37397155531e-2f));
    p = vf_fma(p, z, vf_set1(1.33314422036e-1f));
    p = vf_fma(p, z, vf_set1(-3.33332819422e-1f));
    vf small = vf_fma(p * z, x, x);
    vf large = 1.0f - 2.0f / (vf_exp_clamped(x + x) + 1.0f);
    return vf_select((vi)(vf_abs(x) < 0.625f), small, large);
}

static inline vf vf_gelu_tanh(vf x) {
    vf u = x * vf_fma(x * x, vf_set1(0.0356774081f), vf_set1(0.7978845608f));
    return x * vf_sigmoid(u + u); /* (1 + tanh u) / 2 = sigmoid 2u */
}

#endif
