/* SPDX-License-Identifier: MIT */
/* weights_impl.h - shared by weights.c and weights_load.c. */
#ifndef CORE_WEIGHTS_IMPL_H
#define CORE_WEIGHTS_IMPL_H

#include "weights.h"

struct weight {
    const struct ag_weight_row *row;
    struct ag_tensor tensor; /* as in the file */
    int64_t dim[AG_MAX_DIM]; /* after the transforms */
    uint32_t dtype;          /* after the transforms */
    int layer;
    uint64_t ops;            /* primitives that read it, bits */
};

/* A part of the file in memory, and its buffer on the device once it was imported. */
struct part { unsigned char *base; uint64_t bytes; ag_buffer *buffer; bool tried; };

struct weights {
    char who[96];
    const struct modelfile *mf;
    struct ag_weight_table table;
    struct weight *at;
    size_t cap;
    uint32_t n;
    struct part *part;
    uint32_t n_part;
    struct ag_weight_binding *binding;
    const struct ag_backend *backend; /* of the buffers below */
    ag_device *device;
    ag_buffer **owned;
    size_t n_owned, cap_owned;
    uint64_t bytes_mapped, bytes_owned;
};

const char *weights_shape(const int64_t dim[AG_MAX_DIM], char to[96]);

#endif
