/* SPDX-License-Identifier: MIT */
/* line.h - one message typed on the terminal: libedit with our keys, history and pasting. */
#ifndef HOST_LINE_H
#define HOST_LINE_H

#include "util/str.h"

#include <stdbool.h>

struct line_editor;

/* history: path of the file, NULL = none. Its folders are made when it is written. */
int line_open(const char *history, bool color, struct line_editor **out);
/* The terminal is as it was before, the history written. NULL is fine. */
void line_close(struct line_editor *);
/* Lines that end in a backslash go on in the next. True with a message; false when the user leaves. */
bool line_read(struct line_editor *, struct str *out);

#endif
