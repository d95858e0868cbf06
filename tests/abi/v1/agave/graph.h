/* SPDX-License-Identifier: MIT */
/* graph.h - one step of inference as a flat array, and the builder that draws it.
 *
 * Nodes refer to each other by index and hold no pointer: the same bytes are planned by a local
 * backend or sent to another rank. Sources stand before their users. */
#ifndef AGAVE_GRAPH_H
#define AGAVE_GRAPH_H

#include <agave/format.h>

enum { AG_MAX_SRC = 8, AG_MAX_PARAM = 8 };

typedef uint32_t ag_ref; /* index of a node; 0 means none */

enum ag_op {
    AG_OP_NONE = 0,
#define X(num, name, least, most) AG_OP_##name = num,
#include <agave/op.def>
#undef X
};
enum { AG_OP_FIRST_COMPOSITE = 256 };

/* Dims that a step decides. Only the last dim that is not 1 may be one of them. */
enum ag_dim {
    AG_DIM_T = -1, /* token rows */
    AG_DIM_R = -2, /* rows whose logits are wanted */
    AG_DIM_S = -3, /* sequences */
};

/* INPUT slots: fields of the step (step.h), i32 unless it says otherwise. */
enum ag_input {
    AG_INPUT_TOKEN = 1,   /* [T] token id, -1 for an embedding row */
    AG_INPUT_POS = 2,     /* [T] position for rope, first axis */
    AG_INPUT_OUT_ROW = 3, /* [R] */
    AG_INPUT_POS4 = 4,    /* [T, 4] positions of four axes */
    AG_INPUT_EMBED = 5,   /* f32 [H, T] embedding rows of images; written to its place in scratch */
};

enum ag_unary {
    AG_UNARY_SILU = 1, AG_UNARY_GELU_TANH = 2, AG_UNARY_GELU_ERF = 3, AG_UNARY_RELU2 = 4,
    AG_UNARY_SIGMOID = 5, AG_UNARY_SOFTPLUS = 6, AG_UNARY_TANH = 7, AG_UNARY_EXP = 8,
    AG_UNARY_NEG = 9,
};

enum ag_rope_pairs { AG_ROPE_HALF = 0, AG_ROPE_ADJACENT = 1 };

/* Places of parameters in ag_node.param, by op. */
enum {
    AG_P_VIEW_OFFSET = 0,     /* i, elements */
    AG_P_GET_ROWS_SCALE = 0,  /* f */
    AG_P_NORM_EPS = 0,        /* f; RMS_NORM, ADD_RMS_NORM */
    AG_P_NORM_W_OFF = 1,      /* f: 0 or 1 */
    AG_P_SCALE_S = 0,         /* f */
    AG_P_SCALE_T = 1,         /* f */
    AG_P_UNARY_KIND = 0,      /* i, enum ag_unary; UNARY, GLU */
    AG_P_SOFTCAP_C = 0,       /* f */
    AG_P_ROPE_PAIRS = 0,      /* i, enum ag_rope_pairs */
    AG_P_ROPE_OFFSET = 1,     /* i, first rotated dim */
    AG_P_ROPE_MSCALE = 2,     /* f */
    AG_P_ATTN_SCALE = 0,      /* f, on the scores */
    AG_P_ATTN_WINDOW = 1,     /* i: a query sees itself and window - 1 earlier entries; 0 = all */
    AG_P_ATTN_SOFTCAP = 2,    /* f, 0 = off */
    AG_P_ATTN_FLAGS = 3,      /* i, AG_ATTN_* */
    AG_P_ATTN_V_DIM = 4,      /* i, Dv */
};
enum { AG_ATTN_NONCAUSAL = 1 }; /* a row sees all of its sequence */

union ag_param { int64_t i; double f; };

struct ag_node {
    uint16_t op, dtype; /* enum ag_op; enum ag_dtype of the result */
    uint32_t slot;      /* leaves: see op.def */
    ag_ref src[AG_MAX_SRC];
    int64_t dim[AG_MAX_DIM];    /* [0] varies fastest; may be an ag_dim */
    int64_t stride[AG_MAX_DIM]; /* elements; [0] is 1; of a view, those of its source's memory */
    union ag_param param[AG_MAX_PARAM];
    int32_t layer; /* for messages, profiles and placement; -1 = none */
    uint32_t pad;
};

/* What a node is called for those who ask for more than logits. */
enum ag_tag {
    AG_TAG_LOGITS = 1,     /* [V, R] */
    AG_TAG_EMBED = 2,      /* [H, T] input of the first layer */
    AG_TAG_LAYER_OUT = 3,  /* [H, T] residual stream after a layer */
    AG_TAG_HIDDEN = 4,     /* [H, R] after the final norm */
    AG_TAG_Q_PRE_ROPE = 5, /* [D, Hq, T] query before rope, after its norm */
};

struct ag_tagged { ag_ref ref; uint32_t tag; int32_t layer; uint32_t pad; };

/* A constant's bytes lie in the graph's pool. */
struct ag_const { uint64_t offset, bytes; };

struct ag_graph {
    uint32_t size;
    uint32_t node_size;  /* stride of node[] */
    uint32_t n, cap;     /* node[0] is unused */
    struct ag_node *node;
    uint32_t n_tagged, cap_tagged;
    struct ag_tagged *tagged;
    uint32_t n_const, cap_const;
    struct ag_const *constant;
    uint64_t pool_bytes, pool_cap;
    unsigned char *pool; /* 16-byte aligned constants */
};

/* The builder, lent to models. Shapes are checked here and nowhere else. An error sticks: refs that
 * follow are 0 and are accepted as sources, the text names the first fault, finish() returns it.
 * All activations are f32; x, y, q ... below are such refs. */
struct ag_build {
    uint32_t size;
    /* The weight's logical name and layer (-1: not per layer), and the shape the model wants (unused
     * dims 1). Missing or other shape: an error that names the file's tensor, both shapes. */
    ag_ref (*weight)(struct ag_graph *, const char *name, int layer, int64_t d0, int64_t d1,
                     int64_t d2);
    /* Is there such a weight? For optional ones (biases, an untied head). */
    bool (*has)(struct ag_graph *, const char *name, int layer);
    ag_ref (*state)(struct ag_graph *, uint32_t slot); /* number in the model's state table */
    ag_ref (*input)(struct ag_graph *, int which);     /* enum ag_input */
    ag_ref (*constant)(struct ag_graph *, const float *data, int64_t n); /* copied */
    ag_ref (*tag)(struct ag_graph *, ag_ref, int tag, int layer);        /* returns the ref */

    /* The same elements with other dims; n elements stay n. Needs a contiguous x. */
    ag_ref (*reshape)(struct ag_graph *, ag_ref x, int64_t d0, int64_t d1, int64_t d2);
    /* Elements first .. first + n of dim 0. */
    ag_ref (*slice)(struct ag_graph *, ag_ref x, int64_t first, int64_t n);

    ag_ref (*get_rows)(struct ag_graph *, ag_ref table, ag_ref ids, double scale);
    ag_ref (*matmul)(struct ag_graph *, ag_ref w, ag_ref x, ag_ref bias); /* bias may be 0 */
    ag_ref (*rmsnorm)(struct ag_graph *, ag_ref x, ag_ref w, double eps); /* w may be 0 */
    ag_ref (*add)(struct ag_graph *, ag_ref a, ag_ref b);
    ag_ref (*mul)(struct ag_graph *, ag_ref a, ag_ref b);
    ag_ref (*scale)(struct ag_graph *, ag_ref a, double s, double t);
    ag_ref (*unary)(struct ag_graph *, ag_ref a, int kind);
    ag_ref (*softcap)(struct ag_graph *, ag_ref a, double cap); /* cap <= 0 returns a */
    ag_ref (*rope)(struct ag_graph *, ag_ref x, ag_ref pos, ag_ref freq, int pairs, int64_t offset,
                   double mscale);
    ag_ref (*kv_write)(struct ag_graph *, ag_ref state, ag_ref k, ag_ref v);
    ag_ref (*attention)(struct ag_graph *, ag_ref q, ag_ref state, ag_ref sinks, double scale,
                        int64_t window, double softcap, uint32_t flags);
    /* The model's own op number `slot` over n sources [d, T]. */
    ag_ref (*private_op)(struct ag_graph *, uint32_t slot, const ag_ref *src, uint32_t n);
    ag_ref (*glu)(struct ag_graph *, ag_ref gate, ag_ref up, int kind);
    ag_ref (*add_rmsnorm)(struct ag_graph *, ag_ref x, ag_ref y, ag_ref w, double eps);
};

static inline const char *ag_op_name(uint32_t op) {
    switch (op) {
#define X(num, name, least, most) case num: return #name;
#include <agave/op.def>
#undef X
    default: return "?";
    }
}

#endif
