/* SPDX-License-Identifier: MIT */
/* filters.c - filters of single values; filters_list.c has those of lists. */
#include "impl.h"

#include "token/unicode.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const no_names[] = { NULL };

/* The operand as a string, with the arguments checked. */
static int text_of(struct ctx *c, const char *what, const struct value *of, const struct call *call, size_t max,
                   const char *const *names, struct value *s) {
    int rc = call_check(c, what, call, 0, max, names);
    return rc == AG_OK ? value_str(c, of, s) : rc;
}

/* A string argument, or NULL. */
static int string_arg(struct ctx *c, const struct call *call, size_t i, const char *name,
                      const struct jstr **out) {
    struct value *v = call_arg(call, i, name), s;
    *out = NULL;
    if (!v || v->type == V_NONE) return AG_OK;
    int rc = value_str(c, v, &s);
    if (rc == AG_OK) *out = s.s;
    return rc;
}

static bool flag_arg(const struct call *call, size_t i, const char *name) {
    struct value *v = call_arg(call, i, name);
    return v && truthy(v);
}

static int f_default(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "default_value", "boolean", NULL };
    int rc = call_check(c, "default", call, 0, 2, names);
    if (rc < 0) return rc;
    bool use = of->type == V_UNDEFINED || (flag_arg(call, 1, "boolean") && !truthy(of));
    if (!use) return *out = *of, AG_OK;
    struct value *v = call_arg(call, 0, "default_value");
    return v ? (*out = *v, AG_OK) : str_make(c, "", 0, true, out);
}

static int f_length(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    int rc = call_check(c, "length", call, 0, 0, no_names);
    if (rc < 0) return rc;
    switch (of->type) {
    case V_UNDEFINED: return *out = v_int(0), AG_OK;
    case V_STRING: return *out = v_int((int64_t)str_length(of->s)), spend(c, of->s->n / 64);
    case V_LIST:
    case V_TUPLE:
        if (!of->l->generator) return *out = v_int((int64_t)of->l->n), AG_OK;
        return jfail(c, AG_EINVAL, "length: a generator has none; put |list before");
    case V_DICT: return *out = v_int((int64_t)of->d->n), AG_OK;
    case V_LOOP: return *out = v_int((int64_t)of->loop->items.n), AG_OK;
    default: return jfail(c, AG_EINVAL, "length: %s has none", type_name(of));
    }
}

static int f_trim(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "chars", NULL };
    const struct jstr *set;
    struct value s;
    size_t from, to;
    int rc = text_of(c, "trim", of, call, 1, names, &s);
    if (rc == AG_OK) rc = string_arg(c, call, 0, "chars", &set);
    if (rc < 0) return rc;
    str_strip(s.s, set, true, true, &from, &to);
    return str_slice(c, s.s, from, to, out);
}

static int cased(struct ctx *c, const char *what, int how, const struct value *of, const struct call *call,
                 struct value *out) {
    struct value s;
    int rc = text_of(c, what, of, call, 0, no_names, &s);
    return rc == AG_OK ? str_case(c, s.s, how, out) : rc;
}
static int f_upper(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return cased(c, "upper", CASE_UPPER, of, call, out);
}
static int f_lower(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return cased(c, "lower", CASE_LOWER, of, call, out);
}
static int f_capitalize(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return cased(c, "capitalize", CASE_CAPITAL, of, call, out);
}

/* Words begin after white space and -({[<, which is not what the method has. */
static int f_title(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct value s, part;
    struct build b = { .c = c };
    size_t begin = 0, len;
    int rc = text_of(c, "title", of, call, 0, no_names, &s);
    for (size_t i = 0; rc == AG_OK && i < s.s->n; i += len) {
        bool between = is_space_at(s.s->p + i, s.s->n - i, &len) || (s.s->p[i] && strchr("-({[<", s.s->p[i]));
        if (!between && i + len < s.s->n) continue;
        struct value word;
        rc = str_slice(c, s.s, begin, i + len, &part);
        if (rc == AG_OK) rc = str_case(c, part.s, CASE_CAPITAL, &word);
        if (rc == AG_OK) build_str(&b, word.s, 0, word.s->n);
        begin = i + len;
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}

static int f_string(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return text_of(c, "string", of, call, 0, no_names, out);
}

static int f_safe(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct value s;
    int rc = text_of(c, "safe", of, call, 0, no_names, &s);
    struct jstr *copy = rc == AG_OK ? jalloc(c, sizeof *copy) : NULL;
    if (!copy) return rc < 0 ? rc : AG_ENOMEM;
    *copy = *s.s;
    copy->markup = true;
    return *out = v_str(copy), AG_OK;
}

static int f_escape(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct value s;
    int rc = text_of(c, "escape", of, call, 0, no_names, &s);
    if (rc < 0 || s.s->markup) return *out = s, rc;
    return str_escape(c, s.s, out);
}

static int f_forceescape(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct value s;
    int rc = text_of(c, "forceescape", of, call, 0, no_names, &s);
    return rc == AG_OK ? str_escape(c, s.s, out) : rc;
}

static int f_replace(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "old", "new", "count", NULL };
    const struct jstr *what, *by;
    struct value s, *n;
    int64_t count = -1;
    int rc = call_check(c, "replace", call, 2, 3, names);
    if (rc == AG_OK) rc = value_str(c, of, &s);
    if (rc == AG_OK) rc = string_arg(c, call, 0, "old", &what);
    if (rc == AG_OK) rc = string_arg(c, call, 1, "new", &by);
    if (rc == AG_OK && (!what || !by)) rc = jfail(c, AG_EINVAL, "replace: want strings, found None");
    n = call_arg(call, 2, "count");
    if (rc == AG_OK && n && n->type != V_NONE) rc = call_int(c, "replace", n, &count);
    return rc == AG_OK ? str_replace(c, s.s, what, by, count, out) : rc;
}

static int f_indent(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "width", "first", "blank", NULL };
    struct value s, *w = call_arg(call, 0, "width");
    struct build b = { .c = c };
    int64_t width = 4;
    int rc = text_of(c, "indent", of, call, 3, names, &s);
    const struct jstr *pad = w && is_str(w) ? w->s : NULL;
    if (rc == AG_OK && w && !pad) rc = call_int(c, "indent", w, &width);
    if (rc == AG_OK && (width < 0 || width > 1 << 16)) width = width < 0 ? 0 : 1 << 16;
    bool first = flag_arg(call, 1, "first"), blank = flag_arg(call, 2, "blank");
    for (size_t i = 0, end; rc == AG_OK && b.rc == AG_OK && i <= s.s->n; i = end + 1) {
        const char *nl = i < s.s->n ? memchr(s.s->p + i, '\n', s.s->n - i) : NULL;
        end = nl ? (size_t)(nl - s.s->p) : s.s->n;
        if (i ? end > i || blank : first) {
            if (pad) build_str(&b, pad, 0, pad->n);
            else for (int64_t k = 0; k < width; k++) build_add(&b, " ", 1, true);
        }
        build_str(&b, s.s, i, end < s.s->n ? end + 1 : end);
        rc = spend(c, 1);
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}

/* Python's float("..."): white space around, no hexadecimal. */
static bool read_float(const struct jstr *s, double *out) {
    size_t from, to, n = 0;
    char text[64], *end;
    str_strip(s, NULL, true, true, &from, &to);
    for (size_t i = from; i < to; i++) {
        if (n + 1 >= sizeof text || !s->p[i] || strchr("xXpP(", s->p[i])) return false;
        if (s->p[i] != '_') text[n++] = s->p[i];
    }
    text[n] = 0;
    *out = strtod(text, &end);
    return n && !*end;
}

static bool read_int(const struct jstr *s, int base, int64_t *out) {
    size_t from, to, n = 0;
    char text[72], *end;
    str_strip(s, NULL, true, true, &from, &to);
    for (size_t i = from; i < to; i++) {
        if (n + 1 >= sizeof text || !s->p[i]) return false;
        if (s->p[i] != '_') text[n++] = s->p[i];
    }
    text[n] = 0;
    errno = 0;
    *out = strtoll(text, &end, base);
    return n && !*end && !errno;
}

static int f_int(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "default", "base", NULL };
    struct value *d = call_arg(call, 0, "default"), *b = call_arg(call, 1, "base");
    int64_t base = 10, i;
    double f = of->type == V_FLOAT ? of->f : NAN;
    int rc = call_check(c, "int", call, 0, 2, names);
    if (rc == AG_OK && b) rc = call_int(c, "int", b, &base);
    if (rc == AG_OK && (base < 2 || base > 36)) rc = jfail(c, AG_ENOTSUP, "int: want a base of 2 to 36");
    if (rc < 0) return rc;
    if (is_int(of)) return *out = v_int(as_int(of)), AG_OK;
    if (is_str(of) && read_int(of->s, (int)base, &i)) return *out = v_int(i), AG_OK;
    if (is_str(of) && !read_float(of->s, &f)) f = NAN;
    if (fabs(f) < 9.2e18) return *out = v_int((int64_t)f), AG_OK;
    return *out = d ? *d : v_int(0), AG_OK;
}

static int f_float(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "default", NULL };
    struct value *d = call_arg(call, 0, "default");
    double f;
    int rc = call_check(c, "float", call, 0, 1, names);
    if (rc < 0) return rc;
    if (is_number(of)) return *out = v_float(as_float(of)), AG_OK;
    if (is_str(of) && read_float(of->s, &f)) return *out = v_float(f), AG_OK;
    return *out = d ? *d : v_float(0), AG_OK;
}

static int f_abs(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    int rc = call_check(c, "abs", call, 0, 0, no_names);
    if (rc == AG_OK && (!is_number(of) || (is_int(of) && as_int(of) == INT64_MIN)))
        rc = jfail(c, AG_EINVAL, "abs: want a number, found %s", type_name(of));
    if (rc < 0) return rc;
    *out = of->type == V_FLOAT ? v_float(fabs(of->f)) : v_int(llabs(as_int(of)));
    return AG_OK;
}

static int f_round(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "precision", "method", NULL };
    struct value *p = call_arg(call, 0, "precision"), *m = call_arg(call, 1, "method");
    int64_t digits = 0;
    char text[400];
    int rc = call_check(c, "round", call, 0, 2, names);
    if (rc == AG_OK && p) rc = call_int(c, "round", p, &digits);
    if (rc == AG_OK && (digits < 0 || digits > 15)) rc = jfail(c, AG_ENOTSUP, "round: want 0 to 15 digits");
    if (rc == AG_OK && !is_number(of)) rc = jfail(c, AG_EINVAL, "round: want a number, found %s", type_name(of));
    if (rc < 0) return rc;
    double f = as_float(of), scale = pow(10, (double)digits);
    if (m && is_str(m) && text_is(m->s, "ceil")) return *out = v_float(ceil(f * scale) / scale), AG_OK;
    if (m && is_str(m) && text_is(m->s, "floor")) return *out = v_float(floor(f * scale) / scale), AG_OK;
    if (m && !(is_str(m) && text_is(m->s, "common"))) return jfail(c, AG_EINVAL, "round: want common, ceil or floor");
    if (is_int(of)) return *out = v_int(as_int(of)), AG_OK;
    snprintf(text, sizeof text, "%.*f", (int)digits, f);
    return *out = v_float(strtod(text, NULL)), AG_OK;
}

static int f_tojson(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "ensure_ascii", "indent", "separators", "sort_keys", NULL };
    static const struct jstr comma = { .p = ", ", .n = 2 }, short_comma = { .p = ",", .n = 1 },
                             colon = { .p = ": ", .n = 2 };
    struct value *indent = call_arg(call, 1, "indent"), *sep = call_arg(call, 2, "separators");
    struct json_style s = { .ascii = flag_arg(call, 0, "ensure_ascii"), .sort = flag_arg(call, 3, "sort_keys"),
                            .indent = -1, .item_sep = &comma, .key_sep = &colon };
    int64_t n = -1;
    int rc = call_check(c, "tojson", call, 0, 4, names);
    if (rc == AG_OK && indent && is_str(indent)) s.indent_text = indent->s, n = 0;
    else if (rc == AG_OK && indent && indent->type != V_NONE) rc = call_int(c, "tojson", indent, &n);
    if (rc < 0) return rc;
    if (n > 256) return jfail(c, AG_EINVAL, "tojson: want an indent of at most 256");
    if (n >= 0) s.item_sep = &short_comma;
    s.indent = n < 0 && indent && is_int(indent) ? 0 : (int)n;
    if (sep && sep->type != V_NONE) {
        if (!is_seq(sep) || sep->l->n != 2 || !is_str(&sep->l->at[0]) || !is_str(&sep->l->at[1]))
            return jfail(c, AG_EINVAL, "tojson: want two strings as separators");
        s.item_sep = sep->l->at[0].s;
        s.key_sep = sep->l->at[1].s;
    }
    return value_json(c, of, &s, out);
}

static int f_format(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct value s, args;
    int rc = value_str(c, of, &s);
    if (rc == AG_OK && call->n_kw) rc = jfail(c, AG_ENOTSUP, "format: names are not supported");
    if (rc == AG_OK) rc = new_list(c, V_TUPLE, &args);
    for (size_t i = 0; rc == AG_OK && i < call->n; i++) rc = list_add(c, args.l, call->at[i]);
    return rc == AG_OK ? format_percent(c, s.s, &args, out) : rc;
}

static int f_wordcount(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct value s;
    size_t len;
    int64_t n = 0;
    bool word = false;
    int rc = text_of(c, "wordcount", of, call, 0, no_names, &s);
    for (size_t i = 0; rc == AG_OK && i < s.s->n; i += len) {
        bool in = utf8_class(s.s->p + i, s.s->n - i, &len) &
                      (CLASS_UPPER | CLASS_LOWER | CLASS_LETTER | CLASS_NUMBER) || s.s->p[i] == '_';
        n += in && !word;
        word = in;
    }
    return *out = v_int(n), rc;
}

static const struct filter filters[] = {
    { "default", f_default }, { "d", f_default }, { "length", f_length }, { "count", f_length },
    { "trim", f_trim }, { "upper", f_upper }, { "lower", f_lower }, { "capitalize", f_capitalize },
    { "title", f_title }, { "string", f_string }, { "safe", f_safe }, { "escape", f_escape },
    { "e", f_escape }, { "forceescape", f_forceescape }, { "replace", f_replace }, { "indent", f_indent },
    { "int", f_int }, { "float", f_float }, { "abs", f_abs }, { "round", f_round },
    { "tojson", f_tojson }, { "format", f_format }, { "wordcount", f_wordcount }, { NULL, NULL },
};

int apply_filter(struct ctx *c, const char *name, size_t n, const struct value *of, const struct call *call,
                 struct value *out) {
    const struct value operand = *of; /* out may be the same */
    for (int list = 0; list < 2; list++)
        for (const struct filter *f = list ? list_filters : filters; f->name; f++)
            if (strlen(f->name) == n && !memcmp(f->name, name, n)) return f->fn(c, &operand, call, out);
    return jfail(c, AG_ENOTSUP, "the filter %.*s is not supported", n > 60 ? 60 : (int)n, name);
}
