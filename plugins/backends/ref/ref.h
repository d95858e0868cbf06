/* SPDX-License-Identifier: MIT */
/* ref.h - inside the reference backend: slow, obviously right, the meaning of every op.
 *
 * Arithmetic: sources and results are f32; sums, exponentials, sines and square roots are formed in
 * double and rounded once at the end. Work is split by rows of the result, never inside a sum, so
 * the number of threads changes no bit.
 * Road of a step: backend.c (buffers) -> plan.c (plan, run) -> ops/<op>.c. */
#ifndef REF_H
#define REF_H

#include <agave/backend.h>

#include <string.h>

extern const struct ag_host *ref_host;

struct ag_device { int unused; };
struct ag_buffer {
    unsigned char *at;
    uint64_t bytes;
    bool owned; /* memory of alloc(), not of import() */
};

struct ref_call;

/* One row per op. check: once, at planning; run: by every thread of the team, each its own rows. */
struct ref_op {
    uint32_t op;
    int (*check)(const struct ag_plan *, ag_ref node);
    int (*run)(const struct ref_call *);
};
const struct ref_op *ref_op_find(uint32_t op); /* NULL: not here */
enum { REF_N_SUPPORT = 12 };
extern const struct ag_support ref_support[REF_N_SUPPORT];

/* A node of a plan and where its elements lie. */
struct ref_node {
    struct ag_node n;
    const struct ref_op *op; /* NULL: nothing to run (leaves, views) */
    unsigned char *base;     /* first element; NULL for inputs and states */
    uint64_t extent;         /* elements from base that are there, at the class's maxima */
    uint32_t input;          /* enum ag_input that base would be, 0 = none */
    uint64_t input_first;    /* elements to skip in it */
    int32_t state;           /* slot of STATE and KV_WRITE, else -1 */
    bool weight;             /* f32 elements may be unaligned: read them with ref_f32 */
};

struct ag_plan {
    struct ref_node *node; /* [n], 0 unused */
    uint32_t n;
    struct ag_class cls;
    unsigned char *pool;   /* copy of the graph's constants */
    struct ag_state_binding *state;
    uint32_t n_state;
    const struct ag_private_op *const *private_op;
    int n_thread;          /* that have a work area */
    uint64_t work_bytes;   /* of one thread */
    unsigned char *work;
};

/* What one thread is told when it runs one node. */
struct ref_call {
    const struct ag_plan *plan;
    const struct ag_step *step;
    const struct ref_node *node;
    int ith, nth;
    unsigned char *work; /* work_bytes of this thread, 64-byte aligned */
};

/* Elements as an op sees them in a step: all dims are numbers. */
struct ref_tensor {
    unsigned char *data;
    int64_t dim[AG_MAX_DIM], stride[AG_MAX_DIM]; /* strides in elements */
    uint32_t dtype;
};

struct ref_tensor ref_tensor(const struct ref_call *, ag_ref);
static inline struct ref_tensor ref_src(const struct ref_call *c, uint32_t k) {
    return ref_tensor(c, c->node->n.src[k]);
}
struct ref_tensor ref_result(const struct ref_call *);

static inline int64_t ref_rows(const struct ref_tensor *t) {
    return t->dim[1] * t->dim[2] * t->dim[3];
}
/* First element of row r, counted over dims 1 to 3; 4-byte elements. */
static inline unsigned char *ref_row(const struct ref_tensor *t, int64_t r) {
    int64_t i1 = r % t->dim[1], i2 = r / t->dim[1] % t->dim[2], i3 = r / t->dim[1] / t->dim[2];
    return t->data + 4 * (i1 * t->stride[1] + i2 * t->stride[2] + i3 * t->stride[3]);
}
/* Bytes from one row of dim 1 to the next: blocks of a quantised table lie without gaps. */
static inline int64_t ref_row_bytes(const struct ref_tensor *t) {
    return t->dtype == AG_F32 ? 4 * t->stride[1]
                              : (int64_t)ag_row_bytes(t->dtype, (uint64_t)t->dim[0]);
}
/* b read with a's dims: a dim of b that is 1 repeats. */
static inline struct ref_tensor ref_repeat(struct ref_tensor b, const struct ref_tensor *a) {
    for (int i = 0; i < AG_MAX_DIM; i++) {
        if (b.dim[i] == 1) b.stride[i] = 0;
        b.dim[i] = a->dim[i];
    }
    return b;
}
/* Elements of a mapped weight may start at any byte. */
static inline float ref_f32(const unsigned char *row, int64_t i) {
    float x;
    memcpy(&x, row + 4 * i, sizeof x);
    return x;
}
static inline void ref_put(unsigned char *row, int64_t i, double x) {
    float y = (float)x;
    memcpy(row + 4 * i, &y, sizeof y);
}
static inline int32_t ref_i32(const struct ref_tensor *t, int64_t i) {
    int32_t x;
    memcpy(&x, t->data + 4 * i, sizeof x);
    return x;
}

/* The part of n rows that thread ith of nth computes. */
struct ref_range { int64_t begin, end; };
static inline struct ref_range ref_split(const struct ref_call *c, int64_t n) {
    return (struct ref_range){ n * c->ith / c->nth, n * (c->ith + 1) / c->nth };
}

/* dequant.c */
bool ref_can_dequant(uint32_t dtype);
#define REF_BIT(type) (UINT64_C(1) << (type))
#define REF_DEQUANT_TYPES                                                                          \
    (REF_BIT(AG_F32) | REF_BIT(AG_F16) | REF_BIT(AG_BF16) | REF_BIT(AG_Q4_0) | REF_BIT(AG_Q4_1) |  \
     REF_BIT(AG_Q5_0) | REF_BIT(AG_Q5_1) | REF_BIT(AG_Q8_0) | REF_BIT(AG_Q4_K) |                   \
     REF_BIT(AG_Q5_K) | REF_BIT(AG_Q6_K))
/* n elements, a multiple of the type's block, from any address. */
void ref_dequant(uint32_t dtype, const void *from, float *to, int64_t n);
float ref_half_to_float(ag_half);
ag_half ref_half_from_float(float); /* to nearest, ties to even */

/* kv.c: a page holds K rows [page_tokens][n_head], then V rows the same way. */
int ref_kv_layout(ag_device *, const struct ag_state *, struct ag_kv_layout *);
enum ref_kv_part { REF_K, REF_V };
void ref_kv_store(const struct ag_state_binding *, enum ref_kv_part, int64_t slot, int64_t head,
                  const float *row);
void ref_kv_load(const struct ag_state_binding *, enum ref_kv_part, int64_t slot, int64_t head,
                 float *row);

/* plan.c */
int ref_plan(ag_device *, const struct ag_plan_desc *, ag_plan **);
int ref_plan_info(ag_plan *, struct ag_plan_info *);
int ref_run(ag_plan *, const struct ag_run *);
void ref_plan_free(ag_plan *);
/* A dim at the class's maximum. */
int64_t ref_dim_max(const struct ag_class *, int64_t dim);

/* check.c: what ops ask of their sources; k counts sources. Errors name op, layer and shapes. */
int ref_fault(const struct ag_plan *, ag_ref node, const char *what);
int ref_check_f32(const struct ag_plan *, ag_ref node, uint32_t k);
/* f32 that this backend computed or was given aligned: no mapped weight. */
int ref_check_activation(const struct ag_plan *, ag_ref node, uint32_t k);
int ref_check_dims(const struct ag_plan *, ag_ref node, uint32_t k, int64_t d0, int64_t d1,
                   int64_t d2, int64_t d3);
int ref_check_same_dims(const struct ag_plan *, ag_ref node, uint32_t k);
int ref_check_result(const struct ag_plan *, ag_ref node, int64_t d0, int64_t d1, int64_t d2,
                     int64_t d3);
/* One f32 source of the result's shape: SCALE, UNARY, SOFTCAP. */
int ref_check_map(const struct ag_plan *, ag_ref node);
/* Two f32 sources, dims of the second equal or 1: ADD, MUL. */
int ref_check_pair(const struct ag_plan *, ag_ref node);
static inline const struct ref_node *ref_source(const struct ag_plan *p, ag_ref node, uint32_t k) {
    return &p->node[p->node[node].n.src[k]];
}

#endif
