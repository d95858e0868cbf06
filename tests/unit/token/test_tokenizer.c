/* SPDX-License-Identifier: MIT */
/* Rules that tiny vocabularies show: merging against a slow obvious one, prefixes, unknowns, special
 * tokens, ends of generation; and keys that are missing or broken. */
#include "fake_format.h"
#include "token/vocab.h"
#include "util/error.h"
#include "util/log.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <time.h>

#define T "tokenizer.ggml."
#define COUNT(a) (sizeof(a) / sizeof *(a))
#define SP "\xe2\x96\x81"

static struct tokenizer *opened(struct ag_file *f) {
    struct tokenizer *t = NULL;
    int rc = tokenizer_open(&fake_format, f, &t);
    if (rc < 0) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_EQUAL_FATAL(rc, AG_OK);
    return t;
}

static void expect(const struct tokenizer *t, const char *text, unsigned flags, const char *want) {
    struct ids ids = { 0 };
    char got[512] = "";
    CU_ASSERT_EQUAL(tokenizer_encode(t, text, strlen(text), flags, &ids), AG_OK);
    for (size_t i = 0, n = 0; i < ids.n && n < sizeof got - 16; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, i ? " %d" : "%d", ids.id[i]);
    CU_ASSERT_STRING_EQUAL(got, want);
    if (strcmp(got, want)) fprintf(stderr, "\"%s\" %u: got %s, want %s\n", text, flags, got, want);
    ids_free(&ids);
}

/* ---- SPM --------------------------------------------------------------------------------------- */

static const char *const spm[] = { "<unk>", "<s>", "</s>", SP, "a", "b", SP "a", "ab", "aa", "<0x41>",
                                   "  ", "\n", "<end_of_turn>", "ba", "bc", "bcd" };
static const float spm_score[] = { 0, 0, 0, -1, -2, -3, -5, -4, -4, 0, 0, 0, 0, -9, -6, -1 };
static const int32_t spm_type[] = { 2, 3, 3, 1, 1, 1, 1, 1, 1, 6, 4, 4, 3, 1, 1, 1 };

static void fill_spm(struct ag_file *f) {
    memset(f, 0, sizeof *f);
    fake_str(f, T "model", "llama");
    fake_texts(f, T "tokens", spm, COUNT(spm));
    fake_words(f, T "scores", AG_ELEM_F32, spm_score, COUNT(spm));
    fake_words(f, T "token_type", AG_ELEM_I32, spm_type, COUNT(spm));
}

static void test_spm(void) {
    struct ag_file f;
    fill_spm(&f);
    struct tokenizer *t = opened(&f);
    CU_ASSERT(tokenizer_bos(t) == 1 && tokenizer_eos(t) == 2 && tokenizer_adds_bos(t));
    CU_ASSERT_STRING_EQUAL(tokenizer_kind(t), "spm");
    expect(t, "", 0, "");
    expect(t, "", TOKENIZE_ADD_SPECIAL, "1");
    expect(t, "a", 0, "6");                      /* a space before the text */
    expect(t, "a", TOKENIZE_CONTINUE, "4");
    expect(t, "aab", 0, "3 8 5");                /* equal scores: the left pair; it beats " a" */
    expect(t, "aab", TOKENIZE_CONTINUE, "8 5");
    expect(t, "bcd", TOKENIZE_CONTINUE, "15");   /* c and d are no pieces, bc and bcd are */
    expect(t, "A", TOKENIZE_CONTINUE, "9");      /* its byte */
    expect(t, "Z", TOKENIZE_CONTINUE, "0");      /* no byte token either */
    expect(t, "ZZ", TOKENIZE_CONTINUE, "0 0");
    expect(t, "a\nb", 0, "6 11 3 5");            /* a space again after a special token */
    expect(t, "b  a", 0, "3 5 10 6");            /* user-defined spaces are found as they are written */
    expect(t, SP SP "a", TOKENIZE_CONTINUE, "3 6"); /* U+2581 is a space, but no user-defined one */
    expect(t, "<s>", TOKENIZE_CONTINUE, "0 0 0");
    expect(t, "<s>", TOKENIZE_CONTINUE | TOKENIZE_PARSE_SPECIAL, "1");
    expect(t, "<s>a", TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL, "1 6"); /* BOS is not doubled */
    struct str s = { 0 };
    const int32_t ids[] = { 1, 6, 6, 9, 10, 12, 0 };
    CU_ASSERT_EQUAL(tokenizer_decode(t, ids, COUNT(ids), false, &s), AG_OK);
    CU_ASSERT_STRING_EQUAL(str_text(&s), "a aA  ");
    str_clear(&s);
    CU_ASSERT_EQUAL(tokenizer_decode(t, ids, COUNT(ids), true, &s), AG_OK);
    CU_ASSERT_STRING_EQUAL(str_text(&s), "<s>a aA  <end_of_turn><unk>");
    CU_ASSERT(tokenizer_decode(t, (const int32_t[]){ 99 }, 1, true, &s) < 0);
    CU_ASSERT(tokenizer_decode(t, (const int32_t[]){ -1 }, 1, true, &s) < 0);
    str_free(&s);
    CU_ASSERT(tokenizer_is_eog(t, 2) && tokenizer_is_eog(t, 12) && !tokenizer_is_eog(t, 1));
    CU_ASSERT_EQUAL(tokenizer_find(t, "<end_of_turn>", 13), 12);
    CU_ASSERT_EQUAL(tokenizer_find(t, "  ", 2), 10);
    CU_ASSERT_EQUAL(tokenizer_find(t, "nothing", 7), -1);
    CU_ASSERT_TRUE(tokenizer_is_unused(t, 16));
    CU_ASSERT_TRUE(tokenizer_is_control(t, 12));
    tokenizer_free(t);
    fake_clear(&f);
}

static void test_options(void) {
    struct ag_file f;
    fill_spm(&f);
    fake_bool(&f, T "add_space_prefix", false);
    fake_bool(&f, T "add_bos_token", false);
    fake_bool(&f, T "add_eos_token", true);
    fake_words(&f, T "suppress_tokens", AG_ELEM_I32, (const int32_t[]){ 4, -1, 1000 }, 3);
    fake_words(&f, T "eog_token_ids", AG_ELEM_U32, (const int32_t[]){ 5 }, 1);
    fake_int(&f, T "eos_token_id", 7);
    struct tokenizer *t = opened(&f);
    expect(t, "a", TOKENIZE_ADD_SPECIAL, "4 7");
    CU_ASSERT_TRUE(tokenizer_is_unused(t, 4));
    CU_ASSERT_FALSE(tokenizer_is_unused(t, 5));
    CU_ASSERT(tokenizer_is_eog(t, 5) && tokenizer_is_eog(t, 7));
    tokenizer_add_eog(t, "ab");
    tokenizer_add_eog(t, "a and b");
    CU_ASSERT_TRUE(tokenizer_is_eog(t, tokenizer_find(t, "ab", 2)));
    tokenizer_free(t);
    fake_clear(&f);
}

/* ---- BPE --------------------------------------------------------------------------------------- */

static void fill_bpe(struct ag_file *f, const char *const *tokens, const int32_t *type, size_t n,
                     const char *const *merges, size_t n_merge, const char *pre) {
    memset(f, 0, sizeof *f);
    fake_str(f, T "model", "gpt2");
    fake_str(f, T "pre", pre);
    fake_texts(f, T "tokens", tokens, n);
    if (type) fake_words(f, T "token_type", AG_ELEM_I32, type, n);
    fake_texts(f, T "merges", merges, n_merge);
}

static void test_bpe(void) {
    static const char *const tokens[] = { "a", "b", "c", "ab", "abc", "bc", "\xc4\xa0", "\304\240ab",
                                          "cab", "\xc3\x83", "\xc2\xa9", "<x>", "<y>", "pad" };
    static const int32_t type[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 5 };
    static const char *const merges[] = { "b c", "a b", "ab c" };
    struct ag_file f;
    fill_bpe(&f, tokens, type, COUNT(tokens), merges, COUNT(merges), "gpt-2");
    struct tokenizer *t = opened(&f);
    CU_ASSERT_EQUAL(tokenizer_bos(t), -1);
    expect(t, "abc", 0, "0 5");        /* rank decides, not length */
    expect(t, "abab", 0, "3 3");
    expect(t, " ab", 0, "6 3");        /* a piece that no merge makes */
    expect(t, "cab", 0, "2 3");
    expect(t, "\xc3\xa9", 0, "9 10");  /* bytes of the alphabet */
    expect(t, "a<x>b<y>", TOKENIZE_PARSE_SPECIAL, "0 11 1 12");
    expect(t, "<y>", 0, "12");
    log_set_level(AG_LOG_ERROR);
    expect(t, "<x>", 0, "");           /* signs that this vocabulary lacks */
    log_set_level(AG_LOG_WARN);
    CU_ASSERT_TRUE(tokenizer_is_unused(t, 13));
    tokenizer_free(t);
    fake_str(&f, T "pre", "llama-bpe"); /* whole words first */
    t = opened(&f);
    expect(t, "abc", 0, "4");
    expect(t, " ab", 0, "7");
    expect(t, "cab", 0, "8");
    tokenizer_free(t);
    fake_clear(&f);
}

static void test_ends(void) {
    static const char *const tokens[] = { "a", "<|end|>", "<|return|>", "<|call|>", "</s>", "<|im_end|>" };
    static const int32_t user[] = { 1, 3, 3, 3, 4, 4 }, control[] = { 1, 3, 1, 3, 3, 1 };
    struct ag_file f;
    fill_bpe(&f, tokens, user, COUNT(tokens), tokens, 0, "qwen2");
    struct tokenizer *t = opened(&f);
    /* GPT-OSS goes on after <|end|>; an HTML tag is no end. */
    CU_ASSERT(!tokenizer_is_eog(t, 1) && tokenizer_is_eog(t, 2) && tokenizer_is_eog(t, 3));
    CU_ASSERT(!tokenizer_is_eog(t, 4) && tokenizer_is_eog(t, 5));
    tokenizer_free(t);
    const char *const plain[] = { "a", "<|end|>", "x", "<|call|>", "</s>", "<|im_end|>" };
    fake_clear(&f);
    fill_bpe(&f, plain, control, COUNT(plain), plain, 0, "qwen2");
    t = opened(&f);
    CU_ASSERT(tokenizer_is_eog(t, 1) && tokenizer_is_eog(t, 4) && tokenizer_is_eog(t, 5));
    tokenizer_free(t);
    fake_clear(&f);
}

/* ---- merging against the obvious way ----------------------------------------------------------- */

enum { N_PIECE = 60, N_LETTER = 4 };

static uint64_t state = 42;
static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

struct slow { const char *piece[N_PIECE]; int left[N_PIECE], right[N_PIECE], n; };

/* Merges the best neighbours until there are none. */
static size_t merge_slowly(const struct slow *v, int *id, size_t n) {
    for (;;) {
        int best = N_PIECE;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (int k = N_LETTER; k < v->n; k++)
                if (v->left[k] == id[i] && v->right[k] == id[i + 1] && k < best) best = k, at = i;
        if (best == N_PIECE) return n;
        id[at] = best;
        memmove(id + at + 1, id + at + 2, (n - at - 2) * sizeof *id);
        n--;
    }
}

/* Random pieces of the letters a to d; piece k comes of merge k - N_LETTER. SPM: by score instead. */
static void random_vocab(struct slow *v, char text[][96], char merge[][96]) {
    v->n = 0;
    for (; v->n < N_LETTER; v->n++) {
        snprintf(text[v->n], 96, "%c", 'a' + v->n);
        v->piece[v->n] = text[v->n];
    }
    while (v->n < N_PIECE) {
        int l = (int)draw((uint32_t)v->n), r = (int)draw((uint32_t)v->n), k = 0;
        if (strlen(text[l]) + strlen(text[r]) > 40) continue;
        snprintf(text[v->n], 96, "%.46s%.46s", text[l], text[r]);
        while (k < v->n && strcmp(text[k], text[v->n])) k++;
        if (k < v->n) continue;
        snprintf(merge[v->n - N_LETTER], 96, "%.46s %.46s", text[l], text[r]);
        v->left[v->n] = l;
        v->right[v->n] = r;
        v->piece[v->n] = text[v->n];
        v->n++;
    }
}

static void test_merging(void) {
    static char text[N_PIECE][96], merge[N_PIECE][96], s[4096];
    static int id[4096];
    static const size_t lengths[] = { 1, 2, 7, 20, 47, 48, 49, 200, 255, 256, 700, 3000 };
    for (int round = 0; round < 12; round++) {
        struct slow v;
        const char *merges[N_PIECE];
        struct ag_file f;
        random_vocab(&v, text, merge);
        for (int i = 0; i < N_PIECE - N_LETTER; i++) merges[i] = merge[i];
        fill_bpe(&f, v.piece, NULL, N_PIECE, merges, N_PIECE - N_LETTER, "gpt-2");
        struct tokenizer *t = opened(&f);
        for (size_t k = 0; k < COUNT(lengths); k++) {
            size_t n = lengths[k];
            bool one = draw(4) == 0; /* runs of one letter: many ties */
            for (size_t i = 0; i < n; i++) s[i] = (char)('a' + (id[i] = one ? 0 : (int)draw(N_LETTER)));
            struct ids got = { 0 };
            CU_ASSERT_EQUAL(tokenizer_encode(t, s, n, 0, &got), AG_OK);
            size_t want = merge_slowly(&v, id, n);
            bool same = want == got.n;
            for (size_t i = 0; same && i < want; i++) same = id[i] == got.id[i];
            CU_ASSERT(same);
            if (!same) fprintf(stderr, "round %d length %zu\n", round, n);
            ids_free(&got);
        }
        tokenizer_free(t);
        fake_clear(&f);
    }
}

/* A word of a megabyte is no square. */
static void test_long_word(void) {
    static const char *const tokens[] = { "a", "aa", "aaaa", "aaaaaaaa" };
    static const char *const merges[] = { "a a", "aa aa", "aaaa aaaa" };
    size_t n = 1 << 20;
    char *s = malloc(n);
    struct ag_file f;
    struct ids ids = { 0 };
    memset(s, 'a', n);
    fill_bpe(&f, tokens, NULL, COUNT(tokens), merges, COUNT(merges), "gpt-2");
    struct tokenizer *t = opened(&f);
    clock_t before = clock();
    CU_ASSERT_EQUAL(tokenizer_encode(t, s, n, 0, &ids), AG_OK);
    CU_ASSERT(clock() - before < 20 * CLOCKS_PER_SEC);
    CU_ASSERT_EQUAL(ids.n, n / 8);
    CU_ASSERT_EQUAL(ids.id[0], 3);
    ids_free(&ids);
    tokenizer_free(t);
    fake_clear(&f);
    free(s);
}

/* Words met again are copied: the same text twice gives the same ids twice. */
static void test_repeats(void) {
    struct ag_file f;
    fill_spm(&f);
    fake_bool(&f, T "add_space_prefix", false);
    struct tokenizer *t = opened(&f);
    enum { N = 6000 };
    static char s[2 * N];
    struct ids once = { 0 }, twice = { 0 };
    for (size_t i = 0; i < N; i++) s[i] = "aabbc \n"[draw(7)];
    s[0] = s[N - 1] = '\n';
    memcpy(s + N, s, N);
    CU_ASSERT_EQUAL(tokenizer_encode(t, s, 900, 0, &twice), AG_OK); /* too short for copying */
    CU_ASSERT_EQUAL(tokenizer_encode(t, s, N, 0, &once), AG_OK);
    CU_ASSERT(once.n > twice.n && !memcmp(once.id, twice.id, (twice.n - 8) * sizeof *once.id));
    twice.n = 0;
    CU_ASSERT_EQUAL(tokenizer_encode(t, s, 2 * N, 0, &twice), AG_OK);
    CU_ASSERT_EQUAL_FATAL(twice.n, 2 * once.n);
    CU_ASSERT(!memcmp(twice.id, once.id, once.n * sizeof *once.id));
    CU_ASSERT(!memcmp(twice.id + once.n, once.id, once.n * sizeof *once.id));
    ids_free(&once);
    ids_free(&twice);
    tokenizer_free(t);
    fake_clear(&f);
}

/* ---- bad files --------------------------------------------------------------------------------- */

static void refused(struct ag_file *f, const char *want) {
    struct tokenizer *t = NULL;
    fail_clear();
    CU_ASSERT(tokenizer_open(&fake_format, f, &t) < 0);
    CU_ASSERT_PTR_NULL(t);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), want));
    if (!strstr(fail_text(), want)) fprintf(stderr, "want '%s' in '%s'\n", want, fail_text());
    fake_clear(f);
}

static void test_bad_keys(void) {
    struct ag_file f = { 0 };
    refused(&f, "tokenizer.ggml.model");
    static const char *const kinds[] = { "bert", "t5", "rwkv", "plamo2", "none", "" };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        fill_spm(&f);
        fake_str(&f, T "model", kinds[i]);
        refused(&f, kinds[i]);
    }
    fill_spm(&f);
    fake_words(&f, T "tokens", AG_ELEM_I32, spm_type, 4);
    refused(&f, "tokens: want an array of strings");
    fill_spm(&f);
    fake_texts(&f, T "tokens", spm, 0);
    fake_words(&f, T "scores", AG_ELEM_F32, spm_score, 0);
    fake_words(&f, T "token_type", AG_ELEM_I32, spm_type, 0);
    refused(&f, "want 1 to");
    fill_spm(&f);
    fake_words(&f, T "scores", AG_ELEM_F32, spm_score, 3);
    refused(&f, "scores: want 16 values");
    fill_spm(&f);
    fake_words(&f, T "token_type", AG_ELEM_F32, spm_type, COUNT(spm));
    refused(&f, "token_type: want an array of 32-bit integers");
    fill_spm(&f);
    int32_t type[COUNT(spm)];
    memcpy(type, spm_type, sizeof type);
    type[5] = 7;
    fake_words(&f, T "token_type", AG_ELEM_I32, type, COUNT(spm));
    refused(&f, "token 5 is of type");
    fill_spm(&f);
    fake_int(&f, T "scores", 1);
    refused(&f, "scores");
    /* Lengths that lie, as a broken format might hand them on. */
    fill_spm(&f);
    for (int i = 0; i < f.n; i++)
        if (!strcmp(f.key[i].name, T "tokens")) f.key[i].v.bytes -= 1;
    refused(&f, "tokens is cut short");
    fill_spm(&f);
    for (int i = 0; i < f.n; i++)
        if (!strcmp(f.key[i].name, T "tokens")) memset(f.key[i].owned, 0xff, 8);
    refused(&f, "tokens is cut short");
    fill_spm(&f);
    for (int i = 0; i < f.n; i++)
        if (!strcmp(f.key[i].name, T "tokens")) f.key[i].v.count = 1ull << 60;
    refused(&f, "tokens is cut short");
}

static void test_bad_merges(void) {
    static const char *const tokens[] = { "a", "b", "ab" }, *const no_space[] = { "ab" };
    static const char *const stranger[] = { "a b", "a q" };
    struct ag_file f;
    fill_bpe(&f, tokens, NULL, 3, no_space, 1, "gpt-2");
    refused(&f, "merge 0");
    fill_bpe(&f, tokens, NULL, 3, no_space, 0, "never-heard-of");
    refused(&f, "never-heard-of");
    memset(&f, 0, sizeof f);
    fake_str(&f, T "model", "gpt2");
    fake_str(&f, T "pre", "gpt-2");
    fake_texts(&f, T "tokens", tokens, 3);
    refused(&f, "merges is missing");
    fill_bpe(&f, tokens, NULL, 3, stranger, 2, "gpt-2");
    log_set_level(AG_LOG_ERROR); /* a warning says that one is ignored */
    struct tokenizer *t = opened(&f);
    log_set_level(AG_LOG_WARN);
    expect(t, "ab", 0, "2");
    tokenizer_free(t);
    fake_clear(&f);
}

/* ---- tokenizer.json ---------------------------------------------------------------------------- */

#define BPE(pre, norm, model) "{\"normalizer\":" norm ",\"pre_tokenizer\":" pre ",\"model\":{" model "}}"
#define LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define SMALL "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]"

static void test_bad_json(void) {
    static const struct { const char *json, *want; } c[] = {
        { "", "JSON" },
        { "[]", "should be an object" },
        { "{}", "want either" },
        { "{\"model\":{}} x", "after the end" },
        { BPE(LEVEL, "null", "\"type\":\"WordPiece\""), "WordPiece" },
        { BPE(LEVEL, "{\"type\":\"NFKC\"}", SMALL), "NFKC" },
        { BPE(LEVEL, "null", "\"vocab\":{}"), "want vocab and merges" },
        { BPE(LEVEL, "null", "\"vocab\":{},\"merges\":[]"), "want 1 to" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":-1},\"merges\":[]"), "id -1" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":1.5},\"merges\":[]"), "id 1.5" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":4000000000},\"merges\":[]"), "4000000000" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":\"b\"},\"merges\":[]"), "a number" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":0},\"merges\":[\"a q\"]"), "merge 0" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), "a string" },
        { BPE(LEVEL, "null", "\"vocab\":{\"a\":0},\"merges\":[7]"), "merge 0" },
        { BPE(LEVEL, "null", "\"dropout\":0.1," SMALL), "dropout" },
        { BPE(LEVEL, "null", "\"end_of_word_suffix\":\"</w>\"," SMALL), "</w>" },
        { BPE("{\"type\":\"ByteLevel\"}", "null", SMALL), "add_prefix_space" },
        { BPE("{\"type\":\"Whitespace\"}", "null", SMALL), "Whitespace" },
        { BPE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\w+\"},\"behavior\":\"Isolated\"}", "null",
              SMALL), "expression is not among" },
        { BPE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}\"},\"behavior\":\"Removed\"}", "null",
              SMALL), "Removed" },
        { "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Sequence\","
          "\"pretokenizers\":[{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Sequence\","
          "\"pretokenizers\":[{\"type\":\"Sequence\",\"pretokenizers\":[]}]}]}]}]}}", "nested" },
    };
    for (size_t i = 0; i < COUNT(c); i++) {
        struct tokenizer *t;
        fail_clear();
        CU_ASSERT(tokenizer_parse_json(c[i].json, strlen(c[i].json), &t) < 0);
        CU_ASSERT_PTR_NULL(t);
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), c[i].want));
        if (!strstr(fail_text(), c[i].want)) fprintf(stderr, "want '%s' in '%s'\n", c[i].want, fail_text());
    }
}

/* text: pieces of template and data in turn, with | between. */
static void expect_pieces(const struct tokenizer *t, const char *text, const char *want) {
    struct chat_piece piece[16];
    char joined[128], got[256] = "";
    struct ids ids = { 0 };
    size_t n = 0, k = 0;
    piece[0] = (struct chat_piece){ 0, 0, true };
    for (; *text; text++) {
        if (*text != '|') joined[n++] = *text, piece[k].n++;
        else k++, piece[k] = (struct chat_piece){ n, 0, k % 2 == 0 };
    }
    CU_ASSERT_EQUAL(tokenizer_encode_pieces(t, joined, n, piece, k + 1, &ids), AG_OK);
    for (size_t i = 0, at = 0; i < ids.n && at < sizeof got - 16; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, i ? " %d" : "%d", ids.id[i]);
    CU_ASSERT_STRING_EQUAL(got, want);
    ids_free(&ids);
}

/* Words may begin in the template and end in data; control tokens may not. */
static void test_pieces(void) {
    static const char json[] =
        "{\"model\":{\"merges\":[[\"a\",\"b\"]],\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<\":3,\"s\":4,\">\":5}},"
        "\"pre_tokenizer\":" LEVEL ",\"added_tokens\":[{\"id\":6,\"content\":\"<u>\",\"special\":false},"
        "{\"id\":7,\"content\":\"<s>\",\"special\":true},{\"id\":8,\"content\":\"<s><s>\",\"special\":true}]}";
    struct tokenizer *t;
    CU_ASSERT_EQUAL_FATAL(tokenizer_parse_json(json, sizeof json - 1, &t), AG_OK);
    expect_pieces(t, "<s>a|b|<s>", "7 2 7");
    expect_pieces(t, "<s>|<s>|<s>", "7 3 4 5 7");
    expect_pieces(t, "<s>a|<s>|a", "7 0 3 4 5 0");
    expect_pieces(t, "<|s|>", "3 4 5");
    expect_pieces(t, "<s|>", "3 4 5");
    expect_pieces(t, "|<s>|", "3 4 5");
    expect_pieces(t, "<s><s>||", "8");
    expect_pieces(t, "|<u>|<u>", "6 6");
    expect_pieces(t, "|a<s>b<s><u><s>|<s>", "0 3 4 5 1 3 4 5 6 3 4 5 7");
    tokenizer_free(t);
}

static void test_json(void) {
    /* Keys in another order than files have them; flags of added tokens. */
    static const char json[] =
        "{\"model\":{\"merges\":[[\"a\",\"b\"]],\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3}},"
        "\"pre_tokenizer\":" LEVEL ","
        "\"added_tokens\":[{\"id\":4,\"content\":\"<l>\",\"special\":false,\"lstrip\":true},"
        "{\"id\":5,\"content\":\"<r>\",\"special\":false,\"rstrip\":true},"
        "{\"id\":6,\"content\":\"cab\",\"special\":false,\"single_word\":true},"
        "{\"id\":7,\"content\":\"<s>\",\"special\":true}]}";
    struct tokenizer *t;
    CU_ASSERT_EQUAL_FATAL(tokenizer_parse_json(json, sizeof json - 1, &t), AG_OK);
    log_set_level(AG_LOG_ERROR);
    expect(t, "ab ab", 0, "2 3 2");
    expect(t, "ab  <l> ab", 0, "2 4 3 2");
    expect(t, "ab <r>  ab", 0, "2 3 5 2");
    expect(t, "cab", 0, "6");
    expect(t, " cab a", 0, "3 6 3 0");
    expect(t, "acab", 0, "0 2");    /* inside a word; c has no token here */
    expect(t, "<s>", TOKENIZE_PARSE_SPECIAL, "7");
    log_set_level(AG_LOG_WARN);
    CU_ASSERT_EQUAL(tokenizer_find(t, "<s>", 3), 7);
    tokenizer_free(t);
}

static void test_nfc(void) {
    static const char model[] = "\"vocab\":{\"e\":0,\"\xc3\x83\":1,\"\xc2\xa9\":2,\"\xc3\x8c\":3,"
                                "\"\xc4\xa3\":4,\"\xc3\x83\xc2\xa9\":5},\"merges\":[\"\xc3\x83 \xc2\xa9\"]";
    char json[1024];
    struct tokenizer *t;
    for (int nfc = 0; nfc < 2; nfc++) {
        int n = snprintf(json, sizeof json, "{\"normalizer\":%s,\"pre_tokenizer\":" LEVEL
                         ",\"model\":{%s}}", nfc ? "{\"type\":\"NFC\"}" : "null", model);
        CU_ASSERT_EQUAL_FATAL(tokenizer_parse_json(json, (size_t)n, &t), AG_OK);
        expect(t, "\xc3\xa9", 0, "5");
        expect(t, "e\xcc\x81", 0, nfc ? "5" : "0 3 4");
        expect(t, "ee\xcc\x81" "e", 0, nfc ? "0 5 0" : "0 0 3 4 0");
        tokenizer_free(t);
    }
}

int main(void) {
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("tokenizer", NULL, NULL);
    CU_add_test(s, "SPM", test_spm);
    CU_add_test(s, "options", test_options);
    CU_add_test(s, "BPE", test_bpe);
    CU_add_test(s, "ends of generation", test_ends);
    CU_add_test(s, "merging", test_merging);
    CU_add_test(s, "a long word", test_long_word);
    CU_add_test(s, "repeats", test_repeats);
    CU_add_test(s, "bad keys", test_bad_keys);
    CU_add_test(s, "bad merges", test_bad_merges);
    CU_add_test(s, "tokenizer.json", test_json);
    CU_add_test(s, "pieces", test_pieces);
    CU_add_test(s, "NFC", test_nfc);
    CU_add_test(s, "bad tokenizer.json", test_bad_json);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
