/* SPDX-License-Identifier: MIT */
/* open_hf.c - a tokenizer from tokenizer.json and the files beside it. Where a value lies is noted in
 * a first walk, so that the order of keys does not matter; big members are then read in place. What
 * is not understood is refused by name: a tokenizer that nearly fits gives wrong ids. */
#include "token/vocab.h"

#include "token/hf_json.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NEST = 4, MAX_HOLES = 65536 };

/* A token as some list of the file names it; text in the file or, when it had escapes, in the pool. */
struct entry { const char *text; size_t at, n; int64_t id; bool pooled; };

struct added { struct entry e; bool special, lstrip, rstrip, word; };

struct hf {
    struct tokenizer *t;
    struct span added_tokens, normalizer, pre_tokenizer, post_processor, vocab, merges;
    struct str pool;
    struct entry *entry;
    size_t n_entry, cap_entry;
    struct added *added;
    size_t n_added, cap_added;
    struct str unknown;
    bool has_unknown, byte_fallback, spaced;
};

static const char *entry_text(const struct hf *h, const struct entry *e) {
    return e->pooled ? h->pool.p + e->at : e->text;
}

/* The current string of j. Those without escapes stay where they are: that is inside the file. */
static int take_entry(struct hf *h, const struct jsonpull *j, struct entry *e) {
    *e = (struct entry){ .text = j->text, .n = j->n };
    if (j->text >= j->begin && j->text < j->end) return AG_OK;
    e->pooled = true;
    e->at = h->pool.n;
    str_add(&h->pool, j->text, j->n);
    return h->pool.failed ? fail(AG_ENOMEM, "tokenizer.json: out of memory") : AG_OK;
}

static int refuse(const char *what, const struct str *name) {
    return fail(AG_ENOTSUP, "tokenizer.json: %s \"%.100s\" is not supported", what, str_text(name));
}

/* ---- normalizer, pre_tokenizer ---- */

static bool is_mark(const struct str *s) { return s->n == 3 && !memcmp(s->p, "\xe2\x96\x81", 3); }

static int normalizer_step(struct hf *h, const struct span *s, const struct str *type, struct str *tmp) {
    if (!strcmp(str_text(type), "Replace")) {
        struct span pattern = { 0 }, string = { 0 }, content = { 0 };
        struct member m[] = { { "pattern", &pattern }, { "content", &content } };
        struct member p[] = { { "String", &string } };
        int rc = span_members(s, m, 2);
        if (rc == AG_OK && span_is(&pattern, PULL_OBJECT)) rc = span_members(&pattern, p, 1);
        if (rc < 0) return rc;
        bool ok = span_text(&string, tmp) == 1 && tmp->n == 1 && tmp->p[0] == ' ';
        ok = ok && span_text(&content, tmp) == 1 && is_mark(tmp);
        if (!ok) return fail(AG_ENOTSUP, "tokenizer.json: normalizer Replace: only ' ' by U+2581 is "
                                         "supported");
        h->spaced = true;
        return AG_OK;
    }
    if (!strcmp(str_text(type), "Prepend")) {
        struct span text = { 0 };
        struct member m[] = { { "prepend", &text } };
        int rc = span_members(s, m, 1);
        if (rc < 0) return rc;
        if (span_text(&text, tmp) != 1 || !is_mark(tmp))
            return fail(AG_ENOTSUP, "tokenizer.json: normalizer Prepend: only U+2581 is supported");
        h->t->prefix = PREFIX_SPECIAL;
        return AG_OK;
    }
    if (!strcmp(str_text(type), "NFC")) return h->t->nfc = true, AG_OK;
    return refuse("normalizer", type);
}

static int add_stage(struct hf *h, pretok_fn fn) {
    struct pretok *p = &h->t->pretok;
    if (p->n == PRETOK_MAX_STAGE)
        return fail(AG_ENOTSUP, "tokenizer.json: want at most %d pre-tokenizers", PRETOK_MAX_STAGE);
    p->fn[p->n++] = fn;
    return AG_OK;
}

static int split(struct hf *h, const struct span *s, struct str *tmp) {
    struct span pattern = { 0 }, behavior = { 0 }, invert = { 0 }, regex = { 0 }, string = { 0 };
    struct member m[] = { { "pattern", &pattern }, { "behavior", &behavior }, { "invert", &invert } };
    struct member p[] = { { "Regex", &regex }, { "String", &string } };
    int rc = span_members(s, m, 3);
    if (rc == AG_OK && span_is(&pattern, PULL_OBJECT)) rc = span_members(&pattern, p, 2);
    if (rc < 0) return rc;
    if (span_bool(&invert, false))
        return fail(AG_ENOTSUP, "tokenizer.json: pre_tokenizer Split: invert is not supported");
    /* Gemma's files split at ' ' after the normalizer has replaced every one. */
    if (span_text(&string, tmp) == 1 && tmp->n == 1 && tmp->p[0] == ' ' && h->spaced) return AG_OK;
    if (span_text(&regex, tmp) != 1)
        return fail(AG_ENOTSUP, "tokenizer.json: pre_tokenizer Split: want a known Regex");
    pretok_fn fn = pretok_by_regex(str_text(tmp), tmp->n);
    if (!fn)
        return fail(AG_ENOTSUP, "tokenizer.json: pre_tokenizer Split: the expression is not among "
                    "the known ones: %.200s", str_text(tmp));
    if (span_text(&behavior, tmp) != 1 || strcmp(str_text(tmp), "Isolated"))
        return refuse("pre_tokenizer Split: behavior", tmp);
    return add_stage(h, fn);
}

static int metaspace(struct hf *h, const struct span *s, struct str *tmp) {
    struct span mark = { 0 }, scheme = { 0 }, old = { 0 }, cut = { 0 };
    struct member m[] = { { "replacement", &mark }, { "prepend_scheme", &scheme },
                          { "add_prefix_space", &old }, { "split", &cut } };
    int rc = span_members(s, m, 4);
    if (rc < 0) return rc;
    if (span_text(&mark, tmp) == 1 && !is_mark(tmp)) return refuse("Metaspace: replacement", tmp);
    bool named = span_text(&scheme, tmp) == 1;
    if (named ? !strcmp(str_text(tmp), "never") : !span_bool(&old, true)) h->t->prefix = PREFIX_NONE;
    else if (named && !strcmp(str_text(tmp), "first")) h->t->prefix = PREFIX_ABSENT;
    else h->t->prefix = PREFIX_SPECIAL_ABSENT;
    h->spaced = true;
    return span_bool(&cut, true) ? add_stage(h, pretok_space) : AG_OK;
}

static int pre_tokenizer_step(struct hf *h, const struct span *s, const struct str *type,
                              struct str *tmp) {
    if (!strcmp(str_text(type), "Split")) return split(h, s, tmp);
    if (!strcmp(str_text(type), "Metaspace")) return metaspace(h, s, tmp);
    struct span space = { 0 }, regex = { 0 }, each = { 0 };
    struct member m[] = { { "add_prefix_space", &space }, { "use_regex", &regex },
                          { "individual_digits", &each } };
    int rc = span_members(s, m, 3);
    if (rc < 0) return rc;
    if (!strcmp(str_text(type), "Digits"))
        return add_stage(h, span_bool(&each, false) ? pretok_digit : pretok_digits);
    if (strcmp(str_text(type), "ByteLevel")) return refuse("pre_tokenizer", type);
    if (span_bool(&space, true))
        return fail(AG_ENOTSUP, "tokenizer.json: ByteLevel: add_prefix_space is not supported");
    h->t->kind = VOCAB_BYTES;
    return span_bool(&regex, true) ? add_stage(h, pretok_gpt2) : AG_OK;
}

typedef int (*step_fn)(struct hf *, const struct span *, const struct str *type, struct str *tmp);

/* One step, or a Sequence of them under `list`. */
static int steps(struct hf *h, const struct span *s, const char *list, step_fn fn, int nest) {
    if (!s->n || span_is(s, PULL_NULL)) return AG_OK;
    struct span type = { 0 }, members = { 0 };
    struct member m[] = { { "type", &type }, { list, &members } };
    struct str name = { 0 }, tmp = { 0 };
    int rc = span_members(s, m, 2);
    if (rc == AG_OK && span_text(&type, &name) != 1)
        rc = fail(AG_EFORMAT, "tokenizer.json: a part without a type");
    if (rc == AG_OK && strcmp(str_text(&name), "Sequence")) {
        rc = fn(h, s, &name, &tmp);
    } else if (rc == AG_OK && nest == MAX_NEST) {
        rc = fail(AG_EFORMAT, "tokenizer.json: Sequences nested more than %d deep", MAX_NEST);
    } else if (rc == AG_OK) {
        struct span_walk w;
        struct span item;
        rc = span_walk_start(&w, &members);
        while (rc == AG_OK && (rc = span_walk_next(&w, &item)) == 1)
            rc = steps(h, &item, list, fn, nest + 1);
        span_walk_finish(&w);
    }
    rc = span_check(span_check(rc, &name), &tmp);
    str_free(&name);
    str_free(&tmp);
    return rc;
}

/* ---- model ---- */

static int read_model(struct hf *h, const struct span *model) {
    struct span type = { 0 }, fallback = { 0 }, fuse = { 0 }, unknown = { 0 }, whole = { 0 };
    struct span prefix = { 0 }, suffix = { 0 }, dropout = { 0 };
    struct member m[] = {
        { "type", &type }, { "vocab", &h->vocab }, { "merges", &h->merges },
        { "byte_fallback", &fallback }, { "fuse_unk", &fuse }, { "unk_token", &unknown },
        { "ignore_merges", &whole }, { "continuing_subword_prefix", &prefix },
        { "end_of_word_suffix", &suffix }, { "dropout", &dropout },
    };
    if (!model->n) return fail(AG_EFORMAT, "tokenizer.json: model is missing");
    int rc = span_members(model, m, sizeof m / sizeof *m);
    if (rc < 0) return rc;
    struct str name = { 0 };
    bool bpe = !type.n || (span_text(&type, &name) == 1 && !strcmp(str_text(&name), "BPE"));
    if (!bpe) rc = refuse("model", &name);
    if (rc == AG_OK && (!h->vocab.n || !h->merges.n))
        rc = fail(AG_EFORMAT, "tokenizer.json: model: want vocab and merges");
    if (rc == AG_OK && ((span_text(&prefix, &name) == 1 && name.n) ||
                        (span_text(&suffix, &name) == 1 && name.n)))
        rc = refuse("model: affix", &name);
    if (rc == AG_OK && dropout.n && !span_is(&dropout, PULL_NULL))
        rc = fail(AG_ENOTSUP, "tokenizer.json: model: dropout is not supported");
    rc = span_check(rc, &name);
    str_free(&name);
    h->byte_fallback = span_bool(&fallback, false);
    h->t->fuse_unknown = span_bool(&fuse, false);
    h->t->ignore_merges = span_bool(&whole, false);
    h->has_unknown = span_text(&unknown, &h->unknown) == 1;
    return span_check(rc, &h->unknown);
}

static int read_vocab(struct hf *h) {
    struct jsonpull j;
    pull_start(&j, h->vocab.p, h->vocab.n);
    int rc = pull_expect(&j, PULL_OBJECT, "model.vocab"), ev = 0;
    while (rc == AG_OK && (ev = pull_next(&j)) == PULL_KEY) {
        struct entry e;
        if ((rc = take_entry(h, &j, &e)) < 0 ||
            (rc = pull_expect(&j, PULL_NUMBER, "an id of model.vocab")) < 0)
            break;
        if (!pull_int(&j, &e.id) || e.id < 0)
            rc = fail(AG_EFORMAT, "tokenizer.json: model.vocab: id %.*s", (int)(j.n > 20 ? 20 : j.n),
                      j.text);
        else rc = mem_grow(&h->entry, &h->cap_entry, h->n_entry + 1, sizeof *h->entry);
        if (rc == AG_OK) h->entry[h->n_entry++] = e;
    }
    pull_finish(&j);
    return rc < 0 ? rc : ev < 0 ? ev : AG_OK;
}

static int read_added(struct hf *h) {
    if (!h->added_tokens.n || span_is(&h->added_tokens, PULL_NULL)) return AG_OK;
    struct span_walk w;
    struct span item;
    struct str text = { 0 };
    int rc = span_walk_start(&w, &h->added_tokens);
    while (rc == AG_OK && (rc = span_walk_next(&w, &item)) == 1) {
        struct span id = { 0 }, content = { 0 }, special = { 0 }, l = { 0 }, r = { 0 }, word = { 0 };
        struct member m[] = { { "id", &id }, { "content", &content }, { "special", &special },
                              { "lstrip", &l }, { "rstrip", &r }, { "single_word", &word } };
        struct added a = { .e = { .pooled = true, .at = h->pool.n } };
        if ((rc = span_members(&item, m, 6)) < 0) break;
        if (!span_int(&id, &a.e.id) || a.e.id < 0 || span_text(&content, &text) != 1) {
            rc = fail(AG_EFORMAT, "tokenizer.json: added token %zu: want id and content", h->n_added);
            break;
        }
        a.e.n = text.n;
        str_add(&h->pool, str_text(&text), text.n);
        a.special = span_bool(&special, false);
        a.lstrip = span_bool(&l, false);
        a.rstrip = span_bool(&r, false);
        a.word = span_bool(&word, false);
        if (h->pool.failed) rc = fail(AG_ENOMEM, "tokenizer.json: out of memory");
        else rc = mem_grow(&h->added, &h->cap_added, h->n_added + 1, sizeof *h->added);
        if (rc == AG_OK) h->added[h->n_added++] = a;
    }
    span_walk_finish(&w);
    rc = span_check(rc, &text);
    str_free(&text);
    return rc;
}

static bool is_byte_text(const char *s, size_t n) {
    return n == 6 && !memcmp(s, "<0x", 3) && s[5] == '>';
}

static int fill_vocab(struct hf *h) {
    struct tokenizer *t = h->t;
    int64_t top = -1;
    for (size_t i = 0; i < h->n_entry; i++) top = h->entry[i].id > top ? h->entry[i].id : top;
    for (size_t i = 0; i < h->n_added; i++) top = h->added[i].e.id > top ? h->added[i].e.id : top;
    if (top >= (int64_t)(h->n_entry + h->n_added) + MAX_HOLES)
        return fail(AG_EFORMAT, "tokenizer.json: token id %lld in a vocabulary of %zu tokens",
                    (long long)top, h->n_entry + h->n_added);
    int rc = vocab_alloc(t, (uint64_t)(top + 1), span_count(&h->merges));
    for (size_t i = 0; i < h->n_entry && rc == AG_OK; i++) {
        const struct entry *e = &h->entry[i];
        const char *s = entry_text(h, e);
        bool unknown = h->has_unknown && e->n == h->unknown.n && !memcmp(s, h->unknown.p, e->n);
        bool byte = h->byte_fallback && is_byte_text(s, e->n);
        rc = vocab_set(t, (uint32_t)e->id, s, e->n, byte ? TOKEN_BYTE : TOKEN_NORMAL);
        if (unknown) t->unknown = (int32_t)e->id;
    }
    for (size_t i = 0; i < h->n_added && rc == AG_OK; i++) {
        const struct added *a = &h->added[i];
        rc = vocab_set(t, (uint32_t)a->e.id, entry_text(h, &a->e), a->e.n,
                       a->special ? TOKEN_CONTROL : TOKEN_USER);
    }
    return rc < 0 ? rc : vocab_index(t);
}

static int add_merge(struct hf *h, const char *l, size_t n_l, const char *r, size_t n_r, uint32_t k) {
    if (vocab_merge(h->t, l, n_l, r, n_r, k)) return AG_OK;
    if (h->t->scratch.failed) return fail(AG_ENOMEM, "tokenizer.json: out of memory");
    return fail(AG_EFORMAT, "tokenizer.json: merge %u: \"%.*s\" + \"%.*s\": a piece is not in the "
                "vocabulary", k, (int)(n_l > 40 ? 40 : n_l), l, (int)(n_r > 40 ? 40 : n_r), r);
}

/* "a b" or ["a", "b"], whose first event was ev. */
static int read_merge(struct hf *h, struct jsonpull *j, int ev, struct str *left, uint32_t k) {
    int rc = AG_OK;
    if (ev == PULL_STRING) {
        const char *space = j->n > 2 ? memchr(j->text + 1, ' ', j->n - 2) : NULL;
        if (!space) return fail(AG_EFORMAT, "tokenizer.json: merge %u: want two pieces", k);
        size_t n = (size_t)(space - j->text);
        return add_merge(h, j->text, n, space + 1, j->n - n - 1, k);
    }
    if (ev != PULL_ARRAY) return fail(AG_EFORMAT, "tokenizer.json: merge %u: want two pieces", k);
    if ((rc = pull_expect(j, PULL_STRING, "a piece of a merge")) < 0) return rc;
    str_clear(left);
    str_add(left, j->text, j->n);
    if (left->failed) return fail(AG_ENOMEM, "tokenizer.json: out of memory");
    if ((rc = pull_expect(j, PULL_STRING, "a piece of a merge")) < 0) return rc;
    if ((rc = add_merge(h, str_text(left), left->n, j->text, j->n, k)) < 0) return rc;
    return pull_expect(j, PULL_ARRAY_END, "a merge of two pieces");
}

static int read_merges(struct hf *h) {
    struct jsonpull j;
    struct str left = { 0 };
    pull_start(&j, h->merges.p, h->merges.n);
    int rc = pull_expect(&j, PULL_ARRAY, "model.merges"), ev = 0;
    for (uint32_t k = 0; rc == AG_OK && (ev = pull_next(&j)) != PULL_ARRAY_END && ev >= 0; k++)
        rc = read_merge(h, &j, ev, &left, k);
    str_free(&left);
    pull_finish(&j);
    return rc < 0 ? rc : ev < 0 ? ev : AG_OK;
}

static int build_special(struct hf *h) {
    struct special *list = calloc(h->n_added + 1, sizeof *list);
    if (!list) return fail(AG_ENOMEM, "tokenizer.json: out of memory");
    for (size_t i = 0; i < h->n_added; i++) {
        const struct added *a = &h->added[i];
        list[i] = (struct special){ .text = entry_text(h, &a->e), .n = (uint32_t)a->e.n,
                                    .id = (int32_t)a->e.id, .user = !a->special,
                                    .lstrip = a->lstrip, .rstrip = a->rstrip, .word = a->word };
    }
    int rc = special_build(&h->t->special, list, h->n_added);
    free(list);
    return rc;
}

/* ---- what is added around a text ---- */

static int post_step(struct hf *h, const struct span *s, const struct str *type, struct str *tmp) {
    struct tokenizer *t = h->t;
    if (!strcmp(str_text(type), "ByteLevel")) return AG_OK;
    if (strcmp(str_text(type), "TemplateProcessing")) return refuse("post_processor", type);
    struct span single = { 0 }, item;
    struct member m[] = { { "single", &single } };
    struct span_walk w;
    int rc = span_members(s, m, 1);
    if (rc < 0) return rc;
    bool after = false;
    rc = span_walk_start(&w, &single);
    while (rc == AG_OK && (rc = span_walk_next(&w, &item)) == 1) {
        struct span special = { 0 }, id = { 0 };
        struct member kinds[] = { { "SpecialToken", &special } }, inner[] = { { "id", &id } };
        if ((rc = span_members(&item, kinds, 1)) < 0) break;
        if (!special.n) {
            after = true;
            continue;
        }
        if ((rc = span_members(&special, inner, 1)) < 0) break;
        int32_t token = span_text(&id, tmp) == 1 ? tokenizer_find(t, str_text(tmp), tmp->n) : -1;
        bool *adds = after ? &t->add_eos : &t->add_bos;
        if (token < 0) rc = fail(AG_EFORMAT, "tokenizer.json: post_processor: no such token");
        else if (*adds) rc = fail(AG_ENOTSUP, "tokenizer.json: post_processor: more than one token at "
                                              "one side of the text is not supported");
        *adds = true;
        *(after ? &t->eos : &t->bos) = token;
    }
    span_walk_finish(&w);
    return rc;
}

int hf_read_tokenizer(const struct span *file, struct tokenizer *t) {
    struct hf h = { .t = t };
    struct span model = { 0 };
    struct member m[] = {
        { "added_tokens", &h.added_tokens }, { "normalizer", &h.normalizer },
        { "pre_tokenizer", &h.pre_tokenizer }, { "post_processor", &h.post_processor },
        { "model", &model },
    };
    t->kind = VOCAB_TEXT;
    int rc;
    if ((rc = span_members(file, m, sizeof m / sizeof *m)) < 0 ||
        (rc = steps(&h, &h.normalizer, "normalizers", normalizer_step, 0)) < 0 ||
        (rc = steps(&h, &h.pre_tokenizer, "pretokenizers", pre_tokenizer_step, 0)) < 0)
        goto out;
    if ((t->kind == VOCAB_BYTES) == h.spaced) {
        rc = fail(AG_ENOTSUP, "tokenizer.json: want either ByteLevel or U+2581 for spaces");
        goto out;
    }
    if (t->nfc && t->kind != VOCAB_BYTES) {
        rc = fail(AG_ENOTSUP, "tokenizer.json: NFC is supported only with ByteLevel");
        goto out;
    }
    if ((rc = read_model(&h, &model)) < 0 || (rc = read_vocab(&h)) < 0 || (rc = read_added(&h)) < 0 ||
        (rc = fill_vocab(&h)) < 0 || (rc = read_merges(&h)) < 0 || (rc = build_special(&h)) < 0 ||
        (rc = steps(&h, &h.post_processor, "processors", post_step, 0)) < 0)
        goto out;
    rc = vocab_finish(t);
out:
    str_free(&h.pool);
    str_free(&h.unknown);
    free(h.entry);
    free(h.added);
    return rc;
}
