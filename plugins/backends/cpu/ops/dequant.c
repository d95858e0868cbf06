/* SPDX-License-Identifier: MIT */
/* dequant.c - the ladder of row readers (vec/dequant_tmpl.c). */
#include "rung.h"

VEC_DECLARE(dequant_kernel, dequant_f32);
VEC_DECLARE(dequant_kernel, dequant_f16);
VEC_DECLARE(dequant_kernel, dequant_bf16);
VEC_DECLARE(dequant_kernel, dequant_q4_0);
VEC_DECLARE(dequant_kernel, dequant_q4_1);
VEC_DECLARE(dequant_kernel, dequant_q5_0);
VEC_DECLARE(dequant_kernel, dequant_q5_1);
VEC_DECLARE(dequant_kernel, dequant_q8_0);
VEC_DECLARE(dequant_kernel, dequant_q4_k);
VEC_DECLARE(dequant_kernel, dequant_q5_k);
VEC_DECLARE(dequant_kernel, dequant_q6_k);

struct dequant_rung { uint32_t need; dequant_kernel *fn; };
static const struct dequant_rung f32[] = { VEC_RUNGS(dequant_f32) };
static const struct dequant_rung f16[] = { VEC_RUNGS(dequant_f16) };
static const struct dequant_rung bf16[] = { VEC_RUNGS(dequant_bf16) };
static const struct dequant_rung q4_0[] = { VEC_RUNGS(dequant_q4_0) };
static const struct dequant_rung q4_1[] = { VEC_RUNGS(dequant_q4_1) };
static const struct dequant_rung q5_0[] = { VEC_RUNGS(dequant_q5_0) };
static const struct dequant_rung q5_1[] = { VEC_RUNGS(dequant_q5_1) };
static const struct dequant_rung q8_0[] = { VEC_RUNGS(dequant_q8_0) };
static const struct dequant_rung q4_k[] = { VEC_RUNGS(dequant_q4_k) };
static const struct dequant_rung q5_k[] = { VEC_RUNGS(dequant_q5_k) };
static const struct dequant_rung q6_k[] = { VEC_RUNGS(dequant_q6_k) };

static const struct { uint32_t dtype; const struct dequant_rung *ladder; } types[] = {
    { AG_F32, f32 },   { AG_F16, f16 },   { AG_BF16, bf16 },
    { AG_Q4_0, q4_0 }, { AG_Q4_1, q4_1 }, { AG_Q5_0, q5_0 },
    { AG_Q5_1, q5_1 }, { AG_Q8_0, q8_0 }, { AG_Q4_K, q4_k },
    { AG_Q5_K, q5_k }, { AG_Q6_K, q6_k },
};

dequant_kernel *dequant_for(uint32_t features, uint32_t dtype) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].dtype == dtype)
            return types[i].ladder[RUNG_PICK(types[i].ladder, features)].fn;
    return NULL;
}
