/* SPDX-License-Identifier: MIT */
/* fake.h - metadata and weights that exist only as lists, to draw a model's graph without a file. */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include "graph/build.h"

struct fake_entry {
    const char *key; /* GGUF key without the architecture, or path in config.json */
    uint32_t type;   /* enum ag_value_type; NONE ends a list */
    uint32_t elem;
    int64_t i;       /* of arrays: count */
    double f;
    const void *p;   /* text, or the array's bytes */
    uint64_t bytes;  /* of the array */
};
#define INT(k, v) { .key = k, .type = AG_VALUE_INT, .i = v }
#define FLT(k, v) { .key = k, .type = AG_VALUE_FLOAT, .f = v }
#define BOO(k, v) { .key = k, .type = AG_VALUE_BOOL, .i = v }
#define STR(k, v) { .key = k, .type = AG_VALUE_STR, .p = v }
#define ARR(k, e, n, b) { .key = k, .type = AG_VALUE_ARRAY, .elem = e, .i = n, .p = b, .bytes = sizeof b }
#define END { .key = NULL }

struct fake_tensor { const char *name; int64_t d0, d1; const float *data; };

/* entries: `own` first, then `base`; the first of a key counts. NONE-typed entries hide a key. */
struct fake {
    const struct fake_entry *own, *base;
    const struct fake_tensor *tensor; /* ended by a NULL name */
    const char *const *has;           /* optional weights that are there; NULL-terminated or NULL */
    struct ag_meta meta;
    struct graph_source source;
    struct ag_weight_table weights;
    char asked[64][96]; /* weights of layer -1 and 0: "attn_q 64x32" */
    int n_asked;
    uint32_t slots;
};

void fake_init(struct fake *, const char *arch, const char *scheme, const struct fake_entry *own,
               const struct fake_entry *base, const struct fake_tensor *);
/* create, weights, states, build of the whole text model; the caller destroys and frees both. */
int fake_draw(struct fake *, const struct ag_model *, void **self, struct ag_graph **);
bool fake_asked(const struct fake *, const char *what);

#endif
