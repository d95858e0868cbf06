/* SPDX-License-Identifier: MIT */
/* kv.c - pages of keys and values: K rows [page_tokens][n_head][k_dim], then V rows
 * [page_tokens][n_head][v_dim], each row in the type asked for. Pages are multiples of 64 bytes. */
#include "ref.h"

#include <math.h>

static bool kv_type(uint32_t dtype) {
    return dtype == AG_F32 || dtype == AG_F16 || dtype == AG_BF16 || dtype == AG_Q8_0;
}

int ref_kv_layout(ag_device *dev, const struct ag_state *s, struct ag_kv_layout *kv) {
    (void)dev;
    if (s->kind != AG_STATE_FULL && s->kind != AG_STATE_WINDOW)
        return ref_host->fail(AG_ENOTSUP, "ref: state kind %u of layer %d: want full or window",
                              s->kind, s->layer);
    if (s->n_head < 1 || s->k_dim < 1 || s->v_dim < 1 || s->n_head > 65536 || s->k_dim > 65536 ||
        s->v_dim > 65536)
        return ref_host->fail(AG_EINVAL, "ref: state of layer %d: %d heads of %d and %d: want 1 to "
                              "65536 of each", s->layer, s->n_head, s->k_dim, s->v_dim);
    if (!kv->page_tokens || kv->page_tokens > 65536)
        return ref_host->fail(AG_EINVAL, "ref: %u entries a page: want 1 to 65536",
                              kv->page_tokens);
    if (!kv_type(kv->k_dtype) || !kv_type(kv->v_dtype))
        return ref_host->fail(AG_ENOTSUP, "ref: KV types %s and %s: want F32, F16, BF16 or Q8_0",
                              ag_dtype_name(kv->k_dtype), ag_dtype_name(kv->v_dtype));
    uint64_t k_row = ag_row_bytes(kv->k_dtype, (uint64_t)s->k_dim);
    uint64_t v_row = ag_row_bytes(kv->v_dtype, (uint64_t)s->v_dim);
    if (!k_row || !v_row)
        return ref_host->fail(AG_ENOTSUP, "ref: KV type Q8_0 wants head dims that are multiples of "
                              "32, layer %d has %d and %d", s->layer, s->k_dim, s->v_dim);
    uint64_t bytes = (k_row + v_row) * (uint64_t)s->n_head * kv->page_tokens;
    kv->page_bytes = (bytes + 63) / 64 * 64;
    return AG_OK;
}

static unsigned char *row_at(const struct ag_state_binding *b, enum ref_kv_part part, int64_t slot,
                             int64_t head) {
    int64_t page = slot / b->kv.page_tokens, place = slot % b->kv.page_tokens;
    uint64_t k_row = ag_row_bytes(b->kv.k_dtype, (uint64_t)b->state.k_dim);
    uint64_t v_row = ag_row_bytes(b->kv.v_dtype, (uint64_t)b->state.v_dim);
    uint64_t heads = (uint64_t)b->state.n_head, index = (uint64_t)place * heads + (uint64_t)head;
    uint64_t in_page = part == REF_K ? index * k_row
                                     : b->kv.page_tokens * heads * k_row + index * v_row;
    return b->at.buffer->at + b->at.offset + (uint64_t)page * b->kv.page_bytes + in_page;
}

static uint16_t bf16_from_float(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64); /* stays a NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void store_q8_0(const float *from, unsigned char *to, int64_t n) {
    for (int64_t i = 0; i < n; i += AG_QK, to += sizeof(struct ag_block_q8_0)) {
        struct ag_block_q8_0 b;
        float most = 0;
        for (int j = 0; j < AG_QK; j++) most = fmaxf(most, fabsf(from[i + j]));
        float d = most / 127, inverse = d > 0 ? 1 / d : 0;
        b.d = ref_half_from_float(d);
        for (int j = 0; j < AG_QK; j++) {
            float q = roundf(from[i + j] * inverse);
            b.qs[j] = (int8_t)(q > 127 ? 127 : q >= -127 ? q : q < -127 ? -127 : 0); /* NaN: 0 */
        }
        memcpy(to, &b, sizeof b);
    }
}

void ref_kv_store(const struct ag_state_binding *b, enum ref_kv_part part, int64_t slot,
                  int64_t head, const float *row) {
    unsigned char *to = row_at(b, part, slot, head);
    int64_t n = part == REF_K ? b->state.k_dim : b->state.v_dim;
    uint32_t dtype = part == REF_K ? b->kv.k_dtype : b->kv.v_dtype;
    if (dtype == AG_Q8_0) store_q8_0(row, to, n);
    else if (dtype == AG_F32) memcpy(to, row, (size_t)n * sizeof *row);
    else
        for (int64_t i = 0; i < n; i++) {
            uint16_t h = dtype == AG_F16 ? ref_half_from_float(row[i]) : bf16_from_float(row[i]);
            memcpy(to + 2 * i, &h, sizeof h);
        }
}

void ref_kv_load(const struct ag_state_binding *b, enum ref_kv_part part, int64_t slot,
                 int64_t head, float *row) {
    ref_dequant(part == REF_K ? b->kv.k_dtype : b->kv.v_dtype, row_at(b, part, slot, head), row,
                part == REF_K ? b->state.k_dim : b->state.v_dim);
}
