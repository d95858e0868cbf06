/* SPDX-License-Identifier: MIT */
#include "kcheck.h"

#include "cases.h"
#include "util/error.h"
#include "util/team.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MANY_THREADS = 3 };

struct check {
    const char *name;
    const struct ag_backend *subject, *oracle;
    ag_device *subject_dev, *oracle_dev;
    const struct kcheck_options *opt;
    struct kcheck_result *result;
    struct rng rng;
};

/* A line of the table: what was run, how far it was off, how long it took (0 = not timed). */
struct row {
    uint32_t op, dtype;
    const char *variant, *note;
    int64_t K, N, H, T;
    uint64_t seed;
    double error, limit; /* of the worst element */
    double ns, bytes, ops;
    bool bad;
};

static void report(struct check *k, const struct row *r) {
    FILE *csv = k->opt->csv;
    k->result->cases++;
    k->result->faults += r->bad;
    if (r->bad || k->opt->verbose)
        fprintf(stderr, "%s %s %s %s %s K %lld N %lld H %lld T %lld: error %.3g, limit %.3g%s%s (seed %llu)\n",
                r->bad ? "FAULT" : "ok   ", k->name, ag_op_name(r->op), ag_dtype_name(r->dtype), r->variant,
                (long long)r->K, (long long)r->N, (long long)r->H, (long long)r->T, r->error, r->limit,
                r->note ? ", " : "", r->note ? r->note : "", (unsigned long long)r->seed);
    if (csv)
        fprintf(csv, "%s,%s,%s,%s,%lld,%lld,%lld,%lld,%llu,%.3g,%.3g,%.0f,%.2f,%.2f,%s\n", k->name,
                ag_op_name(r->op), ag_dtype_name(r->dtype), r->variant, (long long)r->K, (long long)r->N,
                (long long)r->H, (long long)r->T, (unsigned long long)r->seed, r->error, r->limit, r->ns,
                r->ns > 0 ? r->bytes / r->ns : 0, r->ns > 0 ? r->ops / r->ns : 0, r->bad ? "fault" : "ok");
}

static void skip(struct check *k, uint32_t op, uint32_t dtype, const char *variant) {
    k->result->skipped++;
    if (k->opt->verbose)
        fprintf(stderr, "skip  %s %s %s %s: %s\n", k->name, ag_op_name(op), ag_dtype_name(dtype), variant,
                fail_text());
}

/* ---- one case of an op without state ---- */

static int64_t dim_of(int64_t d, const struct ag_step *s) {
    return d == AG_DIM_T ? s->n_token : d == AG_DIM_R ? s->n_out : d == AG_DIM_S ? s->n_seq : d;
}

static int64_t elems_of(const struct kcase *c) {
    const struct ag_graph *g = c->rig.graph;
    const int64_t *d = g->node[g->tagged[0].ref].dim;
    int64_t n = 1;
    for (int i = 0; i < AG_MAX_DIM; i++) n *= dim_of(d[i], c->step);
    return n;
}

/* Weights, step and graph of a case whose sizes are set. */
static int prepare(struct kcase *c, struct rng *rng) {
    rig_init(&c->rig, rng, (int32_t)c->T, 1, 1);
    c->rig.plan_flags = c->flags;
    c->rig.cls.max_out = (int32_t)rng_range(rng, 1, 5);
    if (rng_range(rng, 0, 1)) c->rig.cls.max_token += 5;
    c->step = rig_step(&c->rig, (int32_t)c->T, 1);
    rig_weight(&c->rig, "x", AG_F32, c->K * c->H, c->T);
    c->op->weights(c);
    const struct ag_build *b = graph_builder();
    int err = rig_draw(&c->rig);
    if (err < 0) return err;
    struct ag_graph *g = c->rig.graph;
    c->x = b->get_rows(g, b->weight(g, "x", -1, c->K * c->H, c->T, 1), b->input(g, AG_INPUT_TOKEN), 1);
    if (c->H > 1) c->x = b->reshape(g, c->x, c->K, c->H, AG_DIM_T);
    b->tag(g, c->op->draw(c, g, b), AG_TAG_HIDDEN, -1);
    return rig_drawn(&c->rig);
}

static int run_once(struct kcase *c, const struct ag_backend *b, ag_device *dev, bool native, float *out,
                    int64_t n) {
    struct rig_run run;
    int err = rig_open(&run, &c->rig, b, dev, native);
    if (err >= 0) err = rig_run_step(&run, c->step, out, n);
    rig_close(&run);
    return err;
}

static void compare(const struct kcase *c, const float *got, const float *want, int64_t n, struct row *r) {
    double worst = -1;
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - want[i]), limit = c->op->limit(c, i, want[i]);
        bool same = got[i] == want[i] || (isnan(got[i]) && isnan(want[i]));
        bool bad = !same && !(error <= limit);
        double share = same ? 0 : bad && !(error / limit < 1e9) ? 1e9 : limit > 0 ? error / limit : 1;
        if (share > worst) worst = share, r->error = error, r->limit = limit;
        r->bad |= bad;
    }
}

/* Oracle, then the subject: composites native, expanded; one thread, then (when `many`) several. */
static void run_case(struct check *k, struct kcase *c, uint64_t seed, bool many) {
    struct row r = { .op = c->op->op, .dtype = c->dtype, .variant = c->op->variant[c->variant], .K = c->K,
                     .N = c->N, .H = c->H, .T = c->T, .seed = seed };
    int err = prepare(c, &k->rng);
    int64_t n = err >= 0 ? elems_of(c) : 1;
    float *want = calloc((size_t)n, sizeof *want), *got = calloc((size_t)n, sizeof *got);
    float *again = calloc((size_t)n, sizeof *again);
    if (!want || !got || !again) abort();
    team_set_size(1);
    if (err >= 0) err = run_once(c, k->oracle, k->oracle_dev, false, want, n);
    if (err < 0) {
        r.bad = true, r.note = fail_text();
        report(k, &r);
        goto done;
    }
    bool composite = c->op->op >= AG_OP_FIRST_COMPOSITE;
    for (int native = 1; native >= (composite ? 0 : 1); native--) {
        team_set_size(1);
        err = run_once(c, k->subject, k->subject_dev, native, got, n);
        if (err == AG_ENOTSUP) {
            skip(k, c->op->op, c->dtype, r.variant);
            continue;
        }
        team_set_size(MANY_THREADS);
        if (err >= 0 && many) err = run_once(c, k->subject, k->subject_dev, native, again, n);
        if (err >= 0) compare(c, got, want, n, &r);
        if (err < 0) r.bad = true, r.note = fail_text();
        else if (many && memcmp(got, again, sizeof *got * (size_t)n) != 0)
            r.bad = true, r.note = "threads change the result";
        else if (!native) r.note = "expanded";
        report(k, &r);
    }
done:
    free(want);
    free(got);
    free(again);
    free(c->step);
    rig_finish(&c->rig);
}

static void sizes(struct check *k, struct kcase *c) {
    static const int64_t rows[] = { 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33 };
    struct rng *rng = &k->rng;
    uint32_t block = ag_dtype_info(c->dtype).block_elems;
    c->K = block > 1 ? block * rng_range(rng, 1, block == AG_QK ? 9 : 3) : rng_range(rng, 1, 300);
    c->N = rng_range(rng, 1, 3) == 1 ? rng_range(rng, 1, 4) : rng_range(rng, 1, 100);
    c->T = rows[rng_range(rng, 0, 10)];
    c->H = 1;
    c->s = rng_normal(rng);
    c->t = rng_normal(rng);
    const char *v = c->op->variant[c->variant];
    if (c->op->op == AG_OP_ROPE) {
        c->K = 2 * rng_range(rng, 2, 64);
        c->H = rng_range(rng, 2, 5);
    }
    if (strcmp(v, "heads") == 0) c->H = rng_range(rng, 2, 5);
}

static void check_op(struct check *k, const struct kop *op) {
    for (uint32_t dtype = 1; dtype < AG_DTYPE_MAX; dtype++) {
        if (!((op->dtypes ? op->dtypes : UINT64_C(1) << AG_F32) >> dtype & 1)) continue;
        for (int v = 0; op->variant[v]; v++)
            for (int exact = 0; exact <= op->exact_too; exact++)
                for (int round = 0; round < k->opt->rounds; round++) {
                    struct kcase c = { .op = op, .variant = v, .dtype = dtype,
                                       .flags = exact ? AG_PLAN_EXACT : 0 };
                    sizes(k, &c);
                    run_case(k, &c, k->opt->seed, round == 0);
                }
    }
}

/* ---- attention ---- */

static void attention_case(struct check *k, const struct katt_case *a) {
    uint64_t seed = rng_next(&k->rng) | 1;
    struct row r = { .op = AG_OP_ATTENTION, .dtype = a->k_dtype, .variant = katt_variant[a->variant],
                     .seed = k->opt->seed };
    float *want = NULL, *got = NULL, *again = NULL;
    int64_t n = 0;
    team_set_size(1);
    int err = katt_run(seed, a, k->oracle, k->oracle_dev, &want, &n, &r.limit);
    bool ours = err >= 0;
    if (err >= 0) err = katt_run(seed, a, k->subject, k->subject_dev, &got, &n, &r.limit);
    team_set_size(MANY_THREADS);
    if (err >= 0) err = katt_run(seed, a, k->subject, k->subject_dev, &again, &n, &r.limit);
    if (ours && err == AG_ENOTSUP) {
        skip(k, r.op, r.dtype, r.variant);
    } else {
        for (int64_t i = 0; err >= 0 && i < n; i++) {
            double e = fabs((double)got[i] - want[i]);
            if (!(e <= r.error)) r.error = e;
            r.bad |= !(e <= r.limit);
        }
        r.note = err < 0 ? fail_text() : memcmp(got, again, sizeof *got * (size_t)n) != 0
            ? "threads change the result" : NULL;
        r.bad |= r.note != NULL;
        report(k, &r);
    }
    free(want);
    free(got);
    free(again);
}

static void check_attention(struct check *k) {
    static const uint32_t type[] = { AG_F32, AG_F16, AG_BF16, AG_Q8_0 };
    for (int v = 0; katt_variant[v]; v++)
        for (int i = 0; i < 4; i++)
            for (int round = 0; round < k->opt->rounds; round++)
                attention_case(k, &(struct katt_case){ v, type[i], type[(i + round) % 4] });
}

/* ---- time ---- */

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Shortest of the steps that fit into about 0.2 s. */
static int time_step(struct rig_run *run, const struct ag_step *s, double *best) {
    double end = now_ns() + 2e8;
    *best = 1e18;
    for (int i = 0; i < 3 || now_ns() < end; i++) {
        double begin = now_ns();
        int err = rig_run_step(run, s, NULL, 0);
        if (err < 0) return err;
        *best = fmin(*best, now_ns() - begin);
    }
    return AG_OK;
}

static void time_case(struct check *k, struct kcase *c) {
    struct row r = { .op = c->op->op, .dtype = c->dtype, .variant = c->flags ? "exact" : "time", .K = c->K,
                     .N = c->N, .H = c->H, .T = c->T, .seed = k->opt->seed };
    struct rig_run run;
    int err = prepare(c, &k->rng);
    if (err >= 0) {
        err = rig_open(&run, &c->rig, k->subject, k->subject_dev, true);
        if (err >= 0) err = time_step(&run, c->step, &r.ns);
        if (err >= 0) {
            r.bytes = (double)ag_row_bytes(c->dtype, (uint64_t)c->K) * (double)c->N;
            r.ops = 2 * (double)c->K * (double)c->N * (double)c->T;
            printf("%-6s %-8s %-5s %-5s K %5lld N %5lld T %3lld: %9.1f us %7.2f GB/s %8.2f GOP/s\n", k->name,
                   ag_op_name(r.op), ag_dtype_name(r.dtype), r.variant, (long long)c->K, (long long)c->N,
                   (long long)c->T, r.ns / 1e3, r.bytes / r.ns, r.ops / r.ns);
        }
        rig_close(&run);
    }
    if (err == AG_ENOTSUP) {
        skip(k, r.op, r.dtype, r.variant);
    } else {
        r.bad = err < 0, r.note = err < 0 ? fail_text() : NULL;
        report(k, &r);
    }
    free(c->step);
    rig_finish(&c->rig);
}

static void time_matmul(struct check *k, const struct kop *op) {
    static const int64_t rows[] = { 1, 4, 64 };
    team_set_size(0);
    for (uint32_t dtype = 1; dtype < AG_DTYPE_MAX; dtype++)
        for (int i = 0; i < 3 && op->dtypes >> dtype & 1; i++)
            for (uint32_t exact = 0; exact <= AG_PLAN_EXACT; exact++) {
                struct kcase c = { .op = op, .dtype = dtype, .flags = exact, .K = 2048, .N = 2048, .H = 1,
                                   .T = rows[i] };
                time_case(k, &c);
            }
}

int kcheck_run(const char *name, const struct ag_backend *subject, const struct ag_backend *oracle,
               const struct kcheck_options *opt, struct kcheck_result *out) {
    struct check k = { .name = name, .subject = subject, .oracle = oracle, .opt = opt, .result = out,
                       .rng = { opt->seed | 1 } };
    struct ag_device_config config = { .size = sizeof config, .cpu_mask = opt->cpu_mask };
    struct ag_device_config plain = { .size = sizeof plain };
    *out = (struct kcheck_result){ 0 };
    int err = subject->open(0, &config, &k.subject_dev);
    if (err < 0) return err;
    err = oracle->open(0, &plain, &k.oracle_dev);
    for (int i = 0; err >= 0 && i < n_kops; i++) {
        if (opt->op && strcmp(opt->op, ag_op_name(kops[i].op)) != 0) continue;
        k.rng.s = (opt->seed + (uint64_t)i * 0x9e3779b97f4a7c15u) | 1; /* an op's cases repeat alone too */
        if (opt->time && kops[i].op == AG_OP_MATMUL) time_matmul(&k, &kops[i]);
        else if (!opt->time) check_op(&k, &kops[i]);
    }
    k.rng.s = (opt->seed + 99 * 0x9e3779b97f4a7c15u) | 1;
    if (err >= 0 && !opt->time && (!opt->op || strcmp(opt->op, "ATTENTION") == 0 ||
                                   strcmp(opt->op, "KV_WRITE") == 0))
        check_attention(&k);
    subject->close(k.subject_dev);
    if (k.oracle_dev) oracle->close(k.oracle_dev);
    return err;
}
