/* SPDX-License-Identifier: MIT */
/* elementwise.c - ADD, MUL, GLU, SCALE, UNARY, SOFTCAP: one row after the other. */
#include "rung.h"

#include <math.h>

VEC_DECLARE(unary_kernel, scale_f32);
VEC_DECLARE(unary_kernel, softcap_f32);
VEC_DECLARE(unary_kernel, silu_f32);
VEC_DECLARE(unary_kernel, gelu_tanh_f32);
VEC_DECLARE(unary_kernel, sigmoid_f32);
VEC_DECLARE(unary_kernel, tanh_f32);
VEC_DECLARE(unary_kernel, exp_f32);
VEC_DECLARE(unary_kernel, neg_f32);
VEC_DECLARE(unary_kernel, relu2_f32);
VEC_DECLARE(binary_kernel, add_f32);
VEC_DECLARE(binary_kernel, mul_f32);
VEC_DECLARE(binary_kernel, add1_f32);
VEC_DECLARE(binary_kernel, mul1_f32);
VEC_DECLARE(binary_kernel, glu_silu_f32);
VEC_DECLARE(binary_kernel, glu_gelu_tanh_f32);
VEC_DECLARE(binary_kernel, glu_sigmoid_f32);
VEC_DECLARE(binary_kernel, glu_relu2_f32);

static float gelu_erf(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}
static void gelu_erf_f32(const float *x, int64_t n, float a, float b, float *y) {
    (void)a, (void)b;
    for (int64_t i = 0; i < n; i++) y[i] = gelu_erf(x[i]);
}
static void softplus_f32(const float *x, int64_t n, float a, float b, float *y) {
    (void)a, (void)b;
    for (int64_t i = 0; i < n; i++) y[i] = x[i] > 20.0f ? x[i] : log1pf(expf(x[i]));
}

struct unary_rung { uint32_t need; unary_kernel *fn; };
static const struct unary_rung scale[] = { VEC_RUNGS(scale_f32) };
static const struct unary_rung softcap[] = { VEC_RUNGS(softcap_f32) };
static const struct unary_rung silu[] = { VEC_RUNGS(silu_f32) };
static const struct unary_rung gelu_tanh[] = { VEC_RUNGS(gelu_tanh_f32) };
static const struct unary_rung gelu_exact[] = { { 0, gelu_erf_f32 } };
static const struct unary_rung relu2[] = { VEC_RUNGS(relu2_f32) };
static const struct unary_rung sigmoid[] = { VEC_RUNGS(sigmoid_f32) };
static const struct unary_rung softplus[] = { { 0, softplus_f32 } };
static const struct unary_rung tanh_[] = { VEC_RUNGS(tanh_f32) };
static const struct unary_rung exp_[] = { VEC_RUNGS(exp_f32) };
static const struct unary_rung neg[] = { VEC_RUNGS(neg_f32) };

struct binary_rung { uint32_t need; binary_kernel *fn; };
static const struct binary_rung add[] = { VEC_RUNGS(add_f32) };
static const struct binary_rung mul[] = { VEC_RUNGS(mul_f32) };
static const struct binary_rung add1[] = { VEC_RUNGS(add1_f32) };
static const struct binary_rung mul1[] = { VEC_RUNGS(mul1_f32) };
static const struct binary_rung glu_silu[] = { VEC_RUNGS(glu_silu_f32) };
static const struct binary_rung glu_gelu[] = { VEC_RUNGS(glu_gelu_tanh_f32) };
static const struct binary_rung glu_sigmoid[] = { VEC_RUNGS(glu_sigmoid_f32) };
static const struct binary_rung glu_relu2[] = { VEC_RUNGS(glu_relu2_f32) };

/* By enum ag_unary: the function, and g(x) * u in one. NULL: unary into the result, then times u. */
static const struct { const struct unary_rung *unary; const struct binary_rung *glu; } kinds[] = {
    [AG_UNARY_SILU] = { silu, glu_silu },
    [AG_UNARY_GELU_TANH] = { gelu_tanh, glu_gelu },
    [AG_UNARY_GELU_ERF] = { gelu_exact, NULL },
    [AG_UNARY_RELU2] = { relu2, glu_relu2 },
    [AG_UNARY_SIGMOID] = { sigmoid, glu_sigmoid },
    [AG_UNARY_SOFTPLUS] = { softplus, NULL },
    [AG_UNARY_TANH] = { tanh_, NULL },
    [AG_UNARY_EXP] = { exp_, NULL },
    [AG_UNARY_NEG] = { neg, NULL },
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static unary_kernel *pick_unary(const struct unary_rung *ladder, uint32_t features) {
    return ladder[RUNG_PICK(ladder, features)].fn;
}
static binary_kernel *pick_binary(const struct binary_rung *ladder, uint32_t features) {
    return ladder[RUNG_PICK(ladder, features)].fn;
}

static void unary_row(const struct item *it, const struct pass *p, const int64_t i[AG_MAX_DIM],
                      int ith) {
    (void)p, (void)ith;
    it->u.unary.fn(row_at(&it->src[0], i), it->out.dim[0], it->u.unary.a, it->u.unary.b,
                   row_at(&it->out, i));
}
static int unary_run(const struct item *it, const struct pass *p, int ith, int nth) {
    each_row(it, p, ith, nth, unary_row);
    return AG_OK;
}

static void binary_row(const struct item *it, const struct pass *p, const int64_t i[AG_MAX_DIM],
                       int ith) {
    bool one = it->src[1].dim[0] == 1 && it->out.dim[0] != 1;
    (void)p, (void)ith;
    (one ? it->u.binary.scalar_fn : it->u.binary.fn)(row_at(&it->src[0], i), row_at(&it->src[1], i),
                                                     it->out.dim[0], row_at(&it->out, i));
}
static int binary_run(const struct item *it, const struct pass *p, int ith, int nth) {
    each_row(it, p, ith, nth, binary_row);
    return AG_OK;
}

/* GLU of a function without a kernel of its own. */
static void glu_row(const struct item *it, const struct pass *p, const int64_t i[AG_MAX_DIM],
                    int ith) {
    int64_t n = it->out.dim[0];
    float *g = thread_scratch(p, ith);
    it->u.glu.unary(row_at(&it->src[0], i), n, 0, 0, g);
    it->u.glu.mul(g, row_at(&it->src[1], i), n, row_at(&it->out, i));
}
static int glu_run(const struct item *it, const struct pass *p, int ith, int nth) {
    each_row(it, p, ith, nth, glu_row);
    return AG_OK;
}

static int kind_of(const struct ag_node *n, int64_t *kind) {
    *kind = n->param[AG_P_UNARY_KIND].i;
    if (*kind < 1 || *kind >= N_KINDS)
        return cpu_host->fail(AG_ENOTSUP, "cpu: %s of kind %lld", ag_op_name(n->op),
                              (long long)*kind);
    return AG_OK;
}

int plan_unary(struct planner *pl, const struct ag_node *n, struct item *it) {
    uint32_t features = pl->device->features;
    it->run = unary_run;
    if (n->op == AG_OP_SCALE) {
        it->u.unary.fn = pick_unary(scale, features);
        it->u.unary.a = (float)n->param[AG_P_SCALE_S].f;
        it->u.unary.b = (float)n->param[AG_P_SCALE_T].f;
    } else if (n->op == AG_OP_SOFTCAP) {
        it->u.unary.fn = pick_unary(softcap, features);
        it->u.unary.a = (float)n->param[AG_P_SOFTCAP_C].f;
        it->u.unary.b = (float)(1.0 / n->param[AG_P_SOFTCAP_C].f);
    } else {
        int64_t kind;
        if (kind_of(n, &kind) < 0) return AG_ENOTSUP;
        it->u.unary.fn = pick_unary(kinds[kind].unary, features);
    }
    return planner_add(pl, it, 0, NULL, 0);
}

int plan_binary(struct planner *pl, const struct ag_node *n, struct item *it) {
    uint32_t features = pl->device->features;
    it->run = binary_run;
    if (n->op == AG_OP_GLU) {
        int64_t kind;
        if (kind_of(n, &kind) < 0) return AG_ENOTSUP;
        if (kinds[kind].glu) {
            it->u.binary.fn = it->u.binary.scalar_fn = pick_binary(kinds[kind].glu, features);
        } else {
            it->run = glu_run;
            it->u.glu.unary = pick_unary(kinds[kind].unary, features);
            it->u.glu.mul = pick_binary(mul, features);
            planner_scratch(pl, (uint64_t)it->out.dim[0]);
        }
    } else {
        it->u.binary.fn = pick_binary(n->op == AG_OP_ADD ? add : mul, features);
        it->u.binary.scalar_fn = pick_binary(n->op == AG_OP_ADD ? add1 : mul1, features);
    }
    return planner_add(pl, it, 0, NULL, 0);
}
