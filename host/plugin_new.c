/* SPDX-License-Identifier: MIT */
/* plugin_new.c - agave plugin new: a folder to begin a plugin with. */
#include "plugin_cmds.h"

#include "plugin_templates.h"
#include "util/error.h"
#include "util/str.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MOST = 40 };

static const char *template_text(const char *kind, const char *suffix) {
    char want[64];
    snprintf(want, sizeof want, "%s%s", kind, suffix);
    for (const struct template *t = plugin_templates; t->name; t++)
        if (!strcmp(t->name, want)) return t->text;
    return NULL;
}

/* The name becomes part of a file name and of C identifiers. */
static int check_name(const char *kind, const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (!n || name[n] || n > NAME_MOST || name[0] < 'a' || name[0] > 'z')
        return fail(AG_EINVAL, "'%.100s' cannot be a plugin's name: want 1 to %d small letters, digits "
                    "and '_', a letter first", name, NAME_MOST);
    if (!template_text(kind, ".c.in"))
        return fail(AG_EINVAL, "no template for a plugin of kind '%.100s': want model, backend or format",
                    kind);
    return 0;
}

/* "@NAME@" becomes the name, "@KIND@" the kind. */
static void fill(struct str *out, const char *text, const struct plugin_new_options *o) {
    const struct { const char *mark, *value; } row[] = { { "@NAME@", o->name }, { "@KIND@", o->kind } };
    while (*text) {
        size_t i = 0, n = sizeof row / sizeof *row;
        while (i < n && strncmp(text, row[i].mark, strlen(row[i].mark))) i++;
        if (i < n) {
            str_puts(out, row[i].value);
            text += strlen(row[i].mark);
        } else {
            str_putc(out, *text++);
        }
    }
}

static int write_file(const char *folder, const char *name, const char *text,
                      const struct plugin_new_options *o) {
    struct str path = { 0 }, body = { 0 };
    str_printf(&path, "%s/%s", folder, name);
    fill(&body, text, o);
    FILE *f = NULL;
    int rc = path.failed || body.failed ? fail(AG_ENOMEM, "out of memory") : 0;
    if (rc >= 0 && !(f = fopen(path.p, "wxe"))) rc = fail(AG_EIO, "%s: %s", path.p, strerror(errno));
    if (f) {
        bool bad = fwrite(body.p, 1, body.n, f) != body.n;
        bad |= fclose(f) != 0;
        if (bad) {
            rc = fail(AG_EIO, "%s: %s", path.p, strerror(errno));
            unlink(path.p);
        }
    }
    str_free(&path);
    str_free(&body);
    return rc;
}

static void remove_file(const char *folder, const char *name) {
    struct str path = { 0 };
    str_printf(&path, "%s/%s", folder, name);
    if (!path.failed) unlink(path.p);
    str_free(&path);
}

static bool has_file(const char *folder, const char *name) {
    struct str path = { 0 };
    str_printf(&path, "%s/%s", folder, name);
    bool there = !path.failed && access(path.p, R_OK) == 0;
    str_free(&path);
    return there;
}

static bool is_tree(const char *folder) {
    return has_file(folder, "core/abi/agave/base.h") && has_file(folder, "plugins/meson.build");
}

/* The source tree: the folder given, or the first above the current one. */
static int find_tree(const char *given, char *out, size_t n) {
    if (given) {
        if (!is_tree(given)) return fail(AG_ENOENT, "%s is not the source tree of agave", given);
        return (size_t)snprintf(out, n, "%s", given) < n ? 0 : fail(AG_EINVAL, "%s: too long", given);
    }
    if (!getcwd(out, n)) return fail(AG_EIO, "current folder: %s", strerror(errno));
    while (!is_tree(out)) {
        char *slash = strrchr(out, '/');
        if (!slash || slash == out)
            return fail(AG_ENOENT, "--in-tree: this is not inside the source tree of agave; go there or "
                        "name it: agave plugin new --in-tree KIND NAME TREE");
        *slash = 0;
    }
    return 0;
}

static int folder_name(const struct plugin_new_options *o, struct str *out) {
    if (o->in_tree) {
        char tree[PATH_MAX];
        int rc = find_tree(o->dir, tree, sizeof tree);
        if (rc < 0) return rc;
        str_printf(out, "%s/plugins/%ss/%s", tree, o->kind, o->name);
    } else if (o->dir) {
        str_puts(out, o->dir);
    } else {
        str_printf(out, "%s_%s", o->kind, o->name);
    }
    return out->failed ? fail(AG_ENOMEM, "out of memory") : 0;
}

static void say_next(const struct plugin_new_options *o, const char *folder) {
    printf("%s: %s.c, meson.build\n", folder, o->kind);
    if (o->in_tree)
        printf("next: meson setup --reconfigure BUILD && ninja -C BUILD && agave plugin list\n");
    else
        printf("next: cd %s && meson setup build && ninja -C build && agave plugin list --plugin "
               "build/%s_%s.so\n", folder, o->kind, o->name);
}

int plugin_new(const struct plugin_new_options *o) {
    struct str folder = { 0 };
    char source[64];
    bool made = false;
    int rc = check_name(o->kind, o->name);
    if (rc >= 0) rc = folder_name(o, &folder);
    if (rc < 0) goto out;

    made = mkdir(folder.p, 0777) == 0;
    if (!made && (o->in_tree || errno != EEXIST)) {
        rc = fail(AG_EIO, "%s: %s", folder.p, strerror(errno));
        goto out;
    }
    snprintf(source, sizeof source, "%s.c", o->kind);
    rc = write_file(folder.p, source, template_text(o->kind, ".c.in"), o);
    if (rc >= 0) {
        rc = write_file(folder.p, "meson.build",
                        template_text(o->in_tree ? "intree" : "outoftree", ".meson.in"), o);
        if (rc < 0) remove_file(folder.p, source);
    }
    if (rc < 0 && made) rmdir(folder.p);
    if (rc >= 0) say_next(o, folder.p);
out:
    str_free(&folder);
    return rc;
}
