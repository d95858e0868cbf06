/* SPDX-License-Identifier: MIT */
/* stream.h - token bytes to text that may be shown: incomplete UTF-8 is held back, invalid bytes
 * become U+FFFD, stop strings are found across token borders and never shown. */
#ifndef TOKEN_STREAM_H
#define TOKEN_STREAM_H

#include "util/str.h"

enum { STREAM_MAX_STOP = 16 };

struct stream {
    struct str held;          /* bytes not yet shown */
    const char *stop[STREAM_MAX_STOP];
    int n_stop;
    int stopped;              /* index + 1 of the stop string that was met */
};

void stream_init(struct stream *, const char *const *stop, int n_stop); /* texts stay the caller's */
void stream_finish(struct stream *);                                    /* frees */
/* Takes bytes of a token, appends what may be shown to out. True once a stop string was met. */
bool stream_push(struct stream *, const char *bytes, size_t n, struct str *out);
/* The rest, at the end of generation. */
void stream_flush(struct stream *, struct str *out);

#endif
