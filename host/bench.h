/* SPDX-License-Identifier: MIT */
/* bench.h - speed of prefill and decode at given depths of the cache. */
#ifndef HOST_BENCH_H
#define HOST_BENCH_H

#include "session.h"

enum { BENCH_MAX_DEPTH = 32 };

struct bench_args {
    int32_t pp, tg, reps; /* pp or tg 0: not measured */
    int32_t depth[BENCH_MAX_DEPTH];
    int n_depth;
};

struct bench_row {
    char test[24]; /* "pp512", "tg128" */
    int32_t depth;
    double median, min, max; /* tokens a second */
    double bytes_per_token;  /* weights and state read */
};

enum { BENCH_MAX_ROW = 2 * BENCH_MAX_DEPTH };

/* "0,512,4096"; an error names the entry. */
int bench_parse_depths(const char *text, struct bench_args *);
/* Entries the engine must hold, and rows of its steps. */
int32_t bench_ctx(const struct bench_args *);
int32_t bench_batch(const struct bench_args *);
/* All tests; rows [BENCH_MAX_ROW]. */
int bench_run(struct engine *, const struct bench_args *, struct bench_row *rows, int *n_row);

#endif
