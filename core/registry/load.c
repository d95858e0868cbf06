/* SPDX-License-Identifier: MIT */
/* Brings a plugin's code into the process, for good (RTLD_NODELETE), and wakes it: probe, then init.
 * What the dynamic linker holds belongs to the process, and so does the record of what was woken: a
 * plugin is probed and initialised once, whatever the number of registries. */
#include "registry/internal.h"

#include "util/error.h"
#include "util/host_services.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One per descriptor that was woken; never freed. */
struct woken {
    struct woken *next;
    const struct ag_plugin *plugin;
    int rc;
    char text[1024];
};
static pthread_mutex_t woken_lock = PTHREAD_MUTEX_INITIALIZER;
static struct woken *woken_first;

static int wake_once(const struct ag_plugin *d) {
    int rc = 0;
    fail_clear();
    if (d->probe && (rc = d->probe()) < 0)
        return *fail_text() ? rc : fail(rc, "not usable here: %s", status_text(rc));
    if (d->init && (rc = d->init(host_services())) < 0)
        return *fail_text() ? rc : fail(rc, "its init failed: %s", status_text(rc));
    return 0;
}

/* `at` tells plugins apart, `d` is the host's checked copy. */
static int wake(const struct ag_plugin *at, const struct ag_plugin *d) {
    pthread_mutex_lock(&woken_lock);
    struct woken *w = woken_first;
    while (w && w->plugin != at) w = w->next;
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w) {
            pthread_mutex_unlock(&woken_lock);
            return fail(AG_ENOMEM, "no memory to load it");
        }
        w->plugin = at;
        w->rc = wake_once(d);
        if (w->rc < 0) strncpy(w->text, fail_text(), sizeof w->text - 1);
        w->next = woken_first;
        woken_first = w;
    }
    int rc = w->rc;
    if (rc < 0) fail(rc, "%s", w->text);
    pthread_mutex_unlock(&woken_lock);
    return rc;
}

static int open_file(const char *path, const struct ag_plugin **out) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        const char *why = dlerror();
        return fail(AG_EABI, "%s", why ? why : "dlopen failed");
    }
    *out = dlsym(handle, AG_PLUGIN_SYMBOL_NAME);
    dlclose(handle);
    if (!*out) return fail(AG_EABI, "it has no symbol " AG_PLUGIN_SYMBOL_NAME);
    return 0;
}

/* The descriptor against the ABI; it is only data so far. */
static int check_descriptor(const struct ag_plugin *d) {
    if (d->abi_major != AG_ABI_MAJOR)
        return fail(AG_EABI, "built for ABI %u.%u, this host has %u.%u", d->abi_major, d->abi_minor,
                    AG_ABI_MAJOR, AG_ABI_MINOR);
    if (d->min_host_minor > AG_ABI_MINOR)
        return fail(AG_EABI, "needs a host of ABI %u.%u or later, this host has %u.%u", AG_ABI_MAJOR,
                    d->min_host_minor, AG_ABI_MAJOR, AG_ABI_MINOR);
    if (!d->name || !d->version || !d->license) return fail(AG_EABI, "its descriptor lacks a text");
    return 0;
}

static int check_same(const char *what, const char *note, const char *descriptor) {
    if (!strcmp(note, descriptor)) return 0;
    return fail(AG_EABI, "its note says %s %.64s, its descriptor %.64s", what, note, descriptor);
}

static int check_note(const struct entry *e, const struct ag_plugin *d) {
    int rc = 0;
    if (d->kind != e->pub.kind)
        rc = fail(AG_EABI, "its note says kind %s, its descriptor %s (%u)",
                  plugin_kind_name(e->pub.kind), plugin_kind_name(d->kind), d->kind);
    if (rc >= 0) rc = check_same("name", e->pub.name, d->name);
    if (rc >= 0) rc = check_same("version", e->pub.version, d->version);
    if (rc >= 0) rc = check_same("license", e->pub.license, d->license);
    if (rc >= 0 && (d->abi_major != e->pub.abi_major || d->abi_minor != e->pub.abi_minor))
        rc = fail(AG_EABI, "its note says ABI %u.%u, its descriptor %u.%u", e->pub.abi_major,
                  e->pub.abi_minor, d->abi_major, d->abi_minor);
    return rc;
}

int entry_wake(struct entry *e) {
    const struct ag_plugin *at = e->built_in;
    int rc = at ? 0 : open_file(e->path, &at);
    if (rc < 0) return rc;

    const size_t least = offsetof(struct ag_plugin, probe) + sizeof at->probe;
    struct ag_plugin d = { 0 };
    if (at->size < least)
        return fail(AG_EABI, "its descriptor has %u bytes, want at least %zu", at->size, least);
    memcpy(&d, at, at->size < sizeof d ? at->size : sizeof d);
    if ((rc = check_descriptor(&d)) < 0) return rc;
    if ((rc = check_note(e, &d)) < 0) return rc;
    if ((rc = table_normalise(e, d.iface)) < 0) return rc;
    return wake(at, &d);
}
