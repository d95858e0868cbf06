/* SPDX-License-Identifier: MIT */
/* tests.c - what stands behind `is`. */
#include "impl.h"

#include "token/unicode.h"

typedef int test_fn(struct ctx *, const struct value *, const struct call *, bool *out);

static int t_defined(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type != V_UNDEFINED, AG_OK;
}
static int t_undefined(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_UNDEFINED, AG_OK;
}
static int t_none(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_NONE, AG_OK;
}
static int t_string(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = is_str(v), AG_OK;
}
static int t_mapping(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_DICT, AG_OK;
}
static int t_iterable(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = is_str(v) || is_seq(v) || v->type == V_DICT || v->type == V_UNDEFINED || v->type == V_LOOP, AG_OK;
}
/* Dicts and undefined values have a length and items too. */
static int t_sequence(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    *out = is_str(v) || (is_seq(v) && !v->l->generator) || v->type == V_DICT || v->type == V_UNDEFINED;
    return AG_OK;
}
static int t_number(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = is_number(v), AG_OK;
}
static int t_integer(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_INT, AG_OK;
}
static int t_float(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_FLOAT, AG_OK;
}
static int t_boolean(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_BOOL, AG_OK;
}
static int t_true(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_BOOL && v->b, AG_OK;
}
static int t_false(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_BOOL && !v->b, AG_OK;
}
static int t_callable(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)c, (void)a;
    return *out = v->type == V_MACRO || v->type == V_FUNCTION || v->type == V_METHOD, AG_OK;
}

static int remainder_is(struct ctx *c, const struct value *v, int64_t by, int64_t want, bool *out) {
    struct value n = v_int(by), r;
    int rc = arith(c, '%', v, &n, &r);
    return *out = rc == AG_OK && is_number(&r) && as_float(&r) == (double)want, rc;
}
static int t_odd(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)a;
    return remainder_is(c, v, 2, 1, out);
}
static int t_even(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)a;
    return remainder_is(c, v, 2, 0, out);
}
static int t_divisibleby(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    int64_t by;
    int rc = call_int(c, "divisibleby", &a->at[0], &by);
    return rc == AG_OK ? remainder_is(c, v, by, 0, out) : rc;
}

static int t_eq(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    return value_equal(c, v, &a->at[0], out);
}
static int t_ne(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    int rc = value_equal(c, v, &a->at[0], out);
    return *out = !*out, rc;
}
static int t_lt(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    return value_less(c, v, &a->at[0], out);
}
static int t_gt(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    return value_less(c, &a->at[0], v, out);
}
static int t_le(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    int rc = value_less(c, v, &a->at[0], out);
    return rc == AG_OK && !*out ? value_equal(c, v, &a->at[0], out) : rc;
}
static int t_ge(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    int rc = value_less(c, &a->at[0], v, out);
    return rc == AG_OK && !*out ? value_equal(c, v, &a->at[0], out) : rc;
}
static int t_in(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    return value_contains(c, &a->at[0], v, out);
}

/* The same object: of what templates can hold, that is equality but for containers. */
static int t_sameas(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    const struct value *b = &a->at[0];
    if (v->type != b->type) return *out = false, AG_OK;
    if (v->type == V_LIST || v->type == V_TUPLE || v->type == V_DICT) return *out = v->l == b->l, AG_OK;
    return value_equal(c, v, b, out);
}

/* Some cased characters, and all of them of that case. */
static int all_case(struct ctx *c, const struct value *v, unsigned want, bool *out) {
    struct value s;
    bool any = false;
    size_t len;
    int rc = value_str(c, v, &s);
    for (size_t i = 0; rc == AG_OK && i < s.s->n; i += len) {
        unsigned cls = utf8_class(s.s->p + i, s.s->n - i, &len) & (CLASS_UPPER | CLASS_LOWER);
        if (cls && !(cls & want)) return *out = false, AG_OK;
        any |= cls != 0;
    }
    return *out = any, rc;
}
static int t_lower(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)a;
    return all_case(c, v, CLASS_LOWER, out);
}
static int t_upper(struct ctx *c, const struct value *v, const struct call *a, bool *out) {
    (void)a;
    return all_case(c, v, CLASS_UPPER, out);
}

static const struct { const char *name; test_fn *fn; uint8_t args; } tests[] = {
    { "defined", t_defined, 0 }, { "undefined", t_undefined, 0 }, { "none", t_none, 0 },
    { "string", t_string, 0 }, { "mapping", t_mapping, 0 }, { "iterable", t_iterable, 0 },
    { "sequence", t_sequence, 0 }, { "number", t_number, 0 }, { "integer", t_integer, 0 },
    { "float", t_float, 0 }, { "boolean", t_boolean, 0 }, { "true", t_true, 0 }, { "false", t_false, 0 },
    { "callable", t_callable, 0 }, { "odd", t_odd, 0 }, { "even", t_even, 0 },
    { "divisibleby", t_divisibleby, 1 }, { "eq", t_eq, 1 }, { "equalto", t_eq, 1 }, { "==", t_eq, 1 },
    { "ne", t_ne, 1 }, { "!=", t_ne, 1 }, { "lt", t_lt, 1 }, { "lessthan", t_lt, 1 }, { "<", t_lt, 1 },
    { "gt", t_gt, 1 }, { "greaterthan", t_gt, 1 }, { ">", t_gt, 1 }, { "le", t_le, 1 }, { "<=", t_le, 1 },
    { "ge", t_ge, 1 }, { ">=", t_ge, 1 }, { "in", t_in, 1 }, { "sameas", t_sameas, 1 },
    { "lower", t_lower, 0 }, { "upper", t_upper, 0 },
};

int apply_test(struct ctx *c, const char *name, size_t n, const struct value *of, const struct call *call,
               bool *out) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strlen(tests[i].name) != n || memcmp(tests[i].name, name, n)) continue;
        if (call->n != tests[i].args || call->n_kw)
            return jfail(c, AG_EINVAL, "the test %s: want %d arguments, found %zu", tests[i].name, tests[i].args,
                         call->n + call->n_kw);
        return tests[i].fn(c, of, call, out);
    }
    return jfail(c, AG_ENOTSUP, "the test %.*s is not supported", n > 60 ? 60 : (int)n, name);
}
