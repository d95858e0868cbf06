/* SPDX-License-Identifier: MIT */
/* open_gguf.c - a tokenizer from tokenizer.ggml.* keys. Array views are walked with every length
 * checked, whatever the format promised. */
#include "token/vocab.h"

#include "util/error.h"
#include "util/log.h"

#include <stdlib.h>
#include <string.h>

struct reader { const struct ag_format *format; ag_file *file; };

/* A walk over an array of strings. */
struct texts { const char *p; uint64_t left, count; };

static bool get(const struct reader *r, const char *key, struct ag_value *v) {
    *v = (struct ag_value){ .size = sizeof *v };
    return r->format->meta(r->file, key, v);
}

static int get_texts(const struct reader *r, const char *key, struct texts *out) {
    struct ag_value v;
    if (!get(r, key, &v)) return fail(AG_EFORMAT, "tokenizer: %s is missing", key);
    if (v.type != AG_VALUE_ARRAY || v.elem != AG_ELEM_STR)
        return fail(AG_EFORMAT, "tokenizer: %s: want an array of strings", key);
    if (v.count > v.bytes / 8) return fail(AG_EFORMAT, "tokenizer: %s is cut short", key);
    *out = (struct texts){ v.data, v.bytes, v.count };
    return AG_OK;
}

static int next_text(struct texts *w, const char *key, const char **s, size_t *n) {
    uint64_t len;
    *s = NULL;
    *n = 0;
    if (w->left < 8) return fail(AG_EFORMAT, "tokenizer: %s is cut short", key);
    memcpy(&len, w->p, 8);
    if (len > w->left - 8) return fail(AG_EFORMAT, "tokenizer: %s is cut short", key);
    *s = w->p + 8;
    *n = (size_t)len;
    w->p += 8 + len;
    w->left -= 8 + len;
    return AG_OK;
}

/* An array of 4-byte numbers, one a token; NULL when the key is absent. */
static int get_words(const struct reader *r, const char *key, uint64_t count, bool floats,
                     const char **out, bool *is_float) {
    struct ag_value v;
    *out = NULL;
    if (!get(r, key, &v)) return AG_OK;
    bool f = v.elem == AG_ELEM_F32, i = v.elem == AG_ELEM_I32 || v.elem == AG_ELEM_U32;
    if (v.type != AG_VALUE_ARRAY || !(i || (f && floats)))
        return fail(AG_EFORMAT, "tokenizer: %s: want an array of 32-bit %s", key,
                    floats ? "floats" : "integers");
    if (v.count != count || v.bytes / 4 < v.count)
        return fail(AG_EFORMAT, "tokenizer: %s: want %llu values, one a token, found %llu", key,
                    (unsigned long long)count, (unsigned long long)v.count);
    *out = v.data;
    if (is_float) *is_float = f;
    return AG_OK;
}

/* A token id, -1 when absent or out of range. */
static int32_t get_id(const struct reader *r, const struct tokenizer *t, const char *key,
                      int32_t otherwise) {
    struct ag_value v;
    if (!get(r, key, &v) || v.type != AG_VALUE_INT) v.i = otherwise;
    return v.i >= 0 && v.i < t->n_token ? (int32_t)v.i : -1;
}

static bool get_bool(const struct reader *r, const char *key, bool otherwise) {
    struct ag_value v;
    return get(r, key, &v) && v.type == AG_VALUE_BOOL ? v.i != 0 : otherwise;
}

/* Kind, pre-tokenizer and the defaults they imply. */
static int read_kind(const struct reader *r, struct tokenizer *t, bool *drop_bos) {
    struct ag_value v;
    if (!get(r, "tokenizer.ggml.model", &v) || v.type != AG_VALUE_STR)
        return fail(AG_EFORMAT, "tokenizer: the file names none (tokenizer.ggml.model is missing)");
    const char *s = v.data;
    size_t n = (size_t)v.bytes;
    *drop_bos = false;
    if (n == 5 && !memcmp(s, "llama", 5)) {
        t->kind = VOCAB_SPM;
        t->add_bos = true;
        t->prefix = PREFIX_SPECIAL;
    } else if (n == 6 && !memcmp(s, "gemma4", 6)) {
        t->kind = VOCAB_TEXT;
        t->whole_lines = true;
        t->pretok = (struct pretok){ { pretok_lines }, 1 };
    } else if (n == 4 && !memcmp(s, "gpt2", 4)) {
        t->kind = VOCAB_BYTES;
        bool named = get(r, "tokenizer.ggml.pre", &v) && v.type == AG_VALUE_STR;
        if (!named) log_line(AG_LOG_WARN, "tokenizer: the file names no pre-tokenizer "
                                          "(tokenizer.ggml.pre); its default may cut words otherwise");
        const struct pretok_name *p =
            named ? pretok_by_name(v.data, (size_t)v.bytes) : pretok_by_name("default", 7);
        if (!p)
            return fail(AG_ENOTSUP, "tokenizer: pre-tokenizer \"%.*s\" is not known; known are %s",
                        (int)(v.bytes > 64 ? 64 : v.bytes), (const char *)v.data, pretok_names());
        t->pretok = p->p;
        t->ignore_merges = p->ignore_merges;
        t->add_bos = p->add_bos;
        *drop_bos = p->drop_bos;
    } else {
        return fail(AG_ENOTSUP, "tokenizer: kind \"%.*s\" is not supported; supported are llama (SPM), "
                    "gpt2 (byte-level BPE) and gemma4", (int)(n > 64 ? 64 : n), s);
    }
    return AG_OK;
}

/* The higher the score, the lower the number. */
static uint32_t order_of(const char *at, bool is_float) {
    float f;
    int32_t i;
    memcpy(&f, at, 4);
    memcpy(&i, at, 4);
    if (!is_float) f = (float)i;
    f += 0.0f; /* one zero */
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return ~(bits >> 31 ? ~bits : bits | 0x80000000u);
}

static int read_tokens(const struct reader *r, struct tokenizer *t) {
    static const char key[] = "tokenizer.ggml.tokens";
    struct texts texts, merges = { 0 };
    const char *scores, *types;
    bool is_float = true;
    int rc;
    if ((rc = get_texts(r, key, &texts)) < 0) return rc;
    if (t->kind != VOCAB_SPM && (rc = get_texts(r, "tokenizer.ggml.merges", &merges)) < 0) return rc;
    if ((rc = get_words(r, "tokenizer.ggml.scores", texts.count, true, &scores, &is_float)) < 0 ||
        (rc = get_words(r, "tokenizer.ggml.token_type", texts.count, false, &types, NULL)) < 0 ||
        (rc = vocab_alloc(t, texts.count, merges.count)) < 0)
        return rc;
    if (t->kind == VOCAB_SPM && !scores)
        return fail(AG_EFORMAT, "tokenizer: tokenizer.ggml.scores is missing");
    for (uint32_t id = 0; id < t->n_token; id++) {
        const char *s;
        size_t n;
        uint32_t type = TOKEN_NORMAL;
        if ((rc = next_text(&texts, key, &s, &n)) < 0) return rc;
        if (types) memcpy(&type, types + 4 * (size_t)id, 4);
        if (type > TOKEN_BYTE) type = 0; /* refused below */
        if ((rc = vocab_set(t, id, s, n, (uint8_t)type)) < 0) return rc;
        if (scores && t->kind == VOCAB_SPM)
            t->token[id].order = order_of(scores + 4 * (size_t)id, is_float);
    }
    return vocab_index(t);
}

static int read_merges(const struct reader *r, struct tokenizer *t) {
    static const char key[] = "tokenizer.ggml.merges";
    struct texts w;
    int rc = get_texts(r, key, &w);
    if (rc < 0) return rc;
    uint64_t useless = 0;
    for (uint64_t k = 0; k < w.count; k++) {
        const char *s, *space = NULL;
        size_t n;
        if ((rc = next_text(&w, key, &s, &n)) < 0) return rc;
        if (n > 2) space = memchr(s + 1, ' ', n - 2); /* a piece may begin with a space */
        if (!space)
            return fail(AG_EFORMAT, "tokenizer: merge %llu: want two pieces and a space between them",
                        (unsigned long long)k);
        size_t left = (size_t)(space - s);
        useless += !vocab_merge(t, s, left, space + 1, n - left - 1, (uint32_t)k);
        if (t->scratch.failed) return fail(AG_ENOMEM, "tokenizer: out of memory");
    }
    if (useless)
        log_line(AG_LOG_WARN, "tokenizer: %llu of %llu merges name pieces the vocabulary lacks; they "
                 "are ignored", (unsigned long long)useless, (unsigned long long)w.count);
    return AG_OK;
}

static int read_special(const struct reader *r, struct tokenizer *t) {
    struct texts texts;
    int rc = get_texts(r, "tokenizer.ggml.tokens", &texts);
    if (rc < 0) return rc;
    size_t n_special = 0, k = 0;
    for (uint32_t id = 0; id < t->n_token; id++)
        n_special += t->token[id].type >= TOKEN_UNKNOWN && t->token[id].type <= TOKEN_USER;
    struct special *list = calloc(n_special + 1, sizeof *list);
    if (!list) return fail(AG_ENOMEM, "tokenizer: out of memory");
    for (uint32_t id = 0; id < t->n_token && rc == AG_OK; id++) {
        const char *s;
        size_t n;
        uint8_t type = t->token[id].type;
        rc = next_text(&texts, "tokenizer.ggml.tokens", &s, &n);
        if (rc == AG_OK && type >= TOKEN_UNKNOWN && type <= TOKEN_USER)
            list[k++] = (struct special){ .text = s, .n = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n,
                                          .id = (int32_t)id, .user = type == TOKEN_USER };
    }
    if (rc == AG_OK) rc = special_build(&t->special, list, k);
    free(list);
    return rc;
}

/* Calls take for every number of a key that holds one or an array of them. */
static int each_id(const struct reader *r, struct tokenizer *t, const char *key,
                   int (*take)(struct tokenizer *, int64_t)) {
    struct ag_value v;
    if (!get(r, key, &v)) return AG_OK;
    if (v.type == AG_VALUE_INT) return take(t, v.i);
    if (v.type != AG_VALUE_ARRAY || (v.elem != AG_ELEM_I32 && v.elem != AG_ELEM_U32) ||
        v.bytes / 4 < v.count)
        return fail(AG_EFORMAT, "tokenizer: %s: want 32-bit token ids", key);
    for (uint64_t i = 0; i < v.count; i++) {
        int32_t id;
        memcpy(&id, (const char *)v.data + 4 * i, 4);
        int rc = take(t, id);
        if (rc < 0) return rc;
    }
    return AG_OK;
}

static int read_ends(const struct reader *r, struct tokenizer *t) {
    static const char *const keys[] = {
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id",
        "tokenizer.ggml.eog_token_ids", "tokenizer.ggml.fim_pad_token_id",
        "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id",
    };
    int rc = vocab_add_eog(t, t->eos);
    for (size_t k = 0; k < sizeof keys / sizeof *keys && rc == AG_OK; k++)
        rc = each_id(r, t, keys[k], vocab_add_eog);
    if (rc == AG_OK) rc = vocab_eog_by_text(t);
    if (rc == AG_OK) rc = each_id(r, t, "tokenizer.ggml.suppress_tokens", vocab_ban);
    return rc;
}

static void read_options(const struct reader *r, struct tokenizer *t, bool drop_bos) {
    bool spm = t->kind == VOCAB_SPM, gpt2 = t->kind == VOCAB_BYTES;
    t->bos = get_id(r, t, "tokenizer.ggml.bos_token_id", spm ? 1 : -1);
    t->eos = get_id(r, t, "tokenizer.ggml.eos_token_id", spm ? 2 : -1);
    t->unknown = gpt2 ? -1 : get_id(r, t, "tokenizer.ggml.unknown_token_id", spm ? 0 : -1);
    t->add_bos = get_bool(r, "tokenizer.ggml.add_bos_token", t->add_bos);
    t->add_eos = get_bool(r, "tokenizer.ggml.add_eos_token", false);
    if (t->kind == VOCAB_TEXT) t->add_bos = true; /* gemma4 wants it, whatever its files say */
    if (drop_bos) t->bos = -1;
    if (spm && !get_bool(r, "tokenizer.ggml.add_space_prefix", true)) t->prefix = PREFIX_NONE;
    struct ag_value v;
    if (get(r, "tokenizer.chat_template", &v) && v.type == AG_VALUE_STR) {
        str_add(&t->template, v.data, (size_t)v.bytes);
        t->has_template = true;
    }
}

int tokenizer_open_gguf(const struct ag_format *format, ag_file *file, struct tokenizer *t) {
    struct reader r = { format, file };
    bool drop_bos;
    int rc;
    if ((rc = read_kind(&r, t, &drop_bos)) < 0 || (rc = read_tokens(&r, t)) < 0 ||
        (t->kind != VOCAB_SPM && (rc = read_merges(&r, t)) < 0) || (rc = read_special(&r, t)) < 0)
        return rc;
    read_options(&r, t, drop_bos);
    if (t->template.failed) return fail(AG_ENOMEM, "tokenizer: out of memory");
    if ((rc = vocab_finish(t)) < 0) return rc;
    return read_ends(&r, t);
}
