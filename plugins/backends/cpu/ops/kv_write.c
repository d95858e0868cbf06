/* SPDX-License-Identifier: MIT */
/* kv_write.c - KV_WRITE, and the layout of pages (kv.h). */
#include "kv.h"

#include "../plan.h"

VEC_DECLARE(kv_kernel, kv_write_k_f32);
VEC_DECLARE(kv_kernel, kv_write_k_f16);
VEC_DECLARE(kv_kernel, kv_write_k_bf16);
VEC_DECLARE(kv_kernel, kv_write_k_q8_0);
VEC_DECLARE(kv_kernel, kv_write_v_f32);
VEC_DECLARE(kv_kernel, kv_write_v_f16);
VEC_DECLARE(kv_kernel, kv_write_v_bf16);
VEC_DECLARE(kv_kernel, kv_write_v_q8_0);

struct kv_rung { uint32_t need; kv_kernel *fn; };
static const struct kv_rung k_f32[] = { VEC_RUNGS(kv_write_k_f32) };
static const struct kv_rung k_f16[] = { VEC_RUNGS(kv_write_k_f16) };
static const struct kv_rung k_bf16[] = { VEC_RUNGS(kv_write_k_bf16) };
static const struct kv_rung k_q8_0[] = { VEC_RUNGS(kv_write_k_q8_0) };
static const struct kv_rung v_f32[] = { VEC_RUNGS(kv_write_v_f32) };
static const struct kv_rung v_f16[] = { VEC_RUNGS(kv_write_v_f16) };
static const struct kv_rung v_bf16[] = { VEC_RUNGS(kv_write_v_bf16) };
static const struct kv_rung v_q8_0[] = { VEC_RUNGS(kv_write_v_q8_0) };

static const struct { uint32_t dtype; const struct kv_rung *k, *v; } types[] = {
    { AG_F32, k_f32, v_f32 },
    { AG_F16, k_f16, v_f16 },
    { AG_BF16, k_bf16, v_bf16 },
    { AG_Q8_0, k_q8_0, v_q8_0 },
};
enum { N_TYPES = sizeof types / sizeof types[0] };

static int type_index(uint32_t dtype, int32_t dim, const char *what) {
    for (int i = 0; i < N_TYPES; i++)
        if (types[i].dtype == dtype && ag_row_bytes(dtype, (uint64_t)dim)) return i;
    return cpu_host->fail(AG_ENOTSUP, "cpu: %s of %d dims in the cache as %s; there are F32, F16, BF16, "
                                      "and Q8_0 for multiples of 32", what, dim, ag_dtype_name(dtype));
}

int kv_init(struct kv *kv, const struct ag_state *s, const struct ag_kv_layout *l) {
    if (s->kind != AG_STATE_FULL && s->kind != AG_STATE_WINDOW)
        return cpu_host->fail(AG_ENOTSUP, "cpu: state of kind %u", s->kind);
    if (l->page_tokens < KV_BLOCK || l->page_tokens > 4096 || l->page_tokens % KV_BLOCK)
        return cpu_host->fail(AG_ENOTSUP, "cpu: pages of %u entries, want a multiple of %d",
                              l->page_tokens, KV_BLOCK);
    if (s->n_head < 1 || s->k_dim < 1 || s->v_dim < 1 || s->n_head > 1 << 16 || s->k_dim > 1 << 16 ||
        s->v_dim > 1 << 16)
        return cpu_host->fail(AG_EINVAL, "cpu: state of %d heads of %d and %d dims", s->n_head, s->k_dim,
                              s->v_dim);
    int k = type_index(l->k_dtype, s->k_dim, "keys"), v = type_index(l->v_dtype, s->v_dim, "values");
    if (k < 0 || v < 0) return AG_ENOTSUP;
    *kv = (struct kv){ .page_tokens = l->page_tokens, .k_dtype = l->k_dtype, .v_dtype = l->v_dtype,
                       .n_head = s->n_head, .k_dim = s->k_dim, .v_dim = s->v_dim };
    kv->k_head_bytes = KV_BLOCK * ag_row_bytes(l->k_dtype, (uint64_t)s->k_dim);
    kv->v_head_bytes = KV_BLOCK * ag_row_bytes(l->v_dtype, (uint64_t)s->v_dim);
    kv->block_bytes = (uint64_t)s->n_head * (kv->k_head_bytes + kv->v_head_bytes);
    kv->block_bytes = (kv->block_bytes + 63) & ~(uint64_t)63;
    kv->page_bytes = kv->block_bytes * (l->page_tokens / KV_BLOCK);
    return AG_OK;
}

int kv_bind(struct planner *pl, ag_ref ref, struct kv *kv, struct access *access,
            const struct item *it, bool write) {
    const struct ag_plan_desc *d = pl->desc;
    const struct ag_node *n = graph_node(d->graph, ref);
    while (n->op == AG_OP_KV_WRITE) n = graph_node(d->graph, n->src[0]);
    if (n->op != AG_OP_STATE || n->slot >= d->n_state)
        return cpu_host->fail(AG_EINVAL, "cpu: node %u is no bound state", ref);
    const struct ag_state_binding *s =
        (const void *)((const char *)d->state + (size_t)n->slot * d->state_stride);
    int err = kv_init(kv, &s->state, &s->kv);
    if (err < 0) return err;
    if (kv->page_bytes != s->kv.page_bytes || s->group >= AG_MAX_GROUP ||
        s->n_page * kv->page_bytes > s->at.bytes)
        return cpu_host->fail(AG_EINVAL, "cpu: state %u: %u pages of %llu bytes in %llu, want pages of "
                              "%llu", n->slot, s->n_page, (unsigned long long)s->kv.page_bytes,
                              (unsigned long long)s->at.bytes, (unsigned long long)kv->page_bytes);
    kv->pages = s->at.buffer->data + s->at.offset;
    kv->group = s->group;
    *access = access_of(it, kv->pages, s->n_page * kv->page_bytes, 0, write);
    access->part = PART_ANY;
    return AG_OK;
}

static int kv_write_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const struct kv *kv = it->u.kv;
    const struct value *k = &it->src[1], *v = &it->src[2];
    const int32_t *slot = ag_step_at(p->step, p->step->group[kv->group].write_off);
    int64_t first, end;
    item_rows(it, dim_of(p, k->dim[2]), ith, nth, &first, &end);
    for (int64_t t = first; t < end; t++) {
        if (slot[t] < 0) continue;
        int64_t place = slot[t] % kv->page_tokens;
        unsigned char *block = kv_block(kv, slot[t] / kv->page_tokens, place);
        for (int64_t h = 0; h < kv->n_head; h++) {
            const int64_t i[AG_MAX_DIM] = { 0, h, t };
            kv->write_k(row_at(k, i), kv->k_dim, kv_k(kv, block, h), (int)(place % KV_BLOCK));
            kv->write_v(row_at(v, i), kv->v_dim, kv_v(kv, block, h), (int)(place % KV_BLOCK));
        }
    }
    return AG_OK;
}

int plan_kv_write(struct planner *pl, const struct ag_node *n, struct item *it) {
    uint32_t features = pl->device->features;
    const struct value *k = &it->src[1], *v = &it->src[2];
    struct kv *kv = planner_alloc(pl, sizeof *kv);
    struct access access;
    if (!kv) return pl->err;
    it->sym = (uint8_t)(k->dim[2] < 0 ? -k->dim[2] : 0);
    int err = kv_bind(pl, n->src[0], kv, &access, it, true);
    if (err < 0) return err;
    if (k->dim[0] != kv->k_dim || v->dim[0] != kv->v_dim || k->dim[1] != kv->n_head ||
        v->dim[1] != kv->n_head)
        return cpu_host->fail(AG_EINVAL, "cpu: KV_WRITE of keys [%lld, %lld] and values [%lld, %lld] "
                              "into a state of %d heads, %d and %d dims", (long long)k->dim[0],
                              (long long)k->dim[1], (long long)v->dim[0], (long long)v->dim[1],
                              kv->n_head, kv->k_dim, kv->v_dim);
    const struct kv_rung *kl = types[type_index(kv->k_dtype, kv->k_dim, "keys")].k;
    const struct kv_rung *vl = types[type_index(kv->v_dtype, kv->v_dim, "values")].v;
    kv->write_k = kl[RUNG_PICK(kl, features)].fn;
    kv->write_v = vl[RUNG_PICK(vl, features)].fn;
    it->run = kv_write_run;
    it->u.kv = kv;
    return planner_add(pl, it, 0, &access, 1);
}
