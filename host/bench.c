/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include "util/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 512, WARM_UP_TG = 4 };

struct bench {
    struct engine *engine;
    struct session *session;
    int32_t *id; /* [ctx] tokens drawn once: every repetition computes the same */
    int32_t batch;
    double *time; /* [reps] seconds */
};

int bench_parse_depths(const char *text, struct bench_args *a) {
    a->n_depth = 0;
    for (const char *p = text;; p++) {
        char *end;
        long n = *p >= '0' && *p <= '9' ? strtol(p, &end, 10) : -1;
        if (n < 0 || n > 1 << 24 || (*end && *end != ','))
            return fail(AG_EINVAL, "--depth: want numbers from 0 to %d, separated by commas, got "
                        "'%.100s'", 1 << 24, text);
        if (a->n_depth == BENCH_MAX_DEPTH)
            return fail(AG_EINVAL, "--depth: want at most %d numbers", BENCH_MAX_DEPTH);
        a->depth[a->n_depth++] = (int32_t)n;
        p = end;
        if (!*p) return AG_OK;
    }
}

int32_t bench_ctx(const struct bench_args *a) {
    int32_t depth = 0;
    for (int i = 0; i < a->n_depth; i++) depth = a->depth[i] > depth ? a->depth[i] : depth;
    return depth + (a->pp > a->tg ? a->pp : a->tg);
}

int32_t bench_batch(const struct bench_args *a) {
    int32_t ctx = bench_ctx(a);
    return ctx < BATCH ? ctx : BATCH;
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* n more tokens in steps of `batch`; logits of the last one only, as a prompt needs. */
static int feed(struct bench *b, int32_t n, int32_t batch) {
    int32_t at = session_length(b->session), end = at + n;
    while (at < end) {
        int32_t rows = end - at < batch ? end - at : batch;
        struct step_item item = { b->session, b->id + at, rows, at + rows == end || batch == 1 };
        int err = engine_step(b->engine, &item, 1);
        if (err) return err;
        at += rows;
    }
    return AG_OK;
}

/* The cache holds exactly the first `depth` tokens; windows that cannot go back are filled anew. */
static int go_to(struct bench *b, int32_t depth) {
    int32_t kept = session_rewind(b->session, depth);
    if (kept < 0) return kept;
    return kept < depth ? feed(b, depth - kept, b->batch) : AG_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(struct bench *b, int32_t depth, int32_t n, int32_t batch, int32_t reps,
                   struct bench_row *row) {
    for (int32_t r = 0; r < reps; r++) {
        int err = go_to(b, depth);
        double t = now_s();
        if (!err) err = feed(b, n, batch);
        b->time[r] = now_s() - t;
        if (err) return err;
    }
    qsort(b->time, (size_t)reps, sizeof *b->time, by_value);
    double mid = reps % 2 ? b->time[reps / 2] : (b->time[reps / 2 - 1] + b->time[reps / 2]) / 2;
    row->depth = depth;
    row->median = n / mid;
    row->min = n / b->time[reps - 1];
    row->max = n / b->time[0];
    return AG_OK;
}

/* A step reads all weights once, and the state of the entries before its end once. */
static double bytes_per_token(const struct engine *e, int32_t depth, int32_t n, int32_t batch) {
    double sum = 0;
    for (int32_t at = depth; at < depth + n;) {
        at += depth + n - at < batch ? depth + n - at : batch;
        sum += (double)engine_bytes_per_token(e) + (double)engine_kv_bytes_at(e, at);
    }
    return sum / n;
}

static int run_depth(struct bench *b, const struct bench_args *a, int32_t depth,
                     struct bench_row *rows, int *n_row) {
    const struct { const char *name; int32_t n, batch; } tests[] = {
        { "pp", a->pp, b->batch }, { "tg", a->tg, 1 },
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        struct bench_row *row = &rows[*n_row];
        int32_t n = tests[i].n;
        if (!n) continue;
        snprintf(row->test, sizeof row->test, "%s%d", tests[i].name, n);
        int err = measure(b, depth, n, tests[i].batch, a->reps, row);
        if (err) return fail_prefix(err, "%s at depth %d", row->test, depth);
        row->bytes_per_token = bytes_per_token(b->engine, depth, n, tests[i].batch);
        ++*n_row;
    }
    return AG_OK;
}

static int warm_up(struct bench *b, const struct bench_args *a) {
    int err = feed(b, a->pp, b->batch);
    if (!err) err = go_to(b, 0);
    return err ? err : feed(b, a->tg < WARM_UP_TG ? a->tg : WARM_UP_TG, 1);
}

int bench_run(struct engine *e, const struct bench_args *a, struct bench_row *rows, int *n_row) {
    size_t ctx = (size_t)bench_ctx(a);
    struct bench b = { .engine = e, .batch = bench_batch(a) };
    *n_row = 0;
    b.id = malloc(ctx * sizeof *b.id);
    b.time = malloc((size_t)a->reps * sizeof *b.time);
    int err = b.id && b.time ? session_create(e, &b.session) : fail(AG_ENOMEM, "out of memory");
    uint64_t seed = 1, n_vocab = (uint64_t)engine_info(e)->n_vocab;
    for (size_t i = 0; i < ctx && !err; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        b.id[i] = (int32_t)((seed >> 33) % n_vocab);
    }
    if (!err) err = warm_up(&b, a);
    for (int i = 0; i < a->n_depth && !err; i++) err = run_depth(&b, a, a->depth[i], rows, n_row);
    session_free(b.session);
    free(b.id);
    free(b.time);
    return err;
}
