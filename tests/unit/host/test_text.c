/* SPDX-License-Identifier: MIT */
#include "answer.h"
#include "text.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

static size_t valid(const char *text) { return utf8_valid(text, strlen(text)); }

static void utf8(void) {
    static const char *const good[] = { "", "abc", "gr\xc3\xbc\xc3\x9f", "\xe4\xbd\xa0", "\xf0\x9f\x8c\xb1",
                                        "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf" };
    static const struct { const char *text; size_t at; } bad[] = {
        { "ab\xff", 2 },        { "\xc3", 0 },          { "a\xc0\xaf", 1 },      { "\xed\xa0\x80", 0 },
        { "\xf4\x90\x80\x80", 0 }, { "x\xe4\xbd", 1 },  { "\x80", 0 },           { "\xe0\x80\x80", 0 },
        { "\xf0\x80\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT_EQUAL(valid(good[i]), strlen(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(valid(bad[i].text), bad[i].at);
}

static void cleaned(void) {
    struct str s = { 0 };
    const char text[] = "a\033[31mb\x7f\xc2\x9b\xff\xc3\xbc";
    text_clean(text, sizeof text - 1, &s);
    CU_ASSERT_STRING_EQUAL(str_text(&s), "a?[31mb???\xc3\xbc");
    str_free(&s);
}

static void numbers(void) {
    char t[32];
    text_bytes(1536, t, sizeof t);
    CU_ASSERT_STRING_EQUAL(t, "1.5 KB");
    text_bytes(3.5 * (1 << 30), t, sizeof t);
    CU_ASSERT_STRING_EQUAL(t, "3.5 GB");
    text_count(512, t, sizeof t);
    CU_ASSERT_STRING_EQUAL(t, "512");
    text_count(262144, t, sizeof t);
    CU_ASSERT_STRING_EQUAL(t, "262K");
    text_count(1.24e9, t, sizeof t);
    CU_ASSERT_STRING_EQUAL(t, "1.2B");
}

/* The same result whatever the pieces are. */
static void filter(void) {
    static const char text[] = "a\033[1;31mred\033[0m\tb\n\033]0;title\007c\033]8;;x\033\\d\033(Be\rf\bg\xc2\x9bh\xc3\xbc";
    for (size_t step = 1; step < sizeof text; step++) {
        struct text_filter f = { 0 };
        struct str out = { 0 };
        for (size_t at = 0; at < sizeof text - 1; at += step) {
            size_t n = sizeof text - 1 - at < step ? sizeof text - 1 - at : step;
            /* whole characters only, as the caller promises */
            while (at + n < sizeof text - 1 && (text[at + n] & 0xc0) == 0x80) n++;
            text_filter(&f, text + at, n, &out);
            at += n - (n < step ? n : step);
        }
        CU_ASSERT_STRING_EQUAL(str_text(&out), "ared\tb\ncdBefgh\xc3\xbc");
        str_free(&out);
    }
}

struct result { char text[256], all[256]; bool stopped; };

static struct result answered(const char *raw, size_t step, struct answer_options o) {
    struct answer a;
    struct result r = { "", "", false };
    answer_begin(&a, &o);
    for (size_t at = 0, n = strlen(raw); at < n && !r.stopped; at += step)
        r.stopped = answer_push(&a, raw + at, n - at < step ? n - at : step);
    CU_ASSERT_EQUAL(answer_end(&a), 0);
    snprintf(r.text, sizeof r.text, "%s", str_text(&a.text));
    snprintf(r.all, sizeof r.all, "%s", str_text(&a.all));
    answer_free(&a);
    return r;
}

static void answers(void) {
    static const char *const stop[] = { "STOP" };
    const struct answer_options plain = { .stop = stop, .n_stop = 1 };
    const struct answer_options think = { .think_begin = "<think>", .think_end = "</think>" };
    for (size_t step = 1; step < 12; step++) {
        struct result r = answered("\n\nHello <w>\n", step, plain);
        CU_ASSERT_STRING_EQUAL(r.text, "Hello <w>\n");
        r = answered("one STOP two", step, plain);
        CU_ASSERT_STRING_EQUAL(r.text, "one ");
        CU_ASSERT_TRUE(r.stopped);
        r = answered("<think>why\n</think>\n\nbecause <b>", step, think);
        CU_ASSERT_STRING_EQUAL(r.text, "because <b>");
        CU_ASSERT_STRING_EQUAL(r.all, "because <b>");
        struct answer_options open = think;
        open.thinking = true;
        r = answered("why</think>\nso", step, open);
        CU_ASSERT_STRING_EQUAL(r.text, "so");
        open.show_thinking = true;
        r = answered("why</think>\nso", step, open);
        CU_ASSERT_STRING_EQUAL(r.text, "so");
        CU_ASSERT_STRING_EQUAL(r.all, "why</think>\nso");
        r = answered("never ends", step, open);
        CU_ASSERT_STRING_EQUAL(r.text, "");
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        { "utf8", utf8 },     { "cleaned", cleaned }, { "numbers", numbers },
        { "filter", filter }, { "answers", answers }, CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = { { "text", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };
    if (CU_initialize_registry() || CU_register_suites(suites)) return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
