/* SPDX-License-Identifier: MIT */
/* dequant.c - every weight type this backend reads, as f32. Formulas are those of quant.h; products
 * are formed in the order written here, which is that of the files' authors, bit for bit. */
#include "ref.h"

float ref_half_to_float(ag_half h) {
    uint32_t sign = (uint32_t)(h >> 15) << 31, exp = h >> 10 & 31, man = h & 1023, bits;
    if (exp == 31) {
        bits = sign | 0x7f800000u | man << 13;
    } else if (exp) {
        bits = sign | (exp + 112) << 23 | man << 13;
    } else if (!man) {
        bits = sign;
    } else { /* subnormal: shift until the leading bit is the implied one */
        uint32_t shift = 0;
        while (!(man & 1024)) man <<= 1, shift++;
        bits = sign | (113 - shift) << 23 | (man & 1023) << 13;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

ag_half ref_half_from_float(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
    if (mag > 0x7f800000) return (ag_half)(sign | 0x7e00);  /* NaN */
    if (mag >= 0x477ff000) return (ag_half)(sign | 0x7c00); /* rounds to 65536 or more */
    if (mag < 0x33000001) return (ag_half)sign;             /* at most 2^-25: ties to zero */
    uint32_t exp = mag >> 23, man = (mag & 0x7fffff) | 0x800000, drop = 13, base = 0;
    if (exp < 113) drop += 113 - exp; /* subnormal */
    else base = (exp - 113) << 10;    /* the implied bit adds the last 1 << 10 */
    uint32_t kept = man >> drop, rest = man & ((1u << drop) - 1), half = 1u << (drop - 1);
    kept += rest > half || (rest == half && (kept & 1));
    return (ag_half)(sign | (base + kept));
}

static void f32(const void *from, float *to) { memcpy(to, from, sizeof *to); }

static void f16(const void *from, float *to) {
    ag_half h;
    memcpy(&h, from, sizeof h);
    *to = ref_half_to_float(h);
}

static void bf16(const void *from, float *to) {
    uint16_t h;
    memcpy(&h, from, sizeof h);
    uint32_t bits = (uint32_t)h << 16;
    memcpy(to, &bits, sizeof bits);
}

static void q4_0(const void *from, float *to) {
    const struct ag_block_q4_0 *b = from;
    float d = ref_half_to_float(b->d);
    for (int j = 0; j < 16; j++) {
        to[j] = d * (float)((b->qs[j] & 15) - 8);
        to[j + 16] = d * (float)((b->qs[j] >> 4) - 8);
    }
}

static void q4_1(const void *from, float *to) {
    const struct ag_block_q4_1 *b = from;
    float d = ref_half_to_float(b->d), m = ref_half_to_float(b->m);
    for (int j = 0; j < 16; j++) {
        to[j] = d * (float)(b->qs[j] & 15) + m;
        to[j + 16] = d * (float)(b->qs[j] >> 4) + m;
    }
}

static uint32_t bits32(const uint8_t p[4]) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void q5_0(const void *from, float *to) {
    const struct ag_block_q5_0 *b = from;
    float d = ref_half_to_float(b->d);
    uint32_t high = bits32(b->qh);
    for (int j = 0; j < 16; j++) {
        int lo = (b->qs[j] & 15) | (int)(high >> j & 1) << 4;
        int hi = b->qs[j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
        to[j] = d * (float)(lo - 16);
        to[j + 16] = d * (float)(hi - 16);
    }
}

static void q5_1(const void *from, float *to) {
    const struct ag_block_q5_1 *b = from;
    float d = ref_half_to_float(b->d), m = ref_half_to_float(b->m);
    uint32_t high = bits32(b->qh);
    for (int j = 0; j < 16; j++) {
        int lo = (b->qs[j] & 15) | (int)(high >> j & 1) << 4;
        int hi = b->qs[j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
        to[j] = d * (float)lo + m;
        to[j + 16] = d * (float)hi + m;
    }
}

static void q8_0(const void *from, float *to) {
    const struct ag_block_q8_0 *b = from;
    float d = ref_half_to_float(b->d);
    for (int j = 0; j < 32; j++) to[j] = d * (float)b->qs[j];
}

/* Scale and minimum of sub-block j of a q4_k or q5_k block. */
static void scale_min(const uint8_t *s, int j, int *scale, int *min) {
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

static void q4_k(const void *from, float *to) {
    const struct ag_block_q4_k *b = from;
    float d = ref_half_to_float(b->d), dmin = ref_half_to_float(b->dmin);
    for (int j = 0; j < 8; j++) {
        int scale, min;
        scale_min(b->scales, j, &scale, &min);
        float ds = d * (float)scale, m = dmin * (float)min;
        for (int l = 0; l < 32; l++) {
            int q = b->qs[32 * (j / 2) + l] >> (j % 2 ? 4 : 0) & 15;
            to[32 * j + l] = ds * (float)q - m;
        }
    }
}

static void q5_k(const void *from, float *to) {
    const struct ag_block_q5_k *b = from;
    float d = ref_half_to_float(b->d), dmin = ref_half_to_float(b->dmin);
    for (int j = 0; j < 8; j++) {
        int scale, min;
        scale_min(b->scales, j, &scale, &min);
        float ds = d * (float)scale, m = dmin * (float)min;
        for (int l = 0; l < 32; l++) {
            int q = (b->qs[32 * (j / 2) + l] >> (j % 2 ? 4 : 0) & 15) | (b->qh[l] >> j & 1) << 4;
            to[32 * j + l] = ds * (float)q - m;
        }
    }
}

static void q6_k(const void *from, float *to) {
    const struct ag_block_q6_k *b = from;
    float d = ref_half_to_float(b->d);
    for (int e = 0; e < 256; e++) {
        int h = e / 128, part = e % 128 / 32, l = e % 32;
        int low = b->ql[64 * h + l + (part & 1 ? 32 : 0)] >> (part & 2 ? 4 : 0) & 15;
        int high = b->qh[32 * h + l] >> (2 * part) & 3;
        to[e] = d * (float)b->scales[e / 16] * (float)((low | high << 4) - 32);
    }
}

static void (*const block[AG_DTYPE_MAX])(const void *, float *) = {
    [AG_F32] = f32,   [AG_F16] = f16,   [AG_BF16] = bf16, [AG_Q4_0] = q4_0,
    [AG_Q4_1] = q4_1, [AG_Q5_0] = q5_0, [AG_Q5_1] = q5_1, [AG_Q8_0] = q8_0,
    [AG_Q4_K] = q4_k, [AG_Q5_K] = q5_k, [AG_Q6_K] = q6_k,
};

bool ref_can_dequant(uint32_t dtype) { return dtype < AG_DTYPE_MAX && block[dtype]; }

void ref_dequant(uint32_t dtype, const void *from, float *to, int64_t n) {
    struct ag_dtype_info t = ag_dtype_info(dtype);
    const unsigned char *p = from;
    for (int64_t i = 0; i < n; i += t.block_elems, p += t.block_bytes) block[dtype](p, to + i);
}
