/* SPDX-License-Identifier: MIT */
/* plugin_check.h - inside `agave plugin check`: each part says line by line what was tried. */
#ifndef HOST_PLUGIN_CHECK_H
#define HOST_PLUGIN_CHECK_H

#include "env.h"
#include "plugin_cmds.h"

struct check { int ok, failed, skipped; };

/* A line on stdout: what was tried, and how it came out. */
void check_ok(struct check *, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void check_failed(struct check *, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void check_skip(struct check *, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* check_elf.c: exported symbols and libraries of the file. */
void check_elf(struct check *, const char *path);
/* check_model.c: graphs drawn from a made-up configuration. */
void check_model(struct check *, const struct plugin *);
/* check_format.c: probes; a sample file (NULL = none) whole and cut short. */
void check_format(struct check *, const struct plugin *, const char *sample);
/* check_backend.c: table, devices, memory, and a small model beside `oracle` (NULL = none). */
void check_backend(struct check *, const struct plugin *, const struct plugin *oracle);
/* check_trace.c: layer by layer against a file that `agave eval --trace` wrote. */
void check_trace(struct check *, const struct env *, const struct options *);

#endif
