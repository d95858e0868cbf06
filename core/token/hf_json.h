/* SPDX-License-Identifier: MIT */
/* hf_json.h - places in a JSON text, for readers that need members in their own order. */
#ifndef TOKEN_HF_JSON_H
#define TOKEN_HF_JSON_H

#include "util/jsonpull.h"

struct tokenizer;

struct span { const char *p; size_t n; }; /* a value in the text; n = 0: absent */
struct member { const char *name; struct span *to; };

/* Notes where members of an object lie; others are passed over. */
int span_members(const struct span *object, const struct member *m, size_t n);
bool span_is(const struct span *, int event);
/* A string, unescaped: 1 and the text; 0 = something else. The text is 0-terminated. Without memory it
 * is 0 too and out->failed stays set: who owns the text asks span_check() in the end. */
int span_text(const struct span *, struct str *out);
int span_check(int rc, const struct str *); /* rc, or AG_ENOMEM if the text failed */
bool span_bool(const struct span *, bool otherwise);
bool span_int(const struct span *, int64_t *out);
uint64_t span_count(const struct span *array); /* at most that many items */

/* Items of an array. */
struct span_walk { struct jsonpull j; };
int span_walk_start(struct span_walk *, const struct span *array);
int span_walk_next(struct span_walk *, struct span *item); /* 1 = there is one, 0 = end */
void span_walk_finish(struct span_walk *);

/* tokenizer.json alone. */
int hf_read_tokenizer(const struct span *file, struct tokenizer *);

#endif
