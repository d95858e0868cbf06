/* SPDX-License-Identifier: MIT */
#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[1024];

int fail(int code, const char *fmt, ...) {
    char made[sizeof text]; /* the arguments may hold the old text */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(made, sizeof made, fmt, ap);
    va_end(ap);
    memcpy(text, made, sizeof text);
    return code;
}

int fail_prefix(int code, const char *fmt, ...) {
    char made[sizeof text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(made, sizeof made, fmt, ap);
    va_end(ap);
    size_t at = n < 0 ? 0 : (size_t)n < sizeof made - 3 ? (size_t)n : sizeof made - 3;
    memcpy(made + at, ": ", 2);
    memcpy(made + at + 2, text, sizeof made - at - 2);
    made[sizeof made - 1] = 0;
    memcpy(text, made, sizeof text);
    return code;
}

const char *fail_text(void) { return text; }

void fail_clear(void) { text[0] = 0; }

const char *status_text(int code) {
    switch (code) {
#define X(name, num, words) \
    case num: return words;
        AG_STATUS_MAP(X)
#undef X
    default: return "unknown failure";
    }
}
