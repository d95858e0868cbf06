/* SPDX-License-Identifier: MIT */
/* NFC against utf8proc: every code point by itself and between neighbours, then random sequences. */
#include "token/nfc.h"
#include "token/unicode.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static unsigned long bad;

static void compare(const char *s, size_t n) {
    char out[3 * 512];
    size_t n_out = 0;
    utf8proc_uint8_t *want = NULL;
    CU_ASSERT_FATAL(n * NFC_GROWTH <= sizeof out);
    utf8proc_ssize_t k = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &want,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    CU_ASSERT_FATAL(k >= 0 && nfc_write(s, n, out, &n_out) == AG_OK);
    bool same = (size_t)k == n_out && !memcmp(want, out, n_out);
    /* What is said not to change does not. */
    if (!nfc_may_change(s, n)) same = same && n_out == n && !memcmp(s, out, n);
    if (!same && bad++ < 5) {
        fprintf(stderr, "differs:");
        for (size_t i = 0; i < n; i++) fprintf(stderr, " %02x", (unsigned char)s[i]);
        fputc('\n', stderr);
    }
    free(want);
}

static void test_each(void) {
    bad = 0;
    for (uint32_t cp = 1; cp < 0x110000; cp++) {
        char s[32];
        if (cp >= 0xd800 && cp < 0xe000) continue;
        size_t n = utf8_encode(cp, s);
        compare(s, n);
        n += utf8_encode(0x0323, s + n); /* dot below: class 220 */
        n += utf8_encode(0x0302, s + n); /* circumflex: class 230 */
        compare(s, n);
    }
    CU_ASSERT_EQUAL(bad, 0);
}

static uint64_t state = 7;
static uint32_t draw(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

static void test_random(void) {
    static const uint32_t from[][2] = { { 0x41, 0x7a }, { 0xc0, 0x17f }, { 0x300, 0x345 }, { 0x1100, 0x1112 },
                                        { 0x1161, 0x1175 }, { 0x11a8, 0x11c2 }, { 0xac00, 0xac40 },
                                        { 0x900, 0xdff }, { 0x1e00, 0x1fff }, { 0x3041, 0x30ff },
                                        { 0x591, 0x5f4 }, { 0xfb1d, 0xfb4e }, { 0x1d15e, 0x1d16d },
                                        { 0xf00, 0xfbc }, { 0x11080, 0x110c0 } };
    bad = 0;
    for (int k = 0; k < 200000; k++) {
        char s[512];
        size_t n = 0, count = 1 + draw(k % 50 ? 8 : 100);
        for (size_t i = 0; i < count; i++) {
            const uint32_t *r = from[draw(3) ? draw(sizeof from / sizeof *from) : 2];
            n += utf8_encode(r[0] + draw(r[1] - r[0] + 1), s + n);
        }
        compare(s, n);
    }
    CU_ASSERT_EQUAL(bad, 0);
}

static void test_bytes(void) {
    static const char s[] = "e\xcc\x81\xff\xcc\x81\xe2\x82" "e\xcc";
    char out[3 * sizeof s];
    size_t n;
    CU_ASSERT_EQUAL(nfc_write(s, sizeof s - 1, out, &n), AG_OK);
    CU_ASSERT(n == 9 && !memcmp(out, "\xc3\xa9\xff\xcc\x81\xe2\x82" "e\xcc", 9));
    CU_ASSERT_FALSE(nfc_may_change("plain \xc3\xa9", 8));
    CU_ASSERT_TRUE(nfc_may_change("e\xcc\x81", 3));
}

int main(void) {
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("nfc", NULL, NULL);
    CU_add_test(s, "each code point", test_each);
    CU_add_test(s, "random sequences", test_random);
    CU_add_test(s, "bytes", test_bytes);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
