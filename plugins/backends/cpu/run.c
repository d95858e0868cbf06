/* SPDX-License-Identifier: MIT */
/* run.c - one step: every thread of the team walks the items of a plan. */
#define _POSIX_C_SOURCE 200809L
#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct walk { struct pass pass; const volatile int32_t *cancel; };

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Thread 0 polls `cancel` before each barrier and the others learn it behind; two cells take turns so
 * that it cannot write the next answer before all have read this one. */
static bool cancelled(struct walk *w, int ith, unsigned *n_barrier) {
    ag_plan *p = w->pass.plan;
    atomic_int *cell = &p->stop[++*n_barrier & 1];
    if (ith == 0)
        atomic_store_explicit(cell, w->cancel && *w->cancel ? 1 : 0, memory_order_relaxed);
    cpu_host->team_barrier();
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static int walk_items(void *arg, int ith, int nth) {
    struct walk *w = arg;
    ag_plan *p = w->pass.plan;
    unsigned n_barrier = 0;
    uint64_t since = p->profile && ith == 0 ? now_ns() : 0;
    int err = AG_OK;
    int working = nth < p->n_thread ? nth : p->n_thread; /* scratch is there for n_thread */
    for (uint32_t i = 0; i < p->n_item; i++) {
        const struct item *it = &p->item[i];
        if (it->barrier && cancelled(w, ith, &n_barrier))
            return cpu_host->fail(AG_ECANCELED, "cancelled");
        if (ith < working) {
            int e = it->run(it, &w->pass, ith, working);
            if (e < 0 && err == AG_OK) err = e; /* others wait at barriers: walk on */
        }
        if (p->profile && ith == 0) {
            uint64_t t = now_ns();
            p->profile[i].calls++;
            p->profile[i].ns += t - since;
            since = t;
        }
    }
    return err;
}

static int check_step(const ag_plan *p, const struct ag_step *s) {
    const struct ag_class *c = &p->cls;
    if (s->n_token < 1 || s->n_token > c->max_token || s->n_out < 0 || s->n_out > c->max_out ||
        s->n_seq < 0 || s->n_seq > c->max_seq)
        return cpu_host->fail(AG_EINVAL,
                              "cpu: a step of %d rows, %d outputs, %d sequences; the plan takes up to "
                              "%d, %d, %d",
                              s->n_token, s->n_out, s->n_seq, c->max_token, c->max_out, c->max_seq);
    return AG_OK;
}

int plan_run(ag_plan *p, const struct ag_run *run) {
    const struct ag_step *s = run->step;
    int err = check_step(p, s);
    if (err < 0) return err;
    if (!p->small_ready) {
        for (uint32_t i = 0; i < p->n_small; i++)
            p->small[i].fn(p->small[i].from, p->small[i].n, p->small[i].to);
        p->small_ready = true;
    }
    for (uint32_t i = 0; i < p->n_counter; i++)
        atomic_store_explicit(&p->counter[16 * i], 0, memory_order_relaxed);
    struct walk w = { { s, p, { 0, s->n_token, s->n_out, s->n_seq } }, run->cancel };
    return cpu_host->team_run(walk_items, &w);
}

static int by_time(const void *a, const void *b) {
    uint64_t x = ((const struct ag_profile_row *)a)->ns, y = ((const struct ag_profile_row *)b)->ns;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Items of one node are one row. */
uint32_t plan_profile(ag_plan *p, struct ag_profile_row *rows, uint32_t max) {
    uint32_t n = 0;
    if (!p->profile) return 0;
    struct ag_profile_row *all = cpu_host->alloc((p->n_item + 1) * sizeof *all, 64);
    if (!all) return 0;
    for (uint32_t i = 0; i < p->n_item; i++) {
        const struct item *it = &p->item[i];
        uint32_t j = 0;
        while (j < n && (all[j].op != it->op || all[j].layer != it->layer)) j++;
        if (j == n) all[n++] = (struct ag_profile_row){ it->op, it->layer, 0, 0 };
        all[j].calls += p->profile[i].calls;
        all[j].ns += p->profile[i].ns;
    }
    qsort(all, n, sizeof *all, by_time);
    if (rows) memcpy(rows, all, (n < max ? n : max) * sizeof *all);
    cpu_host->free(all);
    return n;
}
