/* SPDX-License-Identifier: MIT */
/* pretokenize.h - cuts a fragment of text into the words that merges never leave. Hand scanners for
 * the published regular expressions; tests compare them with PCRE2. */
#ifndef TOKEN_PRETOKENIZE_H
#define TOKEN_PRETOKENIZE_H

#include <stdbool.h>
#include <stddef.h>

/* End of the word that begins at i < n; n is the end of text as the expression sees it. */
typedef size_t (*pretok_fn)(const char *s, size_t i, size_t n);

enum { PRETOK_MAX_STAGE = 8 };

/* Stages in turn: each one cuts the pieces of the one before. No stage = no cut. */
struct pretok { pretok_fn fn[PRETOK_MAX_STAGE]; int n; };

/* Where a walk over one fragment stands. */
struct pretok_walk {
    const struct pretok *p;
    const char *s;
    size_t n, end[PRETOK_MAX_STAGE];
};

static inline void pretok_start(struct pretok_walk *w, const struct pretok *p, const char *s,
                                size_t n) {
    *w = (struct pretok_walk){ p, s, n, { 0 } };
}
/* End of the word that begins at i, where the one before ended. */
static inline size_t pretok_next(struct pretok_walk *w, size_t i) {
    size_t end = w->n;
    for (int k = 0; k < w->p->n; k++) {
        if (i >= w->end[k]) w->end[k] = w->p->fn[k](w->s, i, end);
        end = w->end[k];
    }
    return end;
}

/* A pre-tokenizer as GGUF files name it (tokenizer.ggml.pre), with what the name implies. */
struct pretok_name {
    const char *name;
    struct pretok p;
    bool ignore_merges, add_bos, drop_bos;
};
const struct pretok_name *pretok_by_name(const char *name, size_t n); /* NULL = unknown */
const char *pretok_names(void); /* known ones, for messages */

/* Scanner of a regular expression of tokenizer.json (Split, behaviour Isolated), or NULL. */
pretok_fn pretok_by_regex(const char *regex, size_t n);

size_t pretok_gpt2(const char *s, size_t i, size_t n);   /* ByteLevel with use_regex */
size_t pretok_digit(const char *s, size_t i, size_t n);  /* every digit by itself */
size_t pretok_digits(const char *s, size_t i, size_t n); /* runs of digits, runs of others */
size_t pretok_lines(const char *s, size_t i, size_t n);  /* runs of line ends, runs of others */
size_t pretok_space(const char *s, size_t i, size_t n);  /* a word is a space and what follows it */

#endif
