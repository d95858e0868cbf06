/* SPDX-License-Identifier: MIT */
/* jsonpull.h - reads JSON one event at a time, without a tree and without recursion, for files of
 * tens of megabytes. Strict (RFC 8259); lone surrogates and invalid UTF-8 are errors. */
#ifndef UTIL_JSONPULL_H
#define UTIL_JSONPULL_H

#include "util/str.h"

#include <stdint.h>

enum pull_event {
    PULL_END = 0, /* after the whole value */
    PULL_OBJECT, PULL_OBJECT_END, PULL_ARRAY, PULL_ARRAY_END,
    PULL_KEY, PULL_STRING, PULL_NUMBER, PULL_TRUE, PULL_FALSE, PULL_NULL,
};

enum { PULL_MAX_DEPTH = 512 };

struct jsonpull {
    const char *begin, *p, *end;
    const char *text; /* of KEY and STRING, unescaped; of NUMBER as it stands. Until the next call */
    size_t n;
    struct str unescaped;
    uint8_t open[PULL_MAX_DEPTH / 8]; /* a bit a level: 1 = object */
    int depth;
    int expect; /* internal */
};

void pull_start(struct jsonpull *, const char *bytes, size_t n);
void pull_finish(struct jsonpull *); /* frees */
/* Next enum pull_event, or AG_EFORMAT with the byte offset in the text. */
int pull_next(struct jsonpull *);
/* Passes over the rest of the value whose first event was `event`. Fast: of what is inside, only
 * quotes and brackets are looked at. */
int pull_skip(struct jsonpull *, int event);
/* The next event must be `event`: AG_EFORMAT that says what `what` should have been. */
int pull_expect(struct jsonpull *, int event, const char *what);
/* The number that is current: false if it is not a whole number that fits. */
bool pull_int(const struct jsonpull *, int64_t *out);
bool pull_is(const struct jsonpull *, const char *text); /* the current string is this */

#endif
