/* SPDX-License-Identifier: MIT */
/* hf_side.c - opens a SafeTensors directory's tokenizer: tokenizer.json (open_hf.c), then what the
 * files beside it say of BOS, EOS, end-of-generation tokens and the chat template. */
#include "token/hf_json.h"
#include "token/vocab.h"

#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 512 << 20 };

static int read_file(const char *path, struct str *out) {
    FILE *f = fopen(path, "rb");
    if (!f) return fail(AG_EIO, "%s: %s", path, strerror(errno));
    char *chunk = malloc(1 << 18);
    size_t n;
    int rc = chunk ? AG_OK : AG_ENOMEM;
    while (rc == AG_OK && (n = fread(chunk, 1, 1 << 18, f)) > 0) {
        str_add(out, chunk, n);
        if (out->failed) rc = AG_ENOMEM;
        if (out->n > MAX_FILE) rc = AG_EFORMAT;
    }
    if (rc == AG_OK && ferror(f)) rc = fail(AG_EIO, "%s: %s", path, strerror(errno));
    else if (rc == AG_ENOMEM) fail(rc, "%s: out of memory", path);
    else if (rc == AG_EFORMAT) fail(rc, "%s: want at most %d bytes", path, MAX_FILE);
    free(chunk);
    fclose(f);
    return rc;
}

/* The file of a role; absent leaves out empty and is fine. */
static int read_role(const struct ag_format *format, ag_file *file, uint32_t role, struct str *out) {
    const char *path = format->file(file, role);
    return path ? read_file(path, out) : AG_OK;
}

/* The token id of "text" or {"content": "text"}; it is left alone when there is no such token. */
static int token_of(const struct tokenizer *t, const struct span *s, int32_t *id) {
    struct str text = { 0 };
    struct span content = { 0 };
    struct member m[] = { { "content", &content } };
    int rc = AG_OK;
    bool is = span_text(s, &text) == 1;
    if (!is && span_is(s, PULL_OBJECT)) {
        rc = span_members(s, m, 1);
        is = rc == AG_OK && span_text(&content, &text) == 1;
    }
    int32_t found = is ? tokenizer_find(t, str_text(&text), text.n) : -1;
    if (found >= 0) *id = found;
    rc = span_check(rc, &text);
    str_free(&text);
    return rc;
}

/* The chat template: a text, or a list of named ones of which "default" (else the first) counts. */
static int read_template(struct tokenizer *t, const struct span *s) {
    if (!s->n || span_is(s, PULL_NULL)) return AG_OK;
    if (span_text(s, &t->template) == 1) return t->has_template = true, AG_OK;
    if (t->template.failed) return span_check(AG_OK, &t->template);
    struct span_walk w;
    struct span item;
    struct str name = { 0 };
    int rc = span_walk_start(&w, s);
    while (rc == AG_OK && (rc = span_walk_next(&w, &item)) == 1) {
        struct span n = { 0 }, text = { 0 };
        struct member m[] = { { "name", &n }, { "template", &text } };
        if ((rc = span_members(&item, m, 2)) < 0) break;
        bool is_default = span_text(&n, &name) == 1 && !strcmp(str_text(&name), "default");
        if (is_default || !t->has_template) t->has_template |= span_text(&text, &t->template) == 1;
    }
    span_walk_finish(&w);
    rc = span_check(span_check(rc, &name), &t->template);
    str_free(&name);
    return rc;
}

static int read_config(struct tokenizer *t, const struct str *file) {
    if (!file->n) return AG_OK;
    struct span all = { file->p, file->n };
    struct span bos = { 0 }, eos = { 0 }, add_bos = { 0 }, add_eos = { 0 }, template = { 0 };
    struct member m[] = { { "bos_token", &bos }, { "eos_token", &eos }, { "add_bos_token", &add_bos },
                          { "add_eos_token", &add_eos }, { "chat_template", &template } };
    int rc = span_members(&all, m, sizeof m / sizeof *m);
    if (rc < 0) return rc;
    /* What the post processor adds is what it says. */
    if (!(t->add_bos && t->bos >= 0)) rc = token_of(t, &bos, &t->bos);
    if (rc == AG_OK && !(t->add_eos && t->eos >= 0)) rc = token_of(t, &eos, &t->eos);
    if (rc < 0) return rc;
    t->add_bos = span_bool(&add_bos, t->add_bos);
    t->add_eos = span_bool(&add_eos, t->add_eos);
    return t->has_template ? AG_OK : read_template(t, &template);
}

static int read_map(struct tokenizer *t, const struct str *file) {
    if (!file->n) return AG_OK;
    struct span all = { file->p, file->n }, bos = { 0 }, eos = { 0 };
    struct member m[] = { { "bos_token", &bos }, { "eos_token", &eos } };
    int rc = span_members(&all, m, 2);
    if (rc < 0) return rc;
    if (t->bos < 0) rc = token_of(t, &bos, &t->bos);
    if (rc == AG_OK && t->eos < 0) rc = token_of(t, &eos, &t->eos);
    return rc;
}

/* A number or a list of them. */
static int each_id(struct tokenizer *t, const struct span *s, int32_t *first,
                   int (*take)(struct tokenizer *, int64_t)) {
    int64_t id;
    if (!s->n || span_is(s, PULL_NULL)) return AG_OK;
    if (span_int(s, &id)) {
        if (first && *first < 0 && id >= 0 && id < t->n_token) *first = (int32_t)id;
        return take(t, id);
    }
    struct span_walk w;
    struct span item;
    int rc = span_walk_start(&w, s);
    while (rc == AG_OK && (rc = span_walk_next(&w, &item)) == 1) {
        if (!span_int(&item, &id)) rc = fail(AG_EFORMAT, "want token ids");
        else rc = each_id(t, &item, first, take);
    }
    span_walk_finish(&w);
    return rc;
}

static int read_generation(struct tokenizer *t, const struct str *file) {
    if (!file->n) return AG_OK;
    struct span all = { file->p, file->n }, bos = { 0 }, eos = { 0 }, suppress = { 0 };
    struct member m[] = { { "bos_token_id", &bos }, { "eos_token_id", &eos },
                          { "suppress_tokens", &suppress } };
    int rc = span_members(&all, m, 3);
    int64_t b;
    if (rc == AG_OK && t->bos < 0 && span_int(&bos, &b) && b >= 0 && b < t->n_token)
        t->bos = (int32_t)b;
    if (rc == AG_OK) rc = each_id(t, &eos, &t->eos, vocab_add_eog);
    if (rc == AG_OK) rc = each_id(t, &suppress, NULL, vocab_ban);
    return rc;
}

static int read_side(const struct ag_format *format, ag_file *file, struct tokenizer *t) {
    static const struct {
        uint32_t role;
        const char *name;
        int (*read)(struct tokenizer *, const struct str *);
    } side[] = {
        { AG_FILE_TOKENIZER_CONFIG, "tokenizer_config.json", read_config },
        { AG_FILE_SPECIAL_TOKENS, "special_tokens_map.json", read_map },
        { AG_FILE_GENERATION, "generation_config.json", read_generation },
    };
    int rc = read_role(format, file, AG_FILE_CHAT_TEMPLATE, &t->template);
    t->has_template = t->template.n > 0;
    for (size_t i = 0; i < sizeof side / sizeof *side && rc == AG_OK; i++) {
        struct str text = { 0 };
        rc = read_role(format, file, side[i].role, &text);
        if (rc == AG_OK && (rc = side[i].read(t, &text)) < 0) fail_prefix(rc, "%s", side[i].name);
        str_free(&text);
    }
    return rc;
}

static int finish_ends(struct tokenizer *t) {
    int rc = vocab_add_eog(t, t->eos);
    return rc < 0 ? rc : vocab_eog_by_text(t);
}

int tokenizer_open_hf(const struct ag_format *format, ag_file *file, struct tokenizer *t) {
    const char *path = format->file(file, AG_FILE_TOKENIZER);
    if (!path) return fail(AG_ENOENT, "tokenizer: want tokenizer.json beside the weights, found none");
    struct str text = { 0 };
    int rc = read_file(path, &text);
    if (rc == AG_OK && (rc = hf_read_tokenizer(&(struct span){ text.p, text.n }, t)) < 0)
        fail_prefix(rc, "%s", path);
    str_free(&text);
    if (rc == AG_OK) rc = read_side(format, file, t);
    return rc < 0 ? rc : finish_ends(t);
}

int tokenizer_parse_json(const char *json, size_t n, struct tokenizer **out) {
    struct tokenizer *t = *out = calloc(1, sizeof *t);
    if (!t) return fail(AG_ENOMEM, "tokenizer: out of memory");
    t->bos = t->eos = t->unknown = -1;
    int rc = hf_read_tokenizer(&(struct span){ json, n }, t);
    if (rc == AG_OK) rc = finish_ends(t);
    if (rc == AG_OK) return AG_OK;
    tokenizer_free(t);
    *out = NULL;
    return rc;
}
