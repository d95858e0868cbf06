/* SPDX-License-Identifier: MIT */
/* cpu.h - the backend's own words: device, buffers, and a plan as an array of items.
 *
 * An item is a node with its arguments resolved. All threads of the team walk the items together;
 * an item's run() does the part of thread ith, and the plan says where a barrier is needed before. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <agave/backend.h>

#include "isa.h"
#include "pack.h"

#include <stdatomic.h>

extern const struct ag_host *cpu_host;

struct ag_device { uint32_t features; };
struct ag_buffer { unsigned char *data; uint64_t bytes; bool owned; };

/* Where the numbers of a node are and how they are walked. */
struct value {
    uint32_t dtype;
    uint32_t input;      /* enum ag_input, of values that live in the step; else 0 */
    unsigned char *data; /* NULL for inputs */
    int64_t offset;      /* elements, of inputs */
    int64_t dim[AG_MAX_DIM], stride[AG_MAX_DIM]; /* elements; dims may be an ag_dim */
    const struct packed_type *packed;            /* weights that lie packed */
    const unsigned char *alloc;                  /* start of the memory this is part of */
};

/* What one run gives to all items. */
struct pass {
    const struct ag_step *step;
    ag_plan *plan;
    int64_t n[4]; /* by -enum ag_dim: T, R, S */
};

/* Which thread computes what. Items that share rows by one symbol keep a row on one thread. */
enum item_part {
    PART_ROWS = 1, /* by token row, rows_of() */
    PART_ANY = 2,
};

struct item;
typedef int (*item_fn)(const struct item *, const struct pass *, int ith, int nth);

/* Kernels as function types; f32 rows of n elements. */
typedef void unary_kernel(const float *x, int64_t n, float a, float b, float *y);
typedef void binary_kernel(const float *x, const float *y, int64_t n, float *z);
typedef void norm_kernel(const float *x, const float *w, float w_off, float eps, int64_t n, float *y);
typedef void add_norm_kernel(const float *x, const float *y, const float *w, float w_off, float eps,
                             int64_t n, float *z);
typedef void rope_kernel(const float *x, const float *cos, const float *sin, int64_t half, float *y);
typedef void dequant_kernel(const void *from, int64_t n, float *to);
/* 16 rows of packed weights by the columns of a tile that quantize_kernel made; y [columns][16] */
typedef void matmul_q_kernel(const uint8_t *group, const uint8_t *x, int64_t n_block, float *y);
/* x into column `col` of a tile of n_col columns. A tile holds, one after the other,
 *   n_block x { f32 scale [n_col], f32 sum [n_col], i32 less the sum of codes 0..15 [n_col], of
 *               16..31 [n_col], i8 codes [n_col][32] }
 *   n_block x { the two sums [n_col] and codes [n_col][32] of what the codes above leave, in steps of
 *               scale / Q8_FINE }
 *   n_block x { u8 flags [n_col]: the block has such a second half }
 * Blocks whose step is large beside the others of their column carry most of the error: those whose
 * squared step is at least wide_from times the column's mean are stored twice as wide, the second
 * half of others is zeros. */
typedef void quantize_kernel(const float *x, int64_t n_block, float wide_from, uint8_t *to, int n_col,
                             int col);
/* y [columns][4] = rows of w times columns of x */
typedef void dot_kernel(const float *w, int64_t w_stride, const float *x, int64_t x_stride, int64_t n,
                        float *y);
enum {
    Q8_TILE = 8,
    Q8_BLOCK_BYTES = 48, /* a column and block, of the first part */
    Q8_FINE_BYTES = 40,  /* of the second */
    Q8_COLUMN_BYTES = 96, /* of all, with room */
    Q8_FINE = 254,
};

struct q8_slot { uint8_t *data; uint64_t bytes; ag_ref owner; };

struct rope_table { ag_ref pos, freq; float mscale; int64_t half; float *data; };

struct item {
    item_fn run;
    bool barrier;
    uint8_t part, sym; /* enum item_part; -ag_dim of the rows, 0 = a fixed number */
    uint16_t op;
    int32_t layer;
    uint32_t counter; /* of the plan, for work that is taken piece by piece */
    uint32_t n_src;
    struct value out, src[AG_MAX_SRC];
    union ag_param param[AG_MAX_PARAM];
    union {
        struct { unary_kernel *fn; float a, b; } unary;
        struct { binary_kernel *fn, *scalar_fn; } binary;
        struct { norm_kernel *fn; add_norm_kernel *add_fn; float eps, w_off; } norm;
        struct { rope_kernel *fn; const struct rope_table *table; int64_t offset; } rope;
        struct { unary_kernel *unary; binary_kernel *mul; } glu;
        struct { dequant_kernel *fn; unary_kernel *scale_fn; float scale; } get_rows;
        struct { quantize_kernel *fn; uint8_t *to; } quantize;
        struct {
            matmul_q_kernel *const *fn; /* by log2 of the number of columns */
            const uint8_t *x;
        } matmul_q;
        struct { dequant_kernel *fn; dot_kernel *dot4, *dot1; } matmul_f;
        struct { const struct ag_private_op *op; } private_op;
        const struct kv *kv;
        struct attention *attention;
    } u;
};

struct profile_entry { uint64_t calls, ns; };

/* Memory that one item reads or writes, since the last barrier. */
struct access {
    uintptr_t lo, hi;
    const unsigned char *alloc; /* with row_bytes and sym: rows that fall to the same thread */
    int64_t row_bytes;
    uint8_t part, sym;
    bool write;
};

struct small_weight { const void *from; dequant_kernel *fn; int64_t n; float *to; };

struct ag_plan {
    ag_device *device;
    uint32_t flags;
    struct ag_class cls;
    int n_thread;
    struct item *item;
    uint32_t n_item, cap_item;
    atomic_int *counter; /* one cache line each */
    uint32_t n_counter, cap_counter;
    struct profile_entry *profile; /* by item */
    struct small_weight *small;
    uint32_t n_small;
    bool small_ready;
    unsigned char *pool; /* the graph's constants */
    struct q8_slot q8[2];
    uint32_t q8_next;
    struct rope_table *rope;
    uint32_t n_rope;
    float *scratch; /* [n_thread][scratch_floats], 64-byte aligned */
    uint64_t scratch_floats;
    void *shared; /* workspace that nodes use one after the other */
    uint64_t shared_bytes;
    void **owned;   /* blocks to free */
    uint32_t n_owned, cap_owned;
    uint64_t workspace;
    atomic_int stop[2];
};

/* ---- for the ops ---- */

/* The pieces of a plan under construction. */
struct planner {
    ag_plan *plan;
    ag_device *device;
    const struct ag_plan_desc *desc;
    struct value *value; /* by node */
    struct access *access;
    uint32_t n_access, cap_access;
    int err;
};

/* Adds items of a node; < 0 with a text. `it` is filled with out, src, param, op and layer. */
typedef int (*plan_op_fn)(struct planner *, const struct ag_node *, struct item *it);

int plan_get_rows(struct planner *, const struct ag_node *, struct item *);
int plan_matmul(struct planner *, const struct ag_node *, struct item *);
int plan_norm(struct planner *, const struct ag_node *, struct item *);
int plan_binary(struct planner *, const struct ag_node *, struct item *);
int plan_unary(struct planner *, const struct ag_node *, struct item *);
int plan_rope(struct planner *, const struct ag_node *, struct item *);
int plan_kv_write(struct planner *, const struct ag_node *, struct item *);
int plan_attention(struct planner *, const struct ag_node *, struct item *);
int plan_private(struct planner *, const struct ag_node *, struct item *);

/* Memory of the plan, aligned to 64, freed with it; NULL with planner->err set. */
void *planner_alloc(struct planner *, uint64_t bytes);
/* As planner_alloc, but nodes share one such block: who writes it says so in planner_add. */
void *planner_shared(struct planner *, uint64_t bytes);
/* Appends the item, with a barrier before it where what it reads or writes meets what other threads
 * may have done since the last one. Accesses: src (read), out (written), and `extra`. Bit i of
 * wide_src: source i is read beyond the thread's own rows. */
int planner_add(struct planner *, struct item *, uint32_t wide_src, const struct access *extra,
                uint32_t n_extra);
/* The access of an item with item->part and sym to `bytes` bytes. */
struct access access_of(const struct item *, const void *at, uint64_t bytes, int64_t row_bytes,
                        bool write);
uint32_t planner_counter(struct planner *);
/* Floats every thread may use while an item runs. */
void planner_scratch(struct planner *, uint64_t floats);

static inline float *thread_scratch(const struct pass *p, int ith) {
    return p->plan->scratch + (uint64_t)ith * p->plan->scratch_floats;
}
/* Next piece of an item's work; pieces are handed out once each. */
static inline int take_piece(const struct pass *p, const struct item *it) {
    return atomic_fetch_add_explicit(&p->plan->counter[it->counter * 16], 1, memory_order_relaxed);
}
static inline int64_t dim_of(const struct pass *p, int64_t dim) {
    return dim >= 0 ? dim : p->n[-dim];
}
/* The dim that the step decides, or -1. */
int value_token_dim(const struct value *);
/* The greatest number a dim takes. */
int64_t class_dim(const struct ag_class *, int64_t dim);
/* Rows [first, end) of thread ith of n rows; a single one is thread 0's. */
static inline void rows_of(int64_t n, int ith, int nth, int64_t *first, int64_t *end) {
    *first = (n * ith + nth - 1) / nth;
    *end = (n * (ith + 1) + nth - 1) / nth;
}
static inline float *row_at(const struct value *v, const int64_t i[AG_MAX_DIM]) {
    return (float *)(void *)v->data + i[1] * v->stride[1] + i[2] * v->stride[2] + i[3] * v->stride[3];
}
/* Rows of `n` that an item of PART_ROWS has thread ith compute: all are thread 0's when their number
 * is fixed. */
static inline void item_rows(const struct item *it, int64_t n, int ith, int nth, int64_t *first,
                             int64_t *end) {
    if (it->sym) rows_of(n, ith, nth, first, end);
    else *first = 0, *end = ith == 0 ? n : 0;
}
/* Calls fn for each row (i[0] = 0) of item->out that is thread ith's. */
typedef void (*row_fn)(const struct item *, const struct pass *, const int64_t i[AG_MAX_DIM], int ith);
void each_row(const struct item *, const struct pass *, int ith, int nth, row_fn fn);
/* The i32 numbers of an input of this step. */
const int32_t *input_at(const struct pass *, const struct value *);

/* ---- ladders: kernels by what the CPU has ---- */

dequant_kernel *dequant_for(uint32_t features, uint32_t dtype); /* NULL: not a type we read */

#endif
