/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include "text.h"

#include <stdio.h>
#include <unistd.h>

enum { CELLS = 30 };

void progress_begin(struct progress *p, bool silent, uint64_t total) {
    *p = (struct progress){ .began = now_ms(), .total = total, .silent = silent,
                            .tty = isatty(STDERR_FILENO) };
    pthread_mutex_init(&p->lock, NULL);
    if (silent || p->tty) return;
    char size[32];
    text_bytes((double)total, size, sizeof size);
    fprintf(stderr, "loading %s...", size);
}

void progress_tell(void *ctx, uint64_t done, uint64_t total) {
    struct progress *p = ctx;
    if (p->silent || !p->tty || !total) return;
    pthread_mutex_lock(&p->lock);
    double now = now_ms();
    if (now - p->shown >= 50 && now - p->began >= 100) {
        char size[32], bar[CELLS + 1];
        if (done > total) done = total;
        text_bytes((double)total, size, sizeof size);
        int full = (int)((double)CELLS * (double)done / (double)total);
        for (int i = 0; i < CELLS; i++) bar[i] = i < full ? '#' : '.';
        bar[CELLS] = 0;
        fprintf(stderr, "\r%s loading %s (%d%%)", bar, size,
                (int)(100.0 * (double)done / (double)total));
        p->shown = now;
        p->drawn = true;
    }
    pthread_mutex_unlock(&p->lock);
}

double progress_end(struct progress *p, bool good) {
    double ms = now_ms() - p->began;
    if (p->drawn) fputs("\r\033[K", stderr);
    if (!p->silent && !p->tty) {
        if (good) fprintf(stderr, " done (%.0f ms)\n", ms);
        else fputs(" failed\n", stderr);
    }
    pthread_mutex_destroy(&p->lock);
    return ms;
}
