/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "util/error.h"

#include <agave/quant.h>

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    struct options *to;
    const struct command_row *command;
    int argc, at;
    char *const *argv;
    struct str error; /* text of the first error */
    int status;
};

/* Keeps the first error, with the advice every usage error ends with. */
__attribute__((format(printf, 2, 3))) static int usage(struct parser *p, const char *fmt, ...) {
    if (p->status < 0) return p->status;
    va_list ap;
    char text[900];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *word = p->command->word;
    str_printf(&p->error, "%s; try 'agave %s%s--help'", text, word ? word : "", word ? " " : "");
    return p->status = AG_EINVAL;
}

static void range_text(const struct option_row *row, const char *what, struct str *out) {
    bool above = row->lo > 0 && row->lo < DBL_MIN, open = row->hi >= INT32_MAX;
    if (above && open) str_printf(out, "%s above 0", what);
    else if (above) str_printf(out, "%s above 0, at most %g", what, row->hi);
    else if (open) str_printf(out, "%s, %g or more", what, row->lo);
    else str_printf(out, "%s from %.10g to %.10g", what, row->lo, row->hi);
}

static int bad_value(struct parser *p, const struct option_row *row, const char *text,
                     const char *what, bool range) {
    struct str want = { 0 };
    if (range) range_text(row, what, &want);
    else str_puts(&want, what);
    usage(p, "option --%s: want %s, got '%.100s'", row->name, str_text(&want), text);
    str_free(&want);
    return AG_EINVAL;
}

/* Only digits and a sign: strtoll alone would take white space. */
static bool whole_number(const char *text, long long *out) {
    const char *d = text + (*text == '-' || *text == '+');
    if (!*d || d[strspn(d, "0123456789")]) return false;
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0;
}

static int set_int(struct parser *p, const struct option_row *row, const char *text, int64_t *to) {
    long long v;
    if (row->kind == OPTION_CTX && !strcasecmp(text, "auto")) return *to = OPTION_AUTO, 0;
    bool whole = whole_number(text, &v);
    size_t digits = strspn(text, "0123456789");
    if ((whole && (double)v > row->hi) || (!whole && digits && !text[digits]))
        return usage(p, "option --%s: want at most %.10g, got '%.100s'", row->name, row->hi, text);
    if (!whole || (double)v < row->lo)
        return bad_value(p, row, text, row->kind == OPTION_CTX ? "'auto' or a whole number"
                                                               : "a whole number", true);
    *to = v;
    return 0;
}

static int set_uint(struct parser *p, const struct option_row *row, const char *text, uint64_t *to) {
    errno = 0;
    unsigned long long v = strtoull(text, NULL, 10);
    if (!*text || text[strspn(text, "0123456789")] || errno)
        return bad_value(p, row, text, "a whole number from 0 to 18446744073709551615", false);
    *to = v;
    return 0;
}

static int set_num(struct parser *p, const struct option_row *row, const char *text, double *to) {
    char *end;
    bool plain = *text && !text[strspn(text, "0123456789+-.eE")];
    double v = plain ? strtod(text, &end) : NAN;
    if (!plain || *end || !isfinite(v) || v < row->lo || v > row->hi)
        return bad_value(p, row, text, "a number", true);
    *to = v;
    return 0;
}

/* One of the words in row->arg ("auto|always|never"). */
static int set_choice(struct parser *p, const struct option_row *row, const char *text,
                      const char **to) {
    size_t n = strlen(text);
    for (const char *w = row->arg; n && w; w = strchr(w, '|')) {
        if (*w == '|') w++;
        if (strcspn(w, "|") == n && !strncmp(w, text, n)) return *to = text, 0;
    }
    struct str want = { 0 };
    str_printf(&want, "one of %s", row->arg);
    int status = bad_value(p, row, text, str_text(&want), false);
    str_free(&want);
    return status;
}

static int set_kv_type(struct parser *p, const struct option_row *row, const char *text,
                       uint32_t *to) {
    static const struct { const char *name; uint32_t type; } names[] = {
        { "f32", AG_F32 }, { "fp32", AG_F32 }, { "float32", AG_F32 },
        { "f16", AG_F16 }, { "fp16", AG_F16 }, { "float16", AG_F16 },
        { "bf16", AG_BF16 }, { "bfloat16", AG_BF16 },
        { "q8_0", AG_Q8_0 }, { "q8", AG_Q8_0 },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(names[i].name, text)) return *to = names[i].type, 0;
    return bad_value(p, row, text, "one of f32, f16, bf16, q8_0", false);
}

static int set_list(struct parser *p, const struct option_row *row, const char *text,
                    struct text_list *to) {
    if (!*text) return bad_value(p, row, text, "a text that is not empty", false);
    if (to->n == OPTION_LIST_MAX)
        return usage(p, "option --%s: want at most %d, got one more", row->name, OPTION_LIST_MAX);
    to->at[to->n++] = text;
    return 0;
}

static int set_value(struct parser *p, const struct option_row *row, const char *text) {
    void *to = (char *)p->to + row->offset;
    switch (row->kind) {
    case OPTION_FLAG: return *(bool *)to = true, 0;
    case OPTION_INT:
    case OPTION_CTX: return set_int(p, row, text, to);
    case OPTION_UINT: return set_uint(p, row, text, to);
    case OPTION_NUM: return set_num(p, row, text, to);
    case OPTION_CHOICE: return set_choice(p, row, text, to);
    case OPTION_LIST: return set_list(p, row, text, to);
    case OPTION_KVTYPE: return set_kv_type(p, row, text, to);
    case OPTION_TEXT:
    case OPTION_FILE:
    case OPTION_DIR: return *(const char **)to = text, 0;
    }
    return 0;
}

static const struct option_row *row_of(int id) {
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (!row->section && !row->alias && row->id == id) return row;
    }
    return NULL;
}

/* The row of a name that this command takes; else *other = a row of that name of another command. */
static const struct option_row *find(const struct parser *p, const char *name, size_t n, char ch,
                                     const struct option_row **other) {
    *other = NULL;
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (row->section) continue;
        bool same = name ? strlen(row->name) == n && !memcmp(row->name, name, n) : row->ch == ch;
        if (!same) continue;
        if (row->commands & (1u << p->command->id)) return row;
        *other = row;
    }
    return NULL;
}

static void unknown(struct parser *p, const char *shown, const struct option_row *other) {
    for (size_t i = 0; other && i < command_table_n; i++) {
        const struct command_row *c = &command_table[i];
        if (!(other->commands & (1u << c->id))) continue;
        usage(p, "option %.100s belongs to 'agave %s'", shown, c->word ? c->word : "<model>");
        return;
    }
    usage(p, "unknown option %.100s", shown);
}

static void apply(struct parser *p, const struct option_row *row, const char *text) {
    const struct option_row *real = row->alias ? row_of(row->id) : row;
    if (set_value(p, real, row->value ? row->value : text) == 0) p->to->given[real->id] = true;
}

static bool takes_value(const struct option_row *row) {
    return row->alias ? !row->value : row->kind != OPTION_FLAG;
}

static void parse_long(struct parser *p, const char *arg) {
    const char *name = arg + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    const struct option_row *other, *row = find(p, name, n, 0, &other);
    char shown[128];
    snprintf(shown, sizeof shown, "--%.*s", (int)(n < 100 ? n : 100), name);
    if (!row) {
        unknown(p, shown, other);
    } else if (!takes_value(row)) {
        if (eq) usage(p, "option %s takes no value, got '%.100s'", shown, eq + 1);
        else apply(p, row, NULL);
    } else if (eq) {
        apply(p, row, eq + 1);
    } else if (p->at + 1 < p->argc) {
        apply(p, row, p->argv[++p->at]);
    } else {
        usage(p, "option %s: want a value after it, got the end of the command line", shown);
    }
}

/* "-q", "-qd", "-n5", "-n 5": flags may be bundled; one with a value ends the bundle. */
static void parse_short(struct parser *p, const char *arg) {
    for (const char *c = arg + 1; *c; c++) {
        const struct option_row *other, *row = find(p, NULL, 0, *c, &other);
        char shown[3] = { '-', *c, 0 };
        if (!row) {
            unknown(p, isprint((unsigned char)*c) ? shown : "-?", other);
            return;
        }
        if (!takes_value(row)) {
            apply(p, row, NULL);
            continue;
        }
        if (c[1]) apply(p, row, c + 1);
        else if (p->at + 1 < p->argc) apply(p, row, p->argv[++p->at]);
        else usage(p, "option %s: want a value after it, got the end of the command line", shown);
        return;
    }
}

static void parse_argument(struct parser *p, const char *arg) {
    if (p->to->n_arg < p->command->max_arg && p->to->n_arg < OPTION_ARG_MAX) {
        p->to->arg[p->to->n_arg++] = arg;
        return;
    }
    p->to->n_extra++;
    if (p->command->word)
        usage(p, "unexpected argument '%.100s': want %s", arg,
              *p->command->args ? p->command->args : "none");
}

static void defaults(struct parser *p) {
    *p->to = (struct options){ .command = p->command->id };
    for (size_t i = 0; i < option_table_n; i++)
        if (option_table[i].dflt) set_value(p, &option_table[i], option_table[i].dflt);
}

int options_parse(int argc, char *const *argv, struct options *out) {
    struct parser p = { .to = out, .argc = argc, .argv = argv, .at = 1 };
    const struct command_row *word = argc > 1 ? command_find(argv[1]) : NULL;
    p.command = word ? word : command_row(CMD_RUN);
    defaults(&p);
    bool only_arguments = false;
    for (p.at = word ? 2 : 1; p.at < argc; p.at++) {
        const char *arg = argv[p.at];
        if (only_arguments || arg[0] != '-' || !arg[1]) parse_argument(&p, arg);
        else if (!strcmp(arg, "--")) only_arguments = true;
        else if (arg[1] == '-') parse_long(&p, arg);
        else parse_short(&p, arg);
    }
    if (out->n_arg < p.command->min_arg)
        usage(&p, "want %s, got %d argument%s", p.command->args, out->n_arg,
              out->n_arg == 1 ? "" : "s");
    if (out->debug) out->verbose = true;
    if (out->json) out->quiet = true;
    if (p.status < 0) fail(p.status, "%s", str_text(&p.error));
    str_free(&p.error);
    return p.status;
}
