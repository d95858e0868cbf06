/* SPDX-License-Identifier: MIT */
/* rung.h - a ladder is a table of kernels in preference order; the first whose needs are met wins. */
#ifndef CPU_OPS_RUNG_H
#define CPU_OPS_RUNG_H

#include "../cpu.h"

#include <string.h>

/* The three instances of a template of vec/, best first. */
#if CPU_X86
#define VEC_RUNGS(name)                                                                 \
    { NEED_AVX512, name##_avx512 }, { NEED_AVX2, name##_avx2 }, { 0, name##_portable }
#define VEC_DECLARE(type, name) type name##_avx512, name##_avx2, name##_portable
#else
#define VEC_RUNGS(name) { 0, name##_portable }
#define VEC_DECLARE(type, name) type name##_portable
#endif

/* Index of the first rung of `ladder` (rows begin with `uint32_t need`) that runs here. */
#define RUNG_PICK(ladder, features) rung_pick((ladder), sizeof (ladder)[0], (features))

static inline int rung_pick(const void *ladder, size_t stride, uint32_t features) {
    const char *p = ladder;
    int i = 0;
    for (uint32_t need; memcpy(&need, p, sizeof need), (need & features) != need; p += stride) i++;
    return i;
}

#endif
