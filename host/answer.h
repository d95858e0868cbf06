/* SPDX-License-Identifier: MIT */
/* answer.h - the text of one answer on its way out: stop texts, reasoning, terminal safety, flushing. */
#ifndef HOST_ANSWER_H
#define HOST_ANSWER_H

#include "text.h"
#include "token/stream.h"

#include <stdbool.h>

struct answer_options {
    const char *const *stop;
    int n_stop;
    const char *think_begin, *think_end; /* reasoning marks, NULL = none */
    bool thinking;      /* the prompt has opened the reasoning */
    bool show_thinking;
    bool print;         /* to standard output; else only kept */
    bool tty, color;    /* standard output is a terminal; has colours */
};

struct answer {
    struct answer_options o;
    struct stream stream;
    struct str shown;  /* out of the stream, not yet sorted; holds back what may become a mark */
    struct str text;   /* the answer without reasoning */
    struct str all;    /* what was (or would be) shown */
    struct text_filter filter;
    double flushed;    /* when, ms */
    int unflushed;     /* tokens */
    bool thinking, begun, newline, dimmed, failed, closed;
};

void answer_begin(struct answer *, const struct answer_options *);
/* Bytes of one token; true once a stop text was met or the output cannot be written. */
bool answer_push(struct answer *, const char *bytes, size_t n);
/* What was held back, and the newline at the end of a printed text. 0; AG_EIO when standard output
 * failed, `closed` tells whether its reader has left; AG_ENOMEM. */
int answer_end(struct answer *);
void answer_free(struct answer *);

#endif
