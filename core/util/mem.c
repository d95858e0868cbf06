/* SPDX-License-Identifier: MIT */
#include "util/mem.h"

#include "util/error.h"

#include <stdlib.h>
#include <string.h>

int mem_grow(void *ptr_of_ptr, size_t *cap, size_t n, size_t elem) {
    if (n <= *cap) return AG_OK;
    size_t want = *cap ? *cap : 16, bytes;
    while (want < n) {
        if (want > SIZE_MAX / 2) return fail(AG_ENOMEM, "out of memory");
        want *= 2;
    }
    if (__builtin_mul_overflow(want, elem, &bytes)) return fail(AG_ENOMEM, "out of memory");
    void *old;
    memcpy(&old, ptr_of_ptr, sizeof old);
    void *fresh = realloc(old, bytes);
    if (!fresh) return fail(AG_ENOMEM, "out of memory (%zu bytes wanted)", bytes);
    memcpy(ptr_of_ptr, &fresh, sizeof fresh);
    *cap = want;
    return AG_OK;
}

void *mem_aligned(size_t bytes, size_t align) {
    if (align < sizeof(void *)) align = sizeof(void *);
    if (bytes > SIZE_MAX - align) return NULL;
    void *p = NULL;
    return posix_memalign(&p, align, bytes ? bytes : 1) ? NULL : p;
}
