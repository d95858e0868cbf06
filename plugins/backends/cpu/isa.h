/* SPDX-License-Identifier: MIT */
/* isa.h - what this CPU has, less what the user hides. */
#ifndef CPU_ISA_H
#define CPU_ISA_H

#include <stdint.h>

/* X(bit, ID, name as in /proc/cpuinfo) */
#define CPU_FEATURE_MAP(X)           \
    X(0, AVX2, "avx2")               \
    X(1, FMA, "fma")                 \
    X(2, F16C, "f16c")               \
    X(3, AVX512F, "avx512f")         \
    X(4, AVX512DQ, "avx512dq")       \
    X(5, AVX512BW, "avx512bw")       \
    X(6, AVX512VL, "avx512vl")       \
    X(7, AVX512_VNNI, "avx512_vnni") \
    X(8, AVX512_BF16, "avx512_bf16") \
    X(9, AVX_VNNI, "avx_vnni")

enum cpu_feature {
#define X(bit, id, name) CPU_##id = 1 << bit,
    CPU_FEATURE_MAP(X)
#undef X
};

/* What a rung of a ladder needs. */
enum {
    NEED_AVX2 = CPU_AVX2 | CPU_FMA | CPU_F16C,
    NEED_AVX512 = NEED_AVX2 | CPU_AVX512F | CPU_AVX512DQ | CPU_AVX512BW | CPU_AVX512VL,
    NEED_AVX512VNNI = NEED_AVX512 | CPU_AVX512_VNNI,
};

/* Bits of this machine, as far as the system saves the registers. */
uint32_t features_detect(void);
/* Takes away those named in mask ("avx512_vnni,avx2"; NULL = none). Unknown names are an error. */
int features_hide(uint32_t *features, const char *mask);
/* Names separated by blanks, into text. */
void features_text(uint32_t features, char *text, uint32_t bytes);

#endif
