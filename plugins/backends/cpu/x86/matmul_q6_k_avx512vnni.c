/* SPDX-License-Identifier: MIT */
#include "matmul_q_avx512vnni.h"

#define KIND { .unit = 8, .shift = 5, .min = 0, .split = 1 }
#define PAYLOAD 384
#define HEAD 288
#define HEAD_T struct head_6k
#define unpack unpack_6
#define head head_6k
#define scales(h, b) scales_6k(h, b)
#include "matmul_q_tile.h"

TILES(q6_k)
