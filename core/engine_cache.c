/* SPDX-License-Identifier: MIT */
/* engine_cache.c - the states of a model as page groups in device memory, and the step block. */
#include "engine_impl.h"

#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static int group_of(struct engine *e, const struct ag_state *s, int32_t ctx, uint32_t *group) {
    for (int32_t g = 0; g < e->n_group; g++)
        if (e->pool[g].kind == s->kind && e->pool[g].window == s->window) {
            *group = (uint32_t)g;
            return AG_OK;
        }
    if (e->n_group == AG_MAX_GROUP)
        return fail(AG_ENOTSUP, "%s: more than %d kinds of state", e->who, AG_MAX_GROUP);
    *group = (uint32_t)e->n_group++;
    return page_pool_init(&e->pool[*group], s->kind, s->window, PAGE_TOKENS, ctx, e->cls.max_token,
                          e->cls.max_seq);
}

static int check_state(const struct engine *e, const struct ag_state *s) {
    if (s->kind != AG_STATE_FULL && s->kind != AG_STATE_WINDOW)
        return fail(AG_ENOTSUP, "%s: layer %d declares state kind %u, which this version does not keep", e->who,
                    s->layer, s->kind);
    if (s->n_head < 1 || s->k_dim < 1 || s->v_dim < 1 || s->n_head > 65536 || s->k_dim > 65536 ||
        s->v_dim > 65536 || (s->kind == AG_STATE_WINDOW) != (s->window > 0))
        return fail(AG_EINVAL, "%s: layer %d declares a state of %d heads of %d and %d, window %d", e->who,
                    s->layer, s->n_head, s->k_dim, s->v_dim, s->window);
    return AG_OK;
}

/* Page group, page bytes and pool of one state. */
static int bind_state(struct engine *e, uint32_t i) {
    struct ag_state_binding *b = &e->state[i];
    memcpy(&b->state, engine_state(e, i), sizeof b->state);
    int err = check_state(e, &b->state);
    if (err == AG_OK) err = group_of(e, &b->state, e->cls.max_ctx, &b->group);
    if (err < 0) return err;
    b->kv = (struct ag_kv_layout){ .size = sizeof b->kv, .page_tokens = PAGE_TOKENS,
                                   .k_dtype = e->kv_k, .v_dtype = e->kv_v };
    if ((err = e->backend->kv_layout(e->device, &b->state, &b->kv)) < 0) return err;
    b->n_page = (uint32_t)e->pool[b->group].n_page;
    if (!mul_u64(b->kv.page_bytes, b->n_page, &b->at.bytes) || !add_u64(e->kv_bytes, b->at.bytes, &e->kv_bytes))
        return fail(AG_EINVAL, "a cache of %u pages of %llu bytes is too large", b->n_page,
                    (unsigned long long)b->kv.page_bytes);
    return AG_OK;
}

int engine_make_cache(struct engine *e, const struct engine_options *o) {
    static const char advice[] = "a smaller --ctx-size or --kv-type q8_0 needs less";
    e->kv_k = o->kv_k ? o->kv_k : o->exact ? AG_F32 : AG_F16;
    e->kv_v = o->kv_v ? o->kv_v : o->exact ? AG_F32 : AG_F16;
    uint32_t n = e->states.n ? e->states.n : 1;
    e->state = calloc(n, sizeof *e->state);
    e->state_buffer = calloc(n, sizeof *e->state_buffer);
    if (!e->state || !e->state_buffer) return fail(AG_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < e->states.n; i++) {
        int err = bind_state(e, i);
        if (err < 0) return err;
    }
    /* memory is given out before it is there: what cannot fit must be refused, not killed later */
    if (e->device_info.memory_total && e->kv_bytes > e->device_info.memory_total)
        return fail(AG_ENOMEM, "KV cache of %d tokens: needs %.1f GB, %s has %.1f GB; %s", e->cls.max_ctx,
                    (double)e->kv_bytes / 1e9, e->device_info.name, (double)e->device_info.memory_total / 1e9, advice);
    for (uint32_t i = 0; i < e->states.n; i++) {
        struct ag_binding *at = &e->state[i].at;
        int err = e->backend->alloc(e->device, at->bytes, AG_BUFFER_DEVICE, AG_BUFFER_HUGE, &e->state_buffer[i]);
        if (err < 0) return fail_prefix(err, "KV cache of %d tokens (%s)", e->cls.max_ctx, advice);
        at->buffer = e->state_buffer[i];
    }
    return AG_OK;
}

/* ---- the step block ---- */

static uint32_t take(uint64_t *at, uint64_t count) {
    uint64_t off = *at;
    *at = (off + count * sizeof(int32_t) + 63) & ~(uint64_t)63;
    return (uint32_t)off;
}

int engine_make_step(struct engine *e) {
    uint64_t t = (uint64_t)e->cls.max_token, s = (uint64_t)e->cls.max_seq, at = (sizeof(struct ag_step) + 63) & ~63u;
    e->max_page = (e->cls.max_ctx + PAGE_TOKENS - 1) / PAGE_TOKENS;
    uint64_t count[AG_STEP_FIELDS] = {
        [AG_STEP_TOKEN] = t, [AG_STEP_SEQ] = t, [AG_STEP_ORDER] = t, [AG_STEP_POS] = 4 * t,
        [AG_STEP_PARENT] = t, [AG_STEP_SPAN] = t, [AG_STEP_OUT_ROW] = (uint64_t)e->cls.max_out,
        [AG_STEP_Q_BEGIN] = s, [AG_STEP_Q_LEN] = s, [AG_STEP_KV_LEN] = s,
    };
    struct ag_step head = { .size = sizeof head, .n_group = e->n_group, .max_token = e->cls.max_token,
                            .max_out = e->cls.max_out, .max_seq = e->cls.max_seq };
    for (int f = 0; f < AG_STEP_FIELDS; f++)
        if (count[f]) head.off[f] = take(&at, count[f]);
    for (int32_t g = 0; g < e->n_group; g++)
        head.group[g] = (struct ag_step_group){
            .page_tokens = PAGE_TOKENS, .max_page = (uint32_t)e->max_page,
            .table_off = take(&at, s * (uint64_t)e->max_page), .write_off = take(&at, t), .first_off = take(&at, s),
        };
    if (at > UINT32_MAX)
        return fail(AG_EINVAL, "context %d of %d sequences is too large for one step", e->cls.max_ctx, e->cls.max_seq);
    head.bytes = (uint32_t)at;
    e->step = mem_aligned((size_t)at, 64);
    e->seq_used = calloc((size_t)s, sizeof *e->seq_used);
    if (!e->step || !e->seq_used) return fail(AG_ENOMEM, "out of memory");
    memset(e->step, 0, (size_t)at);
    memcpy(e->step, &head, sizeof head);
    return AG_OK;
}
