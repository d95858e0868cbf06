/* SPDX-License-Identifier: MIT */
/* gguf.h - what the files of this folder share: an open GGUF file of one or several parts. */
#ifndef GGUF_H
#define GGUF_H

#include <agave/format.h>

#include "names.h"

enum {
    GGUF_MAX_KEY = 1 << 16,      /* keys of a part; models have some dozens */
    GGUF_MAX_TENSOR = 1 << 18,   /* tensors of a file */
    GGUF_MAX_NAME = 65535,       /* bytes of a name; the format's own limit for keys */
    GGUF_MAX_PART = 65535,       /* split.count is a u16 */
    GGUF_MAX_HEADER = 128 << 20, /* bytes before the weights of a part */
};

/* Value of a key as it lies in the mapped header. */
struct gguf_value {
    uint32_t type;       /* GGUF's number; of the elements when array is set */
    bool array, nested;  /* nested: an array of arrays, not viewed */
    const uint8_t *data; /* first byte: of the number, of the text, of the first element */
    uint64_t bytes, count;
};

struct gguf_tensor {
    uint32_t dtype, n_dim, part;
    int64_t dim[AG_MAX_DIM];
    uint64_t offset, bytes; /* offset in the part's file */
};

/* Keys of one part. */
struct gguf_keys {
    struct names names;
    struct gguf_value *value; /* [names.n] */
    uint32_t cap;
};

struct ag_file {
    char **part; /* [n_part] paths */
    uint32_t n_part, cap_part;
    uint32_t version;
    void *map; /* header of part 0, which the values point into */
    size_t map_bytes;
    struct gguf_keys keys; /* of part 0 */
    struct names names;    /* of tensors, all parts */
    struct gguf_tensor *tensor;
    uint32_t cap_tensor;
    char label[16];
};

extern const struct ag_host *gguf_host; /* gguf.c */

/* header.c: reads keys and tensors of part `part` from the first `have` bytes of a file of `file` bytes and
 * checks both; *used: bytes of the header. Tensors are appended to f; values point into the bytes. */
int gguf_header_read(struct ag_file *f, uint32_t part, const char *path, const void *bytes, uint64_t have,
                     uint64_t file, struct gguf_keys *keys, uint64_t *used);
/* The same for a file; on success *map is the mapped header, whole pages of it, the caller's to unmap. */
int gguf_part_read(struct ag_file *f, uint32_t part, const char *path, struct gguf_keys *keys,
                   void **map, size_t *map_bytes);
void gguf_keys_init(struct gguf_keys *);
void gguf_keys_finish(struct gguf_keys *);
/* An integer of any width, or a bool: 1 found, 0 absent, < 0 with a text when it is something else. */
int gguf_keys_int(const struct gguf_keys *, const char *path, const char *key, int64_t *out);
/* The ABI's view of a value. */
void gguf_value_view(const struct gguf_value *, struct ag_value *out);

/* split.c: "<stem>-00002-of-00003.gguf": length of the stem, number (from 1) and count. */
bool gguf_split_name(const char *path, size_t *stem, uint32_t *no, uint32_t *count);
/* Path of part `no`, host memory, NULL when out of memory. */
char *gguf_split_path(const char *path, size_t stem, uint32_t no, uint32_t count);
/* How many models a directory holds: GGUF files and first parts; *config: it has a config.json. */
int gguf_dir_count(const char *dir, uint32_t *n, bool *config);
/* The one model of a directory; *out in host memory. */
int gguf_dir_pick(const char *dir, char **out);

#endif
