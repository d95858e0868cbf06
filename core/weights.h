/* SPDX-License-Identifier: MIT */
/* weights.h - from the names a model uses to bytes a plan reads: find, check, map, transform, upload,
 * repack. Written once, for every format, model and backend. */
#ifndef CORE_WEIGHTS_H
#define CORE_WEIGHTS_H

#include "modelfile.h"

struct weights;

/* `who` ("model gemma3") is for messages and is copied. The file must outlive the object. */
int weights_create(const struct modelfile *, const char *who, const struct ag_weight_table *,
                   struct weights **out);
void weights_free(struct weights *); /* NULL is fine; releases device buffers of weights_load too */

/* The same slots once more, for another device. */
int weights_again(const struct weights *, struct weights **out);

/* For the graph builder (ctx = struct weights): the slot of a weight, found in the file by the table's
 * names and checked against the wanted shape; the same name and layer gives the same slot. */
int64_t weights_slot(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                     uint32_t *dtype);
bool weights_has(void *ctx, const char *name, int layer);
const char *weights_name(void *ctx, uint32_t slot); /* in the file */
uint32_t weights_count(const struct weights *);

struct weights_load {
    const struct ag_backend *backend;
    ag_device *device;
    const struct ag_graph *graph; /* lowered: says which ops read which weight */
    const uint8_t *node_device;   /* [graph->n]: only weights of nodes on `which`; NULL = all */
    int which;
    uint32_t plan_flags;          /* AG_PLAN_EXACT */
    bool lazy;                    /* mapped pages are not read ahead */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *progress_ctx;
};
/* Binds every slot. Thread: the caller, and the team for packing. */
int weights_load(struct weights *, const struct weights_load *);
const struct ag_weight_binding *weights_bindings(const struct weights *); /* by slot */

/* Bytes used in place in the mapped file, and bytes of buffers of our own. */
void weights_bytes(const struct weights *, uint64_t *mapped, uint64_t *owned);
/* Bytes one decoded token reads: matrices whole, tables that are only gathered one row. */
uint64_t weights_bytes_per_token(const struct weights *);

#endif
