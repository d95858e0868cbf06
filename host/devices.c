/* SPDX-License-Identifier: MIT */
#include "devices.h"

#include "text.h"
#include "util/error.h"
#include "util/team.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Backends people know, in the order they are tried; others come behind, cpu last. */
static int rank(const char *name) {
    static const char *const order[] = { "metal", "cuda", "rocm", "vulkan", "webgpu" };
    int n = (int)(sizeof order / sizeof *order);
    for (int i = 0; i < n; i++)
        if (!strcmp(order[i], name)) return i;
    return strcmp(name, "cpu") ? n : n + 1;
}
enum { RANKS = 7 };

static void row(const struct plugin *p, int index, const struct ag_device_info *d) {
    char size[32] = "?", id[48];
    if (d->memory_total) text_bytes((double)d->memory_total, size, sizeof size);
    snprintf(id, sizeof id, "%s:%d", p->name, index);
    printf("%-10s  %-24s  %10s  %-3s  %s", id, d->name, size,
           d->flags & AG_DEVICE_UNIFIED ? "UMA" : "|", d->arch);
    if (d->flags & AG_DEVICE_HOST_MEMORY) printf(" (%d threads)", team_size());
    putchar('\n');
}

static json_t *object(const struct plugin *p, int index, const struct ag_device_info *d) {
    return json_pack("{s:s, s:i, s:s, s:I, s:I, s:b, s:s, s:s}", "backend", p->name, "index", index,
                     "name", d->name, "memory_total", (json_int_t)d->memory_total, "memory_free",
                     (json_int_t)d->memory_free, "unified", (d->flags & AG_DEVICE_UNIFIED) != 0,
                     "arch", d->arch, "driver", d->driver);
}

static void backend(struct registry *r, struct plugin *p, const struct options *o, json_t *list) {
    int status = p->refused ? AG_EDEVICE : registry_load(r, p);
    int n = status < 0 ? 0 : p->u.backend.device_count();
    const char *why = status < 0 ? (p->refused ? p->refused : fail_text()) : "no device";
    if (n <= 0 && o->verbose && !list) printf("%-10s  not available: %s\n", p->name, why);
    for (int i = 0; i < n; i++) {
        struct ag_device_info d = { .size = sizeof d };
        if (p->u.backend.device_info(i, &d) < 0) {
            if (o->verbose && !list) printf("%s:%d  not available: %s\n", p->name, i, fail_text());
        } else if (list) {
            json_array_append_new(list, object(p, i, &d));
        } else {
            row(p, i, &d);
        }
    }
}

int devices_print(const struct env *env, const struct options *o) {
    struct registry *r = NULL;
    int status = env_registry(env, o, &r);
    if (status < 0) return status;
    json_t *list = o->json ? json_array() : NULL;
    if (!list) puts("Available devices:");
    for (int k = 0; k < RANKS; k++)
        for (size_t i = 0; i < registry_count(r); i++) {
            struct plugin *p = registry_at(r, i);
            if (p->kind == AG_KIND_BACKEND && !p->shadowed && p->name && rank(p->name) == k)
                backend(r, p, o, list);
        }
    if (list) {
        json_dumpf(list, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(list);
    }
    registry_close(r);
    return 0;
}
