/* SPDX-License-Identifier: MIT */
/* limit.h - for fuzz targets: a host for plugins whose allocator ends the process when more is held at
 * once than the input justifies, and a folder for inputs that must be files. */
#ifndef FUZZ_LIMIT_H
#define FUZZ_LIMIT_H

#include "util/host_services.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t limit_live, limit_bytes = SIZE_MAX;

#define REQUIRE(what) \
    do { \
        if (!(what)) fprintf(stderr, "%s:%d: wrong: %s\n", __FILE__, __LINE__, #what), abort(); \
    } while (0)

/* Memory with its size in front; 16 bytes keep the alignment that plugins ask for. */
static inline void *limit_malloc(size_t bytes) {
    REQUIRE(bytes <= limit_bytes && limit_live <= limit_bytes - bytes);
    char *p = mem_aligned(bytes + 16, 16);
    REQUIRE(p);
    memcpy(p, &bytes, sizeof bytes);
    limit_live += bytes;
    return p + 16;
}
static inline void *limit_alloc(size_t bytes, size_t align) {
    REQUIRE(align <= 16);
    return limit_malloc(bytes);
}
static inline void limit_free(void *p) {
    size_t bytes;
    if (!p) return;
    memcpy(&bytes, (char *)p - 16, sizeof bytes);
    limit_live -= bytes;
    free((char *)p - 16);
}

/* For an input of n bytes: factor * n + 64 KiB may be held; everything must have been given back. */
static inline void limit_begin(size_t n, size_t factor) { limit_bytes = factor * n + 65536; }
static inline void limit_end(void) { REQUIRE(limit_live == 0); }

static inline const struct ag_host *limit_host(void) {
    static struct ag_host host;
    host = *host_services();
    host.alloc = limit_alloc;
    host.free = limit_free;
    return &host;
}

static char limit_dir[64];

static inline const char *limit_path(const char *name) {
    static char path[2][128];
    static int turn;
    char *to = path[turn++ % 2];
    snprintf(to, sizeof path[0], "%s/%s", limit_dir, name);
    return to;
}

static inline void limit_remove_dir(void) {
    static const char *const names[] = { "config.json", "model.safetensors", "a", "x.gguf",
                                         "model.safetensors.index.json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(limit_path(names[i]));
    rmdir(limit_dir);
}

static inline void limit_write(const char *name, const void *p, size_t n) {
    if (!*limit_dir) {
        strcpy(limit_dir, "/tmp/agave-fuzz-XXXXXX");
        REQUIRE(mkdtemp(limit_dir));
        atexit(limit_remove_dir);
    }
    FILE *f = fopen(limit_path(name), "wb");
    REQUIRE(f && fwrite(p, 1, n, f) == n && !fclose(f));
}

#endif
