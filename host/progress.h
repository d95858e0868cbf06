/* SPDX-License-Identifier: MIT */
/* progress.h - the bar while weights are read, on standard error. */
#ifndef HOST_PROGRESS_H
#define HOST_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
    pthread_mutex_t lock; /* progress_tell comes from any thread */
    double began, shown;
    uint64_t total;
    bool silent, tty, drawn;
};

void progress_begin(struct progress *, bool silent, uint64_t total);
void progress_tell(void *progress, uint64_t done, uint64_t total);
double progress_end(struct progress *, bool good); /* milliseconds it took */

#endif
