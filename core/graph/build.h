/* SPDX-License-Identifier: MIT */
/* build.h - graphs: the builder lent to models, lowering, placement, text. */
#ifndef CORE_GRAPH_BUILD_H
#define CORE_GRAPH_BUILD_H

#include <agave/model.h>

/* What the builder asks while a model draws. */
struct graph_source {
    const char *who; /* "model gemma3", for messages */
    void *ctx;
    /* Slot of a weight whose shape is `want`, and its type; < 0 with a text. */
    int64_t (*weight)(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                      uint32_t *dtype);
    bool (*has)(void *ctx, const char *name, int layer);
    struct ag_state_table state;
    const struct ag_private_op *const *private_op; /* NULL-terminated or NULL */
};

const struct ag_build *graph_builder(void);

/* The source must outlive drawing. Graphs made here and by graph_lower are freed by graph_free. */
int graph_create(const struct graph_source *, struct ag_graph **out);
void graph_free(struct ag_graph *);
/* The first fault of the drawing, if there was one; wants tagged logits when `head`. */
int graph_finish(struct ag_graph *, bool head);

/* A dim, and the elements of a node, with the class's maxima put in for symbols. */
int64_t graph_dim(int64_t dim, const struct ag_class *);
uint64_t graph_elems(const struct ag_node *, const struct ag_class *);
/* The node whose memory a ref reads: views followed. */
ag_ref graph_root(const struct ag_graph *, ag_ref);
bool graph_contiguous(const struct ag_node *);

/* Composites that `native` (NULL = none) does not claim become their primitives. */
typedef bool (*graph_native_fn)(void *ctx, const struct ag_graph *, ag_ref);
int graph_lower(const struct ag_graph *, graph_native_fn native, void *ctx, struct ag_graph **out);
/* Appends a node as it is; 0 when out of memory. */
ag_ref graph_append(struct ag_graph *, const struct ag_node *);
int graph_copy_constants(const struct ag_graph *from, struct ag_graph *to);
int graph_add_tag(struct ag_graph *, ag_ref, uint32_t tag, int32_t layer);

/* Does the backend's table (and its function) take this node? */
bool graph_supported(const struct ag_backend *, ag_device *, const struct ag_graph *, ag_ref);

/* Does it compute nothing? */
static inline bool graph_is_leaf(uint32_t op) { return op <= AG_OP_CONST || op == AG_OP_GIVEN; }

/* A run of a lowered graph's nodes that one device computes, as a graph of its own: values of other
 * parts are GIVEN leaves. */
struct graph_part {
    struct ag_graph *graph;
    uint64_t *place;   /* [graph->n], those of the whole graph */
    int device;
    ag_ref *given;     /* nodes of the whole graph that come from another device */
    uint32_t n_given;
};
/* device[g->n]: which device computes a node; leaves and views follow their users. */
int graph_split(const struct ag_graph *, const uint8_t *device, const uint64_t *place,
                struct graph_part **out, uint32_t *n);
void graph_parts_free(struct graph_part *, uint32_t n);

/* Byte offsets of all values in one scratch arena: values whose lives do not overlap share bytes.
 * place[g->n], UINT64_MAX where a node has no memory of its own; views lie in their source.
 * `keep`: tags that must last to the end, as bits 1 << tag. */
int graph_arena(const struct ag_graph *, const struct ag_class *, uint64_t keep, uint64_t *place,
                uint64_t *total);

/* One node a line. weight_name may be NULL. Caller frees. */
typedef const char *(*graph_name_fn)(void *ctx, uint32_t slot);
int graph_text(const struct ag_graph *, graph_name_fn weight_name, void *ctx, char **out);

#endif
