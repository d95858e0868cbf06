/* SPDX-License-Identifier: MIT */
/* text.h - words and numbers for people. */
#ifndef HOST_TEXT_H
#define HOST_TEXT_H

#include "util/str.h"

#include <stdbool.h>
#include <stdint.h>

double now_ms(void); /* monotonic */

/* First byte of [p, p + n) that is not valid UTF-8 (surrogates and overlong forms are not), n if all is. */
size_t utf8_valid(const char *p, size_t n);
/* Texts of files are not to be trusted: control bytes and C1 characters become '?', as do bytes that
 * are no UTF-8. */
void text_clean(const char *p, size_t n, struct str *out);
void text_bytes(double bytes, char *to, size_t n);  /* "1.2 GB", steps of 1024 */
void text_count(double count, char *to, size_t n);  /* "152K", "1.2B" */

/* For terminals: takes escape sequences and control characters but newline and tab out of a text that
 * comes in pieces of whole characters. */
struct text_filter { int state; };
void text_filter(struct text_filter *, const char *p, size_t n, struct str *out);

#endif
