/* SPDX-License-Identifier: MIT */
/* context.c - how many tokens of context. */
#include "loaded.h"

#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <limits.h>
#include <stdio.h>

enum { CTX_DEFAULT = 4096, CTX_BLOCK = 32 };

static uint64_t row_bytes(uint32_t dtype, int32_t n) {
    struct ag_dtype_info t = ag_dtype_info(dtype ? dtype : AG_F16);
    if (!t.block_elems || n <= 0) return 0;
    return ((uint64_t)n + t.block_elems - 1) / t.block_elems * t.block_bytes;
}

/* Bytes that grow with each token, and those that do not (windows, recurrent states). */
static int state_bytes(const struct loaded *l, uint64_t *per_token, uint64_t *fixed) {
    const struct options *o = l->o;
    const struct ag_model *m = &l->model->u.model;
    uint32_t k = o->kv_type_k ? o->kv_type_k : o->kv_type, v = o->kv_type_v ? o->kv_type_v : o->kv_type;
    void *self = NULL;
    int status = m->create(&l->file->meta, &self);
    if (status < 0) return status;
    struct ag_state_table t = { .size = sizeof t };
    status = m->states(self, &t);
    *per_token = *fixed = 0;
    for (uint32_t i = 0; status >= 0 && i < t.n; i++) {
        const struct ag_state *s = (const void *)((const char *)t.state + (size_t)i * t.stride);
        uint64_t row = (uint64_t)s->n_head * (row_bytes(k, s->k_dim) + row_bytes(v, s->v_dim));
        if (s->kind == AG_STATE_WINDOW) *fixed += row * (uint64_t)s->window;
        else if (s->kind == AG_STATE_RECURRENT) *fixed += row;
        else *per_token += row;
    }
    m->destroy(self);
    return status;
}

static int device_free(const struct loaded *l, uint64_t *bytes) {
    struct ag_device_info d = { .size = sizeof d };
    int status = l->backend->u.backend.device_info(l->device, &d);
    if (status < 0) return status;
    *bytes = d.memory_free;
    return 0;
}

/* What is left beside the weights and a reserve of max(512 MiB, 5 %), by bytes of a token. */
static int automatic(const struct loaded *l, int32_t *out) {
    uint64_t avail, per_token, fixed, most = l->info.ctx_train > 0 ? (uint64_t)l->info.ctx_train : 131072;
    int status = device_free(l, &avail);
    if (status == 0) status = state_bytes(l, &per_token, &fixed);
    if (status < 0) return status;
    if (!avail || !per_token) {
        *out = CTX_DEFAULT;
        log_line(AG_LOG_WARN, "--ctx-size auto: free memory of the device is unknown; taking %d", *out);
        return 0;
    }
    uint64_t reserve = avail / 20 > (512ull << 20) ? avail / 20 : 512ull << 20, need = 0;
    if (!add_u64(l->file->bytes, reserve, &need) || !add_u64(need, fixed, &need)) need = UINT64_MAX;
    uint64_t n = avail > need ? (avail - need) / per_token : 0;
    if (n > most) n = most;
    if (n > INT32_MAX) n = INT32_MAX;
    if (n >= CTX_BLOCK) n -= n % CTX_BLOCK;
    if (n < 128)
        return fail(AG_ENOSPC, "--ctx-size auto: want room for 128 tokens (%llu bytes each) beside %llu "
                    "bytes of weights, the device has %llu free; give --ctx-size N to try anyway",
                    (unsigned long long)per_token, (unsigned long long)l->file->bytes,
                    (unsigned long long)avail);
    *out = (int32_t)n;
    return 0;
}

int context_size(struct loaded *l, int32_t recipe, int32_t *out) {
    const struct options *o = l->o;
    int32_t trained = l->info.ctx_train;
    char hint[64] = "";
    int status = 0;
    if (!o->given[OPT_ctx_size]) {
        int32_t n = recipe > 0 ? recipe : CTX_DEFAULT;
        *out = trained > 0 && trained < n ? trained : n;
        if (trained > *out)
            snprintf(hint, sizeof hint, " (model supports %d, use --ctx-size to increase)", trained);
    } else if (o->ctx_size == OPTION_AUTO) {
        status = automatic(l, out);
    } else if (o->ctx_size == 0) {
        if (trained <= 0)
            return fail(AG_EFORMAT, "--ctx-size 0: the model file does not say what it was trained for; "
                                    "give a number");
        *out = trained;
    } else {
        *out = (int32_t)o->ctx_size;
        if (trained > 0 && *out > trained)
            log_line(AG_LOG_WARN, "--ctx-size %d is more than the model was trained for (%d): text "
                                  "beyond it gets worse", *out, trained);
    }
    if (status == 0) snprintf(l->ctx_text, sizeof l->ctx_text, "%d%s", *out, hint);
    return status;
}
