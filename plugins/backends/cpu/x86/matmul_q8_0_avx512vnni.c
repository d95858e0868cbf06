/* SPDX-License-Identifier: MIT */
#include "matmul_q_avx512vnni.h"

#define KIND { .unit = 1, .shift = 7, .min = 0, .split = 0 }
#define PAYLOAD 512
#define HEAD 32
#define HEAD_T struct head16
#define unpack unpack_8
#define head head_plain
#define scales(h, b) scales_16(h, b)
#include "matmul_q_tile.h"

TILES(q8_0)
