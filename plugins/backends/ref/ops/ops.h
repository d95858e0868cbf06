/* SPDX-License-Identifier: MIT */
/* ops.h - one file an op; its contract stands there. */
#ifndef REF_OPS_H
#define REF_OPS_H

#include "ref.h"

int ref_get_rows_check(const struct ag_plan *, ag_ref);
int ref_get_rows(const struct ref_call *);
int ref_matmul_check(const struct ag_plan *, ag_ref);
int ref_matmul(const struct ref_call *);
int ref_rms_norm_check(const struct ag_plan *, ag_ref);
int ref_rms_norm(const struct ref_call *);
int ref_add(const struct ref_call *);
int ref_mul(const struct ref_call *);
int ref_scale(const struct ref_call *);
int ref_unary_check(const struct ag_plan *, ag_ref);
int ref_unary(const struct ref_call *);
int ref_softcap(const struct ref_call *);
int ref_rope_check(const struct ag_plan *, ag_ref);
int ref_rope(const struct ref_call *);
int ref_kv_write_check(const struct ag_plan *, ag_ref);
int ref_kv_write(const struct ref_call *);
int ref_attention_check(const struct ag_plan *, ag_ref);
int ref_attention(const struct ref_call *);
int ref_private_check(const struct ag_plan *, ag_ref);
int ref_private(const struct ref_call *);

#endif
