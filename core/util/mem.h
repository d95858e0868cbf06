/* SPDX-License-Identifier: MIT */
/* mem.h - checked sizes, and the allocator plugins are lent. */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <agave/base.h>

/* *out = a * b, a + b; false on overflow. */
static inline bool mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

/* Grows *ptr (elements of `elem` bytes, *cap of them) to hold at least n; doubles. AG_ENOMEM leaves it
 * as it was. */
int mem_grow(void *ptr_of_ptr, size_t *cap, size_t n, size_t elem);
/* align is a power of two; the bytes are not cleared. */
void *mem_aligned(size_t bytes, size_t align);

#endif
