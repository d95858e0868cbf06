/* SPDX-License-Identifier: MIT */
/* internal.h - shared by the files of this folder. */
#ifndef REGISTRY_INTERNAL_H
#define REGISTRY_INTERNAL_H

#include "registry.h"
#include "registry/note.h"
#include "registry/static.h"
#include "util/str.h"

/* Host-side copies of what a plugin's table points to, freed with the registry. */
enum { TABLE_COPIES = 3 };

struct entry {
    struct plugin pub; /* first, so that a struct plugin * is a struct entry * */
    struct plugin_note note;
    char *path;
    char *file_name; /* without folder and suffix; name of files that have no readable note */
    char *refused, *shadowed, *outranked;
    const struct ag_plugin *built_in; /* NULL for files */
    void *copy[TABLE_COPIES];
};

struct registry {
    struct entry **entry;
    size_t n, cap;
    struct str searched;
    char *model_plugin;
};

/* search.c: one entry for each file of the places in the options, in order. */
int search_all(struct registry *, const struct registry_options *);
/* Keeps the current error text as the entry's reason; `code` is returned (AG_ENOMEM if it cannot). */
int entry_refuse(struct entry *, int code);
/* Fills entry->pub from entry->note. < 0: refused, the reason is kept. */
int entry_take_note(struct entry *);

/* load.c: descriptor, checks, table, probe, init. */
int entry_wake(struct entry *);

/* table.c: copies the plugin's table into entry->pub.u and checks it. */
int table_normalise(struct entry *, const void *iface);
void table_free(struct entry *);

#endif
