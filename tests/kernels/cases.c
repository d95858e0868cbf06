/* SPDX-License-Identifier: MIT */
/* cases.c - one row per op: its variants, its graph, its limit. */
#include "cases.h"

#include <math.h>
#include <stdlib.h>

#define BIT(t) (UINT64_C(1) << (t))
const uint64_t kcheck_types = BIT(AG_F32) | BIT(AG_F16) | BIT(AG_BF16) | BIT(AG_Q4_0) |
    BIT(AG_Q4_1) | BIT(AG_Q5_0) | BIT(AG_Q5_1) | BIT(AG_Q8_0) | BIT(AG_Q4_K) | BIT(AG_Q5_K) |
    BIT(AG_Q6_K);
#define ALL_TYPES                                                                              \
    (BIT(AG_F32) | BIT(AG_F16) | BIT(AG_BF16) | BIT(AG_Q4_0) | BIT(AG_Q4_1) | BIT(AG_Q5_0) |  \
     BIT(AG_Q5_1) | BIT(AG_Q8_0) | BIT(AG_Q4_K) | BIT(AG_Q5_K) | BIT(AG_Q6_K))

static void no_weights(struct kcase *c) { (void)c; }
static double exact(const struct kcase *c, int64_t i, double want) {
    (void)c, (void)i, (void)want;
    return 0;
}
/* Functions and short sums. */
static double close_to(const struct kcase *c, int64_t i, double want) {
    (void)c, (void)i;
    return 1e-5 * fabs(want) + 1e-6;
}

/* x as elements 3 .. 3 + K of wider rows: what slices of fused results look like. */
static ag_ref strided_x(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    ag_ref wide = b->get_rows(g, b->weight(g, "wide", -1, c->K + 8, c->T, 1),
                              b->input(g, AG_INPUT_TOKEN), 1);
    return b->slice(g, wide, 3, c->K);
}

/* ---- GET_ROWS ---- */

enum { ROWS_PLAIN, ROWS_SCALED, ROWS_OF_ACTIVATION };
static const char *const rows_variant[] = { "plain", "scaled", "activation", NULL };

static void rows_weights(struct kcase *c) {
    int32_t *id = ag_step_array(c->step, AG_STEP_POS), *row = ag_step_array(c->step, AG_STEP_OUT_ROW);
    if (c->variant == ROWS_OF_ACTIVATION) {
        c->step->n_out = c->rig.cls.max_out;
        for (int32_t r = 0; r < c->step->n_out; r++)
            row[r] = (int32_t)rng_range(c->rig.rng, -1, c->step->n_token - 1);
        return;
    }
    rig_weight(&c->rig, "w", c->dtype, c->K, c->N);
    for (int32_t t = 0; t < c->step->n_token; t++)
        id[t] = (int32_t)rng_range(c->rig.rng, t % 4 ? 0 : -1, c->N - 1);
}

static ag_ref rows_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    if (c->variant == ROWS_OF_ACTIVATION)
        return b->get_rows(g, c->x, b->input(g, AG_INPUT_OUT_ROW), 1);
    return b->get_rows(g, b->weight(g, "w", -1, c->K, c->N, 1), b->input(g, AG_INPUT_POS),
                       c->variant == ROWS_SCALED ? c->s : 1);
}

static double rows_limit(const struct kcase *c, int64_t i, double want) {
    (void)i;
    return c->variant == ROWS_SCALED ? 3e-7 * fabs(want) : 0;
}

/* ---- MATMUL ---- */

enum { MATMUL_PLAIN, MATMUL_BIAS, MATMUL_STRIDED };
static const char *const matmul_variant[] = { "plain", "bias", "strided", NULL };

static void matmul_weights(struct kcase *c) {
    rig_weight(&c->rig, "w", c->dtype, c->K, c->N);
    if (c->variant == MATMUL_BIAS) rig_weight(&c->rig, "b", AG_F32, c->N, 1);
    if (c->variant == MATMUL_STRIDED) rig_weight(&c->rig, "wide", AG_F32, c->K + 8, c->T);
}

static ag_ref matmul_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    ag_ref x = c->variant == MATMUL_STRIDED ? strided_x(c, g, b) : c->x;
    ag_ref bias = c->variant == MATMUL_BIAS ? b->weight(g, "b", -1, c->N, 1, 1) : 0;
    return b->matmul(g, b->weight(g, "w", -1, c->K, c->N, 1), x, bias);
}

static double matmul_limit(const struct kcase *c, int64_t i, double want) {
    const struct rig_weight *xw = rig_find(&c->rig, c->variant == MATMUL_STRIDED ? "wide" : "x");
    int64_t n = i % c->N, t = i / c->N, skip = c->variant == MATMUL_STRIDED ? 3 : 0;
    float *w = malloc(sizeof(float) * (size_t)c->K), *x = malloc(sizeof(float) * (size_t)xw->dim[0]);
    double sum = fabs(want), square = 0, most = 0;
    if (!w || !x) abort();
    rig_row(rig_find(&c->rig, "w"), n, w);
    rig_row(xw, t, x);
    for (int64_t k = 0; k < c->K; k++) {
        sum += fabs((double)w[k] * x[skip + k]);
        square += (double)w[k] * w[k];
        most = fmax(most, fabs(x[skip + k]));
    }
    free(w);
    free(x);
    bool rounds_x = !(c->flags & AG_PLAN_EXACT) && c->dtype != AG_F32;
    return 1e-5 * sum + 1e-9 + (rounds_x ? 2 * sqrt(square) * most / 127 : 0);
}

/* ---- RMS_NORM, ADD_RMS_NORM ---- */

enum { NORM_W, NORM_PLAIN, NORM_HEADS, NORM_STRIDED, NORM_W_OFF };
static const char *const norm_variant[] = { "w", "plain", "heads", "strided", "w_off", NULL };

static void norm_weights(struct kcase *c) {
    rig_weight(&c->rig, "w", AG_F32, c->K, 1);
    if (c->variant == NORM_STRIDED) rig_weight(&c->rig, "wide", AG_F32, c->K + 8, c->T);
}

static ag_ref norm_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    ag_ref x = c->variant == NORM_STRIDED ? strided_x(c, g, b) : c->x;
    ag_ref w = c->variant == NORM_PLAIN ? 0 : b->weight(g, "w", -1, c->K, 1, 1);
    ag_ref y = b->rmsnorm(g, x, w, 1e-6);
    if (c->variant == NORM_W_OFF && y) g->node[y].param[AG_P_NORM_W_OFF].f = 1;
    return y;
}

static const char *const plain_variant[] = { "plain", NULL };

static void second_weights(struct kcase *c) {
    rig_weight(&c->rig, "w", AG_F32, c->K, 1);
    rig_weight(&c->rig, "y", AG_F32, c->K, c->T);
}

static ag_ref second(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    return b->get_rows(g, b->weight(g, "y", -1, c->K, c->T, 1), b->input(g, AG_INPUT_TOKEN), 1);
}

static ag_ref add_norm_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    return b->add_rmsnorm(g, c->x, second(c, g, b), b->weight(g, "w", -1, c->K, 1, 1), 1e-6);
}

static double add_norm_limit(const struct kcase *c, int64_t i, double want) {
    (void)c, (void)i;
    return 2e-5 * fmax(1, fabs(want));
}

/* ---- ADD, MUL ---- */

enum { PAIR_SAME, PAIR_ROW, PAIR_ONE, PAIR_STRIDED };
static const char *const pair_variant[] = { "same", "row", "one", "strided", NULL };

static void pair_weights(struct kcase *c) {
    second_weights(c);
    rig_weight(&c->rig, "one", AG_F32, 1, 1);
    rig_weight(&c->rig, "wide", AG_F32, c->K + 8, c->T);
}

static ag_ref pair_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    ag_ref y = c->variant == PAIR_SAME    ? second(c, g, b)
               : c->variant == PAIR_ROW   ? b->weight(g, "w", -1, c->K, 1, 1)
               : c->variant == PAIR_ONE   ? b->weight(g, "one", -1, 1, 1, 1)
                                          : strided_x(c, g, b);
    return c->op->op == AG_OP_ADD ? b->add(g, c->x, y) : b->mul(g, c->x, y);
}

/* ---- elementwise ---- */

static ag_ref scale_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    return b->scale(g, c->x, c->s, c->t);
}

static double scale_limit(const struct kcase *c, int64_t i, double want) {
    (void)i;
    return 1e-6 * (fabs(want) + fabs(c->t));
}

static const char *const unary_variant[] = { "silu", "gelu_tanh", "gelu_erf", "relu2", "sigmoid",
                                             "softplus", "tanh", "exp", "neg", NULL };

static ag_ref unary_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    /* from the flat ends of the functions to their middle */
    return b->unary(g, b->scale(g, c->x, c->N % 2 ? 1 : 12, 0), AG_UNARY_SILU + c->variant);
}

static ag_ref softcap_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    return b->softcap(g, b->scale(g, c->x, 10, 0), 5 + fabs(c->s));
}

static const char *const glu_variant[] = { "silu", "gelu_tanh", NULL };

static ag_ref glu_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    return b->glu(g, c->x, second(c, g, b), AG_UNARY_SILU + c->variant);
}

/* ---- ROPE ---- */

enum { ROPE_HALF, ROPE_ADJACENT, ROPE_PARTIAL, ROPE_FAR };
static const char *const rope_variant[] = { "half", "adjacent", "partial", "far", NULL };

static void rope_weights(struct kcase *c) {
    int32_t *pos = ag_step_array(c->step, AG_STEP_POS);
    for (int32_t t = 0; t < c->step->n_token; t++)
        pos[t] = (int32_t)rng_range(c->rig.rng, 0, c->variant == ROPE_FAR ? 1000000 : 2000);
}

static ag_ref rope_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    float freq[512];
    bool partial = c->variant == ROPE_PARTIAL && c->K > 4;
    int64_t n = partial ? (c->K - 2) / 4 : c->K / 2;
    for (int64_t i = 0; i < n; i++) freq[i] = (float)pow(10000, -(double)i / (double)n);
    return b->rope(g, c->x, b->input(g, AG_INPUT_POS), b->constant(g, freq, n),
                   c->variant == ROPE_ADJACENT ? AG_ROPE_ADJACENT : AG_ROPE_HALF, partial ? 2 : 0,
                   partial ? 1.25 : 1);
}

static double rope_limit(const struct kcase *c, int64_t i, double want) {
    (void)c, (void)i, (void)want;
    return 4e-5; /* of values below about 5, and sines of 2^20 */
}

/* ---- PRIVATE ---- */

static int64_t private_shape(const int64_t *d, uint32_t n) {
    return n == 2 && d[0] == d[1] ? 2 * d[0] : -1;
}
static void private_run(const float *const *src, const int64_t *d, float *out, int64_t n_out,
                        int64_t rows) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n_out; i++) out[r * n_out + i] = src[i % 2][r * d[0] + i / 2];
}
static const struct ag_private_op interleave = {
    .size = sizeof interleave, .n_src = 2, .name = "interleave", .shape = private_shape,
    .run = private_run,
};

static void private_weights(struct kcase *c) {
    static const struct ag_private_op *const ops[] = { &interleave, NULL };
    c->rig.private_op = ops;
    second_weights(c);
}

static ag_ref private_draw(struct kcase *c, struct ag_graph *g, const struct ag_build *b) {
    ag_ref src[2] = { c->x, second(c, g, b) };
    return b->private_op(g, 0, src, 2);
}

const struct kop kops[] = {
    { AG_OP_GET_ROWS, rows_variant, ALL_TYPES, false, rows_weights, rows_draw, rows_limit },
    { AG_OP_MATMUL, matmul_variant, ALL_TYPES, true, matmul_weights, matmul_draw, matmul_limit },
    { AG_OP_RMS_NORM, norm_variant, 0, false, norm_weights, norm_draw, close_to },
    { AG_OP_ADD, pair_variant, 0, false, pair_weights, pair_draw, exact },
    { AG_OP_MUL, pair_variant, 0, false, pair_weights, pair_draw, exact },
    { AG_OP_SCALE, plain_variant, 0, false, no_weights, scale_draw, scale_limit },
    { AG_OP_UNARY, unary_variant, 0, false, no_weights, unary_draw, close_to },
    { AG_OP_SOFTCAP, plain_variant, 0, false, no_weights, softcap_draw, close_to },
    { AG_OP_ROPE, rope_variant, 0, false, rope_weights, rope_draw, rope_limit },
    { AG_OP_PRIVATE, plain_variant, 0, false, private_weights, private_draw, exact },
    { AG_OP_GLU, glu_variant, 0, false, second_weights, glu_draw, close_to },
    { AG_OP_ADD_RMS_NORM, plain_variant, 0, false, second_weights, add_norm_draw, add_norm_limit },
};
const int n_kops = sizeof kops / sizeof *kops;
