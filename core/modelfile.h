/* SPDX-License-Identifier: MIT */
/* modelfile.h - an opened model file or directory: which format plugin reads it, and its metadata as
 * model plugins see them. No weights are read, no model plugin is loaded. */
#ifndef CORE_MODELFILE_H
#define CORE_MODELFILE_H

#include "registry.h"

struct modelfile {
    const struct ag_format *format;
    const struct plugin *plugin; /* of the format */
    ag_file *file;
    char *path;
    struct ag_meta meta;   /* what model plugins are handed */
    char *arch;            /* meta.arch */
    const char *scheme;
    uint64_t bytes;        /* of all parts */
    void *lookup;          /* tensors by name; modelfile.c */
};

/* Finds the format by content, opens, indexes. Errors name what was wanted and found. */
int modelfile_open(struct registry *, const char *path, struct modelfile **out);
void modelfile_close(struct modelfile *); /* NULL is fine */

/* Tensor by name in the file: index, or -1. */
int64_t modelfile_tensor(const struct modelfile *, const char *name);

/* Label of the quantisation: the file's own ("Q4_K_M"), else the type that holds most bytes. */
const char *modelfile_quant(const struct modelfile *);
/* general.name, else the last part of the path. Control bytes are not removed. */
void modelfile_name(const struct modelfile *, char *to, size_t n);
/* Number of parameters (elements of all tensors). */
uint64_t modelfile_params(const struct modelfile *);

/* Convenience over format->meta with exact keys; false when absent or of another type. */
bool modelfile_i64(const struct modelfile *, const char *key, int64_t *out);
bool modelfile_str(const struct modelfile *, const char *key, const char **p, size_t *n);

#endif
