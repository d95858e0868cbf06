/* SPDX-License-Identifier: MIT */
#include "token/vocab.h"

#include "token/hash.h"
#include "token/unicode.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_TOKEN = 1 << 24, MAX_MERGE = 1 << 26, AHEAD = 16 };

static uint64_t fresh_seed(const void *somewhere) {
    struct timespec t = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &t);
    return hash_mix((uint64_t)t.tv_nsec ^ (uint64_t)(uintptr_t)somewhere ^ 0x8ebc6af09c88c6e3u,
                    (uint64_t)t.tv_sec ^ 0x589965cc75374cc3u) | 1;
}

/* Power of two with room for n at a load of at most two thirds. */
static size_t slots_for(uint64_t n) {
    size_t slots = 16;
    while (slots / 3 * 2 < n) slots *= 2;
    return slots;
}

int vocab_alloc(struct tokenizer *t, uint64_t n_token, uint64_t n_merge) {
    if (n_token == 0 || n_token > MAX_TOKEN)
        return fail(AG_EFORMAT, "tokenizer: want 1 to %d tokens, found %llu", MAX_TOKEN,
                    (unsigned long long)n_token);
    if (n_merge > MAX_MERGE)
        return fail(AG_EFORMAT, "tokenizer: want at most %d merges, found %llu", MAX_MERGE,
                    (unsigned long long)n_merge);
    t->n_token = (uint32_t)n_token;
    t->token = calloc(n_token, sizeof *t->token);
    size_t slots = slots_for(n_token), pairs = slots_for(n_merge);
    t->text = calloc(slots, sizeof *t->text);
    t->text_mask = slots - 1;
    if (t->kind != VOCAB_SPM) t->pair = calloc(pairs, sizeof *t->pair);
    t->pair_mask = pairs - 1;
    if (!t->token || !t->text || (t->kind != VOCAB_SPM && !t->pair))
        return fail(AG_ENOMEM, "tokenizer: out of memory for %u tokens", t->n_token);
    t->seed = fresh_seed(t->token);
    memset(t->char_id, -1, sizeof t->char_id);
    memset(t->byte_id, -1, sizeof t->byte_id);
    return AG_OK;
}

/* Code points of the byte alphabet (GPT-2's): printable Latin-1 stands for itself, the other 68
 * bytes, ascending, are U+0100 and up. */
static int byte_of(uint32_t cp) {
    if ((cp >= 33 && cp <= 126) || (cp >= 161 && cp <= 172) || (cp >= 174 && cp <= 255))
        return (int)cp;
    if (cp < 0x100 || cp > 0x143) return -1;
    uint32_t k = cp - 0x100;
    return (int)(k < 33 ? k : k < 67 ? k - 33 + 127 : 173);
}

static void add_byte_level(struct str *to, const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t k = utf8_decode(s + i, n - i, &cp);
        int byte = k ? byte_of(cp) : -1;
        if (byte >= 0) str_putc(to, (char)byte);
        else str_add(to, s + i, k ? k : 1);
        i += k ? k : 1;
    }
}

/* U+2581 to space. */
static void add_spaced(struct str *to, const char *s, size_t n) {
    size_t from = 0;
    for (size_t i = 0; i + 2 < n;) {
        const char *mark = memchr(s + i, 0xe2, n - i - 2);
        if (!mark) break;
        i = (size_t)(mark - s);
        if ((unsigned char)s[i + 1] == 0x96 && (unsigned char)s[i + 2] == 0x81) {
            str_add(to, s + from, i - from);
            str_putc(to, ' ');
            from = i += 3;
        } else {
            i++;
        }
    }
    str_add(to, s + from, n - from);
}

/* Bytes a piece's text stands for. */
static void add_piece(const struct tokenizer *t, struct str *to, const char *s, size_t n) {
    if (t->kind == VOCAB_BYTES) add_byte_level(to, s, n);
    else add_spaced(to, s, n);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of "<0x41>", or -1. */
static int byte_token(const char *s, size_t n) {
    if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>') return -1;
    int hi = hex_digit(s[3]), lo = hex_digit(s[4]);
    return hi < 0 || lo < 0 ? -1 : hi * 16 + lo;
}

int vocab_set(struct tokenizer *t, uint32_t id, const char *text, size_t n, uint8_t type) {
    if (type < TOKEN_NORMAL || type > TOKEN_BYTE)
        return fail(AG_EFORMAT, "tokenizer: token %u is of type %u, known are 1 to 6", id, type);
    struct token *k = &t->token[id];
    size_t at = t->pool.n;
    int byte = type == TOKEN_BYTE ? byte_token(text, n) : -1;
    if (byte >= 0) {
        str_putc(&t->pool, (char)byte);
        if (t->byte_id[byte] < 0) t->byte_id[byte] = (int32_t)id;
    } else if (t->kind == VOCAB_BYTES && type != TOKEN_NORMAL && type != TOKEN_BYTE) {
        str_add(&t->pool, text, n);
    } else {
        add_piece(t, &t->pool, text, n);
    }
    if (t->pool.failed || t->pool.n > UINT32_MAX)
        return fail(AG_ENOMEM, "tokenizer: out of memory for the token texts");
    k->at = (uint32_t)at;
    k->n = (uint32_t)(t->pool.n - at);
    k->type = type;
    /* Where a space is written U+2581, text can never become a piece with a plain one. */
    k->merges = (type == TOKEN_NORMAL || type == TOKEN_USER) && n &&
                (t->kind == VOCAB_BYTES || !memchr(text, ' ', n));
    return AG_OK;
}

int32_t vocab_find(const struct tokenizer *t, const char *s, size_t n, uint64_t hash) {
    uint32_t tag = (uint32_t)(hash >> 32);
    for (size_t i = hash & t->text_mask; t->text[i].id1; i = (i + 1) & t->text_mask) {
        if (t->text[i].tag != tag) continue;
        const struct token *k = &t->token[t->text[i].id1 - 1];
        if (k->n == n && !memcmp(t->pool.p + k->at, s, n)) return (int32_t)(t->text[i].id1 - 1);
    }
    return -1;
}

static void insert(struct tokenizer *t, uint32_t id, uint64_t hash) {
    const struct token *k = &t->token[id];
    uint32_t tag = (uint32_t)(hash >> 32);
    size_t i = hash & t->text_mask;
    for (; t->text[i].id1; i = (i + 1) & t->text_mask) {
        const struct token *o = &t->token[t->text[i].id1 - 1];
        if (t->text[i].tag != tag || o->n != k->n ||
            memcmp(t->pool.p + o->at, t->pool.p + k->at, k->n))
            continue;
        if (k->merges && !o->merges) break;
        return;
    }
    t->text[i] = (struct text_slot){ id + 1, tag };
}

int vocab_index(struct tokenizer *t) {
    uint64_t hash[AHEAD];
    for (uint32_t from = 0; from < t->n_token; from += AHEAD) {
        uint32_t end = t->n_token - from < AHEAD ? t->n_token : from + AHEAD;
        for (uint32_t id = from; id < end; id++) {
            const struct token *k = &t->token[id];
            hash[id - from] = text_hash(t->seed, str_text(&t->pool) + k->at, k->n);
            __builtin_prefetch(&t->text[hash[id - from] & t->text_mask], 1);
        }
        for (uint32_t id = from; id < end; id++) {
            const struct token *k = &t->token[id];
            if (k->n && k->type != TOKEN_BYTE) insert(t, id, hash[id - from]);
            if (k->merges && k->n > t->max_piece) t->max_piece = k->n;
        }
    }
    return AG_OK;
}

static int32_t find_piece(const struct tokenizer *t, const char *s, size_t n) {
    int32_t id = vocab_find(t, s, n, text_hash(t->seed, s, n));
    return id >= 0 && t->token[id].merges ? id : -1;
}

bool vocab_pair(const struct tokenizer *t, int32_t left, int32_t right, uint32_t *rank,
                int32_t *id) {
    size_t i = pair_hash(t->seed, left, right) & t->pair_mask;
    for (; t->pair[i].left1; i = (i + 1) & t->pair_mask) {
        const struct pair_slot *p = &t->pair[i];
        if (p->left1 != (uint32_t)left + 1 || p->right != (uint32_t)right) continue;
        *rank = p->rank;
        *id = (int32_t)p->id;
        return true;
    }
    return false;
}

bool vocab_merge(struct tokenizer *t, const char *left, size_t n_left, const char *right,
                 size_t n_right, uint32_t rank) {
    struct str *s = &t->scratch;
    str_clear(s);
    add_piece(t, s, left, n_left);
    size_t mid = s->n;
    add_piece(t, s, right, n_right);
    if (s->failed) return false;
    int32_t l = find_piece(t, s->p, mid), r = find_piece(t, s->p + mid, s->n - mid);
    int32_t id = l < 0 || r < 0 ? -1 : find_piece(t, s->p, s->n);
    if (id < 0) return false;
    size_t i = pair_hash(t->seed, l, r) & t->pair_mask;
    for (; t->pair[i].left1; i = (i + 1) & t->pair_mask)
        if (t->pair[i].left1 == (uint32_t)l + 1 && t->pair[i].right == (uint32_t)r) return true;
    t->pair[i] = (struct pair_slot){ (uint32_t)l + 1, (uint32_t)r, rank, (uint32_t)id };
    return true;
}

static void find_cuts(struct tokenizer *t, bool all_bytes) {
    memset(t->cut_before_space, t->fuse_unknown && !all_bytes ? 0 : 1, 256);
    for (uint32_t id = 0; id < t->n_token; id++) {
        const struct token *k = &t->token[id];
        if (!k->merges || k->n < 2) continue;
        const char *s = t->pool.p + k->at, *end = s + k->n, *at = s + 1;
        while (at < end && (at = memchr(at, ' ', (size_t)(end - at)))) {
            t->cut_before_space[(unsigned char)at[-1]] = false;
            at++;
        }
    }
}

int vocab_finish(struct tokenizer *t) {
    int missing = 0;
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        if (b < 128 || t->kind == VOCAB_BYTES) t->char_id[b] = find_piece(t, &c, 1);
        missing += (t->kind == VOCAB_BYTES ? t->char_id[b] : t->byte_id[b]) < 0;
    }
    find_cuts(t, missing == 0);
    str_free(&t->scratch);
    return AG_OK;
}

int vocab_add_eog(struct tokenizer *t, int64_t id) {
    if (id < 0 || id >= t->n_token) return AG_OK;
    for (size_t i = 0; i < t->n_eog; i++)
        if (t->eog[i] == id) return AG_OK;
    int rc = mem_grow(&t->eog, &t->cap_eog, t->n_eog + 1, sizeof *t->eog);
    if (rc == AG_OK) t->eog[t->n_eog++] = (int32_t)id;
    return rc;
}

int vocab_ban(struct tokenizer *t, int64_t id) {
    if (id < 0 || id >= t->n_token) return AG_OK;
    if (!t->banned) t->banned = calloc(t->n_token / 8 + 1, 1);
    if (!t->banned) return fail(AG_ENOMEM, "tokenizer: out of memory");
    t->banned[id / 8] |= (uint8_t)(1u << (id % 8));
    return AG_OK;
}

/* Texts that end an answer in some family. */
static const char *const eog_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
};

int vocab_eog_by_text(struct tokenizer *t) {
    bool harmony = tokenizer_find(t, "<|return|>", 10) >= 0 && tokenizer_find(t, "<|call|>", 8) >= 0;
    bool tool_response = tokenizer_find(t, "<|tool_response>", 16) >= 0;
    for (size_t i = 0; i < sizeof eog_texts / sizeof *eog_texts; i++) {
        const char *text = eog_texts[i];
        int32_t id = tokenizer_find(t, text, strlen(text));
        if (id < 0 || (harmony && !strcmp(text, "<|end|>"))) continue;
        /* An HTML tag where it is not a control token. */
        if (!strcmp(text, "</s>") && (tool_response || t->token[id].type != TOKEN_CONTROL)) continue;
        if (vocab_add_eog(t, id) < 0) return AG_ENOMEM;
    }
    return AG_OK;
}
