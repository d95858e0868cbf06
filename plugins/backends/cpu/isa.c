/* SPDX-License-Identifier: MIT */
/* isa.c - see isa.h. */
#include "isa.h"

#include "cpu.h"

#include <stdio.h>
#include <string.h>

static const struct { uint32_t bit; const char *name; } names[] = {
#define X(bit, id, name) { 1u << bit, name },
    CPU_FEATURE_MAP(X)
#undef X
};
enum { N_NAMES = sizeof names / sizeof names[0] };

#if CPU_X86
#include <cpuid.h>

static uint64_t saved_state(void) {
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

uint32_t features_detect(void) {
    enum { OSXSAVE = 1 << 27, YMM = 6, ZMM = 0xe6 };
    uint32_t a, b, c, d, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
    uint64_t state = saved_state();
    if ((state & YMM) != YMM) return 0;
    if (c >> 12 & 1) found |= CPU_FMA;
    if (c >> 29 & 1) found |= CPU_F16C;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    uint32_t more = 0, e;
    __get_cpuid_count(7, 1, &more, &e, &e, &e);
    if (b >> 5 & 1) found |= CPU_AVX2;
    if (more >> 4 & 1) found |= CPU_AVX_VNNI;
    if ((state & ZMM) != ZMM) return found;
    if (b >> 16 & 1) found |= CPU_AVX512F;
    if (b >> 17 & 1) found |= CPU_AVX512DQ;
    if (b >> 30 & 1) found |= CPU_AVX512BW;
    if (b >> 31 & 1) found |= CPU_AVX512VL;
    if (c >> 11 & 1) found |= CPU_AVX512_VNNI;
    if (more >> 5 & 1) found |= CPU_AVX512_BF16;
    return found;
}
#else
uint32_t features_detect(void) {
    return 0;
}
#endif

void features_text(uint32_t features, char *text, uint32_t bytes) {
    uint32_t at = 0;
    text[0] = 0;
    for (int i = 0; i < N_NAMES; i++) {
        if (!(features & names[i].bit)) continue;
        int n = snprintf(text + at, bytes - at, "%s%s", at ? " " : "", names[i].name);
        if (n < 0 || (uint32_t)n >= bytes - at) {
            text[at] = 0;
            return;
        }
        at += (uint32_t)n;
    }
}

int features_hide(uint32_t *features, const char *mask) {
    while (mask && *mask) {
        size_t n = strcspn(mask, ",");
        uint32_t bit = 0;
        for (int i = 0; i < N_NAMES; i++)
            if (strlen(names[i].name) == n && memcmp(names[i].name, mask, n) == 0) bit = names[i].bit;
        if (!bit) {
            char known[256];
            features_text(UINT32_MAX, known, sizeof known);
            return cpu_host->fail(AG_EINVAL, "cpu mask: no feature %.*s is known; there are: %s",
                                  (int)n, mask, known);
        }
        *features &= ~bit;
        mask += n + (mask[n] == ',');
    }
    return AG_OK;
}
