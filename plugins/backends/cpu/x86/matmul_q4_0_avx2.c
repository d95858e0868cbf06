/* SPDX-License-Identifier: MIT */
#include "matmul_q_avx2.h"

#define KIND { .unit = 1, .shift = 3, .min = 0, .split = 0 }
#define PAYLOAD 256
#define HEAD 32
#define HEAD_T struct head16
#define unpack unpack_4
#define head head_plain
#define scales(h, b) scales_16(h, b)
#include "matmul_q_tile.h"

TILES(q4_0)
