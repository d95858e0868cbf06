/* SPDX-License-Identifier: MIT */
/* str.h - a growing byte string. Always 0-terminated, may hold zeros. A failed allocation sticks:
 * `failed` is set, later calls do nothing, and the owner checks once. */
#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str { char *p; size_t n, cap; bool failed; };

void str_add(struct str *, const char *bytes, size_t n);
void str_puts(struct str *, const char *text);
void str_putc(struct str *, char c);
void str_printf(struct str *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_clear(struct str *); /* keeps the memory */
void str_free(struct str *);
const char *str_text(const struct str *); /* "" when empty */

#endif
