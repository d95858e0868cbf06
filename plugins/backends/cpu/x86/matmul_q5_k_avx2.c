/* SPDX-License-Identifier: MIT */
#include "matmul_q_avx2.h"

#define KIND { .unit = 8, .shift = 0, .min = 1, .split = 0 }
#define PAYLOAD 320
#define HEAD 256
#define HEAD_T struct head_k
#define unpack unpack_5
#define head head_k
#define scales(h, b) scales_k(h, b)
#include "matmul_q_tile.h"

TILES(q5_k)
