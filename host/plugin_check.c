/* SPDX-License-Identifier: MIT */
/* plugin_check.c - agave plugin check: the rules a plugin file must keep, then what its kind promises. */
#include "plugin_check.h"

#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void line(const char *word, const char *what, const char *fmt, va_list ap) {
    printf("%-5s %s: ", word, what);
    vprintf(fmt, ap);
    putchar('\n');
}

void check_ok(struct check *c, const char *what, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line("ok", what, fmt, ap);
    va_end(ap);
    c->ok++;
}

void check_failed(struct check *c, const char *what, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line("FAIL", what, fmt, ap);
    va_end(ap);
    c->failed++;
}

void check_skip(struct check *c, const char *what, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    line("skip", what, fmt, ap);
    va_end(ap);
    c->skipped++;
}

static void check_kind(struct check *c, const struct env *env, const struct options *o, struct plugin *p,
                       const char *sample) {
    if (sample && p->kind != AG_KIND_FORMAT)
        check_skip(c, "sample", "%s: only formats read samples", sample);
    if (p->kind == AG_KIND_TRANSPORT) check_skip(c, "transport", "no more than its table is checked");
    if (p->kind == AG_KIND_FORMAT) check_format(c, p, sample);
    if (p->kind == AG_KIND_MODEL) check_model(c, p);
    if (p->kind != AG_KIND_BACKEND) return;
    struct registry *all = NULL;
    struct plugin *ref = NULL;
    if (env_registry(env, o, &all) >= 0) ref = registry_find(all, AG_KIND_BACKEND, "ref");
    if (ref && registry_load(all, ref) < 0) ref = NULL;
    check_backend(c, p, ref);
    registry_close(all);
}

/* A run with this plugin before all others. */
static void run_traced(struct check *c, const struct env *env, const struct options *o, const struct plugin *p) {
    struct options mine = *o;
    if (mine.plugin.n == OPTION_LIST_MAX) mine.plugin.n--;
    memmove(mine.plugin.at + 1, mine.plugin.at, mine.plugin.n * sizeof *mine.plugin.at);
    mine.plugin.at[0] = p->path;
    mine.plugin.n++;
    if (p->kind == AG_KIND_MODEL) mine.model_plugin = p->name;
    if (p->kind == AG_KIND_BACKEND) mine.backend = p->name;
    check_trace(c, env, &mine);
}

int plugin_check(const struct env *env, const struct options *o, const char *file, const char *sample) {
    const struct registry_options only = { .file = &file, .n_file = 1 };
    struct registry *r = NULL;
    struct check c = { 0 };
    if (registry_open(&only, &r) < 0) {
        check_failed(&c, "file", "%s", fail_text());
    } else {
        struct plugin *p = registry_at(r, 0);
        check_ok(&c, "file", "permissions, note and name: %s %s %s, %s, ABI %u.%u, provides %s",
                 plugin_kind_name(p->kind), p->name, p->version, p->license, p->abi_major, p->abi_minor,
                 *p->provides ? p->provides : "nothing");
        check_elf(&c, p->path);
        if (registry_load(r, p) < 0) {
            check_failed(&c, "load", "%s", fail_text());
        } else {
            check_ok(&c, "load", "descriptor, table, probe and init");
            check_kind(&c, env, o, p, sample);
            if (o->model) run_traced(&c, env, o, p);
        }
    }
    printf("%d ok, %d failed, %d skipped\n", c.ok, c.failed, c.skipped);
    registry_close(r);
    return c.failed ? 1 : 0;
}
