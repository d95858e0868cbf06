/* SPDX-License-Identifier: MIT */
/* cases.h - what one op's check consists of. */
#ifndef TESTS_CASES_H
#define TESTS_CASES_H

#include "rig.h"

/* One shape of one op. Activations come in as rows of f32 weights, gathered by GET_ROWS. */
struct kcase {
    const struct kop *op;
    int variant;
    uint32_t dtype;         /* of the op's weight */
    uint32_t flags;         /* AG_PLAN_EXACT or 0 */
    int64_t K, N, H, T;     /* row, rows of the weight, heads, token rows */
    float s, t;             /* free numbers: scales, caps */
    struct rig rig;
    struct ag_step *step;
    ag_ref x;               /* first activation */
};

struct kop {
    uint32_t op;
    const char *const *variant; /* NULL-terminated */
    uint64_t dtypes;            /* bit per enum ag_dtype to try; 0 = f32 only */
    bool exact_too;             /* try AG_PLAN_EXACT as well */
    /* Weights but "x" [K * H, T], then the graph over c->x [K, H, T] or [K, T] when H is 1. */
    void (*weights)(struct kcase *);
    ag_ref (*draw)(struct kcase *, struct ag_graph *, const struct ag_build *);
    /* Largest error allowed of element i of the result. */
    double (*limit)(const struct kcase *, int64_t i, double want);
};

extern const struct kop kops[];
extern const int n_kops;
extern const uint64_t kcheck_types; /* weight types there are random blocks for */

/* attention.c: paged attention over several steps. */
struct kcheck_options;
struct katt_case { /* what is varied; the rest is random */
    int variant;
    uint32_t k_dtype, v_dtype;
};
extern const char *const katt_variant[];
/* Fills want from the oracle or got from the subject: rows of all steps one after another. */
int katt_run(uint64_t seed, const struct katt_case *, const struct ag_backend *, ag_device *,
             float **out, int64_t *n, double *limit);

/* A step of one row for each of two sequences of `depth` entries, for timing. */
struct katt_time {
    uint32_t dtype; /* of K and V */
    struct rig_run run;
    struct ag_step *step;
    int64_t D, H, T, depth;
    double bytes;   /* of the entries read */
    void *held;     /* by attention.c */
};
int katt_prepare(struct katt_time *, const struct ag_backend *, ag_device *);
void katt_finish(struct katt_time *);

#endif
