/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <stdatomic.h>
#include <string.h>

/* A signal handler is given no argument, so what it acts on must be found in file scope. */
static _Atomic(struct engine *) running;
static volatile sig_atomic_t count;

static void on_signal(int signo) {
    if (count++) {
        signal(signo, SIG_DFL);
        raise(signo);
        return;
    }
    struct engine *e = atomic_load(&running);
    if (e) engine_cancel(e, true);
}

void interrupt_begin(struct interrupt *i, struct engine *e) {
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    sigemptyset(&act.sa_mask);
    act.sa_flags = SA_RESTART;
    count = 0;
    engine_cancel(e, false);
    atomic_store(&running, e);
    sigaction(SIGINT, &act, &i->before);
}

bool interrupted(void) { return count > 0; }

void interrupt_end(struct interrupt *i) {
    sigaction(SIGINT, &i->before, NULL);
    struct engine *e = atomic_exchange(&running, NULL);
    if (e) engine_cancel(e, false);
}
