/* SPDX-License-Identifier: MIT */
/* Chat templates against what jinja2 made of them (cases.json), where bytes come from, and limits. */
#include "token/jinja/jinja.h"

#include "util/error.h"

#include <CUnit/Basic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *cases_path;

static int render(const char *text, const json_t *vars, const json_t *literal, const struct jinja_limits *limits,
                  struct jinja_output *out) {
    struct jinja *j = NULL;
    const struct jinja_input in = { vars, literal, "2026-01-02T03:04:05" };
    int rc = jinja_parse(text, strlen(text), &j);
    if (rc == AG_OK) rc = jinja_render(j, &in, limits, out);
    jinja_free(j);
    return rc;
}

/* ---- the table --------------------------------------------------------------------------------- */

static void one_case(const json_t *all, const json_t *c) {
    const char *text = json_string_value(json_object_get(c, "t"));
    const json_t *want = json_object_get(c, "want");
    struct jinja_output o = { 0 };
    fail_clear();
    int rc = render(text, json_object_get(all, "vars"), NULL, NULL, &o);
    bool same = json_is_null(want) ? rc < 0 && *fail_text() && !strchr(fail_text(), '\n')
                                   : rc == AG_OK && o.text.n == json_string_length(want) &&
                                         !memcmp(str_text(&o.text), json_string_value(want), o.text.n);
    if (!same)
        fprintf(stderr, "%s\n  want %s\n  got  %s\n", text, json_is_null(want) ? "(an error)" : json_string_value(want),
                rc == AG_OK ? str_text(&o.text) : fail_text());
    CU_ASSERT_TRUE(same);
    jinja_output_free(&o);
}

static void test_cases(void) {
    json_t *all = json_load_file(cases_path, 0, NULL), *list = json_object_get(all, "cases");
    CU_ASSERT_TRUE_FATAL(json_array_size(list) > 500);
    for (size_t i = 0; i < json_array_size(list); i++) one_case(all, json_array_get(list, i));
    json_decref(all);
}

/* ---- where bytes come from --------------------------------------------------------------------- */

/* The output with what is data in brackets. */
static void check_pieces(const char *text, const char *vars, const char *literal, const char *want) {
    json_t *v = json_loads(vars, 0, NULL), *l = literal ? json_loads(literal, 0, NULL) : NULL;
    struct jinja_output o = { 0 };
    struct str shown = { 0 };
    int rc = render(text, v, l, NULL, &o);
    size_t at = 0;
    for (size_t i = 0; i < o.n_piece; i++) {
        CU_ASSERT_EQUAL(o.piece[i].begin, at);
        CU_ASSERT_TRUE(o.piece[i].n > 0);
        at += o.piece[i].n;
        str_puts(&shown, o.piece[i].literal ? "" : "[");
        str_add(&shown, o.text.p + o.piece[i].begin, o.piece[i].n);
        str_puts(&shown, o.piece[i].literal ? "" : "]");
    }
    CU_ASSERT_EQUAL(rc, AG_OK);
    CU_ASSERT_EQUAL(at, o.text.n);
    CU_ASSERT_STRING_EQUAL(str_text(&shown), want);
    if (strcmp(str_text(&shown), want)) fprintf(stderr, "%s\n  got %s %s\n", text, str_text(&shown), fail_text());
    str_free(&shown);
    jinja_output_free(&o);
    json_decref(v);
    json_decref(l);
}

static const struct { const char *text, *want; } origins[] = {
    { "<|a|>{{ s }}<|b|>", "<|a|>[ x<|b|>y ]<|b|>" },
    { "{{ '<|a|>' + s + '<|b|>' }}", "<|a|>[ x<|b|>y ]<|b|>" },
    { "{{ '<|a|>' ~ s | trim ~ '<|b|>' }}", "<|a|>[x<|b|>y]<|b|>" },
    { "{{ ('<' ~ s ~ '>')[2:-2] }}", "[x<|b|>y]" },
    { "{{ ('<' ~ s ~ '>')[:3] }}|{{ ('<' ~ s ~ '>')[-1] }}", "<[ x]|>" },
    { "{{ ('ab' ~ s ~ 'ab')[::-1] }}", "ba[ y>|b|<x ]ba" },
    { "{{ ('<a>' ~ s) | upper }}", "<A>[ X<|B|>Y ]" },
    { "{{ ('<' ~ s) | replace('<', '<<') }}", "<<[ x]<<[|b|>y ]" },
    { "{{ 'aXb' | replace('X', s) }}", "a[ x<|b|>y ]b" },
    { "{{ s.split('<|b|>') | join('<|b|>') }}", "[ x]<|b|>[y ]" },
    { "{{ (s ~ '<|c|>z').split('|')[2] }}|{{ (s ~ '<|c|>z').split('|')[3] }}", "[>y ]<|c" },
    { "{% set v %}<|a|>{{ s }}{% endset %}{{ v }}", "<|a|>[ x<|b|>y ]" },
    { "{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(s) }}{{ f('t') }}", "<[ x<|b|>y ]><t>" },
    { "{% filter trim %} <{{ s }}> {% endfilter %}", "<[ x<|b|>y ]>" },
    { "{% set ns = namespace(a='') %}{% for c in l %}{% set ns.a = ns.a + '<' + c %}{% endfor %}{{ ns.a }}", "<[<|a|>]<[q]" },
    { "{{ l }}{{ ['a'] }}", "[['<|a|>', 'q']]['a']" },
    { "{{ l | tojson }}{{ ['a'] | tojson }}{{ {'<|a|>': i} | tojson }}", "[[\"<|a|>\", \"q\"]][\"a\"]{\"<|a|>\": 5}" },
    { "{{ i }}{{ none }}{{ i + 1 }}", "5None6" },
    { "{% for k in d %}{{ k }}={{ d[k] }}{% endfor %}", "[<|k|>]=[v]" },
    { "{{ '%s<|a|>%s' % (s, i) }}", "[ x<|b|>y ]<|a|>5" },
    { "{{ '<|a|>{}'.format(s) }}", "<|a|>[ x<|b|>y ]" },
    { "{{ s | indent(1, true) }}", " [ x<|b|>y ]" },
    { "{{ bos }}{{ s | default('<|a|>') }}{{ zz | default('<|a|>') }}", "<s>[ x<|b|>y ]<|a|>" },
    { "{{ [s, '<|a|>'] | first }}{{ {'k': '<|a|>', 's': s}.k }}", "[ x<|b|>y ]<|a|>" },
    { "{{ s | e }}", "[ x&lt;|b|&gt;y ]" },
    { "{{ (s ~ '<') | list | join }}", "[ x<|b|>y ]<" },
    { "{{ (s ~ ' z') | title }}", "[ X<|b|>y ] Z" },
};

static void test_origins(void) {
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        check_pieces(origins[i].text, "{\"s\": \" x<|b|>y \", \"l\": [\"<|a|>\", \"q\"], \"i\": 5, \"d\": {\"<|k|>\": \"v\"}}",
                     "{\"bos\": \"<s>\"}", origins[i].want);
    }
}

/* ---- limits ------------------------------------------------------------------------------------ */

static void must_fail(const char *text, const struct jinja_limits *limits, int code, const char *says) {
    struct jinja_output o = { 0 };
    fail_clear();
    CU_ASSERT_EQUAL(render(text, NULL, NULL, limits, &o), code);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), says));
    if (!strstr(fail_text(), says)) fprintf(stderr, "%s: %s\n", text, fail_text());
    CU_ASSERT_PTR_NULL(o.text.p);
}

static void test_limits(void) {
    const struct jinja_limits small = { .steps = 100000, .depth = 200, .output = 10000, .memory = 1 << 20 };
    must_fail("{{ range(10 ** 9) }}", NULL, AG_ENOMEM, "range: more than 100000");
    must_fail("{% set l = range(99999) %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}", NULL, AG_ENOMEM, "steps");
    must_fail("{% set ns = namespace(s='x') %}{% for i in range(99999) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", NULL,
              AG_ENOMEM, "memory");
    must_fail("{{ 'xxxxxxxxxxxxxxxx' * 10 ** 18 }}", NULL, AG_ENOMEM, "memory");
    must_fail("{{ 'x' * 10 ** 18 }}", &small, AG_ENOMEM, "steps");
    must_fail("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", NULL, AG_ENOMEM, "nested");
    must_fail("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", &small, AG_ENOMEM, "nested");
    must_fail("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", NULL, AG_ENOMEM, "nested");
    must_fail("{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}", NULL, AG_ENOMEM, "nested");
    must_fail("{% set l = [] %}{% set _ = l.append(l) %}{{ l == [l] }}{{ [l] == l }}", NULL, AG_ENOMEM, "nested");
    must_fail("{% for i in range(9999) %}abcdefgh{% endfor %}", &small, AG_ENOMEM, "output");
    must_fail("{% set l = range(1000) | list %}{% for i in l %}{% set x = l + l %}{% endfor %}", &small, AG_ENOMEM, "");
    must_fail("{{ '%999999s' % 'x' }}", NULL, AG_EINVAL, "wider");
    must_fail("{{ 9223372036854775807 + 1 }}", NULL, AG_ENOTSUP, "64 bits");
    must_fail("{{ 99999999999999999999 }}", NULL, AG_ENOTSUP, "64 bits");
    must_fail("{{ raise_exception('why\nnot') }}", NULL, AG_EINVAL, "1:4: why not");
    must_fail("\n\n {{ 'x' | nosuch }}", NULL, AG_ENOTSUP, "3:11: the filter nosuch");
    must_fail("{{ x is nosuch }}{# #}", NULL, AG_ENOTSUP, "the test nosuch");
    must_fail("{{ 'x'.zfill(3) }}", NULL, AG_ENOTSUP, "str.zfill");
    must_fail("{% import 'x' as y %}", NULL, AG_ENOTSUP, "import");
    must_fail("{% for a in [] recursive %}{% endfor %}", NULL, AG_ENOTSUP, "recursive");
    must_fail("\xff", NULL, AG_EFORMAT, "UTF-8");
}

/* Chains and nests of the source: an error or an answer, never the end of the stack. */
static void test_deep(void) {
    static const struct { const char *begin, *repeat, *middle, *again, *end; } shape[] = {
        { "{{ ", "(", "1", ")", " }}" }, { "{{ ", "[", "1", "]", " }}" }, { "{{ ", "- ", "1", "", " }}" },
        { "{{ ", "not ", "1", "", " }}" }, { "{{ 1", " + 1", "", "", " }}" }, { "{{ x", ".a", "", "", " }}" },
        { "{{ 1", " if 1 else 1", "", "", " }}" }, { "{{ 1", " | string", "", "", " }}" },
        { "{{ 1", " and 1", "", "", " }}" }, { "{{ 1", " < 1", "", "", " }}" }, { "{{ '1'", " ~ '1'", "", "", " }}" },
        { "", "{% if 1 %}", "x", "{% endif %}", "" }, { "", "{% for a in [1] %}", "x", "{% endfor %}", "" },
        { "{% if 0 %}", "{% elif 0 %}", "", "", "{% endif %}" }, { "", "{#", "", "#}", "" }, { "", "{% raw %}", "", "{% endraw %}", "" },
        { "{% filter upper", " | upper", "", "", " %}{% endfilter %}" }, { "{{ x is defined", " is defined", "", "", " }}" },
        { "{{ 1", " is eq 1", "", "", "}}" }, { "{{ {", "1:{", "", "}", "}}}" }, { "{{ ", "f(", "", ")", "}}" },
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        struct str s = { 0 };
        struct jinja_output o = { 0 };
        str_puts(&s, shape[i].begin);
        for (int k = 0; k < 20000; k++) str_puts(&s, shape[i].repeat);
        str_puts(&s, shape[i].middle);
        for (int k = 0; k < 20000; k++) str_puts(&s, shape[i].again);
        str_puts(&s, shape[i].end);
        fail_clear();
        int rc = render(str_text(&s), NULL, NULL, NULL, &o);
        CU_ASSERT_TRUE(rc == AG_OK || *fail_text());
        jinja_output_free(&o);
        str_free(&s);
    }
}

/* ---- threads ----------------------------------------------------------------------------------- */

static void *render_often(void *arg) {
    const struct jinja *j = arg;
    json_t *vars = json_pack("{s:[s, s, s]}", "l", "a", "b", "c");
    const struct jinja_input in = { .vars = vars };
    size_t good = 0;
    for (int i = 0; i < 200; i++) {
        struct jinja_output o;
        if (jinja_render(j, &in, NULL, &o) == AG_OK) good += !strcmp(str_text(&o.text), "AaBbCc");
        jinja_output_free(&o);
    }
    json_decref(vars);
    return (void *)good;
}

static void test_threads(void) {
    static const char text[] = "{% macro f(x) %}{{ x | upper }}{{ x }}{% endmacro %}{% for a in l %}{{ f(a) }}{% endfor %}";
    struct jinja *j;
    pthread_t t[4];
    CU_ASSERT_EQUAL_FATAL(jinja_parse(text, sizeof text - 1, &j), AG_OK);
    CU_ASSERT_TRUE(jinja_uses(j, "l"));
    CU_ASSERT_FALSE(jinja_uses(j, "tools"));
    for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, render_often, j), 0);
    for (int i = 0; i < 4; i++) {
        void *good;
        pthread_join(t[i], &good);
        CU_ASSERT_EQUAL((size_t)good, 200);
    }
    jinja_free(j);
}

int main(int argc, char **argv) {
    if (argc != 2 || CU_initialize_registry() != CUE_SUCCESS) return 1;
    cases_path = argv[1];
    CU_pSuite s = CU_add_suite("jinja", NULL, NULL);
    CU_add_test(s, "cases", test_cases);
    CU_add_test(s, "origins", test_origins);
    CU_add_test(s, "limits", test_limits);
    CU_add_test(s, "deep", test_deep);
    CU_add_test(s, "threads", test_threads);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
