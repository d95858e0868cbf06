/* SPDX-License-Identifier: MIT */
#include "matmul_q_avx2.h"

#define KIND { .unit = 1, .shift = 0, .min = 1, .split = 0 }
#define PAYLOAD 320
#define HEAD 64
#define HEAD_T struct head16
#define unpack unpack_5
#define head head_min
#define scales(h, b) scales_16(h, b)
#include "matmul_q_tile.h"

TILES(q5_1)
