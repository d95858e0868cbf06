/* SPDX-License-Identifier: MIT */
/* error.h - failures: a negative enum ag_status travels up, its text is kept per thread. */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <agave/base.h>

/* Keeps the text (cut at 1 KiB) and returns code. */
int fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "what: " in front of the text kept; returns code. */
int fail_prefix(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *fail_text(void);
void fail_clear(void);
const char *status_text(int code); /* "malformed file" */

#endif
