/* SPDX-License-Identifier: MIT */
/* rows_tmpl.c - kernels over rows of f32. */
#include "../cpu.h"

#include SIMD_H

#include <math.h>

unary_kernel FN(scale_f32), FN(softcap_f32), FN(silu_f32), FN(gelu_tanh_f32), FN(sigmoid_f32),
    FN(tanh_f32), FN(exp_f32), FN(neg_f32), FN(relu2_f32);
binary_kernel FN(add_f32), FN(mul_f32), FN(add1_f32), FN(mul1_f32), FN(glu_silu_f32),
    FN(glu_gelu_tanh_f32), FN(glu_sigmoid_f32), FN(glu_relu2_f32);
norm_kernel FN(rms_norm_f32);
add_norm_kernel FN(add_rms_norm_f32);

/* The last, short vector of a row goes through a full one of its own. */
static inline vf load_part(const float *p, int64_t n) {
    float t[VL] = { 0 };
    for (int64_t i = 0; i < n; i++) t[i] = p[i];
    return vf_load(t);
}
static inline void store_part(float *p, vf v, int64_t n) {
    float t[VL];
    vf_store(t, v);
    for (int64_t i = 0; i < n; i++) p[i] = t[i];
}

typedef vf map1(vf x, vf a, vf b);
typedef vf map2(vf x, vf y);

static inline __attribute__((always_inline)) void each1(map1 f, const float *x, int64_t n, float a,
                                                        float b, float *y) {
    vf va = vf_set1(a), vb = vf_set1(b);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(y + i, f(vf_load(x + i), va, vb));
    if (i < n) store_part(y + i, f(load_part(x + i, n - i), va, vb), n - i);
}
static inline __attribute__((always_inline)) void each2(map2 f, const float *x, const float *y,
                                                        int64_t n, float *z) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) vf_store(z + i, f(vf_load(x + i), vf_load(y + i)));
    if (i < n) store_part(z + i, f(load_part(x + i, n - i), load_part(y + i, n - i)), n - i);
}

static inline vf map_scale(vf x, vf a, vf b) { return x * a + b; }
static inline vf map_softcap(vf x, vf a, vf b) { return a * vf_tanh(x * b); }
static inline vf map_silu(vf x, vf a, vf b) { (void)a, (void)b; return x * vf_sigmoid(x); }
static inline vf map_gelu(vf x, vf a, vf b) { (void)a, (void)b; return vf_gelu_tanh(x); }
static inline vf map_sigmoid(vf x, vf a, vf b) { (void)a, (void)b; return vf_sigmoid(x); }
static inline vf map_tanh(vf x, vf a, vf b) { (void)a, (void)b; return vf_tanh(x); }
static inline vf map_exp(vf x, vf a, vf b) { (void)a, (void)b; return vf_exp(x); }
static inline vf map_neg(vf x, vf a, vf b) { (void)a, (void)b; return -x; }
static inline vf relu2(vf x) { x = vf_max(x, vf_set1(0)); return x * x; }
static inline vf map_relu2(vf x, vf a, vf b) { (void)a, (void)b; return relu2(x); }
static inline vf map_add(vf x, vf y) { return x + y; }
static inline vf map_mul(vf x, vf y) { return x * y; }
static inline vf map_glu_silu(vf g, vf u) { return g * vf_sigmoid(g) * u; }
static inline vf map_glu_gelu(vf g, vf u) { return vf_gelu_tanh(g) * u; }
static inline vf map_glu_sigmoid(vf g, vf u) { return vf_sigmoid(g) * u; }
static inline vf map_glu_relu2(vf g, vf u) { return relu2(g) * u; }

void FN(scale_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_scale, x, n, a, b, y);
}
/* a = c, b = 1 / c */
void FN(softcap_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_softcap, x, n, a, b, y);
}
void FN(silu_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_silu, x, n, a, b, y);
}
void FN(gelu_tanh_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_gelu, x, n, a, b, y);
}
void FN(sigmoid_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_sigmoid, x, n, a, b, y);
}
void FN(tanh_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_tanh, x, n, a, b, y);
}
void FN(exp_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_exp, x, n, a, b, y);
}
void FN(neg_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_neg, x, n, a, b, y);
}
void FN(relu2_f32)(const float *x, int64_t n, float a, float b, float *y) {
    each1(map_relu2, x, n, a, b, y);
}
void FN(add_f32)(const float *x, const float *y, int64_t n, float *z) {
    each2(map_add, x, y, n, z);
}
void FN(mul_f32)(const float *x, const float *y, int64_t n, float *z) {
    each2(map_mul, x, y, n, z);
}
/* y is one number for the row */
void FN(add1_f32)(const float *x, const float *y, int64_t n, float *z) {
    each1(map_scale, x, n, 1, *y, z);
}
void FN(mul1_f32)(const float *x, const float *y, int64_t n, float *z) {
    each1(map_scale, x, n, *y, 0, z);
}
void FN(glu_silu_f32)(const float *x, const float *y, int64_t n, float *z) {
    each2(map_glu_silu, x, y, n, z);
}
void FN(glu_gelu_tanh_f32)(const float *x, const float *y, int64_t n, float *z) {
    each2(map_glu_gelu, x, y, n, z);
}
void FN(glu_sigmoid_f32)(const float *x, const float *y, int64_t n, float *z) {
    each2(map_glu_sigmoid, x, y, n, z);
}
void FN(glu_relu2_f32)(const float *x, const float *y, int64_t n, float *z) {
    each2(map_glu_relu2, x, y, n, z);
}

static inline float norm_scale(const float *x, float eps, int64_t n) {
    vf s0 = vf_set1(0), s1 = vf_set1(0);
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        vf a = vf_load(x + i), b = vf_load(x + i + VL);
        s0 = vf_fma(a, a, s0);
        s1 = vf_fma(b, b, s1);
    }
    float sum = vf_sum(s0 + s1);
    for (; i < n; i++) sum += x[i] * x[i];
    return 1.0f / sqrtf(sum / (float)n + eps);
}

/* w may be NULL: ones */
void FN(rms_norm_f32)(const float *x, const float *w, float w_off, float eps, int64_t n, float *y) {
    float s = norm_scale(x, eps, n);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf v = vf_load(x + i) * s;
        if (w) v = v * (vf_load(w + i) + w_off);
        vf_store(y + i, v);
    }
    for (; i < n; i++) y[i] = w ? x[i] * s * (w[i] + w_off) : x[i] * s;
}

void FN(add_rms_norm_f32)(const float *x, const float *y, const float *w, float w_off, float eps,
                          int64_t n, float *z) {
    float s = norm_scale(y, eps, n);
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        vf_store(z + i, vf_load(x + i) + vf_load(y + i) * s * (vf_load(w + i) + w_off));
    for (; i < n; i++) z[i] = x[i] + y[i] * s * (w[i] + w_off);
}
