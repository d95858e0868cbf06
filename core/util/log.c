/* SPDX-License-Identifier: MIT */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int shown = AG_LOG_WARN;

void log_set_level(int level) { atomic_store(&shown, level); }

int log_level(void) { return atomic_load(&shown); }

/* Names out of files are not to be trusted with a terminal: control bytes and C1 characters go. */
static void clean(char *line) {
    for (unsigned char *c = (unsigned char *)line; *c; c++) {
        if (*c < 0x20 || *c == 0x7f) *c = '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) *c = c[1] = '?';
    }
}

void log_line(int level, const char *fmt, ...) {
    static const char *const prefix[] = { "error: ", "warning: ", "", "" };
    if (level > atomic_load(&shown) || level < 0 || level > AG_LOG_DEBUG) return;
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    clean(line);
    fprintf(stderr, "%s%s\n", prefix[level], line);
}
