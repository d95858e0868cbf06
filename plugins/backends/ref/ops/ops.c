/* SPDX-License-Identifier: MIT */
/* ops.c - the table of what this backend does: every primitive, no composite. */
#include "ops/ops.h"

static const struct ref_op op[] = {
    { AG_OP_GET_ROWS, ref_get_rows_check, ref_get_rows },
    { AG_OP_MATMUL, ref_matmul_check, ref_matmul },
    { AG_OP_RMS_NORM, ref_rms_norm_check, ref_rms_norm },
    { AG_OP_ADD, ref_check_pair, ref_add },
    { AG_OP_MUL, ref_check_pair, ref_mul },
    { AG_OP_SCALE, ref_check_map, ref_scale },
    { AG_OP_UNARY, ref_unary_check, ref_unary },
    { AG_OP_SOFTCAP, ref_check_map, ref_softcap },
    { AG_OP_ROPE, ref_rope_check, ref_rope },
    { AG_OP_KV_WRITE, ref_kv_write_check, ref_kv_write },
    { AG_OP_ATTENTION, ref_attention_check, ref_attention },
    { AG_OP_PRIVATE, ref_private_check, ref_private },
};

const struct ref_op *ref_op_find(uint32_t number) {
    for (size_t i = 0; i < sizeof op / sizeof *op; i++)
        if (op[i].op == number) return &op[i];
    return NULL;
}

const struct ag_support ref_support[REF_N_SUPPORT] = {
    { AG_OP_GET_ROWS, 0, REF_DEQUANT_TYPES },
    { AG_OP_MATMUL, 0, REF_DEQUANT_TYPES },
    { AG_OP_RMS_NORM, 0, 0 },
    { AG_OP_ADD, 0, 0 },
    { AG_OP_MUL, 0, 0 },
    { AG_OP_SCALE, 0, 0 },
    { AG_OP_UNARY, 0, 0 },
    { AG_OP_SOFTCAP, 0, 0 },
    { AG_OP_ROPE, 0, 0 },
    { AG_OP_KV_WRITE, 0, 0 },
    { AG_OP_ATTENTION, 0, 0 },
    { AG_OP_PRIVATE, 0, 0 },
};
