/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* sched_getaffinity */
#include "util/team.h"

#include "util/error.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TEAM = 512, SPIN_NS = 50000 };

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() atomic_signal_fence(memory_order_seq_cst)
#endif

/* Process-wide, as the threads are. `turn` serialises callers; the rest belongs to the holder. */
static struct {
    pthread_mutex_t turn, lock;
    pthread_cond_t wake;
    pthread_t thread[MAX_TEAM];
    int size, started;
    ag_team_fn fn;
    void *arg;
    _Alignas(64) atomic_uint epoch; /* a new value = new work */
    _Alignas(64) atomic_int done;
    _Alignas(64) atomic_uint arrived;
    _Alignas(64) atomic_uint phase;
    atomic_bool quit;
    atomic_int sleeping;
    pthread_mutex_t error_lock;
    int code;
    char text[1024];
} team = { .turn = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER,
           .wake = PTHREAD_COND_INITIALIZER, .error_lock = PTHREAD_MUTEX_INITIALIZER };

/* Turn i of a wait for others of the team, which may have lost their cores to other programs: after
 * some 20 us they get this one. */
static void wait_a_moment(unsigned i) {
    cpu_relax();
    if (i % 1024 == 0) sched_yield();
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int cpu_physical_cores(void) {
    cpu_set_t set;
    int usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1, cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set)) continue;
        char path[96];
        snprintf(path, sizeof path,
                 "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        FILE *f = fopen(path, "r");
        int first = cpu;
        if (f) {
            if (fscanf(f, "%d", &first) != 1) first = cpu;
            fclose(f);
        }
        cores += first == cpu || first >= CPU_SETSIZE || !CPU_ISSET(first, &set);
    }
    return cores > 0 ? cores : usable > 0 ? usable : 1;
}

static void note(int code) {
    if (code >= 0) return;
    pthread_mutex_lock(&team.error_lock);
    if (team.code >= 0) {
        team.code = code;
        snprintf(team.text, sizeof team.text, "%s", fail_text());
    }
    pthread_mutex_unlock(&team.error_lock);
}

/* Spins for a while, then sleeps until the epoch moves on. */
static unsigned await_epoch(unsigned seen) {
    uint64_t since = now_ns();
    for (unsigned i = 1;; i++) {
        unsigned e = atomic_load_explicit(&team.epoch, memory_order_acquire);
        if (e != seen) return e;
        cpu_relax();
        if (i % 256 == 0 && now_ns() - since > SPIN_NS) break;
    }
    pthread_mutex_lock(&team.lock);
    atomic_fetch_add(&team.sleeping, 1);
    while (atomic_load(&team.epoch) == seen) pthread_cond_wait(&team.wake, &team.lock);
    atomic_fetch_sub(&team.sleeping, 1);
    pthread_mutex_unlock(&team.lock);
    return atomic_load(&team.epoch);
}

struct worker { int ith; unsigned seen; };

static void *work(void *arg) {
    struct worker w = *(struct worker *)arg;
    free(arg);
    for (;;) {
        w.seen = await_epoch(w.seen);
        if (atomic_load(&team.quit)) return NULL;
        note(team.fn(team.arg, w.ith, team.size));
        atomic_fetch_add_explicit(&team.done, 1, memory_order_release);
    }
}

static void publish(void) {
    atomic_fetch_add(&team.epoch, 1);
    if (atomic_load(&team.sleeping)) {
        pthread_mutex_lock(&team.lock);
        pthread_cond_broadcast(&team.wake);
        pthread_mutex_unlock(&team.lock);
    }
}

static void stop_locked(void) {
    if (!team.started) return;
    atomic_store(&team.quit, true);
    pthread_mutex_lock(&team.lock);
    atomic_fetch_add(&team.epoch, 1);
    pthread_cond_broadcast(&team.wake);
    pthread_mutex_unlock(&team.lock);
    for (int i = 1; i < team.started; i++) pthread_join(team.thread[i], NULL);
    team.started = 0;
    atomic_store(&team.quit, false);
}

static int start_locked(void) {
    if (!team.size) team.size = cpu_physical_cores();
    if (team.started == team.size) return AG_OK;
    stop_locked();
    team.started = 1;
    for (int i = 1; i < team.size; i++) {
        struct worker *w = malloc(sizeof *w);
        if (w) *w = (struct worker){ i, atomic_load(&team.epoch) };
        int err = w ? pthread_create(&team.thread[i], NULL, work, w) : 12;
        if (err) {
            free(w);
            stop_locked();
            return fail(AG_ENOMEM, "cannot start compute thread %d of %d: %s", i, team.size,
                        strerror(err));
        }
        team.started = i + 1;
    }
    return AG_OK;
}

int team_set_size(int n) {
    if (n < 0 || n > MAX_TEAM)
        return fail(AG_EINVAL, "want 1 to %d threads, got %d", MAX_TEAM, n);
    pthread_mutex_lock(&team.turn);
    stop_locked();
    team.size = n ? n : cpu_physical_cores();
    pthread_mutex_unlock(&team.turn);
    return AG_OK;
}

int team_size(void) {
    if (!team.size) team_set_size(0);
    return team.size;
}

int team_run(ag_team_fn fn, void *arg) {
    pthread_mutex_lock(&team.turn);
    int err = start_locked();
    if (err == AG_OK) {
        team.fn = fn;
        team.arg = arg;
        team.code = AG_OK;
        atomic_store(&team.done, 0);
        atomic_store(&team.arrived, 0);
        publish();
        note(fn(arg, 0, team.size));
        for (unsigned i = 1; atomic_load_explicit(&team.done, memory_order_acquire) < team.size - 1; i++)
            wait_a_moment(i);
        err = team.code;
        if (err < 0) fail(err, "%s", team.text);
    }
    pthread_mutex_unlock(&team.turn);
    return err;
}

void team_barrier(void) {
    int n = team.size;
    if (n == 1) return;
    unsigned phase = atomic_load_explicit(&team.phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team.arrived, 1, memory_order_acq_rel) == (unsigned)n - 1) {
        atomic_store_explicit(&team.arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team.phase, phase + 1, memory_order_release);
        return;
    }
    for (unsigned i = 1; atomic_load_explicit(&team.phase, memory_order_acquire) == phase; i++)
        wait_a_moment(i);
}

void team_stop(void) {
    pthread_mutex_lock(&team.turn);
    stop_locked();
    pthread_mutex_unlock(&team.turn);
}
