/* SPDX-License-Identifier: MIT */
/* Finds plugins, decides which of them count, loads what is wanted. search.c finds, note.c and
 * elf_note.c read, permission.c distrusts, table.c and load.c let in. */
#include "registry.h"

#include "registry/internal.h"
#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is `what` one of the words of `provides`? */
static bool provides_word(const char *provides, const char *what) {
    size_t n = strlen(what);
    if (!n) return false;
    for (const char *p = provides; (p = strstr(p, what)); p += n)
        if ((p == provides || p[-1] == ' ') && (!p[n] || p[n] == ' ')) return true;
    return false;
}

static bool usable(const struct entry *e) { return !e->pub.refused && !e->pub.shadowed; }

static bool is_chosen(const struct registry *r, const struct entry *e) {
    return r->model_plugin && e->pub.kind == AG_KIND_MODEL && !strcmp(e->pub.name, r->model_plugin);
}

/* Static plugins come first; their note is text in the binary. */
static int add_built_in(struct registry *r, const struct static_plugin *s) {
    struct entry *e = calloc(1, sizeof *e);
    if (!e || mem_grow(&r->entry, &r->cap, r->n + 1, sizeof *r->entry) < 0) {
        free(e);
        return fail(AG_ENOMEM, "no memory for built-in plugins");
    }
    r->entry[r->n++] = e;
    e->built_in = s->plugin;
    e->pub.path = "(built in)";
    e->pub.name = e->pub.version = e->pub.license = e->pub.provides = "";
    int rc = note_parse(s->note, strlen(s->note), &e->note);
    if (rc < 0) entry_refuse(e, rc);
    else entry_take_note(e);
    return 0;
}

/* The first usable file of a name wins. A refused one does not stand in the way of others. */
static int mark_shadowed(struct registry *r) {
    for (size_t i = 0; i < r->n; i++) {
        struct entry *e = r->entry[i];
        for (size_t k = 0; k < i && usable(e); k++) {
            const struct entry *f = r->entry[k];
            if (!usable(f) || f->pub.kind != e->pub.kind || strcmp(f->pub.name, e->pub.name)) continue;
            e->shadowed = strdup(f->pub.path);
            if (!e->shadowed) return fail(AG_ENOMEM, "no memory to list plugins");
            e->pub.shadowed = e->shadowed;
        }
    }
    return 0;
}

/* Of two plugins that provide one thing the order decides; the other learns who comes first. */
static int mark_outranked(struct registry *r) {
    for (size_t i = 0; i < r->n; i++) {
        struct entry *e = r->entry[i];
        struct str text = { 0 };
        const char *word = usable(e) ? e->pub.provides : "";
        while (*word) {
            char what[NOTE_MAX_TEXT + 1];
            size_t n = strcspn(word, " ");
            memcpy(what, word, n);
            what[n] = 0;
            word += n + strspn(word + n, " ");
            const struct plugin *first = n ? registry_provider(r, e->pub.kind, what, NULL) : NULL;
            if (!first || first == &e->pub) continue;
            str_printf(&text, "%s%s: %s comes first", text.n ? ", " : "", what, first->name);
        }
        if (text.failed) {
            str_free(&text);
            return fail(AG_ENOMEM, "no memory to list plugins");
        }
        e->outranked = text.p;
        e->pub.outranked = text.p;
    }
    return 0;
}

static int check_model_plugin(struct registry *r) {
    if (!r->model_plugin || registry_find(r, AG_KIND_MODEL, r->model_plugin)) return 0;
    struct str there = { 0 };
    for (size_t i = 0; i < r->n; i++) {
        const struct plugin *p = &r->entry[i]->pub;
        if (p->kind != AG_KIND_MODEL) continue;
        if (usable(r->entry[i])) str_printf(&there, "%s%s", there.n ? ", " : "", p->name);
    }
    const struct plugin *refused = registry_refused(r, AG_KIND_MODEL, r->model_plugin);
    int rc = refused ? fail(AG_ENOENT, "model plugin %s is refused: %s: %s", r->model_plugin, refused->path,
                            refused->refused)
                     : fail(AG_ENOENT, "no model plugin %s (file model_%s.so) in %s; there are: %s",
                            r->model_plugin, r->model_plugin, registry_searched(r),
                            there.n ? str_text(&there) : "none");
    str_free(&there);
    return rc;
}

int registry_open(const struct registry_options *o, struct registry **out) {
    *out = NULL;
    struct registry *r = calloc(1, sizeof *r);
    if (!r) return fail(AG_ENOMEM, "no memory for the list of plugins");
    int rc = 0;
    for (const struct static_plugin *s = static_plugins; rc >= 0 && s->plugin; s++)
        rc = add_built_in(r, s);
    if (rc >= 0 && o->model_plugin && !(r->model_plugin = strdup(o->model_plugin)))
        rc = fail(AG_ENOMEM, "no memory for the list of plugins");
    if (rc >= 0) rc = search_all(r, o);
    if (rc >= 0 && r->searched.failed) rc = fail(AG_ENOMEM, "no memory for the list of plugins");
    if (rc >= 0) rc = mark_shadowed(r);
    if (rc >= 0) rc = mark_outranked(r);
    if (rc >= 0) rc = check_model_plugin(r);
    if (rc < 0) {
        registry_close(r);
        return rc;
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->entry[i]->pub.refused)
            log_line(AG_LOG_INFO, "skip %s: %s", r->entry[i]->pub.path, r->entry[i]->pub.refused);
    *out = r;
    return 0;
}

void registry_close(struct registry *r) {
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) {
        struct entry *e = r->entry[i];
        table_free(e);
        free(e->path);
        free(e->file_name);
        free(e->refused);
        free(e->shadowed);
        free(e->outranked);
        free(e);
    }
    free(r->entry);
    free(r->model_plugin);
    str_free(&r->searched);
    free(r);
}

size_t registry_count(const struct registry *r) { return r->n; }

struct plugin *registry_at(struct registry *r, size_t i) { return i < r->n ? &r->entry[i]->pub : NULL; }

struct plugin *registry_find(struct registry *r, uint32_t kind, const char *name) {
    for (size_t i = 0; i < r->n; i++) {
        struct entry *e = r->entry[i];
        if (usable(e) && e->pub.kind == kind && !strcmp(e->pub.name, name)) return &e->pub;
    }
    return NULL;
}

struct plugin *registry_provider(struct registry *r, uint32_t kind, const char *what,
                                 const struct plugin *after) {
    /* Two rounds: the plugin chosen by name, then all others in search order. */
    bool passed = !after;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < r->n; i++) {
            struct entry *e = r->entry[i];
            if (is_chosen(r, e) != (round == 0)) continue;
            if (&e->pub == after) passed = true;
            else if (passed && usable(e) && e->pub.kind == kind && provides_word(e->pub.provides, what))
                return &e->pub;
        }
    return NULL;
}

const struct plugin *registry_refused(const struct registry *r, uint32_t kind, const char *name) {
    char file[NOTE_MAX_NAME * 2 + 8];
    snprintf(file, sizeof file, "%s_%s", plugin_kind_name(kind), name);
    for (size_t i = 0; i < r->n; i++) {
        const struct entry *e = r->entry[i];
        if (!e->pub.refused) continue;
        if ((e->pub.kind == kind && !strcmp(e->pub.name, name)) ||
            (e->file_name && !strcmp(e->file_name, file)))
            return &e->pub;
    }
    return NULL;
}

const char *registry_searched(const struct registry *r) {
    return r->searched.n ? r->searched.p : "no folder";
}

int registry_load(struct registry *r, struct plugin *p) {
    (void)r;
    struct entry *e = (struct entry *)p;
    if (p->loaded) return 0;
    if (p->refused) return fail(AG_EABI, "%s: %s", p->path, p->refused);
    int rc = entry_wake(e);
    if (rc < 0) {
        table_free(e);
        memset(&p->u, 0, sizeof p->u);
        entry_refuse(e, rc);
        return fail_prefix(rc, "%s", p->path);
    }
    p->loaded = true;
    return 0;
}
