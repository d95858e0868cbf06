/* SPDX-License-Identifier: MIT */
/* check.c - the assertions of the ops, as errors with names and shapes. */
#include "ref.h"

#include <stdio.h>

static const char *dim_text(int64_t d, char *buf, size_t n) {
    if (d == AG_DIM_T) return "T";
    if (d == AG_DIM_R) return "R";
    if (d == AG_DIM_S) return "S";
    snprintf(buf, n, "%lld", (long long)d);
    return buf;
}

static void shape_text(const int64_t *dim, char *buf, size_t n) {
    char a[4][24];
    snprintf(buf, n, "[%s, %s, %s, %s]", dim_text(dim[0], a[0], 24), dim_text(dim[1], a[1], 24),
             dim_text(dim[2], a[2], 24), dim_text(dim[3], a[3], 24));
}

int ref_fault(const struct ag_plan *p, ag_ref node, const char *what) {
    const struct ag_node *n = &p->node[node].n;
    return ref_host->fail(AG_EINVAL, "ref: node %u, %s of layer %d: %s", node, ag_op_name(n->op),
                          n->layer, what);
}

static int fault_dims(const struct ag_plan *p, ag_ref node, const char *which,
                      const int64_t *want, const int64_t *have) {
    char w[128], h[128], text[384];
    shape_text(want, w, sizeof w);
    shape_text(have, h, sizeof h);
    snprintf(text, sizeof text, "%s: want %s, got %s", which, w, h);
    return ref_fault(p, node, text);
}

static const char *source_name(uint32_t k, char *buf, size_t n) {
    snprintf(buf, n, "source %u", k);
    return buf;
}

int ref_check_f32(const struct ag_plan *p, ag_ref node, uint32_t k) {
    const struct ref_node *s = ref_source(p, node, k);
    if (s->n.dtype == AG_F32 && (s->base || s->input)) return AG_OK;
    char text[96];
    snprintf(text, sizeof text, "source %u: want F32, got %s of type %s", k, ag_op_name(s->n.op),
             ag_dtype_name(s->n.dtype));
    return ref_fault(p, node, text);
}

int ref_check_activation(const struct ag_plan *p, ag_ref node, uint32_t k) {
    if (ref_source(p, node, k)->weight)
        return ref_fault(p, node, "a weight stands where a computed value belongs");
    return ref_check_f32(p, node, k);
}

int ref_check_dims(const struct ag_plan *p, ag_ref node, uint32_t k, int64_t d0, int64_t d1,
                   int64_t d2, int64_t d3) {
    int64_t want[AG_MAX_DIM] = { d0, d1, d2, d3 };
    const struct ag_node *s = &ref_source(p, node, k)->n;
    char buf[24];
    return memcmp(want, s->dim, sizeof want)
        ? fault_dims(p, node, source_name(k, buf, sizeof buf), want, s->dim) : AG_OK;
}

int ref_check_same_dims(const struct ag_plan *p, ag_ref node, uint32_t k) {
    const int64_t *d = p->node[node].n.dim;
    return ref_check_dims(p, node, k, d[0], d[1], d[2], d[3]);
}

int ref_check_result(const struct ag_plan *p, ag_ref node, int64_t d0, int64_t d1, int64_t d2,
                     int64_t d3) {
    int64_t want[AG_MAX_DIM] = { d0, d1, d2, d3 };
    const struct ag_node *n = &p->node[node].n;
    return memcmp(want, n->dim, sizeof want) ? fault_dims(p, node, "result", want, n->dim) : AG_OK;
}

int ref_check_map(const struct ag_plan *p, ag_ref node) {
    int err = ref_check_f32(p, node, 0);
    return err < 0 ? err : ref_check_same_dims(p, node, 0);
}

int ref_check_pair(const struct ag_plan *p, ag_ref node) {
    int err = ref_check_map(p, node);
    if (err >= 0) err = ref_check_f32(p, node, 1);
    const int64_t *a = p->node[node].n.dim;
    for (int i = 0; i < AG_MAX_DIM && err >= 0; i++) {
        const int64_t *b = ref_source(p, node, 1)->n.dim;
        if (b[i] != a[i] && b[i] != 1) err = fault_dims(p, node, "source 1", a, b);
    }
    return err;
}
