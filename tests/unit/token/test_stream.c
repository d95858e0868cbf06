/* SPDX-License-Identifier: MIT */
/* Streams: whatever the borders of pushes, what is shown is the same. */
#include "token/stream.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *bytes, size_t n, const char *const *stop, int n_stop, const char *want,
                  int stopped) {
    for (size_t step = 1; step <= n + 1; step++) {
        struct stream s;
        struct str out = { 0 };
        stream_init(&s, stop, n_stop);
        for (size_t i = 0; i < n; i += step)
            if (stream_push(&s, bytes + i, n - i < step ? n - i : step, &out)) break;
        stream_flush(&s, &out);
        CU_ASSERT_STRING_EQUAL(str_text(&out), want);
        CU_ASSERT_EQUAL(s.stopped, stopped);
        if (strcmp(str_text(&out), want)) fprintf(stderr, "step %zu: \"%s\"\n", step, str_text(&out));
        stream_finish(&s);
        str_free(&out);
    }
}

#define CHECK(text, want) check(text, sizeof text - 1, NULL, 0, want, 0)

static void test_utf8(void) {
    CHECK("", "");
    CHECK("plain", "plain");
    CHECK("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!");
    CHECK("a\x80z", "a\xef\xbf\xbdz");
    CHECK("\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");
    CHECK("\xe2\x82", "\xef\xbf\xbd");          /* unfinished at the end: one mark */
    CHECK("\xe2\x82x", "\xef\xbf\xbdx");        /* a maximal ill-formed part: one mark */
    CHECK("\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK("\xf0\x9f\x98", "\xef\xbf\xbd");
    CHECK("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_held(void) {
    static const char *const stop[] = { "<end>" };
    struct stream s;
    struct str out = { 0 };
    stream_init(&s, stop, 1);
    CU_ASSERT_FALSE(stream_push(&s, "a\xe2", 2, &out));
    CU_ASSERT_STRING_EQUAL(str_text(&out), "a");
    CU_ASSERT_FALSE(stream_push(&s, "\x82\xac<e", 4, &out));
    CU_ASSERT_STRING_EQUAL(str_text(&out), "a\xe2\x82\xac");
    CU_ASSERT_FALSE(stream_push(&s, "x<en", 4, &out));
    CU_ASSERT_STRING_EQUAL(str_text(&out), "a\xe2\x82\xac<ex");
    CU_ASSERT_TRUE(stream_push(&s, "d>tail", 6, &out));
    CU_ASSERT_STRING_EQUAL(str_text(&out), "a\xe2\x82\xac<ex");
    CU_ASSERT_TRUE(stream_push(&s, "more", 4, &out));
    stream_flush(&s, &out);
    CU_ASSERT_STRING_EQUAL(str_text(&out), "a\xe2\x82\xac<ex");
    stream_finish(&s);
    str_free(&out);
}

static void test_stop(void) {
    static const char *const one[] = { "END" }, *const two[] = { "abcd", "bc" }, *const aa[] = { "aab" };
    static const char *const same[] = { "bc", "abc" }, *const empty[] = { "", "x" };
    check("goodENDbad", 10, one, 1, "good", 1);
    check("goodEN", 6, one, 1, "goodEN", 0);
    check("EENENDX", 7, one, 1, "EEN", 1);
    check("xabcd", 5, two, 2, "xa", 2);    /* the first to be whole */
    check("aaab", 4, aa, 1, "a", 1);       /* overlaps itself */
    check("zabc", 4, same, 2, "z", 2);     /* whole at once: the longer one */
    check("ax", 2, empty, 2, "a", 2);      /* an empty stop string stops nothing */
    check("\xe2\x82" "END", 5, one, 1, "\xef\xbf\xbd", 1);
}

int main(void) {
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("stream", NULL, NULL);
    CU_add_test(s, "utf-8", test_utf8);
    CU_add_test(s, "held back", test_held);
    CU_add_test(s, "stop strings", test_stop);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
