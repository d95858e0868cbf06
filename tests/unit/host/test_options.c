/* SPDX-License-Identifier: MIT */
#include "options.h"
#include "util/error.h"

#include <agave/quant.h>

#include <CUnit/Basic.h>
#include <string.h>

enum { ARGS = 40 };

/* Splits words at blanks ("_" is an empty word) and parses them as the command line. */
static int parse(const char *line, struct options *o) {
    static char text[1024];
    char *argv[ARGS];
    int argc = 0;
    argv[argc++] = "agave";
    strncpy(text, line, sizeof text - 1);
    for (char *w = strtok(text, " "); w && argc < ARGS; w = strtok(NULL, " "))
        argv[argc++] = strcmp(w, "_") ? w : "";
    fail_clear();
    return options_parse(argc, argv, o);
}

static void defaults(void) {
    struct options o;
    CU_ASSERT_EQUAL(parse("m.gguf", &o), 0);
    CU_ASSERT_EQUAL(o.max_tokens, 512);
    CU_ASSERT_EQUAL(o.temperature, 0);
    CU_ASSERT_EQUAL(o.top_p, 1);
    CU_ASSERT_STRING_EQUAL(o.backend, "auto");
    CU_ASSERT_EQUAL(o.n_arg, 1);
    for (int i = 0; i < OPTION_COUNT; i++) CU_ASSERT_FALSE(o.given[i]);
}

static void forms(void) {
    struct options o;
    CU_ASSERT_EQUAL(parse("-n5 m.gguf -t 0.5 --top-p=0.25 hello --seed 18446744073709551615", &o), 0);
    CU_ASSERT_EQUAL(o.max_tokens, 5);
    CU_ASSERT_EQUAL(o.temperature, 0.5);
    CU_ASSERT_EQUAL(o.top_p, 0.25);
    CU_ASSERT_EQUAL(o.seed, UINT64_MAX);
    CU_ASSERT_STRING_EQUAL(o.arg[1], "hello");
    CU_ASSERT_EQUAL(parse("-qd m", &o), 0);
    CU_ASSERT_TRUE(o.quiet && o.debug && o.verbose);
    CU_ASSERT_EQUAL(parse("-qn 7 m", &o), 0);
    CU_ASSERT_TRUE(o.quiet && o.max_tokens == 7);
    CU_ASSERT_EQUAL(parse("-n 3 -n 9 m --temperature 0", &o), 0);
    CU_ASSERT_EQUAL(o.max_tokens, 9);
    CU_ASSERT_TRUE(o.given[OPT_temperature]);
    CU_ASSERT_EQUAL(parse("--system -x m -- -n --raw", &o), 0);
    CU_ASSERT_STRING_EQUAL(o.system, "-x");
    CU_ASSERT_STRING_EQUAL(o.arg[1], "-n");
    CU_ASSERT_EQUAL(o.n_extra, 1);
    CU_ASSERT_FALSE(o.raw);
}

static void kinds(void) {
    struct options o;
    CU_ASSERT_EQUAL(parse("--color always --no-color m", &o), 0);
    CU_ASSERT_STRING_EQUAL(o.color, "never");
    CU_ASSERT_EQUAL(parse("--no-color --color=always m", &o), 0);
    CU_ASSERT_STRING_EQUAL(o.color, "always");
    CU_ASSERT_EQUAL(parse("--kv-type BF16 --cache-type-v q8_0 m", &o), 0);
    CU_ASSERT_EQUAL(o.kv_type, AG_BF16);
    CU_ASSERT_EQUAL(o.kv_type_v, AG_Q8_0);
    CU_ASSERT_EQUAL(parse("--ctx-size auto m", &o), 0);
    CU_ASSERT_EQUAL(o.ctx_size, OPTION_AUTO);
    CU_ASSERT_EQUAL(parse("--stop a --stop b m", &o), 0);
    CU_ASSERT_EQUAL(o.stop.n, 2);
    CU_ASSERT_EQUAL(parse("--json m", &o), 0);
    CU_ASSERT_TRUE(o.quiet);
}

/* Each line is refused, and the text names what was given. */
static void refused(void) {
    static const struct { const char *line, *names; } rows[] = {
        { "--bogus m", "--bogus" },       { "-Z m", "-Z" },
        { "-qZ m", "-Z" },                { "m -n", "-n" },
        { "m --top-p", "--top-p" },       { "-n 0 m", "'0'" },
        { "-n 5x m", "'5x'" },            { "-n _ m", "''" },
        { "-n 99999999999999999999 m", "99999999999999999999" },
        { "-t nan m", "'nan'" },          { "-t inf m", "'inf'" },
        { "-t -1 m", "'-1'" },            { "-t 1e999 m", "'1e999'" },
        { "-t 0x1p3 m", "'0x1p3'" },      { "--top-p 0 m", "above 0" },
        { "--top-p 1.5 m", "1.5" },       { "--min-p -0.1 m", "-0.1" },
        { "--presence-penalty 3 m", "-2" }, { "--seed -1 m", "'-1'" },
        { "--quiet=1 m", "--quiet" },     { "--color red m", "auto|always|never" },
        { "--color auto|always m", "auto|always" }, { "--ctx-size -2 m", "'-2'" },
        { "--kv-type q3 m", "q8_0" },     { "--stop _ m", "--stop" },
        { "--device 5000 m", "'5000'" },  { "--qui m", "--qui" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct options o;
        CU_ASSERT_TRUE(parse(rows[i].line, &o) < 0);
        bool good = strstr(fail_text(), rows[i].names) && strstr(fail_text(), "--help'");
        if (!good) printf("\n%s: %s", rows[i].line, fail_text());
        CU_ASSERT_TRUE(good);
    }
}

static void too_many_stops(void) {
    struct options o;
    char line[512] = "m";
    for (int i = 0; i < OPTION_LIST_MAX + 1; i++) strcat(line, " --stop x");
    CU_ASSERT_TRUE(parse(line, &o) < 0);
}

static void after_an_error(void) {
    struct options o;
    CU_ASSERT_TRUE(parse("--bogus --json --help", &o) < 0);
    CU_ASSERT_TRUE(o.json && o.help);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "--bogus"));
}

/* The table itself: no name twice for one command, help everywhere, defaults inside the range. */
static void table(void) {
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *a = &option_table[i];
        if (a->section) continue;
        CU_ASSERT_TRUE(a->help && *a->help);
        CU_ASSERT_TRUE(a->alias || (a->kind == OPTION_FLAG) == !a->arg);
        for (size_t k = i + 1; k < option_table_n; k++) {
            const struct option_row *b = &option_table[k];
            if (b->section || !(a->commands & b->commands)) continue;
            CU_ASSERT_STRING_NOT_EQUAL(a->name, b->name);
            CU_ASSERT_FALSE(a->ch && a->ch == b->ch);
        }
    }
}

static void help(void) {
    for (size_t i = 0; i < command_table_n; i++) {
        struct str text = { 0 };
        help_command(&command_table[i], 80, &text);
        CU_ASSERT_PTR_NOT_NULL(strstr(str_text(&text), "Usage: agave"));
        CU_ASSERT_PTR_NOT_NULL(strstr(str_text(&text), "--quiet"));
        str_free(&text);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        { "defaults", defaults }, { "forms", forms },     { "kinds", kinds },
        { "refused", refused },   { "stops", too_many_stops }, { "after an error", after_an_error },
        { "table", table },       { "help", help },       CU_TEST_INFO_NULL,
    };
    CU_SuiteInfo suites[] = { { "options", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };
    if (CU_initialize_registry() || CU_register_suites(suites)) return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
