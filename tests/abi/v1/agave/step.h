/* SPDX-License-Identifier: MIT */
/* step.h - what varies from step to step: one block of memory without pointers, so that one copy
 * brings it to a device and captured plans read it where it always lies.
 *
 * A step runs T token rows of S sequences. The arrays lie behind the header at offsets that stay the
 * same for the life of an engine (they follow the maxima, not this step's numbers). */
#ifndef AGAVE_STEP_H
#define AGAVE_STEP_H

#include <agave/base.h>

enum { AG_MAX_GROUP = 8 };

/* Arrays of i32; ag_step.off says where each begins. */
enum ag_step_field {
    AG_STEP_TOKEN = 0,   /* [T] token id, -1: a row of zeros, for embeddings added by INPUT EMBED */
    AG_STEP_SEQ = 1,     /* [T] sequence 0 .. S-1 of the row, -1: padding, writes no state */
    AG_STEP_ORDER = 2,   /* [T] index of the row's entry in its sequence's cache; masks compare it */
    AG_STEP_POS = 3,     /* [4][max T] positions for rope only */
    AG_STEP_PARENT = 4,  /* [T] tree drafts: row of this step it continues, -1: the cache before */
    AG_STEP_SPAN = 5,    /* [T] rows of one image see each other both ways; 0 = none */
    AG_STEP_OUT_ROW = 6, /* [R] rows whose logits are wanted */
    AG_STEP_Q_BEGIN = 7, /* [S] first row of the sequence; its rows are adjacent */
    AG_STEP_Q_LEN = 8,   /* [S] */
    AG_STEP_KV_LEN = 9,  /* [S] entries of the sequence with this step's rows */
    AG_STEP_STATE_IN = 10,  /* [S] slot of the recurrent states before the step, -1: zeros */
    AG_STEP_STATE_OUT = 11, /* [S] slot they are written to; may be the same */
    AG_STEP_SNAPSHOT = 12,  /* [S][n_snapshot] slot for the states after all but the last i rows, -1: none */
    AG_STEP_FIELDS = 13,
};

enum ag_step_flags {
    AG_STEP_TREE = 1,  /* PARENT holds; else a row sees all earlier entries of its sequence */
    AG_STEP_SPANS = 2, /* SPAN holds */
};

/* A page group: states whose pages age alike share tables. Entry e of a sequence lies in page
 * table[seq][e / page_tokens] at place e % page_tokens. */
struct ag_step_group {
    uint32_t page_tokens; /* entries a page, a power of two */
    uint32_t max_page;    /* row length of the table */
    uint32_t table_off;   /* i32 [max S][max_page]; -1 = freed, behind the window */
    uint32_t write_off;   /* i32 [max T]: page * page_tokens + place, -1 = not written */
    uint32_t first_off;   /* i32 [max S]: first entry still held */
    uint32_t pad;
};

struct ag_step {
    uint32_t size;
    uint32_t bytes; /* of the whole block */
    uint32_t flags;
    int32_t n_token, n_out, n_seq, n_group;
    int32_t max_token, max_out, max_seq, n_snapshot;
    uint32_t off[16]; /* bytes from the start of this struct, by enum ag_step_field; 0 = not there */
    struct ag_step_group group[AG_MAX_GROUP];
};

static inline int32_t *ag_step_at(const struct ag_step *s, uint32_t off) {
    return (int32_t *)((uintptr_t)s + off);
}
static inline int32_t *ag_step_array(const struct ag_step *s, enum ag_step_field f) {
    return ag_step_at(s, s->off[f]);
}

#endif
