/* SPDX-License-Identifier: MIT */
#include "token/vocab.h"

#include "token/hash.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

void ids_free(struct ids *ids) {
    free(ids->id);
    *ids = (struct ids){ 0 };
}

int ids_add(struct ids *ids, int32_t id) {
    int rc = ids_reserve(ids, 1);
    if (rc == AG_OK) ids->id[ids->n++] = id;
    return rc;
}

int tokenizer_open(const struct ag_format *format, ag_file *file, struct tokenizer **out) {
    *out = NULL;
    struct tokenizer *t = calloc(1, sizeof *t);
    if (!t) return fail(AG_ENOMEM, "tokenizer: out of memory");
    t->bos = t->eos = t->unknown = -1;
    int rc = strcmp(format->scheme(file), "gguf") ? tokenizer_open_hf(format, file, t)
                                                  : tokenizer_open_gguf(format, file, t);
    if (rc < 0) {
        tokenizer_free(t);
        return rc;
    }
    *out = t;
    return AG_OK;
}

void tokenizer_free(struct tokenizer *t) {
    if (!t) return;
    free(t->token);
    free(t->text);
    free(t->pair);
    free(t->eog);
    free(t->banned);
    str_free(&t->pool);
    str_free(&t->scratch);
    str_free(&t->template);
    special_free(&t->special);
    free(t);
}

static bool known(const struct tokenizer *t, int32_t id) {
    return id >= 0 && (uint32_t)id < t->n_token;
}

size_t tokenizer_bytes(const struct tokenizer *t, int32_t id, bool special, const char **bytes) {
    *bytes = "";
    if (!known(t, id)) return 0;
    const struct token *k = &t->token[id];
    bool hidden = k->type == TOKEN_CONTROL || k->type == TOKEN_UNKNOWN;
    if (!k->n || k->type == TOKEN_UNUSED || (hidden && !special)) return 0;
    *bytes = t->pool.p + k->at;
    return k->n;
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *id, size_t n, bool special,
                     struct str *out) {
    size_t i = 0;
    bool strip = t->prefix != PREFIX_NONE;
    for (bool start = true; i < n; i++) {
        if (!known(t, id[i]))
            return fail(AG_EINVAL, "token %d: want 0 to %u", id[i], t->n_token - 1);
        const char *s;
        size_t k = tokenizer_bytes(t, id[i], special, &s);
        bool space = strip && start && k && s[0] == ' ' && !tokenizer_is_control(t, id[i]);
        str_add(out, s + space, k - space);
        start = start && id[i] == t->bos;
    }
    return out->failed ? fail(AG_ENOMEM, "out of memory for a text") : AG_OK;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *text, size_t n) {
    int32_t id = special_id(&t->special, text, n);
    if (id >= 0 || !n) return id;
    uint64_t hash = text_hash(t->seed, text, n);
    return vocab_find(t, text, n, hash);
}

int32_t tokenizer_size(const struct tokenizer *t) { return (int32_t)t->n_token; }
int32_t tokenizer_bos(const struct tokenizer *t) { return t->bos; }
int32_t tokenizer_eos(const struct tokenizer *t) { return t->eos; }
bool tokenizer_adds_bos(const struct tokenizer *t) { return t->add_bos && t->bos >= 0; }

bool tokenizer_is_control(const struct tokenizer *t, int32_t id) {
    return known(t, id) && (t->token[id].type == TOKEN_CONTROL || t->token[id].type == TOKEN_UNKNOWN);
}

bool tokenizer_is_eog(const struct tokenizer *t, int32_t id) {
    for (size_t i = 0; i < t->n_eog; i++)
        if (t->eog[i] == id) return true;
    return false;
}

size_t tokenizer_eog(const struct tokenizer *t, const int32_t **ids) {
    *ids = t->eog;
    return t->n_eog;
}

bool tokenizer_is_unused(const struct tokenizer *t, int32_t id) {
    if (!known(t, id)) return true;
    const struct token *k = &t->token[id];
    if (!k->n || k->type == TOKEN_UNUSED) return true;
    return t->banned && t->banned[id / 8] >> (id % 8) & 1;
}

void tokenizer_add_eog(struct tokenizer *t, const char *text) {
    vocab_add_eog(t, tokenizer_find(t, text, strlen(text)));
}

const char *tokenizer_kind(const struct tokenizer *t) {
    return t->kind == VOCAB_SPM ? "spm" : "bpe";
}

const char *tokenizer_template(const struct tokenizer *t, size_t *n) {
    if (!t->has_template) return NULL;
    *n = t->template.n;
    return str_text(&t->template);
}
