/* SPDX-License-Identifier: MIT */
/* Target: the JSON reader, beside jansson: both take the same texts, but for nesting and huge numbers. */
#include "util/jsonpull.h"
#include "limit.h"

#include <agave/base.h>
#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The last event, 0 = the whole text is JSON. skip: pass over every second object or array. */
static int walk(const char *s, size_t n, bool skip) {
    struct jsonpull j;
    pull_start(&j, s, n);
    int ev, turn = 0;
    while ((ev = pull_next(&j)) > 0) {
        REQUIRE(j.p > s && j.p <= s + n && j.depth >= 0 && j.depth <= PULL_MAX_DEPTH);
        if (ev == PULL_KEY || ev == PULL_STRING)
            for (size_t i = 0; i < j.n; i++) turn ^= j.text[i];
        if (skip && turn++ % 2 && pull_skip(&j, ev) < 0) break;
    }
    REQUIRE(ev <= PULL_NULL);
    pull_finish(&j);
    return ev;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_error_t e;
    const char *s = (const char *)data;
    int ours = walk(s, size, false);
    json_t *v = json_loadb(s, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (v) {
        bool deep = false;
        size_t level = 0;
        for (size_t i = 0; i < size; i++) { /* an upper bound: brackets in strings count too */
            level += s[i] == '[' || s[i] == '{';
            deep |= level > PULL_MAX_DEPTH;
        }
        /* jansson passes over zero bytes between tokens. */
        REQUIRE(ours == PULL_END || deep || memchr(s, 0, size));
    } else if (ours == PULL_END) {
        enum json_error_code why = json_error_code(&e);
        REQUIRE(why == json_error_numeric_overflow || why == json_error_null_byte_in_key);
    }
    json_decref(v);
    walk(s, size, true);
    return 0;
}
