/* SPDX-License-Identifier: MIT */
/* tokenizer.h - text to ids and back, for SPM, byte-level BPE and BPE without a byte alphabet; from
 * GGUF keys or from tokenizer.json. Immutable once open: any number of threads may encode. */
#ifndef TOKEN_TOKENIZER_H
#define TOKEN_TOKENIZER_H

#include <agave/format.h>

struct tokenizer;

struct ids { int32_t *id; size_t n, cap; };
void ids_free(struct ids *);
int ids_add(struct ids *, int32_t id);

/* Vocabulary of an open model file. */
int tokenizer_open(const struct ag_format *, ag_file *, struct tokenizer **out);
void tokenizer_free(struct tokenizer *); /* NULL is fine */

enum tokenizer_flags {
    TOKENIZE_ADD_SPECIAL = 1,   /* BOS and EOS as the model asks */
    TOKENIZE_PARSE_SPECIAL = 2, /* control tokens in the text are control tokens */
    TOKENIZE_CONTINUE = 4,      /* not the beginning of a text: no space prefix */
};
/* Appends to out. Any bytes are fine; invalid UTF-8 reaches the vocabulary as bytes. */
int tokenizer_encode(const struct tokenizer *, const char *text, size_t n, unsigned flags,
                     struct ids *out);

/* Bytes [begin, begin + n) of a text, and whether control tokens in it are control tokens. */
struct chat_piece { size_t begin, n; bool literal; };
/* A text of pieces that follow each other, encoded as one: where kinds meet, words are not cut. Only
 * what lies in one literal piece becomes a control token. */
int tokenizer_encode_pieces(const struct tokenizer *, const char *text, size_t n,
                            const struct chat_piece *, size_t n_piece, struct ids *out);

/* Bytes of one token; control tokens give nothing unless special. Lives as long as the tokenizer. */
size_t tokenizer_bytes(const struct tokenizer *, int32_t id, bool special, const char **bytes);
/* The whole text of ids, with the rules for its beginning (SPM's space prefix). */
struct str;
int tokenizer_decode(const struct tokenizer *, const int32_t *id, size_t n, bool special,
                     struct str *out);

/* Id of the token whose text is exactly this, or -1. */
int32_t tokenizer_find(const struct tokenizer *, const char *text, size_t n);
int32_t tokenizer_size(const struct tokenizer *);
int32_t tokenizer_bos(const struct tokenizer *); /* -1 = none */
int32_t tokenizer_eos(const struct tokenizer *);
bool tokenizer_adds_bos(const struct tokenizer *);
bool tokenizer_is_control(const struct tokenizer *, int32_t id);
bool tokenizer_is_eog(const struct tokenizer *, int32_t id);
size_t tokenizer_eog(const struct tokenizer *, const int32_t **ids);
/* Tokens that must never be sampled (unused, padding, suppressed). */
bool tokenizer_is_unused(const struct tokenizer *, int32_t id);
/* Adds a text's token to the end-of-generation set, if the vocabulary has it as one token. Before use. */
void tokenizer_add_eog(struct tokenizer *, const char *text);
const char *tokenizer_kind(const struct tokenizer *); /* "spm", "bpe" */
/* The file's own chat template (Jinja text), or NULL. */
const char *tokenizer_template(const struct tokenizer *, size_t *n);

#endif
