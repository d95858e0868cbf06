/* SPDX-License-Identifier: MIT */
/* Where plugin files lie, in which order, and what each says of itself before any of it runs. */
#include "registry/internal.h"

#include "registry/permission.h"
#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = ".so";

int entry_refuse(struct entry *e, int code) {
    free(e->refused);
    e->refused = strdup(fail_text());
    e->pub.refused = e->refused ? e->refused : "refused, and no memory for the reason";
    return code;
}

/* The note of the file, by a descriptor of what the path resolves to. */
static int read_note(struct entry *e) {
    int fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(errno == EACCES ? AG_EDENIED : AG_EIO, "cannot be opened: %s", strerror(errno));
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) < 0) rc = fail(AG_EIO, "cannot be examined: %s", strerror(errno));
    else if (!S_ISREG(st.st_mode)) rc = fail(AG_EFORMAT, "not a regular file");
    if (rc >= 0) {
        struct note_source source = { .fd = fd, .size = (uint64_t)st.st_size };
        rc = note_read(&source, &e->note);
    }
    close(fd);
    return rc;
}

static int check_name(const struct entry *e) {
    char want[2 * NOTE_MAX_NAME];
    snprintf(want, sizeof want, "%s_%s", plugin_kind_name(e->note.kind), e->note.name);
    if (strcmp(want, e->file_name))
        return fail(AG_EABI, "its note says %s %s, so the file must be called %s%s",
                    plugin_kind_name(e->note.kind), e->note.name, want, suffix);
    return 0;
}

int entry_take_note(struct entry *e) {
    const struct plugin_note *n = &e->note;
    e->pub.kind = n->kind;
    e->pub.name = n->name;
    e->pub.version = n->version;
    e->pub.license = n->license;
    e->pub.provides = n->provides;
    e->pub.abi_major = n->abi_major;
    e->pub.abi_minor = n->abi_minor;
    if (n->abi_major != AG_ABI_MAJOR)
        return entry_refuse(e, fail(AG_EABI, "built for ABI %u.%u, this host has %u.%u", n->abi_major,
                                    n->abi_minor, AG_ABI_MAJOR, AG_ABI_MINOR));
    if (!n->kind)
        return entry_refuse(e, fail(AG_EABI, "its kind, %s, is unknown to this host", n->kind_text));
    return 0;
}

/* A file's note, name and permissions. < 0: refused, the reason is kept. */
static int entry_read(struct entry *e) {
    int rc = permission_check(e->path);
    if (rc < 0 || (rc = read_note(e)) < 0) return entry_refuse(e, rc);
    if ((rc = entry_take_note(e)) < 0) return rc;
    if ((rc = check_name(e)) < 0) return entry_refuse(e, rc);
    if (static_plugins[0].plugin)
        return entry_refuse(e, fail(AG_ENOTSUP, "this is a static build, which opens no plugin files"));
    return 0;
}

static int append(struct registry *r, struct entry *e) {
    int rc = mem_grow(&r->entry, &r->cap, r->n + 1, sizeof *r->entry);
    if (rc < 0) return rc;
    r->entry[r->n++] = e;
    return 0;
}

/* folder/name, without "./" and doubled slashes at the seam; NULL without memory. */
static char *join(const char *folder, const char *name) {
    struct str s = { 0 };
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    str_add(&s, folder, n);
    if (n != 1 || folder[0] != '/') str_putc(&s, '/');
    str_puts(&s, name);
    if (!s.failed) return s.p;
    str_free(&s);
    return NULL;
}

static char *absolute(const char *path) {
    if (path[0] == '/') return strdup(path);
    char here[PATH_MAX];
    while (path[0] == '.' && path[1] == '/') path += 2;
    return getcwd(here, sizeof here) ? join(here, path) : NULL;
}

/* An entry for the file at an absolute path, not yet read. */
static struct entry *add_file(struct registry *r, const char *path) {
    struct entry *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    const char *base = strrchr(path, '/');
    e->path = strdup(path);
    e->file_name = strdup(base ? base + 1 : path);
    if (!e->path || !e->file_name || append(r, e) < 0) {
        free(e->path);
        free(e->file_name);
        free(e);
        return NULL;
    }
    size_t n = strlen(e->file_name);
    if (n > sizeof suffix - 1 && !strcmp(e->file_name + n - (sizeof suffix - 1), suffix))
        e->file_name[n - (sizeof suffix - 1)] = 0;
    e->pub.path = e->path;
    e->pub.name = e->file_name;
    e->pub.version = e->pub.license = e->pub.provides = "";
    return e;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of files in the folder that may be plugins, sorted. */
static int list_folder(DIR *dir, char ***out, size_t *n) {
    size_t cap = 0;
    struct dirent *d;
    while ((d = readdir(dir))) {
        size_t len = strlen(d->d_name);
        if (d->d_name[0] == '.' || len < sizeof suffix || strcmp(d->d_name + len - 3, suffix)) continue;
        if (mem_grow(out, &cap, *n + 1, sizeof **out) < 0 || !((*out)[*n] = strdup(d->d_name)))
            return fail(AG_ENOMEM, "no memory to list plugins");
        ++*n;
    }
    if (*n) qsort(*out, *n, sizeof **out, by_name);
    return 0;
}

static bool was_searched(const struct registry *r, const char *folder) {
    size_t n = strlen(folder);
    for (const char *p = str_text(&r->searched); (p = strstr(p, folder)); p++)
        if ((p == r->searched.p || p[-1] == ' ') && (!p[n] || p[n] == ',')) return true;
    return false;
}

/* A folder's files. A missing folder is nothing, unless it was named on the command line. */
static int search_folder(struct registry *r, const char *name, bool must) {
    char *folder = absolute(name), **file = NULL;
    size_t n = 0;
    int rc = 0;
    if (!folder) return fail(AG_ENOMEM, "no memory to search %s", name);
    if (was_searched(r, folder)) {
        free(folder);
        return 0;
    }
    if (r->searched.n) str_puts(&r->searched, ", ");
    str_puts(&r->searched, folder);
    DIR *dir = opendir(folder);
    if (!dir) {
        if (must) rc = fail(errno == ENOENT ? AG_ENOENT : AG_EIO, "plugin folder %s: %s", folder, strerror(errno));
        else if (errno != ENOENT) log_line(AG_LOG_WARN, "plugin folder %s: %s", folder, strerror(errno));
        free(folder);
        return rc;
    }
    rc = list_folder(dir, &file, &n);
    closedir(dir);
    for (size_t i = 0; i < n; i++) {
        char *path = rc < 0 ? NULL : join(folder, file[i]);
        struct entry *e = path ? add_file(r, path) : NULL;
        if (e) entry_read(e);
        else if (rc >= 0) rc = fail(AG_ENOMEM, "no memory to list plugins");
        free(path);
        free(file[i]);
    }
    free(file);
    free(folder);
    return rc;
}

/* Folders of a list, separated by `sep`. Relative ones are taken from `base`, or skipped with a
 * warning when it is NULL: code is never loaded from the current directory by accident. */
static int search_list(struct registry *r, const char *list, char sep, const char *what, const char *base) {
    int rc = 0;
    for (const char *p = list; rc >= 0 && *p;) {
        const char *end = strchr(p, sep);
        size_t n = end ? (size_t)(end - p) : strlen(p);
        char *name = strndup(p, n), *path = NULL;
        p += n + (end != NULL);
        if (!name) return fail(AG_ENOMEM, "no memory to search %s", what);
        if (n && name[0] != '/') {
            if (base) path = join(base, name);
            else log_line(AG_LOG_WARN, "%s: %s is skipped, want an absolute folder", what, name);
            if (base && !path) rc = fail(AG_ENOMEM, "no memory to search %s", what);
        } else if (n) {
            path = strdup(name);
            if (!path) rc = fail(AG_ENOMEM, "no memory to search %s", what);
        }
        if (path) rc = search_folder(r, path, false);
        free(path);
        free(name);
    }
    return rc;
}

/* The list that the build wrote beside an uninstalled binary. */
static int search_list_file(struct registry *r, const char *name) {
    char *folder = absolute(name);
    FILE *f = fopen(name, "re");
    struct str text = { 0 };
    int rc = 0;
    if (!folder) rc = fail(AG_ENOMEM, "no memory to read %s", name);
    else if (!f) rc = fail(AG_EIO, "plugin list %s: %s", name, strerror(errno));
    if (rc >= 0) {
        char part[4096];
        size_t n;
        while ((n = fread(part, 1, sizeof part, f)) && text.n < (1 << 20)) str_add(&text, part, n);
        if (ferror(f) || text.failed) rc = fail(AG_EIO, "plugin list %s cannot be read", name);
    }
    if (rc >= 0) {
        *strrchr(folder, '/') = 0;
        rc = search_list(r, str_text(&text), '\n', name, *folder ? folder : "/");
    }
    str_free(&text);
    if (f) fclose(f);
    free(folder);
    return rc;
}

/* --plugin: a bad one is an error, not a line in a list. */
static int search_file(struct registry *r, const char *name) {
    char *path = absolute(name);
    struct entry *e = path ? add_file(r, path) : NULL;
    free(path);
    if (!e) return fail(AG_ENOMEM, "no memory to read plugin %s", name);
    int rc = entry_read(e);
    return rc < 0 ? fail_prefix(rc, "plugin %s", name) : 0;
}

static int search_data_home(struct registry *r, const char *home) {
    char part[32];
    snprintf(part, sizeof part, "agave/abi-%u", AG_ABI_MAJOR);
    char *folder = join(home, part);
    if (!folder) return fail(AG_ENOMEM, "no memory to search %s", home);
    int rc = 0;
    if (folder[0] == '/') rc = search_folder(r, folder, false);
    else log_line(AG_LOG_WARN, "data folder %s is skipped, want an absolute one", folder);
    free(folder);
    return rc;
}

int search_all(struct registry *r, const struct registry_options *o) {
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < o->n_file; i++) rc = search_file(r, o->file[i]);
    for (size_t i = 0; rc >= 0 && i < o->n_dir; i++) rc = search_folder(r, o->dir[i], true);
    if (rc >= 0 && o->path && *o->path) {
        if (o->secure) log_line(AG_LOG_WARN, "AGAVE_PLUGIN_PATH is ignored: this program runs with raised rights");
        else rc = search_list(r, o->path, ':', "AGAVE_PLUGIN_PATH", NULL);
    }
    if (rc >= 0 && o->data_home && *o->data_home && !o->secure) rc = search_data_home(r, o->data_home);
    if (rc >= 0 && o->list_file) return search_list_file(r, o->list_file);
    if (rc >= 0 && o->install_dir) rc = search_folder(r, o->install_dir, false);
    return rc;
}
