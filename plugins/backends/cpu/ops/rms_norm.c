/* SPDX-License-Identifier: MIT */
/* rms_norm.c - RMS_NORM and ADD_RMS_NORM. */
#include "rung.h"

VEC_DECLARE(norm_kernel, rms_norm_f32);
VEC_DECLARE(add_norm_kernel, add_rms_norm_f32);

static const struct { uint32_t need; norm_kernel *fn; } norm_ladder[] = { VEC_RUNGS(rms_norm_f32) };
static const struct { uint32_t need; add_norm_kernel *fn; } add_norm_ladder[] = {
    VEC_RUNGS(add_rms_norm_f32)
};

static void norm_row(const struct item *it, const struct pass *p, const int64_t i[AG_MAX_DIM],
                     int ith) {
    const float *w = it->n_src > 1 ? (const float *)(const void *)it->src[1].data : NULL;
    (void)p, (void)ith;
    it->u.norm.fn(row_at(&it->src[0], i), w, it->u.norm.w_off, it->u.norm.eps, it->out.dim[0],
                  row_at(&it->out, i));
}

static void add_norm_row(const struct item *it, const struct pass *p, const int64_t i[AG_MAX_DIM],
                         int ith) {
    const float *w = (const float *)(const void *)it->src[2].data;
    (void)p, (void)ith;
    it->u.norm.add_fn(row_at(&it->src[0], i), row_at(&it->src[1], i), w, it->u.norm.w_off,
                      it->u.norm.eps, it->out.dim[0], row_at(&it->out, i));
}

static int norm_run(const struct item *it, const struct pass *p, int ith, int nth) {
    each_row(it, p, ith, nth, it->op == AG_OP_RMS_NORM ? norm_row : add_norm_row);
    return AG_OK;
}

int plan_norm(struct planner *pl, const struct ag_node *n, struct item *it) {
    it->run = norm_run;
    it->u.norm.fn = norm_ladder[RUNG_PICK(norm_ladder, pl->device->features)].fn;
    it->u.norm.add_fn = add_norm_ladder[RUNG_PICK(add_norm_ladder, pl->device->features)].fn;
    it->u.norm.eps = (float)n->param[AG_P_NORM_EPS].f;
    it->u.norm.w_off = (float)n->param[AG_P_NORM_W_OFF].f;
    return planner_add(pl, it, 0, NULL, 0);
}
