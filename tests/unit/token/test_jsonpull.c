/* SPDX-License-Identifier: MIT */
/* The JSON reader: events, escapes, spans, and what is refused. */
#include "token/hf_json.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events as letters, with the texts. */
static const char *events(const char *json, char *out, size_t size) {
    static const char letter[] = ".{}[]ksn+-0";
    struct jsonpull j;
    size_t n = 0;
    int ev;
    pull_start(&j, json, strlen(json));
    while ((ev = pull_next(&j)) > 0 && n + j.n + 4 < size) {
        out[n++] = letter[ev];
        if (ev < PULL_KEY || ev > PULL_NUMBER) continue;
        memcpy(out + n, j.text, j.n);
        n += j.n;
        out[n++] = ' ';
    }
    out[n++] = ev < 0 ? '!' : '.';
    out[n] = 0;
    pull_finish(&j);
    return out;
}

static void test_events(void) {
    static const struct { const char *json, *want; } c[] = {
        { "{}", "{}." },
        { " [ ] ", "[]." },
        { "{\"a\":[1,-2.5e3,true,false,null],\"b\":{}}", "{ka [n1 n-2.5e3 +-0]kb {}}." },
        { "\"x\\n\\u00e9\\ud83d\\ude00\\\"\"", "sx\n\xc3\xa9\xf0\x9f\x98\x80\" ." },
        { "0", "n0 ." },
        { "\"\xe2\x82\xac\"", "s\xe2\x82\xac ." },
    };
    char out[512];
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        CU_ASSERT_STRING_EQUAL(events(c[i].json, out, sizeof out), c[i].want);
}

static void test_refused(void) {
    static const char *const bad[] = {
        "", " ", "{", "[", "]", "}", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "[1 2]",
        "{\"a\" 1}", "01", "-", "1.", "1e", "+1", ".5", "tru", "nul", "\"", "\"\\\"", "\"\\x\"",
        "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\n\"", "\"\xff\"",
        "\"\xed\xa0\x80\"", "\"\xc3\"", "1 2", "[]]", "{}{}", "[}", "{]",
    };
    char out[512];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fail_clear();
        const char *got = events(bad[i], out, sizeof out);
        CU_ASSERT_EQUAL(got[strlen(got) - 1], '!');
        CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "JSON: "));
        if (got[strlen(got) - 1] != '!') fprintf(stderr, "taken: %s\n", bad[i]);
    }
}

static void test_depth(void) {
    size_t n = 100000;
    char *deep = malloc(n);
    struct jsonpull j;
    memset(deep, '[', n);
    pull_start(&j, deep, n);
    int ev, levels = 0;
    while ((ev = pull_next(&j)) > 0) levels++;
    CU_ASSERT_EQUAL(ev, AG_EFORMAT);
    CU_ASSERT_EQUAL(levels, PULL_MAX_DEPTH);
    pull_finish(&j);
    free(deep);
}

static void test_skip(void) {
    const char *json = "{\"a\":{\"x\":[\"]\\\"}\",{}]},\"b\":7,\"a\":8}";
    struct span a = { 0 }, b = { 0 }, none = { 0 };
    struct member m[] = { { "a", &a }, { "b", &b }, { "c", &none } };
    int64_t v = 0;
    CU_ASSERT_EQUAL(span_members(&(struct span){ json, strlen(json) }, m, 3), AG_OK);
    CU_ASSERT(span_int(&a, &v) && v == 8); /* the last of a name counts */
    CU_ASSERT(span_int(&b, &v) && v == 7);
    CU_ASSERT_EQUAL(none.n, 0);
    const char *list = "[ 1 , [2,3] ,\"x\"]";
    struct span_walk w;
    struct span item;
    const char *const want[] = { "1", "[2,3]", "\"x\"" };
    CU_ASSERT_EQUAL(span_walk_start(&w, &(struct span){ list, strlen(list) }), AG_OK);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL_FATAL(span_walk_next(&w, &item), 1);
        CU_ASSERT(item.n == strlen(want[i]) && !memcmp(item.p, want[i], item.n));
    }
    CU_ASSERT_EQUAL(span_walk_next(&w, &item), 0);
    span_walk_finish(&w);
    CU_ASSERT(span_count(&(struct span){ list, strlen(list) }) >= 3);
    const char *cut = "{\"a\":[[1]";
    CU_ASSERT(span_members(&(struct span){ cut, strlen(cut) }, m, 3) < 0);
}

static void test_numbers(void) {
    static const struct { const char *json; bool is; int64_t v; } c[] = {
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "1.0", false, 0 },
        { "1e3", false, 0 },
        { "-0", true, 0 },
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int64_t v = 0;
        bool is = span_int(&(struct span){ c[i].json, strlen(c[i].json) }, &v);
        CU_ASSERT_EQUAL(is, c[i].is);
        if (is) CU_ASSERT_EQUAL(v, c[i].v);
    }
}

int main(void) {
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("jsonpull", NULL, NULL);
    CU_add_test(s, "events", test_events);
    CU_add_test(s, "refused", test_refused);
    CU_add_test(s, "depth", test_depth);
    CU_add_test(s, "skip", test_skip);
    CU_add_test(s, "numbers", test_numbers);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
