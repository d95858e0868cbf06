/* SPDX-License-Identifier: MIT */
/* arith.c - operators of two numbers, strings or lists, as Python has them but for 64-bit integers. */
#include "impl.h"

#include <math.h>

static int too_large(struct ctx *c) { return jfail(c, AG_ENOTSUP, "an integer beyond 64 bits"); }

static int power(struct ctx *c, int64_t a, int64_t b, struct value *out) {
    int64_t r = 1;
    if (b < 0) {
        if (!a) return jfail(c, AG_EINVAL, "division by zero");
        return *out = v_float(pow((double)a, (double)b)), AG_OK;
    }
    if (a == 0 || a == 1) return *out = v_int(b ? a : 1), AG_OK;
    if (a == -1) return *out = v_int(b % 2 ? -1 : 1), AG_OK;
    while (b-- > 0)
        if (__builtin_mul_overflow(r, a, &r)) return too_large(c);
    return *out = v_int(r), AG_OK;
}

static int ints(struct ctx *c, int op, int64_t a, int64_t b, struct value *out) {
    int64_t r = 0;
    bool over = false;
    if (!b && (op == '/' || op == OP_FLOORDIV || op == '%')) return jfail(c, AG_EINVAL, "division by zero");
    switch (op) {
    case '+': over = __builtin_add_overflow(a, b, &r); break;
    case '-': over = __builtin_sub_overflow(a, b, &r); break;
    case '*': over = __builtin_mul_overflow(a, b, &r); break;
    case '/': return *out = v_float((double)a / (double)b), AG_OK;
    case OP_FLOORDIV:
        over = a == INT64_MIN && b == -1;
        if (!over) r = a / b - (a % b != 0 && (a < 0) != (b < 0));
        break;
    case '%':
        r = b == -1 ? 0 : a % b;
        if (r && (r < 0) != (b < 0)) r += b;
        break;
    default: return power(c, a, b, out);
    }
    return over ? too_large(c) : (*out = v_int(r), AG_OK);
}

static int floats(struct ctx *c, int op, double a, double b, struct value *out) {
    double r;
    if (b == 0 && (op == '/' || op == OP_FLOORDIV || op == '%')) return jfail(c, AG_EINVAL, "division by zero");
    switch (op) {
    case '+': r = a + b; break;
    case '-': r = a - b; break;
    case '*': r = a * b; break;
    case '/': r = a / b; break;
    case OP_FLOORDIV: r = floor(a / b); break;
    case '%':
        r = fmod(a, b);
        if (r != 0 && (r < 0) != (b < 0)) r += b;
        break;
    default: r = pow(a, b); break;
    }
    return *out = v_float(r), AG_OK;
}

static int repeat(struct ctx *c, const struct value *v, int64_t times, struct value *out) {
    int rc = AG_OK;
    if (is_str(v)) {
        struct build b = { .c = c };
        for (int64_t i = 0; rc == AG_OK && b.rc == AG_OK && v->s->n && i < times; i++) {
            build_str(&b, v->s, 0, v->s->n);
            rc = spend(c, 1);
        }
        return rc == AG_OK ? build_done(&b, out) : rc;
    }
    rc = new_list(c, v->type, out);
    for (int64_t i = 0; v->l->n && i < times; i++)
        for (size_t k = 0; k < v->l->n; k++)
            if ((rc = list_add(c, out->l, v->l->at[k])) < 0) return rc;
    return rc;
}

static int add_strings(struct ctx *c, const struct value *a, const struct value *b, struct value *out) {
    struct value x = *a, y = *b;
    bool markup = x.s->markup || y.s->markup;
    int rc = AG_OK;
    if (markup && !x.s->markup) rc = str_escape(c, a->s, &x);
    if (rc == AG_OK && markup && !y.s->markup) rc = str_escape(c, b->s, &y);
    if (rc == AG_OK) rc = str_concat(c, x.s, y.s, out);
    if (rc == AG_OK && markup) ((struct jstr *)out->s)->markup = true; /* fresh */
    return rc;
}

int arith(struct ctx *c, int op, const struct value *a, const struct value *b, struct value *out) {
    if (is_number(a) && is_number(b)) {
        if (is_int(a) && is_int(b)) return ints(c, op, as_int(a), as_int(b), out);
        return floats(c, op, as_float(a), as_float(b), out);
    }
    if (op == '%' && is_str(a)) return format_percent(c, a->s, b, out);
    if (a->type == V_UNDEFINED) return undefined_fail(c, a);
    if (b->type == V_UNDEFINED) return undefined_fail(c, b);
    if (op == '+' && is_str(a) && is_str(b)) return add_strings(c, a, b, out);
    if (op == '+' && is_seq(a) && a->type == b->type) {
        int rc = new_list(c, a->type, out);
        for (size_t i = 0; rc == AG_OK && i < a->l->n; i++) rc = list_add(c, out->l, a->l->at[i]);
        for (size_t i = 0; rc == AG_OK && i < b->l->n; i++) rc = list_add(c, out->l, b->l->at[i]);
        return rc;
    }
    if (op == '*' && is_int(b) && (is_str(a) || is_seq(a))) return repeat(c, a, as_int(b), out);
    if (op == '*' && is_int(a) && (is_str(b) || is_seq(b))) return repeat(c, b, as_int(a), out);
    return jfail(c, AG_EINVAL, "%s and %s cannot be combined by '%s%c'", type_name(a), type_name(b),
                 op == OP_FLOORDIV ? "/" : op == OP_POW ? "*" : "",
                 op == OP_FLOORDIV ? '/' : op == OP_POW ? '*' : op);
}
