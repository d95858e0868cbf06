/* SPDX-License-Identifier: MIT */
/* UNARY: a f32 -> f(a), f by enum ag_unary. */
#include "ops/ops.h"

#include <math.h>

static double silu(double x) { return x / (1 + exp(-x)); }
/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), Hendrycks and Gimpel */
static double gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}
static double gelu_erf(double x) { return 0.5 * x * (1 + erf(x * 0.70710678118654752440)); }
static double relu2(double x) { return x > 0 ? x * x : x != x ? x : 0; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double negate(double x) { return -x; }

static double (*const unary[])(double) = {
    [AG_UNARY_SILU] = silu,         [AG_UNARY_GELU_TANH] = gelu_tanh,
    [AG_UNARY_GELU_ERF] = gelu_erf, [AG_UNARY_RELU2] = relu2,
    [AG_UNARY_SIGMOID] = sigmoid,   [AG_UNARY_SOFTPLUS] = softplus,
    [AG_UNARY_TANH] = tanh,         [AG_UNARY_EXP] = exp,
    [AG_UNARY_NEG] = negate,
};

int ref_unary_check(const struct ag_plan *p, ag_ref node) {
    int64_t kind = p->node[node].n.param[AG_P_UNARY_KIND].i;
    if (kind < 1 || kind >= (int64_t)(sizeof unary / sizeof *unary))
        return ref_fault(p, node, "unknown kind of function");
    return ref_check_map(p, node);
}

int ref_unary(const struct ref_call *c) {
    struct ref_tensor a = ref_src(c, 0), y = ref_result(c);
    double (*f)(double) = unary[c->node->n.param[AG_P_UNARY_KIND].i];
    struct ref_range rows = ref_split(c, ref_rows(&y));
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const unsigned char *from = ref_row(&a, r);
        unsigned char *to = ref_row(&y, r);
        for (int64_t i = 0; i < y.dim[0]; i++) ref_put(to, i, f(ref_f32(from, i)));
    }
    return AG_OK;
}
