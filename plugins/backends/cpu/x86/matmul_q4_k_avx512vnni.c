/* SPDX-License-Identifier: MIT */
#include "matmul_q_avx512vnni.h"

#define KIND { .unit = 8, .shift = 0, .min = 1, .split = 0 }
#define PAYLOAD 256
#define HEAD 256
#define HEAD_T struct head_k
#define unpack unpack_4
#define head head_k
#define scales(h, b) scales_k(h, b)
#include "matmul_q_tile.h"

TILES(q4_k)
