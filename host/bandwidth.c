/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* _SC_PHYS_PAGES */
#include "bandwidth.h"

#include "util/error.h"
#include "util/mem.h"
#include "util/team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LANES = 32, PASSES = 7, LEAST_BYTES = 64 << 20, TIMES_CACHE = 4 };

struct job {
    uint64_t *word;
    size_t n; /* a multiple of LANES */
    bool touch;
    uint64_t *sum; /* [threads]: the sums have to go somewhere */
};

static inline __attribute__((always_inline)) uint64_t sum_words(const uint64_t *p, size_t n) {
    uint64_t lane[LANES] = { 0 }, all = 0;
    for (size_t i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += p[i + j];
    for (int j = 0; j < LANES; j++) all += lane[j];
    return all;
}

static uint64_t sum_portable(const uint64_t *p, size_t n) { return sum_words(p, n); }

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t sum_avx2(const uint64_t *p, size_t n) {
    return sum_words(p, n);
}
static bool wide(void) { return __builtin_cpu_supports("avx2"); }
#else
#define sum_avx2 sum_portable
static bool wide(void) { return false; }
#endif

/* Each thread has the same slice in every pass, and is the first to touch it. */
static int pass(void *arg, int ith, int nth) {
    struct job *j = arg;
    size_t blocks = j->n / LANES, from = blocks * (size_t)ith / (size_t)nth * LANES;
    size_t end = blocks * ((size_t)ith + 1) / (size_t)nth * LANES;
    if (j->touch) memset(j->word + from, 1, (end - from) * sizeof *j->word);
    else j->sum[ith] = (wide() ? sum_avx2 : sum_portable)(j->word + from, end - from);
    return AG_OK;
}

/* What one core may use; the C library's own numbers take a virtual machine's host for the machine. */
uint64_t cache_bytes(void) {
    uint64_t most = 0;
    for (int i = 0; i < 8; i++) {
        char path[80], unit = 0;
        unsigned long long n = 0;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        FILE *f = fopen(path, "r");
        if (!f) break;
        if (fscanf(f, "%llu%c", &n, &unit) < 1) n = 0;
        fclose(f);
        n *= unit == 'K' ? 1024u : unit == 'M' ? 1024u * 1024u : 1u;
        if (n > most && n < 1ull << 40) most = n;
    }
    return most;
}

/* Several times the cache, but no more than an eighth of the machine's memory. */
static size_t buffer_bytes(void) {
    uint64_t want = cache_bytes() * TIMES_CACHE, memory = 0;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0 && !mul_u64((uint64_t)pages, (uint64_t)page, &memory)) memory = 0;
    if (want < LEAST_BYTES) want = LEAST_BYTES;
    if (memory && want > memory / 8) want = memory / 8;
    return (size_t)(want / (LANES * sizeof(uint64_t)) * (LANES * sizeof(uint64_t)));
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int bandwidth_measure(double *gb_s) {
    size_t bytes = buffer_bytes(), threads = (size_t)team_size();
    struct job j = { .word = mem_aligned(bytes, 4096), .n = bytes / sizeof(uint64_t), .touch = true,
                     .sum = calloc(threads, sizeof(uint64_t)) };
    double rate[PASSES];
    int err = j.word && j.sum ? AG_OK : fail(AG_ENOMEM, "out of memory (%zu bytes to measure with)",
                                             bytes);
    if (!err) err = team_run(pass, &j);
    j.touch = false;
    uint64_t want = 0x0101010101010101u * (uint64_t)j.n;
    for (int i = 0; i < PASSES && !err; i++) {
        double t = now_s();
        err = team_run(pass, &j);
        rate[i] = (double)bytes / (now_s() - t) * 1e-9;
        uint64_t sum = 0;
        for (size_t k = 0; k < threads; k++) sum += j.sum[k];
        if (!err && sum != want) err = fail(AG_EDEVICE, "memory read back other bytes than written");
    }
    free(j.word);
    free(j.sum);
    if (err) return err;
    qsort(rate, PASSES, sizeof *rate, by_value);
    *gb_s = rate[PASSES / 2];
    return AG_OK;
}
