/* SPDX-License-Identifier: MIT */
/* vocab.h - inside of a tokenizer: what the readers of files fill and the encoders use.
 *
 * Piece texts are kept in one pool, in the bytes they stand for: byte-level alphabets are mapped
 * back and U+2581 is a space, so that encoders work on the text as it came. */
#ifndef TOKEN_VOCAB_H
#define TOKEN_VOCAB_H

#include "token/pretokenize.h"
#include "token/tokenizer.h"
#include "util/str.h"

/* Numbers of tokenizer.ggml.token_type. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

struct token {
    uint32_t at, n; /* in the pool */
    uint32_t order; /* SPM: the lower, the earlier pieces are merged into this one */
    uint8_t type;
    bool merges;    /* may come out of merging: no control, byte, unused token */
};

/* Open addressing; id + 1, 0 = free. tag: the upper half of the hash. */
struct text_slot { uint32_t id1, tag; };
struct pair_slot { uint32_t left1, right, rank, id; }; /* left1: id + 1, 0 = free */

/* Tokens that are looked for in raw text before all else. */
struct special {
    const char *text; /* the set's own copy */
    uint32_t n;
    int32_t id;
    bool user;           /* matched even where control tokens are not */
    bool lstrip, rstrip; /* eats white space around */
    bool word;           /* only at borders of words */
};
struct special_set {
    struct special *item; /* sorted by text */
    size_t n;
    char *texts;
    uint64_t *pair[2];    /* 65536 bits each: which two bytes can begin one; [0] user only, [1] all */
};

enum vocab_kind {
    VOCAB_SPM,   /* merges by score of the result */
    VOCAB_BYTES, /* byte-level BPE */
    VOCAB_TEXT,  /* BPE over code points */
};

enum vocab_prefix {
    PREFIX_NONE,
    PREFIX_SPECIAL, /* a space before the text and after each special token */
    PREFIX_FIRST,   /* a space before the text */
    PREFIX_ABSENT,  /* as FIRST, unless there is one */
    PREFIX_SPECIAL_ABSENT, /* as SPECIAL, unless there is one */
};

struct tokenizer {
    enum vocab_kind kind;
    struct token *token;
    uint32_t n_token;
    struct str pool;
    struct text_slot *text;
    size_t text_mask;
    uint64_t seed; /* of the hash, new in every process: files cannot aim at collisions */
    struct pair_slot *pair;
    size_t pair_mask;
    int32_t char_id[256]; /* piece of a byte (VOCAB_BYTES) or ASCII character, -1 = none */
    int32_t byte_id[256]; /* what a byte without a piece becomes, -1 = none */
    uint32_t max_piece;   /* bytes of the longest piece that merges */
    struct pretok pretok;
    bool cut_before_space[256]; /* no piece holds this byte and then a space */
    bool ignore_merges, fuse_unknown;
    bool whole_lines; /* a run of line ends that is a piece is not merged together */
    bool nfc; /* texts are normalised first; VOCAB_BYTES only */
    enum vocab_prefix prefix;
    int32_t bos, eos, unknown;  /* unknown: emitted for what has no piece, -1 = nothing */
    bool add_bos, add_eos;
    struct special_set special;
    int32_t *eog;
    size_t n_eog, cap_eog;
    uint8_t *banned; /* a bit a token, NULL = none: suppressed ids */
    struct str scratch; /* while building */
    struct str template;
    bool has_template;
};

/* Id of a piece by its bytes, or -1. */
int32_t vocab_find(const struct tokenizer *, const char *s, size_t n, uint64_t hash);
/* Rank and result of merging two pieces; false if they do not merge. */
bool vocab_pair(const struct tokenizer *, int32_t left, int32_t right, uint32_t *rank, int32_t *id);

/* Building, in this order: alloc, set every id, index, merge, special_build, finish. */
int vocab_alloc(struct tokenizer *, uint64_t n_token, uint64_t n_merge);
/* Text as the file has it. Ids that are never set stay without text and are never used. */
int vocab_set(struct tokenizer *, uint32_t id, const char *text, size_t n, uint8_t type);
int vocab_index(struct tokenizer *);
/* Texts of both sides as the file has them. False when a side or the result is no piece. */
bool vocab_merge(struct tokenizer *, const char *left, size_t n_left, const char *right,
                 size_t n_right, uint32_t rank);
int vocab_finish(struct tokenizer *);
int vocab_add_eog(struct tokenizer *, int64_t id);
/* End-of-generation tokens by their texts, with the exceptions families need. */
int vocab_eog_by_text(struct tokenizer *);
int vocab_ban(struct tokenizer *, int64_t id);

/* Copies the texts of the list; empty ones are left out. */
int special_build(struct special_set *, const struct special *list, size_t n);
void special_free(struct special_set *);
int32_t special_id(const struct special_set *, const char *text, size_t n); /* -1 = none */
/* Next match at or after i, leftmost, then longest; NULL = none. *at: where. */
const struct special *special_find(const struct special_set *, const char *s, size_t i, size_t n,
                                   bool all, size_t *at);
/* That which begins at s[i], or NULL. */
const struct special *special_at(const struct special_set *, const char *s, size_t i, size_t n, bool all);

/* Appends the ids of one word (as pre-tokenizers cut it). lost: grows by the bytes that the vocabulary
 * cannot express. */
int merge_word(const struct tokenizer *, const char *s, size_t n, struct ids *out, size_t *lost);
int ids_reserve(struct ids *, size_t more);

int tokenizer_open_gguf(const struct ag_format *, ag_file *, struct tokenizer *);
int tokenizer_open_hf(const struct ag_format *, ag_file *, struct tokenizer *);
/* From the bytes of tokenizer.json alone, without the files beside it. */
int tokenizer_parse_json(const char *json, size_t n, struct tokenizer **out);

#endif
