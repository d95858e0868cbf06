/* SPDX-License-Identifier: MIT */
/* stio.h - SafeTensors files as plain numbers, for the tools: prompts in, logits out. Models are read
 * by the format plugin, not here. */
#ifndef HOST_STIO_H
#define HOST_STIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ST_MAX_DIM = 8 };

struct st_tensor {
    const char *name; /* lives as long as the file */
    char dtype[12];   /* "I32", "F32", as the file says */
    int n_dim;
    uint64_t dim[ST_MAX_DIM]; /* the last varies fastest */
    uint64_t offset, bytes;   /* in the file */
};

/* Reading. The header is checked whole: every tensor lies inside the file and has the bytes its
 * shape asks for. */
struct st_file;
int st_open(const char *path, struct st_file **out);
void st_close(struct st_file *); /* NULL is fine */
size_t st_count(const struct st_file *);
const struct st_tensor *st_at(const struct st_file *, size_t i); /* in header order */
int st_read(struct st_file *, const struct st_tensor *, void *to); /* t->bytes bytes */

/* Writing: st_create, st_add for each tensor, st_begin, st_write in any order, st_commit. The bytes go to
 * a file beside the path, which st_commit renames; until then nothing is at the path. */
struct st_writer;
enum st_type { ST_F32, ST_I32 };
int st_create(const char *path, struct st_writer **out);
/* Number of the tensor, or an error: a name that is there already. n_dim is 1 or 2. */
int st_add(struct st_writer *, const char *name, enum st_type, int n_dim, uint64_t d0, uint64_t d1);
int st_begin(struct st_writer *);
/* n elements of 4 bytes from element `at` on. */
int st_write(struct st_writer *, int tensor, uint64_t at, const void *data, uint64_t n);
/* Of the tensor added last, one whose length is known only at the end: dim 0 is n, at most as added. */
void st_shorten(struct st_writer *, uint64_t n);
int st_commit(struct st_writer *);
void st_free(struct st_writer *); /* NULL is fine; without a commit nothing is left behind */

#endif
