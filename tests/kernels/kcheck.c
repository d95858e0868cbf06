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
    bool has_x = c->op->op != AG_OP_GET_ROWS || strcmp(c->op->variant[c->variant], "activation") == 0;
    if (has_x) rig_weight(&c->rig, "x", AG_F32, c->K * c->H, c->T);
    c->op->weights(c);
    const struct ag_build *b = graph_builder();
    int err = rig_draw(&c->rig);
    if (err < 0) return err;
    struct ag_graph *g = c->rig.graph;
    if (has_x)
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
    if (c->op->op == AG_OP_MATMUL && rng_range(rng, 0, 5) == 0) { /* what needs several tiles each way */
        c->K = block > 1 ? block * rng_range(rng, 1, 2304 / block) : rng_range(rng, 1, 2304);
        c->N = rng_range(rng, 100, 700);
        c->T = rng_range(rng, 1, 150);
    }
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

/* Shortest of the steps that fit into about 0.2 s; the op's own share of it when the backend tells. */
static int time_step(struct rig_run *run, const struct ag_step *s, uint32_t op, double *best) {
    double end = now_ns() + 2e8;
    *best = 1e18;
    for (int i = 0; i < 3 || now_ns() < end; i++) {
        double begin = now_ns();
        int err = rig_run_step(run, s, NULL, 0);
        if (err < 0) return err;
        *best = fmin(*best, now_ns() - begin);
    }
    struct ag_profile_row row[16];
    uint32_t n = run->b->profile ? run->b->profile(run->plan, row, 16) : 0;
    for (uint32_t i = 0; i < n && i < 16; i++)
        if (row[i].op == op && row[i].calls) *best = (double)row[i].ns / (double)row[i].calls;
    return AG_OK;
}

static void report_time(struct check *k, struct row *r, int err) {
    if (err == AG_ENOTSUP) {
        skip(k, r->op, r->dtype, r->variant);
        return;
    }
    if (err >= 0)
        printf("%-6s %-12s %-5s %-9s K %5lld N %5lld H %3lld T %3lld: %9.1f us %7.2f GB/s %8.2f GOP/s\n", k->name,
               ag_op_name(r->op), ag_dtype_name(r->dtype), r->variant, (long long)r->K, (long long)r->N,
               (long long)r->H, (long long)r->T, r->ns / 1e3, r->bytes / r->ns, r->ops / r->ns);
    r->bad = err < 0, r->note = err < 0 ? fail_text() : NULL;
    report(k, r);
}

/* Bytes that must move and operations that must be done, at the least. */
static void work_of(const struct kcase *c, struct row *r) {
    double row_bytes = (double)ag_row_bytes(c->dtype, (uint64_t)c->K), elems = (double)(c->K * c->H * c->T);
    bool two = c->op->op == AG_OP_ADD || c->op->op == AG_OP_MUL || c->op->op >= AG_OP_FIRST_COMPOSITE;
    r->bytes = c->op->op == AG_OP_MATMUL     ? row_bytes * (double)c->N
               : c->op->op == AG_OP_GET_ROWS ? (row_bytes + 4 * (double)c->K) * (double)c->T
                                             : 4 * elems * (two ? 3 : 2);
    r->ops = c->op->op == AG_OP_MATMUL ? 2 * (double)c->K * (double)c->N * (double)c->T : elems;
}

static void time_case(struct check *k, struct kcase *c) {
    struct row r = { .op = c->op->op, .dtype = c->dtype, .K = c->K, .N = c->N, .H = c->H, .T = c->T,
                     .variant = c->flags & AG_PLAN_EXACT ? "exact" : c->op->variant[c->variant],
                     .seed = k->opt->seed };
    struct rig_run run;
    c->flags |= AG_PLAN_PROFILE;
    int err = prepare(c, &k->rng);
    if (err >= 0) {
        err = rig_open(&run, &c->rig, k->subject, k->subject_dev, true);
        if (err >= 0) err = time_step(&run, c->step, c->op->op, &r.ns);
        rig_close(&run);
    }
    work_of(c, &r);
    report_time(k, &r, err);
    free(c->step);
    rig_finish(&c->rig);
}

static void time_op(struct check *k, const struct kop *op) {
    static const int64_t rows[] = { 1, 4, 64 };
    uint64_t types = op->dtypes ? op->dtypes : UINT64_C(1) << AG_F32;
    bool heads = op->op == AG_OP_ROPE;
    for (uint32_t dtype = 1; dtype < AG_DTYPE_MAX; dtype++)
        for (int i = 0; i < 3 && types >> dtype & 1; i++)
            for (uint32_t exact = 0; exact <= (op->exact_too ? AG_PLAN_EXACT : 0u); exact++) {
                struct kcase c = { .op = op, .dtype = dtype, .flags = exact, .K = heads ? 128 : 2048, .N = 2048,
                                   .H = heads ? 16 : 1, .T = rows[i], .s = 2, .t = 1 };
                time_case(k, &c);
            }
}

static void time_attention(struct check *k) {
    static const uint32_t type[] = { AG_F32, AG_F16, AG_BF16, AG_Q8_0 };
    for (int i = 0; i < 4; i++) {
        struct katt_time t = { .dtype = type[i] };
        struct row r = { .op = AG_OP_ATTENTION, .dtype = type[i], .variant = "decode", .seed = k->opt->seed };
        int err = katt_prepare(&t, k->subject, k->subject_dev);
        if (err >= 0) err = time_step(&t.run, t.step, r.op, &r.ns);
        r.K = t.D, r.N = t.depth, r.H = t.H, r.T = t.T;
        r.bytes = t.bytes, r.ops = 4 * (double)(t.D * t.depth * t.H * t.T);
        report_time(k, &r, err);
        katt_finish(&t);
    }
}

/* An op's random numbers begin anew, so that its cases repeat alone too. */
static bool begins(struct check *k, const char *name, uint64_t number) {
    k->rng.s = (k->opt->seed + number * 0x9e3779b97f4a7c15u) | 1;
    return !k->opt->op || strcmp(k->opt->op, name) == 0;
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
    if (opt->time) team_set_size(0);
    for (int i = 0; err >= 0 && i < n_kops; i++)
        if (begins(&k, ag_op_name(kops[i].op), (uint64_t)i)) (opt->time ? time_op : check_op)(&k, &kops[i]);
    if (err >= 0 && (begins(&k, "ATTENTION", 99) || begins(&k, "KV_WRITE", 99)))
        (opt->time ? time_attention : check_attention)(&k);
    subject->close(k.subject_dev);
    if (k.oracle_dev) oracle->close(k.oracle_dev);
    return err;
}
