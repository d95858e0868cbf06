/* SPDX-License-Identifier: MIT */
/* split.c - names: the parts of a model that was cut in several files, and the one GGUF model of a
 * directory. */
#include "gguf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TAIL = sizeof "-00001-of-00001.gguf" - 1 };

static bool digits5(const char *p, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        *out = *out * 10 + (uint32_t)(p[i] - '0');
    }
    return true;
}

bool gguf_split_name(const char *path, size_t *stem, uint32_t *no, uint32_t *count) {
    size_t n = strlen(path);
    if (n < TAIL) return false;
    const char *tail = path + n - TAIL;
    if (tail[0] != '-' || memcmp(tail + 6, "-of-", 4) || strcmp(tail + 15, ".gguf") ||
        !digits5(tail + 1, no) || !digits5(tail + 10, count))
        return false;
    *stem = n - TAIL;
    return *no >= 1 && *no <= *count;
}

char *gguf_split_path(const char *path, size_t stem, uint32_t no, uint32_t count) {
    size_t room = stem + TAIL + 16;
    char *out = gguf_host->alloc(room, 16);
    if (!out) return NULL;
    memcpy(out, path, stem);
    snprintf(out + stem, room - stem, "-%05u-of-%05u.gguf", (unsigned)no, (unsigned)count);
    return out;
}

/* A file that stands for a model: *.gguf, of parts only the first. */
static bool is_model(const char *name) {
    size_t n = strlen(name), stem;
    uint32_t no, count;
    if (n <= 5 || name[0] == '.' || strcmp(name + n - 5, ".gguf")) return false;
    return !gguf_split_name(name, &stem, &no, &count) || no == 1;
}

/* Counts models; *first (when asked for) is the first in the order of names, *second the next. */
static int scan(const char *dir, uint32_t *n, bool *config, char first[256], char second[256]) {
    DIR *d = opendir(dir);
    if (!d) return gguf_host->fail(AG_EIO, "%s: %s", dir, strerror(errno));
    *n = 0, *config = false, *first = *second = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, "config.json")) *config = true;
        size_t len = strlen(e->d_name);
        if (!is_model(e->d_name) || len > 255) continue;
        ++*n;
        if (!*first || strcmp(e->d_name, first) < 0) {
            memcpy(second, first, 256);
            memcpy(first, e->d_name, len + 1);
        } else if (!*second || strcmp(e->d_name, second) < 0) {
            memcpy(second, e->d_name, len + 1);
        }
    }
    closedir(d);
    return AG_OK;
}

int gguf_dir_count(const char *dir, uint32_t *n, bool *config) {
    char first[256], second[256];
    return scan(dir, n, config, first, second);
}

int gguf_dir_pick(const char *dir, char **out) {
    char first[256], second[256];
    uint32_t n;
    bool config;
    int rc = scan(dir, &n, &config, first, second);
    if (rc < 0) return rc;
    if (!n) return gguf_host->fail(AG_ENOENT, "%s: want a .gguf file in the directory, found none", dir);
    if (n > 1)
        return gguf_host->fail(AG_EINVAL, "%s: want one GGUF model in the directory, found %u (%s, %s%s): "
                               "name the file", dir, n, first, second, n > 2 ? ", ..." : "");
    size_t room = strlen(dir) + 1 + sizeof first;
    *out = gguf_host->alloc(room, 16);
    if (!*out) return gguf_host->fail(AG_ENOMEM, "out of memory");
    bool slash = *dir && dir[strlen(dir) - 1] == '/';
    snprintf(*out, room, "%s%s%s", dir, slash ? "" : "/", first);
    return AG_OK;
}
