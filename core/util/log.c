/* SPDX-License-Identifier: MIT */
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_int shown = AG_LOG_WARN;

void log_set_level(int level) { atomic_store(&shown, level); }

int log_level(void) { return atomic_load(&shown); }

void log_line(int level, const char *fmt, ...) {
    static const char *const prefix[] = { "error: ", "warning: ", "", "" };
    if (level > atomic_load(&shown) || level < 0 || level > AG_LOG_DEBUG) return;
    char line[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s%s\n", prefix[level], line);
}
