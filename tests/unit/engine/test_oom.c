/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for every n until all of it succeeds: opening a model, making an engine,
 * running a step. Each failure is an error with a text, never a crash or a leak (the sanitizer builds
 * see those). Allocations of core and those lent to plugins are counted. */
#include "session.h"
#include "util/error.h"
#include "util/team.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_long left = -1; /* allocations that still succeed; -1 = all */

static bool denied(void) {
    if (atomic_load(&left) < 0) return false;
    return atomic_fetch_sub(&left, 1) <= 0;
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
int __real_posix_memalign(void **, size_t, size_t);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t a, size_t n);

void *__wrap_malloc(size_t n) { return denied() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t m) { return denied() ? NULL : __real_calloc(n, m); }
void *__wrap_realloc(void *p, size_t n) { return denied() ? NULL : __real_realloc(p, n); }
int __wrap_posix_memalign(void **p, size_t a, size_t n) {
    return denied() ? ENOMEM : __real_posix_memalign(p, a, n);
}

static int once(struct registry *reg, const char *model, const char *backend) {
    struct modelfile *mf = NULL;
    struct engine *e = NULL;
    struct session *s = NULL;
    struct engine_options o = { .backend = backend, .ctx_size = 64, .max_batch = 8 };
    static const int32_t ids[12] = { 2, 5, 9, 33, 44, 12, 19, 87, 300, 20, 6, 1 };
    int err = modelfile_open(reg, model, &mf);
    if (err == AG_OK) err = engine_create(reg, mf, &o, &e);
    if (err == AG_OK) err = session_create(e, &s);
    if (err == AG_OK) err = session_sync(s, ids, 12, NULL, NULL);
    session_free(s);
    engine_free(e);
    modelfile_close(mf);
    return err;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    const char *dir = argv[1];
    struct registry_options o = { .dir = &dir, .n_dir = 1 };
    struct registry *reg;
    if (registry_open(&o, &reg) < 0 || once(reg, argv[2], argv[3]) < 0) {
        printf("without failures: %s\n", fail_text());
        return 1;
    }
    long n = 0, bad = 0;
    for (;; n++) {
        fail_clear();
        atomic_store(&left, n);
        int err = once(reg, argv[2], argv[3]);
        bool reached = atomic_load(&left) < 0;
        atomic_store(&left, -1);
        if (!reached && err == AG_OK) break;
        if (err < 0 && !fail_text()[0]) {
            printf("allocation %ld: error %d without a text\n", n, err);
            bad++;
        }
        if (n > 200000) bad++;
        if (bad > 5) break;
    }
    printf("%ld allocations failed in turn, %ld faults\n", n, bad);
    registry_close(reg);
    team_stop();
    return n < 20 || bad;
}
