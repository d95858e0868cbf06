/* SPDX-License-Identifier: MIT */
/* The scanners against the regular expressions they replace, run by PCRE2, on random text. Code points
 * are drawn from lists of each class, so that rare ones meet often. test_pretokenize [STRINGS [SEED]] */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "token/pretokenize.h"
#include "token/unicode.h"

#include <CUnit/Basic.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long n_strings = 20000;
static uint64_t state = 1;

static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

/* Characters that the expressions name, each class, and neighbours that could be mistaken. None was
 * assigned after Unicode 14, the version of some PCRE2 builds. U+180E is left out: PCRE2 takes it for
 * white space, which it has not been since Unicode 6.3. */
static const uint32_t alphabet[] = {
    'a', 'b', 's', 't', 'm', 'd', 'r', 'e', 'v', 'l', 'A', 'S', 'T', 'R', 'E', 'V', 'L', 'M', 'D', 'Z',
    '\'', '\'', '\'', '0', '1', '9', ' ', ' ', ' ', '\n', '\n', '\r', '\t', '/', '.', '-', '$', '+', '<',
    '=', '>', '^', '~', '|', '_', '(', 0x0b, 0x1c, 0x1f, 0x85, 0xa0, 0x17f, 0x2bc, 0xe9, 0xc9, 0xdf, 0x1c5,
    0x2b0, 0x430, 0x416, 0x5d0, 0x4e2d, 0x3042, 0xac00, 0x300, 0x301, 0x903, 0x20dd, 0x663, 0x2167, 0xbd,
    0x3000, 0x2003, 0x2028, 0x200b, 0x200d, 0xfeff, 0x1680, 0x1f600, 0x1f469, 0x20ac, 0x212a,
    0x10400, 0x10428, 0x1d7ce, 0xe0001, 0x378, 0xfffd,
};

static size_t random_text(char *out, size_t most) {
    size_t n = 0, count = 1 + draw(24);
    for (size_t i = 0; i < count && n + 4 <= most; i++)
        n += utf8_encode(alphabet[draw(sizeof alphabet / sizeof *alphabet)], out + n);
    return n;
}

static pcre2_code *compiled(const char *regex) {
    int error;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                   &error, &at, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(re);
    pcre2_jit_compile(re, PCRE2_JIT_COMPLETE);
    return re;
}

/* End of the piece that begins at i: a match, or the text before the next one. */
static size_t by_regex(pcre2_code *re, pcre2_match_data *m, const char *s, size_t i, size_t n) {
    int rc = pcre2_match(re, (PCRE2_SPTR)s, n, i, PCRE2_NO_UTF_CHECK, m, NULL);
    if (rc < 0) return n;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m);
    return at[0] > i ? at[0] : at[1];
}

static void show(const char *what, const char *s, size_t n, size_t i, size_t got, size_t want) {
    fprintf(stderr, "%s: at %zu: %zu, want %zu:", what, i, got, want);
    for (size_t k = 0; k < n; k++) fprintf(stderr, " %02x", (unsigned char)s[k]);
    fputc('\n', stderr);
}

static void compare(const char *name, const char *regex) {
    pretok_fn fn = pretok_by_regex(regex, strlen(regex));
    CU_ASSERT_PTR_NOT_NULL_FATAL(fn);
    pcre2_code *re = compiled(regex);
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
    unsigned long bad = 0;
    for (unsigned long k = 0; k < n_strings; k++) {
        char s[128];
        size_t n = random_text(s, sizeof s);
        for (size_t i = 0; i < n;) {
            size_t got = fn(s, i, n), want = by_regex(re, m, s, i, n);
            if (got != want && bad++ < 5) show(name, s, n, i, got, want);
            if (got != want) break;
            i = got;
        }
    }
    CU_ASSERT_EQUAL(bad, 0);
    pcre2_match_data_free(m);
    pcre2_code_free(re);
}

#define C "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define U "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define L "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define P "[^\\r\\n\\p{L}\\p{N}]?"

static void test_gpt2(void) {
    compare("gpt-2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");
}
static void test_llama3(void) {
    compare("llama3", C "|" P "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL);
}
static void test_qwen2(void) {
    compare("qwen2", C "|" P "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL);
}
static void test_qwen35(void) {
    compare("qwen35", C "|" P "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" TAIL);
}
static void test_o200k(void) {
    compare("o200k", P U "*" L "+" C "?|" P U "+" L "*" C "?|\\p{N}{1,3}"
                     "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL);
}
static void test_tekken(void) {
    compare("tekken", P U "*" L "+|" P U "+" L "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL);
}

/* The two named ones of several stages, against the stages run one after the other. */
static size_t stage_regex(pcre2_code **re, pcre2_match_data **m, int k, const char *s, size_t i,
                          size_t n, size_t *end) {
    for (int j = 0; j < k; j++) {
        size_t limit = j ? end[j - 1] : n;
        if (i >= end[j]) end[j] = by_regex(re[j], m[j], s, i, limit);
    }
    return end[k - 1];
}

static void stages(const char *name, const char *const *regex, int k) {
    const struct pretok_name *p = pretok_by_name(name, strlen(name));
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    pcre2_code *re[4];
    pcre2_match_data *m[4];
    for (int j = 0; j < k; j++) {
        re[j] = compiled(regex[j]);
        m[j] = pcre2_match_data_create_from_pattern(re[j], NULL);
    }
    unsigned long bad = 0;
    for (unsigned long r = 0; r < n_strings; r++) {
        char s[128];
        size_t n = random_text(s, sizeof s), end[4] = { 0 };
        struct pretok_walk w;
        pretok_start(&w, &p->p, s, n);
        for (size_t i = 0; i < n;) {
            size_t got = pretok_next(&w, i), want = stage_regex(re, m, k, s, i, n, end);
            if (got != want && bad++ < 5) show(name, s, n, i, got, want);
            if (got != want) break;
            i = got;
        }
    }
    CU_ASSERT_EQUAL(bad, 0);
    for (int j = 0; j < k; j++) {
        pcre2_match_data_free(m[j]);
        pcre2_code_free(re[j]);
    }
}

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static void test_stages(void) {
    static const char *const smollm[] = { "\\p{N}", GPT2 };
    static const char *const plain[] = { "[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]" };
    stages("smollm", smollm, 2);
    stages("default", plain, 4);
}

static void test_names(void) {
    CU_ASSERT_PTR_NULL(pretok_by_name("gpt-", 4));
    CU_ASSERT_PTR_NULL(pretok_by_name("gpt-22", 6));
    CU_ASSERT_PTR_NULL(pretok_by_regex("\\w+", 3));
    CU_ASSERT_TRUE(pretok_by_name("llama-bpe", 9)->ignore_merges);
    CU_ASSERT_FALSE(pretok_by_name("qwen2", 5)->ignore_merges);
    CU_ASSERT_TRUE(pretok_by_name("glm4", 4)->drop_bos);
    CU_ASSERT_EQUAL(unicode_class_of(0x180e), CLASS_OTHER);
    CU_ASSERT_EQUAL(unicode_class_of(0x85), CLASS_SPACE);
    CU_ASSERT_EQUAL(unicode_class_of(0x10ffff), CLASS_OTHER);
}

/* Bytes that are no UTF-8: each is one sign, none is lost, nothing outside is read. */
static void test_garbage(void) {
    static const char *const names[] = { "gpt-2", "smollm", "default", "llama-bpe", "qwen35", "gpt-4o",
                                         "tekken" };
    for (unsigned long r = 0; r < n_strings / 4; r++) {
        size_t n = 1 + draw(40);
        char *s = malloc(n); /* the sanitizer sees a step outside */
        for (size_t i = 0; i < n; i++) s[i] = (char)(draw(3) ? 0x80 + draw(128) : draw(128));
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            struct pretok_walk w;
            size_t i = 0;
            pretok_start(&w, &pretok_by_name(names[k], strlen(names[k]))->p, s, n);
            while (i < n) {
                size_t end = pretok_next(&w, i);
                CU_ASSERT_FATAL(end > i && end <= n);
                i = end;
            }
        }
        free(s);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) n_strings = strtoul(argv[1], NULL, 10);
    if (argc > 2) state = strtoull(argv[2], NULL, 10);
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("pretokenize", NULL, NULL);
    CU_add_test(s, "gpt-2", test_gpt2);
    CU_add_test(s, "llama3", test_llama3);
    CU_add_test(s, "qwen2", test_qwen2);
    CU_add_test(s, "qwen35", test_qwen35);
    CU_add_test(s, "o200k", test_o200k);
    CU_add_test(s, "tekken", test_tekken);
    CU_add_test(s, "stages", test_stages);
    CU_add_test(s, "names", test_names);
    CU_add_test(s, "garbage", test_garbage);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
