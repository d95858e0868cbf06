/* SPDX-License-Identifier: MIT */
/* encode.c - text to ids: special tokens are cut out first, the fragments between them are cut into
 * words, words are merged (bpe.c). Words met before in the same text are copied. */
#include "token/vocab.h"

#include "token/hash.h"
#include "token/nfc.h"
#include "token/unicode.h"
#include "util/error.h"
#include "util/log.h"

#include <stdlib.h>
#include <string.h>

enum { MEMO_SLOTS = 16384, MEMO_MIN_TEXT = 1024, MEMO_MAX_WORD = 64 };

/* A word met before and where its ids are in the output. */
struct memo { const char *s; uint32_t n, n_id; size_t out; };

struct encoder {
    const struct tokenizer *t;
    struct ids *out;
    struct memo *memo; /* NULL for short texts */
    char *room;        /* fragments that had to be rewritten; never reused, memo points here */
    size_t n_room;
    size_t lost;       /* bytes without a token */
    const struct chat_piece *piece; /* NULL: flags hold for the whole text */
    size_t n_piece, at_piece;
};

static int word(struct encoder *e, const char *s, size_t n) {
    const struct tokenizer *t = e->t;
    struct memo *m = NULL;
    uint64_t hash = 0;
    bool keep = e->memo && n <= MEMO_MAX_WORD;
    bool whole_word = t->ignore_merges || (t->whole_lines && *s == '\n');
    if (keep || whole_word) hash = text_hash(t->seed, s, n);
    if (keep) {
        m = &e->memo[hash & (MEMO_SLOTS - 1)];
        if (m->n == n && !memcmp(m->s, s, n)) {
            if (ids_reserve(e->out, m->n_id) < 0) return AG_ENOMEM;
            for (uint32_t i = 0; i < m->n_id; i++) e->out->id[e->out->n + i] = e->out->id[m->out + i];
            e->out->n += m->n_id;
            return AG_OK;
        }
    }
    size_t from = e->out->n;
    int32_t whole = whole_word ? vocab_find(t, s, n, hash) : -1;
    if (whole >= 0 && t->token[whole].merges) {
        if (ids_add(e->out, whole) < 0) return AG_ENOMEM;
    } else if (merge_word(t, s, n, e->out, &e->lost) < 0) {
        return AG_ENOMEM;
    }
    if (m) *m = (struct memo){ s, (uint32_t)n, (uint32_t)(e->out->n - from), from };
    return AG_OK;
}

/* First place in (i, end) before a space that no piece reaches over. */
static size_t cut(const struct tokenizer *t, const char *s, size_t i, size_t end) {
    while (++i < end)
        if (s[i] == ' ' && t->cut_before_space[(unsigned char)s[i - 1]]) return i;
    return end;
}

static bool has_mark(const char *s, size_t n) {
    for (size_t i = 0; i + 2 < n; i++) {
        const char *at = memchr(s + i, 0xe2, n - i - 2);
        if (!at) return false;
        i = (size_t)(at - s);
        if ((unsigned char)s[i + 1] == 0x96 && (unsigned char)s[i + 2] == 0x81) return true;
    }
    return false;
}

/* Room for all that is rewritten of a text. A space may come in front of each fragment, but each
 * fragment but one is paid for by a special token of at least one byte. */
static int make_room(struct encoder *e, size_t n_text) {
    if (e->room) return AG_OK;
    size_t bytes = (e->t->nfc ? NFC_GROWTH : 1) * n_text + 2;
    e->room = malloc(bytes);
    return e->room ? AG_OK : fail(AG_ENOMEM, "tokenizer: out of memory (%zu bytes)", bytes);
}

static int normalise(struct encoder *e, const char **s, size_t *n, size_t n_text) {
    int rc = make_room(e, n_text);
    if (rc == AG_OK) rc = nfc_write(*s, *n, e->room + e->n_room, n);
    *s = e->room + e->n_room;
    e->n_room += *n;
    return rc;
}

/* Rewrites a fragment: a space in front, U+2581 as spaces. */
static int rewrite(struct encoder *e, const char **s, size_t *n, bool space, size_t n_text) {
    if (make_room(e, n_text) < 0) return AG_ENOMEM;
    char *to = e->room + e->n_room, *p = to;
    if (space) *p++ = ' ';
    for (size_t i = 0; i < *n;) {
        if (*n - i > 2 && !memcmp(*s + i, "\xe2\x96\x81", 3)) {
            *p++ = ' ';
            i += 3;
        } else {
            *p++ = (*s)[i++];
        }
    }
    *s = to;
    *n = (size_t)(p - to);
    e->n_room += *n;
    return AG_OK;
}

enum place { PLACE_START, PLACE_AFTER_SPECIAL, PLACE_INSIDE };

static bool wants_space(const struct tokenizer *t, enum place place, char first) {
    bool after = t->prefix == PREFIX_SPECIAL || t->prefix == PREFIX_SPECIAL_ABSENT;
    bool unless = t->prefix == PREFIX_ABSENT || t->prefix == PREFIX_SPECIAL_ABSENT;
    if (t->prefix == PREFIX_NONE || place == PLACE_INSIDE) return false;
    if (place == PLACE_AFTER_SPECIAL && !after) return false;
    return !unless || first != ' ';
}

static int fragment(struct encoder *e, const char *s, size_t n, enum place place, size_t n_text) {
    const struct tokenizer *t = e->t;
    if (!n) return AG_OK;
    bool space = wants_space(t, place, s[0]);
    if (t->kind != VOCAB_BYTES && (space || has_mark(s, n)) && rewrite(e, &s, &n, space, n_text) < 0)
        return AG_ENOMEM;
    if (t->nfc && nfc_may_change(s, n) && normalise(e, &s, &n, n_text) < 0) return AG_ENOMEM;
    struct pretok_walk walk;
    pretok_start(&walk, &t->pretok, s, n);
    for (size_t i = 0, end; i < n; i = end) {
        end = pretok_next(&walk, i);
        if (t->kind != VOCAB_BYTES) end = cut(t, s, i, end);
        int rc = word(e, s + i, end - i);
        if (rc < 0) return rc;
    }
    return AG_OK;
}

static size_t trim_end(const char *s, size_t from, size_t end) {
    while (end > from) {
        size_t p = end - 1, len;
        while (p > from && end - p < 4 && ((unsigned char)s[p] & 0xc0) == 0x80) p--;
        if (!(utf8_class(s + p, end - p, &len) & CLASS_SPACE) || len != end - p) break;
        end = p;
    }
    return end;
}

static size_t trim_start(const char *s, size_t i, size_t n) {
    size_t len;
    while (i < n && utf8_class(s + i, n - i, &len) & CLASS_SPACE) i += len;
    return i;
}

/* The literal piece that holds a byte, or NULL. Asked in rising order. */
static const struct chat_piece *literal_of(struct encoder *e, size_t at) {
    while (e->at_piece + 1 < e->n_piece && e->piece[e->at_piece].begin + e->piece[e->at_piece].n <= at)
        e->at_piece++;
    const struct chat_piece *k = &e->piece[e->at_piece];
    return k->literal ? k : NULL;
}

/* The next special token from i on; of control tokens, those the template wrote. */
static const struct special *next_special(struct encoder *e, const char *s, size_t i, size_t n, bool all,
                                          size_t *at) {
    const struct special_set *set = &e->t->special;
    const struct special *sp = special_find(set, s, i, n, all, at);
    while (e->piece && sp && !sp->user) {
        const struct chat_piece *k = literal_of(e, *at);
        if (k && *at + sp->n <= k->begin + k->n) break;
        /* What begins here and is shorter: within the piece, or no control token. */
        const struct special *shorter = k ? special_at(set, s, *at, k->begin + k->n, true)
                                          : special_at(set, s, *at, n, false);
        if (shorter) return shorter;
        sp = special_find(set, s, *at + 1, n, all, at);
    }
    return sp;
}

static int run(struct encoder *e, const char *s, size_t n, unsigned flags) {
    bool all = flags & TOKENIZE_PARSE_SPECIAL;
    enum place place = flags & TOKENIZE_CONTINUE ? PLACE_INSIDE : PLACE_START;
    for (size_t i = 0, at = 0; i < n;) {
        const struct special *sp = next_special(e, s, i, n, all, &at);
        size_t end = sp ? at : n;
        if (sp && sp->lstrip) end = trim_end(s, i, end);
        int rc = fragment(e, s + i, end - i, place, n);
        if (rc < 0 || !sp) return rc;
        if (ids_add(e->out, sp->id) < 0) return AG_ENOMEM;
        i = at + sp->n;
        if (sp->rstrip) i = trim_start(s, i, n);
        place = PLACE_AFTER_SPECIAL;
    }
    return AG_OK;
}

static int encode(const struct tokenizer *t, const char *text, size_t n, unsigned flags,
                  const struct chat_piece *piece, size_t n_piece, struct ids *out) {
    if (n > INT32_MAX)
        return fail(AG_EINVAL, "tokenizer: want a text of at most %d bytes, found %zu", INT32_MAX, n);
    size_t before = out->n;
    struct encoder e = { .t = t, .out = out, .piece = piece, .n_piece = n_piece };
    int rc = ids_reserve(out, n / 4 + 2);
    if (rc < 0) return rc;
    bool bos = flags & TOKENIZE_ADD_SPECIAL && t->add_bos && t->bos >= 0;
    if (bos) out->id[out->n++] = t->bos;
    if (n >= MEMO_MIN_TEXT) {
        e.memo = calloc(MEMO_SLOTS, sizeof *e.memo);
        rc = e.memo ? AG_OK : fail(AG_ENOMEM, "tokenizer: out of memory");
    }
    if (rc == AG_OK) rc = run(&e, text, n, flags);
    if (rc == AG_OK && bos && out->n > before + 1 && out->id[before + 1] == t->bos) {
        log_line(AG_LOG_WARN, "the text begins with the BOS token already: none is added");
        memmove(out->id + before, out->id + before + 1, (--out->n - before) * sizeof *out->id);
    }
    if (rc == AG_OK && flags & TOKENIZE_ADD_SPECIAL && t->add_eos && t->eos >= 0)
        rc = ids_add(out, t->eos);
    if (e.lost)
        log_line(AG_LOG_WARN, "%zu bytes of the text have no token in this vocabulary: left out", e.lost);
    free(e.memo);
    free(e.room);
    if (rc < 0) out->n = before;
    return rc;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, unsigned flags,
                     struct ids *out) {
    return encode(t, text, n, flags, NULL, 0, out);
}

int tokenizer_encode_pieces(const struct tokenizer *t, const char *text, size_t n,
                            const struct chat_piece *piece, size_t n_piece, struct ids *out) {
    return encode(t, text, n, TOKENIZE_PARSE_SPECIAL, piece, n_piece, out);
}
