/* SPDX-License-Identifier: MIT */
/* log.h - lines for people, on stderr. The level is set once, by the host program, at start. */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <agave/base.h>

void log_set_level(int level); /* enum ag_log_level: lines above it are dropped; start: AG_LOG_WARN */
int log_level(void);
/* One line; a newline is added. Prefixed "error: " or "warning: " at those levels. */
void log_line(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
