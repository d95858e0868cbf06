/* SPDX-License-Identifier: MIT */
/* names.h - names read from a file, kept once each and found in constant time; shared by the format
 * plugins, compiled into each. The table owns copies of the names; all memory is the host's.
 * The hash is seeded per table, so that a file cannot be built to make every name collide. */
#ifndef FORMATS_NAMES_H
#define FORMATS_NAMES_H

#include <agave/base.h>

#include <string.h>
#include <time.h>

struct names_chunk {
    struct names_chunk *next;
    size_t used, cap;
};

struct names {
    const struct ag_host *host;
    struct names_chunk *chunk; /* the bytes of the names */
    const char **name;         /* [n], 0-terminated, stable */
    uint32_t n, cap;
    uint64_t *slot; /* [mask + 1]: hash << 32 | index + 1, 0 = free */
    uint32_t mask;
    uint64_t seed;
};

static inline void names_init(struct names *t, const struct ag_host *host) {
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    *t = (struct names){ .host = host };
    t->seed = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)(uintptr_t)t) *
              0x9E3779B97F4A7C15u;
}

static inline void names_finish(struct names *t) {
    while (t->chunk) {
        struct names_chunk *next = t->chunk->next;
        t->host->free(t->chunk);
        t->chunk = next;
    }
    if (t->name) t->host->free(t->name);
    if (t->slot) t->host->free(t->slot);
    t->name = NULL, t->slot = NULL, t->n = 0, t->cap = 0, t->mask = 0;
}

static inline uint32_t names_hash(const struct names *t, const void *bytes, size_t len) {
    const unsigned char *p = bytes;
    uint64_t h = t->seed ^ len, w;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
    }
    w = 0;
    memcpy(&w, p, len);
    h = (h ^ w) * 0xD6E8FEB86659FD93u;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93u;
    return (uint32_t)(h >> 32);
}

/* Room for `n` elements of `elem` bytes where there are `used`; doubles. Shared by the tables that
 * run parallel to the names. */
static inline int names_grow(const struct ag_host *host, void *ptr_of_ptr, uint32_t *cap,
                             uint32_t used, uint32_t n, size_t elem) {
    if (n <= *cap) return AG_OK;
    uint64_t want = *cap ? *cap : 16;
    while (want < n) want *= 2;
    if (want > UINT32_MAX) return host->fail(AG_ENOMEM, "out of memory");
    void *old, *fresh = host->alloc((size_t)want * elem, 16);
    if (!fresh) return host->fail(AG_ENOMEM, "out of memory (%zu bytes wanted)", (size_t)want * elem);
    memcpy(&old, ptr_of_ptr, sizeof old);
    if (used) memcpy(fresh, old, used * elem);
    if (old) host->free(old);
    memcpy(ptr_of_ptr, &fresh, sizeof fresh);
    *cap = (uint32_t)want;
    return AG_OK;
}

static inline int names_rehash(struct names *t) {
    uint32_t mask = t->slot ? t->mask * 2 + 1 : 63;
    uint64_t *slot = t->host->alloc(((size_t)mask + 1) * sizeof *slot, 16);
    if (!slot) return t->host->fail(AG_ENOMEM, "out of memory (table of names)");
    memset(slot, 0, ((size_t)mask + 1) * sizeof *slot);
    for (uint32_t i = 0; t->slot && i <= t->mask; i++) {
        if (!t->slot[i]) continue;
        uint32_t at = (uint32_t)(t->slot[i] >> 32) & mask;
        while (slot[at]) at = (at + 1) & mask;
        slot[at] = t->slot[i];
    }
    if (t->slot) t->host->free(t->slot);
    t->slot = slot, t->mask = mask;
    return AG_OK;
}

/* Index of a name, or -1. */
static inline int64_t names_find(const struct names *t, const void *bytes, size_t len) {
    if (!t->slot) return -1;
    uint32_t hash = names_hash(t, bytes, len);
    for (uint32_t at = hash & t->mask; t->slot[at]; at = (at + 1) & t->mask) {
        if ((uint32_t)(t->slot[at] >> 32) != hash) continue;
        uint32_t i = (uint32_t)t->slot[at] - 1;
        if (!strncmp(t->name[i], bytes, len) && !t->name[i][len]) return i;
    }
    return -1;
}

static inline char *names_copy(struct names *t, const void *bytes, size_t len) {
    struct names_chunk *c = t->chunk;
    if (!c || c->cap - c->used < len + 1) {
        size_t cap = len + 1 > 4096 ? len + 1 : c && c->cap < 65536 ? 2 * c->cap : 4096;
        if (cap < len + 1) cap = len + 1;
        c = t->host->alloc(sizeof *c + cap, 16);
        if (!c) return NULL;
        *c = (struct names_chunk){ .next = t->chunk, .cap = cap };
        t->chunk = c;
    }
    char *to = (char *)(c + 1) + c->used;
    memcpy(to, bytes, len);
    to[len] = 0;
    c->used += len + 1;
    return to;
}

/* 1: added, its index is n - 1; 0: it was there already; < 0 with a text. No zero byte in the name. */
static inline int names_add(struct names *t, const void *bytes, size_t len) {
    if (names_find(t, bytes, len) >= 0) return 0;
    int rc = names_grow(t->host, &t->name, &t->cap, t->n, t->n + 1, sizeof *t->name);
    if (rc == AG_OK && (!t->slot || t->n >= t->mask / 2)) rc = names_rehash(t);
    if (rc < 0) return rc;
    char *copy = names_copy(t, bytes, len);
    if (!copy) return t->host->fail(AG_ENOMEM, "out of memory (%zu bytes wanted)", len);
    uint32_t hash = names_hash(t, bytes, len), at = hash & t->mask;
    while (t->slot[at]) at = (at + 1) & t->mask;
    t->slot[at] = (uint64_t)hash << 32 | (t->n + 1);
    t->name[t->n++] = copy;
    return 1;
}

/* A name for a message: control bytes become '?', what is long is cut. Returns `to`. */
static inline const char *names_show(char to[96], const void *bytes, size_t len) {
    const unsigned char *p = bytes;
    size_t n = len < 88 ? len : 88;
    for (size_t i = 0; i < n; i++) to[i] = p[i] < 0x20 || p[i] == 0x7f ? '?' : (char)p[i];
    memcpy(to + n, len > n ? "..." : "", len > n ? 4 : 1);
    return to;
}

#endif
