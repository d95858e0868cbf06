/* SPDX-License-Identifier: MIT */
/* st.h - what the files of this folder share: an open directory of SafeTensors files. */
#ifndef ST_H
#define ST_H

#include <agave/format.h>

#include <jansson.h>

#include "names.h"

enum {
    ST_MAX_HEADER = 100 << 20, /* bytes; the format's own limit */
    ST_MAX_INDEX = 64 << 20,   /* bytes of model.safetensors.index.json */
    ST_MAX_CONFIG = 2 << 20,   /* bytes of config.json */
    ST_MAX_TENSOR = 1 << 19,
    ST_MAX_PART = 4096,
    ST_MAX_RANK = 16, /* dims in a file; more than AG_MAX_DIM are shown folded */
    ST_MAX_NAME = 65535,
};

struct st_tensor {
    uint32_t dtype, n_dim, part;
    int64_t dim[AG_MAX_DIM];
    uint64_t offset, bytes; /* offset in the part's file */
};

/* A list of config.json, packed as the ABI shows lists; made when first asked for. */
struct st_view {
    struct st_view *next;
    const json_t *of;
    uint32_t elem;
    uint64_t bytes, count;
    unsigned char data[];
};

enum { ST_N_ROLE = 8 }; /* roles are 1 .. 7 */

struct ag_file {
    char *dir;
    struct names parts;   /* file names, then part_path holds the same with the directory */
    char **part_path;     /* [parts.n] */
    uint32_t cap_path;
    struct names names;   /* of tensors, all parts */
    struct st_tensor *tensor;
    uint32_t cap_tensor;
    json_t *config;
    const char **key;     /* [n_key] of config.json, in file order */
    uint32_t n_key;
    struct st_view *view;
    char *role[ST_N_ROLE]; /* path or NULL */
};

extern const struct ag_host *st_host; /* safetensors.c */

/* "dir/name" in host memory, NULL when out of memory. */
char *st_join(const char *dir, const char *name);

/* scan.c: a JSON reader over writable memory that builds nothing: strings are unescaped in place. */
struct st_scan {
    const char *path; /* for messages */
    char *start, *p, *end;
};
int st_fail(const struct st_scan *, const char *want); /* "PATH: byte 12: want ..." */
/* Skips blanks; is `c` next? It is taken only by st_take. */
bool st_peek(struct st_scan *, char c);
int st_take(struct st_scan *, char c);
int st_string(struct st_scan *, const char **text, size_t *n); /* valid UTF-8 without zeros */
int st_number(struct st_scan *, uint64_t *out);                /* digits only */
int st_skip(struct st_scan *);                                 /* any value */
/* To the next member of an object whose '{' was taken, or element of a list: 1 there is one, 0 the end
 * was taken. `first` is true before the first call and set to false. */
int st_next(struct st_scan *, char close, bool *first);
/* Reads a whole file of at most `max` bytes; a zero byte is put behind it. Host memory. */
int st_read_file(const char *path, uint64_t max, char **out, size_t *n);

/* header.c: reads and checks the header of one part; tensors are appended to f. */
int st_part_read(ag_file *f, uint32_t part, const char *path);
/* index.c: fills parts and reads all of them. */
int st_parts_read(ag_file *f);
/* config.c */
int st_config_read(ag_file *f);
bool st_config_value(ag_file *f, const char *key, struct ag_value *out);
void st_config_finish(ag_file *f);

#endif
