/* SPDX-License-Identifier: MIT */
/* walk.h - asks an opened file everything that a host asks, and checks that the answers lie where they
 * must. */
#ifndef FUZZ_WALK_H
#define FUZZ_WALK_H

#include <agave/format.h>

#include "limit.h"

static volatile uint64_t walk_sum; /* keeps the reads */

static inline void walk_bytes(const void *p, uint64_t n) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) sum += ((const unsigned char *)p)[i];
    walk_sum += sum;
}

static inline void walk_value(const struct ag_value *v) {
    static const uint8_t width[] = { 0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 1 };
    REQUIRE(v->type <= AG_VALUE_ARRAY);
    if (v->type == AG_VALUE_STR) walk_bytes(v->data, v->bytes);
    if (v->type != AG_VALUE_ARRAY || !v->data) return;
    REQUIRE(v->elem > AG_ELEM_OTHER && v->elem <= AG_ELEM_STR);
    walk_bytes(v->data, v->bytes);
    if (v->elem != AG_ELEM_STR) {
        REQUIRE(v->bytes == v->count * width[v->elem]);
        return;
    }
    const unsigned char *p = v->data, *end = p + v->bytes;
    for (uint64_t i = 0; i < v->count; i++) {
        uint64_t n;
        REQUIRE(end - p >= 8);
        memcpy(&n, p, 8);
        p += 8;
        REQUIRE(n <= (uint64_t)(end - p));
        p += n;
    }
    REQUIRE(p == end);
}

static inline void walk_file(const struct ag_format *format, ag_file *f) {
    uint32_t parts = format->part_count(f), tensors = format->tensor_count(f);
    const char *key;
    for (uint32_t i = 0; (key = format->meta_key(f, i)); i++) {
        struct ag_value v = { .size = sizeof v };
        if (format->meta(f, key, &v)) walk_value(&v);
    }
    for (uint32_t i = 0; i < tensors; i++) {
        struct ag_tensor t = { .size = sizeof t };
        struct stat st;
        REQUIRE(format->tensor(f, i, &t) == AG_OK);
        REQUIRE(t.name && *t.name && t.n_plane == 1 && t.n_dim <= AG_MAX_DIM && t.plane[0].part < parts);
        REQUIRE(stat(format->part(f, t.plane[0].part), &st) == 0);
        REQUIRE(t.plane[0].offset <= (uint64_t)st.st_size &&
                t.plane[0].bytes <= (uint64_t)st.st_size - t.plane[0].offset);
        uint64_t rows = 1;
        for (int d = 1; d < AG_MAX_DIM; d++) rows *= (uint64_t)t.dim[d];
        REQUIRE(ag_row_bytes(t.dtype, (uint64_t)t.dim[0]) * rows == t.plane[0].bytes);
    }
    for (uint32_t role = 0; role < 12; role++) format->file(f, role);
}

#endif
