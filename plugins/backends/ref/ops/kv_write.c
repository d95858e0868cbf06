/* SPDX-License-Identifier: MIT */
/* KV_WRITE: state, k f32 [Dk, Hkv, T], v f32 [Dv, Hkv, T] -> state. Row t goes to slot write[t] of
 * the state's page group, in the state's storage types; -1 (padding) is not written. */
#include "ops/ops.h"

int ref_kv_write_check(const struct ag_plan *p, ag_ref node) {
    const struct ref_node *state = ref_source(p, node, 0);
    if (state->state < 0) return ref_fault(p, node, "source 0 is no state");
    const struct ag_state *s = &p->state[state->state].state;
    int64_t T = ref_source(p, node, 1)->n.dim[2];
    int err = ref_check_activation(p, node, 1);
    if (err >= 0) err = ref_check_activation(p, node, 2);
    if (err >= 0) err = ref_check_dims(p, node, 1, s->k_dim, s->n_head, T, 1);
    return err < 0 ? err : ref_check_dims(p, node, 2, s->v_dim, s->n_head, T, 1);
}

int ref_kv_write(const struct ref_call *c) {
    const struct ag_state_binding *b = &c->plan->state[c->node->state];
    const struct ag_step_group *g = &c->step->group[b->group];
    const int32_t *slot = ag_step_at(c->step, g->write_off);
    struct ref_tensor k = ref_src(c, 1), v = ref_src(c, 2);
    struct ref_range rows = ref_split(c, k.dim[2]);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (slot[t] == -1) continue;
        if (slot[t] < 0 || (uint32_t)slot[t] / b->kv.page_tokens >= b->n_page)
            return ref_host->fail(AG_EINVAL, "ref: KV_WRITE: slot %d of %u pages of %u", slot[t],
                                  b->n_page, b->kv.page_tokens);
        for (int64_t h = 0; h < k.dim[1]; h++) {
            ref_kv_store(b, REF_K, slot[t], h, (float *)(void *)ref_row(&k, t * k.dim[1] + h));
            ref_kv_store(b, REF_V, slot[t], h, (float *)(void *)ref_row(&v, t * v.dim[1] + h));
        }
    }
    return AG_OK;
}
