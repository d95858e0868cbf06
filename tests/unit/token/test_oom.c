/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for every n until all goes well: each time an error that says so, and the
 * results of the run without failures are those of a run that was never disturbed. */
#include "fake_format.h"
#include "token/chat.h"
#include "token/stream.h"
#include "token/vocab.h"
#include "util/error.h"
#include "util/log.h"

#include <CUnit/Basic.h>
#include <stdio.h>

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);

static long left = -1; /* allocations until one fails; -1: none does */
static bool fails(void) { return left >= 0 && left-- == 0; }

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

#define T "tokenizer.ggml."
#define SP "\xe2\x96\x81"
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* A scenario returns its status; ids of what it did are added to out. */
typedef int (*scenario_fn)(struct ids *out);

static struct ag_file file;

static int use(struct tokenizer *t, struct ids *out) {
    static char text[3000];
    struct ids ids = { 0 };
    struct str back = { 0 };
    for (size_t i = 0; i < sizeof text; i++) text[i] = i < 2000 ? 'a' : "ab \xcc\x81"[i % 5];
    int rc = tokenizer_encode(t, text, sizeof text, TOKENIZE_ADD_SPECIAL, &ids);
    if (rc == AG_OK) rc = tokenizer_decode(t, ids.id, ids.n, true, &back);
    if (rc == AG_OK) CU_ASSERT(ids.n > 0 && back.n >= ids.n / 4);
    for (size_t i = 0; rc == AG_OK && i < ids.n; i++) rc = ids_add(out, ids.id[i]);
    str_free(&back);
    ids_free(&ids);
    return rc;
}

static int from_keys(struct ids *out) {
    struct tokenizer *t;
    int rc = tokenizer_open(&fake_format, &file, &t);
    if (rc == AG_OK) rc = use(t, out);
    tokenizer_free(t);
    return rc;
}

static int from_json(struct ids *out) {
    static const char json[] =
        "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":"
        "false},\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
        "\"<s>\"}},{\"Sequence\":{}}]},\"added_tokens\":[{\"id\":8,\"content\":\"<\\u0073>\",\"special\":true}],"
        "\"model\":{\"type\":\"BPE\",\"unk_token\":\"\\u0062\",\"vocab\":{\"a\":0,\"b\":1,\"\\u0061b\":2,"
        "\"\\u0120\":3,\"aa\":4,\"aaaa\":5,\"\\u00cc\":6,\"\\u0123\":7},"
        "\"merges\":[\"a b\",[\"\\u0061\",\"a\"],\"aa aa\"]}}";
    struct tokenizer *t;
    int rc = tokenizer_parse_json(json, sizeof json - 1, &t);
    if (rc == AG_OK) rc = use(t, out);
    tokenizer_free(t);
    return rc;
}

static int prompt(struct ids *out) {
    static const struct chat_message m[] = { { "system", "a b", 3 }, { "user", "ab ab", 5 } };
    struct chat_prompt p = { 0 };
    struct tokenizer *t;
    int rc = tokenizer_open(&fake_format, &file, &t);
    if (rc == AG_OK) rc = chat_render(&chat_chatml, m, 2, true, &p);
    if (rc == AG_OK) rc = chat_encode(t, &p, out);
    chat_prompt_free(&p);
    tokenizer_free(t);
    return rc;
}

/* Failures of a stream show in the text it appends to. */
static int streamed(struct ids *out) {
    static const char *const stop[] = { "stop" };
    struct stream s;
    struct str text = { 0 };
    stream_init(&s, stop, 1);
    for (int i = 0; i < 40; i++) stream_push(&s, "some st\xff", 8, &text);
    stream_flush(&s, &text);
    int rc = text.failed ? fail(AG_ENOMEM, "out of memory") : ids_add(out, (int32_t)text.n);
    stream_finish(&s);
    str_free(&text);
    return rc;
}

static void disturb(scenario_fn fn) {
    struct ids want = { 0 };
    int rc = fn(&want);
    if (rc < 0) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_EQUAL_FATAL(rc, AG_OK);
    rc = -1;
    for (long n = 0; rc < 0 && n < 10000; n++) {
        struct ids got = { 0 };
        fail_clear();
        left = n;
        rc = fn(&got);
        bool failed = left == -1;
        left = -1;
        if (failed) CU_ASSERT_EQUAL(rc, AG_ENOMEM);
        if (rc < 0) CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "memory"));
        if (failed && (rc != AG_ENOMEM || !strstr(fail_text(), "memory"))) fprintf(stderr, "allocation %ld: %d %s\n", n, rc, fail_text());
        if (rc == AG_OK) CU_ASSERT(got.n == want.n && !memcmp(got.id, want.id, want.n * sizeof *want.id));
        ids_free(&got);
        if (failed) rc = -1; /* a wrong success was noted above: go on */
    }
    CU_ASSERT_EQUAL(rc, AG_OK);
    ids_free(&want);
}

static void test_keys(void) {
    static const char *const spm[] = { "<unk>", "<s>", SP, "a", "b", "ab", "<im>", "aa" };
    static const int32_t type[] = { 2, 3, 1, 1, 1, 1, 4, 1 };
    static const float score[] = { 0, 0, -1, -2, -3, -4, 0, -5 };
    fake_str(&file, T "model", "llama");
    fake_texts(&file, T "tokens", spm, COUNT(spm));
    fake_words(&file, T "token_type", AG_ELEM_I32, type, COUNT(spm));
    fake_words(&file, T "scores", AG_ELEM_F32, score, COUNT(spm));
    fake_words(&file, T "suppress_tokens", AG_ELEM_I32, type, 2);
    fake_str(&file, "tokenizer.chat_template", "{{ messages }}");
    disturb(from_keys);
    disturb(prompt);
    fake_clear(&file);
    static const char *const bpe[] = { "a", "b", "ab", "\xc4\xa0", "aa" }, *const merges[] = { "a b", "a a" };
    fake_str(&file, T "model", "gpt2");
    fake_str(&file, T "pre", "llama-bpe");
    fake_texts(&file, T "tokens", bpe, COUNT(bpe));
    fake_texts(&file, T "merges", merges, COUNT(merges));
    fake_int(&file, T "bos_token_id", 1);
    disturb(from_keys);
    fake_clear(&file);
}

static void test_json(void) { disturb(from_json); }
static void test_stream(void) { disturb(streamed); }

int main(void) {
    log_set_level(AG_LOG_ERROR);
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("out of memory", NULL, NULL);
    CU_add_test(s, "GGUF keys", test_keys);
    CU_add_test(s, "tokenizer.json", test_json);
    CU_add_test(s, "stream", test_stream);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
