/* SPDX-License-Identifier: MIT */
/* matmul.h - kernels of packed weights, by type and instruction set. */
#ifndef CPU_OPS_MATMUL_H
#define CPU_OPS_MATMUL_H

#include "rung.h"

/* Kernels for tiles of 1, 2, 4 and 8 columns. */
matmul_q_kernel *const *matmul_q_for(uint32_t features, uint32_t dtype);

/* Portable, any type. */
extern matmul_q_kernel *const matmul_q4_0_portable[4], *const matmul_q4_1_portable[4],
    *const matmul_q5_0_portable[4], *const matmul_q5_1_portable[4], *const matmul_q8_0_portable[4],
    *const matmul_q4_k_portable[4], *const matmul_q5_k_portable[4], *const matmul_q6_k_portable[4];

#if CPU_X86
extern matmul_q_kernel *const matmul_q4_0_avx512vnni[4], *const matmul_q4_1_avx512vnni[4],
    *const matmul_q5_0_avx512vnni[4], *const matmul_q5_1_avx512vnni[4],
    *const matmul_q8_0_avx512vnni[4], *const matmul_q4_k_avx512vnni[4],
    *const matmul_q5_k_avx512vnni[4], *const matmul_q6_k_avx512vnni[4];
extern matmul_q_kernel *const matmul_q4_0_avx2[4], *const matmul_q4_1_avx2[4],
    *const matmul_q5_0_avx2[4], *const matmul_q5_1_avx2[4], *const matmul_q8_0_avx2[4],
    *const matmul_q4_k_avx2[4], *const matmul_q5_k_avx2[4], *const matmul_q6_k_avx2[4];
#define MATMUL_Q_RUNGS(type)                                                                       \
    { NEED_AVX512VNNI, matmul_##type##_avx512vnni }, { NEED_AVX2, matmul_##type##_avx2 },          \
    { 0, matmul_##type##_portable }
#else
#define MATMUL_Q_RUNGS(type) { 0, matmul_##type##_portable }
#endif

#endif
