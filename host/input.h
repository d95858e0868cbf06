/* SPDX-License-Identifier: MIT */
/* input.h - the prompt of a one-shot run: argument, standard input, or both. */
#ifndef HOST_INPUT_H
#define HOST_INPUT_H

#include "util/str.h"

#include <stdbool.h>

enum { INPUT_MAX = 1 << 20 }; /* bytes of standard input */

/* argument may be NULL; piped: standard input is no terminal and is read to its end, with the white
 * space at its end taken off. Both are joined by an empty line. quiet: no word about waiting. */
int input_prompt(const char *argument, bool piped, bool quiet, struct str *out);

/* Text of `what` (an option, for the message) must be UTF-8. */
int input_check_utf8(const char *what, const char *p, size_t n);

#endif
