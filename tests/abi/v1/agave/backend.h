/* SPDX-License-Identifier: MIT */
/* backend.h - a backend owns devices, device memory and compiled plans.
 *
 * The host owns graphs, placement and lifetimes. Thread: calls for one device come from one thread
 * at a time, except where noted. Buffers are aligned to 64 bytes with 64 readable bytes behind;
 * imported ones (mapped files) have no alignment. Everything on a token's path is allocated by
 * plan(): run() allocates nothing. */
#ifndef AGAVE_BACKEND_H
#define AGAVE_BACKEND_H

#include <agave/graph.h>
#include <agave/step.h>

typedef struct ag_device ag_device;
typedef struct ag_buffer ag_buffer;
typedef struct ag_plan ag_plan;

enum ag_device_flags {
    AG_DEVICE_HOST_MEMORY = 1, /* buffers are host memory: map() never fails, import() is free */
    AG_DEVICE_UNIFIED = 2,     /* shares memory with the CPU */
    AG_DEVICE_ANY_CLASS = 4,   /* a plan takes any step up to its class's maxima */
};

struct ag_device_info {
    uint32_t size;
    uint32_t flags;
    char name[64];
    char arch[64];   /* compute capability, instruction sets */
    char driver[64];
    char bus[32];    /* PCI address, to list one physical device once; empty = none */
    uint64_t memory_total, memory_free; /* 0 = unknown */
};

struct ag_device_config {
    uint32_t size;
    uint32_t pad;
    const char *cpu_mask; /* CPU features to hide, separated by commas; NULL = none */
};

enum ag_buffer_kind { AG_BUFFER_DEVICE = 1, AG_BUFFER_PINNED = 2 };
enum ag_buffer_flags { AG_BUFFER_HUGE = 1 /* ask for huge pages */ };

/* One row of what a backend can do; `plugin list -V` prints the table. */
struct ag_support {
    uint32_t op;     /* enum ag_op */
    uint32_t flags;  /* 0 */
    uint64_t dtypes; /* bit per enum ag_dtype of src 0; 0 = f32 only */
};

/* A weight and all uses of it, for layout(). */
struct ag_weight_use {
    uint32_t size;
    uint32_t dtype;
    int64_t dim[AG_MAX_DIM];
    uint64_t ops;   /* bit per primitive that reads it; bit 63: a composite does */
    uint32_t flags; /* AG_PLAN_EXACT */
    uint32_t pad;
};

/* How a weight lies in device memory; id 0 = as in the file. Filled by layout(), kept by the host. */
struct ag_layout {
    uint32_t size;
    uint32_t id;        /* the backend's */
    uint32_t row_group; /* pack() takes rows in multiples of this (the last may be short) */
    uint32_t pad;
    uint64_t bytes;
};

enum ag_state_kind {
    AG_STATE_FULL = 1,      /* K and V of every token */
    AG_STATE_WINDOW = 2,    /* K and V of the last `window` tokens */
    AG_STATE_LATENT = 3,    /* one latent row a token */
    AG_STATE_RECURRENT = 4, /* a constant size */
};

/* A state a model declares (model.h) and the host pages. */
struct ag_state {
    uint32_t size;
    uint32_t kind;    /* enum ag_state_kind */
    int32_t layer;
    int32_t window;   /* entries a query sees, of AG_STATE_WINDOW */
    int32_t n_head;   /* KV heads, of FULL and WINDOW */
    int32_t k_dim, v_dim; /* of a head; LATENT: of the row, and how much of it is the value */
    int32_t n_snapshot;   /* of RECURRENT: most tokens one step may be rewound by */
    int64_t dim[AG_MAX_DIM]; /* of RECURRENT: shape of one sequence's f32 state */
};

struct ag_kv_layout {
    uint32_t size;
    uint32_t page_tokens;
    uint32_t k_dtype, v_dtype;
    uint64_t page_bytes; /* filled by kv_layout() */
};

struct ag_binding { ag_buffer *buffer; uint64_t offset, bytes; };

struct ag_weight_binding {
    struct ag_binding at;
    struct ag_layout layout;
};

struct ag_state_binding {
    struct ag_binding at; /* pages from here on */
    struct ag_state state;
    struct ag_kv_layout kv;
    uint32_t group; /* of the step */
    uint32_t n_page;
};

/* Maxima of the steps a plan takes. */
struct ag_class { int32_t max_token, max_out, max_seq, max_ctx; };

enum ag_plan_flags {
    AG_PLAN_EXACT = 1,   /* weights are dequantised, products formed in f32 */
    AG_PLAN_PROFILE = 2, /* time each node */
};

/* An op of a model's own: a C function over f32 rows, run where memory is the host's. */
struct ag_private_op {
    uint32_t size;
    uint32_t n_src;
    const char *name;
    /* dim 0 of the result from those of the sources; < 0: they do not fit */
    int64_t (*shape)(const int64_t *src_dim0, uint32_t n_src);
    /* Contiguous rows [dim0, rows]; any thread, different rows at once. */
    void (*run)(const float *const *src, const int64_t *src_dim0, float *out, int64_t out_dim0,
                int64_t rows);
};

struct ag_plan_desc {
    uint32_t size;
    uint32_t flags;
    const struct ag_graph *graph; /* lowered; need not outlive the call */
    struct ag_class cls;
    const struct ag_weight_binding *weight; /* by slot */
    const struct ag_state_binding *state;   /* by slot */
    uint32_t n_weight, weight_stride, n_state, state_stride;
    struct ag_binding scratch;              /* values of nodes */
    const uint64_t *place;                  /* [graph->n] byte offset in scratch; UINT64_MAX = none */
    const struct ag_private_op *const *private_op; /* by slot */
};

struct ag_plan_info {
    uint32_t size;
    uint32_t pad;
    uint64_t workspace_bytes; /* allocated by the plan itself */
};

struct ag_run {
    uint32_t size;
    uint32_t pad;
    const struct ag_step *step;
    const volatile int32_t *cancel; /* polled between nodes; not 0: AG_ECANCELED. May be NULL */
};

struct ag_profile_row { uint32_t op; int32_t layer; uint64_t calls, ns; };

struct ag_backend {
    uint32_t size;
    uint32_t pad;
    const struct ag_support *support; /* rows of every op it has */
    uint32_t n_support, support_stride;

    int (*device_count)(void);
    int (*device_info)(int index, struct ag_device_info *out); /* out->size set by the caller */
    int (*open)(int index, const struct ag_device_config *, ag_device **out);
    void (*close)(ag_device *); /* NULL is fine; after all of its buffers and plans are gone */

    int (*alloc)(ag_device *, uint64_t bytes, uint32_t kind, uint32_t flags, ag_buffer **out);
    /* Wraps memory of the caller, who keeps it until release(). AG_ENOTSUP: use alloc and write. */
    int (*import)(ag_device *, void *memory, uint64_t bytes, ag_buffer **out);
    void (*release)(ag_device *, ag_buffer *); /* NULL is fine */
    void *(*map)(ag_device *, ag_buffer *);    /* host address, NULL when it has none */
    int (*write)(ag_device *, ag_buffer *, uint64_t offset, const void *from, uint64_t bytes);
    int (*read)(ag_device *, ag_buffer *, uint64_t offset, void *to, uint64_t bytes);
    int (*copy)(ag_device *, ag_buffer *to, uint64_t to_offset, ag_buffer *from,
                uint64_t from_offset, uint64_t bytes);

    /* May this node run here as it stands? Limits beyond the support table; asked once, at planning.
     * Optional: the table alone decides. */
    bool (*supports)(ag_device *, const struct ag_graph *, ag_ref node);
    /* How the weight should lie, once per weight. Optional: as in the file. */
    int (*layout)(ag_device *, const struct ag_weight_use *, struct ag_layout *out);
    /* Rows row0 .. row0 + n of the file's tensor (src) into the layout's memory, whose start is dst.
     * Any thread; calls for different rows may run at once. */
    int (*pack)(ag_device *, const struct ag_weight_use *, const struct ag_layout *, const void *src,
                int64_t row0, int64_t n, void *dst);
    /* Bytes of a page of this state; AG_ENOTSUP names types that are not there. */
    int (*kv_layout)(ag_device *, const struct ag_state *, struct ag_kv_layout *inout);

    int (*plan)(ag_device *, const struct ag_plan_desc *, ag_plan **out);
    int (*plan_info)(ag_plan *, struct ag_plan_info *out);
    /* One step, to its end. */
    int (*run)(ag_plan *, const struct ag_run *);
    void (*plan_free)(ag_plan *); /* NULL is fine */

    /* optional */
    uint64_t (*memory_free)(ag_device *);
    /* Rows since the plan was made, most time first; returns how many there are. */
    uint32_t (*profile)(ag_plan *, struct ag_profile_row *rows, uint32_t max);
    /* Asynchronous form of run(). */
    int (*submit)(ag_plan *, const struct ag_run *);
    int (*wait)(ag_plan *);
    /* May take nodes first .. first + n of a drawn graph as one; returns how many it takes. */
    uint32_t (*claim)(ag_device *, const struct ag_graph *, ag_ref first, uint32_t n);
};

#endif
