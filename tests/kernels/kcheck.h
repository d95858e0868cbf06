/* SPDX-License-Identifier: MIT */
/* kcheck.h - compares every op of a backend with the reference backend, op by op, type by type.
 *
 * Shapes are random with odd tails, weights lie at odd addresses, values lie between guard bytes and
 * are poisoned before. A case runs with one thread and with several: the bits must be equal. The
 * seed in `options` repeats a run exactly.
 *
 * What is allowed (limits in cases.c and attention.c): ops that move or round once are exact; sums
 * and functions get a relative error of about 1e-5; products with activations quantised to 8 bits an
 * error relative to |w| max|x| / 127; the same with AG_PLAN_EXACT get 1e-5 of the sum of |w x|. */
#ifndef TESTS_KCHECK_H
#define TESTS_KCHECK_H

#include <agave/backend.h>

#include <stdio.h>

struct kcheck_options {
    uint64_t seed;
    const char *op;       /* only this op; NULL = all */
    const char *cpu_mask; /* CPU features hidden from the backend */
    int rounds;           /* random shapes per op, type and variant */
    bool time;            /* also time the shapes of benches */
    bool verbose;         /* a line for each case, not only for faults */
    FILE *csv;            /* a row for each case; NULL = none */
};

struct kcheck_result { int cases, faults, skipped; };

/* `name` is for messages. Both backends were given their host (init). AG_OK even when cases fail:
 * see out->faults; < 0 only when nothing could be run. Faults are printed on stderr. */
int kcheck_run(const char *name, const struct ag_backend *subject, const struct ag_backend *oracle,
               const struct kcheck_options *, struct kcheck_result *out);

#endif
