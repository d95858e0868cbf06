/* SPDX-License-Identifier: MIT */
#include "impl.h"

#include <stdlib.h>

struct block { struct block *before; size_t n, cap; _Alignas(16) char at[]; };

enum { BLOCK = 16 << 10, BLOCK_MAX = 1 << 20 };

void *arena_alloc(struct arena *a, size_t bytes) {
    if (bytes > a->limit) goto full;
    bytes = (bytes + 15) & ~(size_t)15;
    struct block *b = a->last;
    if (!b || b->cap - b->n < bytes) {
        size_t cap = b ? 2 * b->cap : BLOCK;
        if (cap > BLOCK_MAX) cap = BLOCK_MAX;
        if (cap > a->limit - a->used) cap = a->limit - a->used;
        if (cap < bytes) cap = bytes;
        if (cap > a->limit - a->used) goto full;
        b = calloc(1, sizeof *b + cap);
        if (!b) return fail(AG_ENOMEM, "chat template: out of memory"), NULL;
        a->used += cap;
        b->cap = cap;
        b->before = a->last;
        a->last = b;
    }
    void *p = b->at + b->n;
    b->n += bytes;
    return p;
full:
    fail(AG_ENOMEM, "chat template: needs more than the %zu bytes of memory it may use", a->limit);
    return NULL;
}

void *arena_grow(struct arena *a, void *p, size_t old, size_t n, size_t elem) {
    size_t bytes;
    if (__builtin_mul_overflow(n, elem, &bytes))
        return fail(AG_ENOMEM, "chat template: out of memory"), NULL;
    /* What was allocated last grows in place. */
    struct block *b = a->last;
    size_t had = (old * elem + 15) & ~(size_t)15;
    if (p && b && (char *)p + had == b->at + b->n && bytes > had && bytes <= a->limit) {
        size_t more = ((bytes + 15) & ~(size_t)15) - had;
        if (b->cap - b->n >= more) {
            b->n += more;
            return p;
        }
    }
    void *fresh = arena_alloc(a, bytes);
    if (fresh && old) memcpy(fresh, p, old * elem);
    return fresh;
}

void arena_free(struct arena *a) {
    for (struct block *b = a->last, *before; b; b = before) {
        before = b->before;
        free(b);
    }
    *a = (struct arena){ 0 };
}
