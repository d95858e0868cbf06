/* SPDX-License-Identifier: MIT */
/* plugin_list.c - agave plugin list: a table for people, or one JSON value. */
#include "plugin_cmds.h"

#include "util/error.h"
#include "util/log.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 5 };

static bool counts(const struct plugin *p) { return !p->refused && !p->shadowed; }

static void fields(const struct plugin *p, const char *out[COLUMNS]) {
    out[0] = plugin_kind_name(p->kind);
    out[1] = p->name;
    out[2] = *p->version ? p->version : "-";
    out[3] = *p->license ? p->license : "-";
    out[4] = *p->provides ? p->provides : "-";
}

/* Why a file is not used, or not for all it provides; NULL when there is nothing to say. */
static const char *remark(const struct plugin *p, char *to, size_t n) {
    if (p->refused) snprintf(to, n, "refused: %s", p->refused);
    else if (p->shadowed) snprintf(to, n, "shadowed by %s", p->shadowed);
    else if (p->outranked) snprintf(to, n, "%s", p->outranked);
    else return NULL;
    return to;
}

static void print_table(struct registry *r, bool all) {
    static const char *const head[COLUMNS] = { "KIND", "NAME", "VERSION", "LICENCE", "PROVIDES" };
    size_t width[COLUMNS], n = registry_count(r);
    const char *f[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) width[c] = strlen(head[c]);
    for (size_t i = 0; i < n; i++) {
        const struct plugin *p = registry_at(r, i);
        if (!counts(p) && !(all && p->shadowed)) continue;
        fields(p, f);
        for (int c = 0; c < COLUMNS; c++)
            if (strlen(f[c]) > width[c]) width[c] = strlen(f[c]);
    }
    for (int c = 0; c < COLUMNS; c++) printf("%-*s  ", (int)width[c], head[c]);
    puts("PATH");
    for (size_t i = 0; i < n; i++) {
        const struct plugin *p = registry_at(r, i);
        if (!counts(p)) continue;
        fields(p, f);
        for (int c = 0; c < COLUMNS; c++) printf("%-*s  ", (int)width[c], f[c]);
        puts(p->path);
    }
}

/* Files that do not count, and what they say of themselves. */
static void print_losers(struct registry *r) {
    char text[2048];
    bool first = true;
    for (size_t i = 0; i < registry_count(r); i++) {
        const struct plugin *p = registry_at(r, i);
        const char *why = remark(p, text, sizeof text);
        if (!why) continue;
        if (first) puts("");
        first = false;
        printf("%s: %s\n", p->path, why);
    }
}

/* Types that have a name: a backend may say that it takes all. */
static uint64_t types_of(const struct ag_support *s) {
    uint64_t named = 0;
    for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
        if (ag_dtype_info(t).name) named |= UINT64_C(1) << t;
    return s->dtypes ? s->dtypes & named : UINT64_C(1) << AG_F32;
}

static void print_support(const struct plugin *p) {
    const struct ag_backend *b = &p->u.backend;
    uint64_t used = 0;
    size_t wide = 2;
    for (uint32_t i = 0; i < b->n_support; i++) {
        used |= types_of(&b->support[i]);
        size_t n = strlen(ag_op_name(b->support[i].op));
        if (n > wide) wide = n;
    }
    printf("\n%s %s: %u ops\n", p->name, p->version, b->n_support);
    if (!b->n_support) return;
    printf("  %-*s", (int)wide, "OP");
    for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
        if (used >> t & 1) printf("  %s", ag_dtype_name(t));
    puts("");
    for (uint32_t i = 0; i < b->n_support; i++) {
        printf("  %-*s", (int)wide, ag_op_name(b->support[i].op));
        for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
            if (used >> t & 1)
                printf("  %-*s", (int)strlen(ag_dtype_name(t)), types_of(&b->support[i]) >> t & 1 ? "x" : ".");
        puts("");
    }
}

static json_t *support_json(const struct ag_backend *b) {
    json_t *ops = json_object();
    for (uint32_t i = 0; i < b->n_support; i++) {
        json_t *types = json_array();
        for (uint32_t t = 0; t < AG_DTYPE_MAX; t++)
            if (types_of(&b->support[i]) >> t & 1) json_array_append_new(types, json_string(ag_dtype_name(t)));
        json_object_set_new(ops, ag_op_name(b->support[i].op), types);
    }
    return ops;
}

static json_t *words_json(const char *words) {
    json_t *list = json_array();
    while (*words) {
        size_t n = strcspn(words, " ");
        if (n) json_array_append_new(list, json_stringn(words, n));
        words += n + strspn(words + n, " ");
    }
    return list;
}

/* Paths may hold bytes that are no UTF-8; JSON cannot. */
static json_t *text_json(const char *text) {
    json_t *s = json_string(text);
    if (s) return s;
    char safe[4096];
    size_t n = 0;
    for (; text[n] && n < sizeof safe - 1; n++) safe[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    safe[n] = 0;
    return json_string(safe);
}

static json_t *plugin_json(const struct plugin *p) {
    json_t *o = json_object();
    char abi[32];
    snprintf(abi, sizeof abi, "%u.%u", p->abi_major, p->abi_minor);
    json_object_set_new(o, "kind", json_string(plugin_kind_name(p->kind)));
    json_object_set_new(o, "name", text_json(p->name));
    json_object_set_new(o, "version", text_json(p->version));
    json_object_set_new(o, "license", text_json(p->license));
    json_object_set_new(o, "abi", json_string(abi));
    json_object_set_new(o, "path", text_json(p->path));
    json_object_set_new(o, "provides", words_json(p->provides));
    if (p->refused) json_object_set_new(o, "refused", text_json(p->refused));
    if (p->shadowed) json_object_set_new(o, "shadowed", text_json(p->shadowed));
    if (p->outranked) json_object_set_new(o, "outranked", text_json(p->outranked));
    if (p->loaded && p->kind == AG_KIND_BACKEND)
        json_object_set_new(o, "support", support_json(&p->u.backend));
    return o;
}

static int print_json(struct registry *r, bool all) {
    json_t *root = json_object(), *list = json_array();
    for (size_t i = 0; i < registry_count(r); i++)
        if (all || counts(registry_at(r, i))) json_array_append_new(list, plugin_json(registry_at(r, i)));
    json_object_set_new(root, "plugins", list);
    json_object_set_new(root, "searched", text_json(registry_searched(r)));
    int rc = root && list && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 ? 0
        : fail(AG_EIO, "the list of plugins cannot be written");
    json_decref(root);
    if (rc >= 0) putchar('\n');
    return rc;
}

int plugin_list(struct registry *r, const struct plugin_list_options *o) {
    size_t unused = 0;
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (o->support && p->kind == AG_KIND_BACKEND && counts(p) && registry_load(r, p) < 0)
            log_line(AG_LOG_WARN, "%s", fail_text());
        unused += !counts(p);
    }
    if (o->json) return print_json(r, o->all);
    print_table(r, o->all);
    if (registry_count(r) == unused) log_line(AG_LOG_WARN, "no plugin in %s", registry_searched(r));
    if (o->all) print_losers(r);
    else if (unused) log_line(AG_LOG_WARN, "%zu more files are not used; --all says why", unused);
    for (size_t i = 0; o->support && i < registry_count(r); i++)
        if (registry_at(r, i)->loaded) print_support(registry_at(r, i));
    return 0;
}
