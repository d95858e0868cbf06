/* SPDX-License-Identifier: MIT */
/* format.c - "%s" % x and "{}".format(x), as far as templates go. */
#include "impl.h"

#include <stdio.h>

enum { MAX_WIDTH = 4096 };

struct spec { bool left, zero, center, right; char fill; int width, precision; char type; };

/* Up to the digits' end; a number that is too large is cut to one that fails. */
static int number_at(const struct jstr *s, size_t *i, int none) {
    int v = none;
    for (; *i < s->n && s->p[*i] >= '0' && s->p[*i] <= '9'; ++*i) {
        if (v < 0) v = 0;
        v = v > MAX_WIDTH ? v : v * 10 + s->p[*i] - '0';
    }
    return v;
}

static int too_wide(struct ctx *c, const struct spec *f) {
    if (f->width <= MAX_WIDTH && f->precision <= 100) return AG_OK;
    return jfail(c, AG_EINVAL, "a format wider than %d or of more than 100 digits", MAX_WIDTH);
}

/* A number's digits. */
static int digits_of(struct ctx *c, const struct spec *f, const struct value *v, struct value *out) {
    char text[512]; /* 1e308 has 309 digits */
    int n;
    if (v->type == V_UNDEFINED) return undefined_fail(c, v);
    if (!is_number(v)) return jfail(c, AG_EINVAL, "%%%c: want a number, found %s", f->type, type_name(v));
    if (f->type == 'd' || f->type == 'i') {
        double d = as_float(v);
        if (v->type == V_FLOAT && !(d > -9.2e18 && d < 9.2e18)) return jfail(c, AG_EINVAL, "%%d of %g", d);
        n = snprintf(text, sizeof text, "%lld", (long long)(is_int(v) ? as_int(v) : (int64_t)d));
    } else if (f->type == 'x' || f->type == 'X') {
        if (!is_int(v) || as_int(v) < 0) return jfail(c, AG_ENOTSUP, "%%x of what is no natural number");
        n = snprintf(text, sizeof text, f->type == 'x' ? "%llx" : "%llX", (unsigned long long)as_int(v));
    } else {
        const char form[] = { '%', '.', '*', f->type, 0 };
        n = snprintf(text, sizeof text, form, f->precision < 0 ? 6 : f->precision, as_float(v));
    }
    return str_copy(c, text, (size_t)n, true, out);
}

static void pad(struct build *b, const struct spec *f, const struct jstr *s, bool number) {
    size_t n = str_length(s), want = f->width > 0 ? (size_t)f->width : 0, gap = want > n ? want - n : 0, left;
    char fill = f->fill ? f->fill : ' ';
    size_t sign = 0;
    if (f->zero && number && !f->left && !f->center && !f->right) {
        sign = s->n && *s->p == '-';
        build_str(b, s, 0, sign);
        fill = '0';
    }
    bool to_right = f->right || (number && !f->left && !f->center);
    left = f->center ? gap / 2 : to_right ? gap : 0;
    for (size_t i = 0; i < left; i++) build_add(b, &fill, 1, true);
    build_str(b, s, sign, s->n);
    for (size_t i = left; i < gap; i++) build_add(b, &fill, 1, true);
}

static int one(struct ctx *c, struct build *b, const struct spec *f, const struct value *v) {
    struct value s;
    bool number = !strchr("sr", f->type);
    int rc = too_wide(c, f);
    if (rc == AG_OK) rc = f->type == 's' ? value_str(c, v, &s) : f->type == 'r' ? value_repr(c, v, &s)
                                                                               : digits_of(c, f, v, &s);
    if (rc == AG_OK && !number && f->precision >= 0)
        rc = str_slice(c, s.s, 0, str_byte_of(s.s, (size_t)f->precision), &s);
    if (rc == AG_OK) pad(b, f, s.s, number);
    return rc == AG_OK ? b->rc : rc;
}

int format_percent(struct ctx *c, const struct jstr *s, const struct value *args, struct value *out) {
    struct build b = { .c = c };
    size_t used = 0, n = args->type == V_TUPLE ? args->l->n : 1;
    int rc = spend(c, 1 + s->n / 16);
    for (size_t i = 0, cursor = 0; rc == AG_OK && i < s->n; i++) {
        if (s->p[i] != '%') {
            build_add(&b, s->p + i, 1, str_literal_at(s, i, &cursor));
            continue;
        }
        struct spec f = { .precision = -1 };
        for (i++; i < s->n && s->p[i] && strchr("-0", s->p[i]); i++) s->p[i] == '-' ? (f.left = true) : (f.zero = true);
        f.right = !f.left && !f.zero; /* strings too */
        f.width = number_at(s, &i, 0);
        if (i < s->n && s->p[i] == '.') {
            i++;
            f.precision = number_at(s, &i, 0);
        }
        f.type = i < s->n ? s->p[i] : 0;
        if (f.type == '%') {
            build_add(&b, "%", 1, true);
        } else if (!f.type || !strchr("sdirfFeEgGxX", f.type)) {
            return jfail(c, AG_ENOTSUP, "the conversion %%%c is not supported", f.type > 32 && f.type < 127 ? f.type : '?');
        } else if (used >= n) {
            return jfail(c, AG_EINVAL, "more conversions than the %zu values to format", n);
        } else {
            rc = one(c, &b, &f, args->type == V_TUPLE ? &args->l->at[used] : args);
            used++;
        }
    }
    if (rc == AG_OK && args->type == V_TUPLE && used < n) return jfail(c, AG_EINVAL, "more values than conversions");
    return rc == AG_OK ? build_done(&b, out) : rc;
}

/* What stands between { and }: [name or number][!r][:spec]. */
static int field(struct ctx *c, struct build *b, const struct jstr *s, size_t i, size_t end, const struct call *call,
                 size_t *next) {
    struct spec f = { .precision = -1, .type = 0 };
    size_t from = i;
    while (i < end && s->p[i] != '!' && s->p[i] != ':') i++;
    const struct value *v = NULL;
    size_t k = from;
    int index = number_at(s, &k, -1);
    if (from == i) index = (int)(*next)++;
    else if (k != i) index = -1;
    if (index >= 0 && (size_t)index < call->n) v = &call->at[index];
    for (size_t w = 0; index < 0 && w < call->n_kw; w++)
        if (call->kw[w].key.s->n == i - from && !memcmp(call->kw[w].key.s->p, s->p + from, i - from)) v = &call->kw[w].value;
    if (!v) return jfail(c, AG_EINVAL, "format: no value for {%.*s}", i - from > 40 ? 40 : (int)(i - from), s->p + from);
    if (i < end && s->p[i] == '!') {
        f.type = i + 1 < end ? s->p[i + 1] : 0;
        i += 2;
        if (f.type != 'r' && f.type != 's') return jfail(c, AG_ENOTSUP, "format: want !r or !s");
    }
    if (i < end && s->p[i] == ':') {
        i++;
        if (i + 1 < end && s->p[i + 1] && strchr("<>^", s->p[i + 1])) f.fill = s->p[i++];
        if (i < end && s->p[i] && strchr("<>^", s->p[i])) {
            f.left = s->p[i] == '<', f.right = s->p[i] == '>', f.center = s->p[i] == '^';
            i++;
        }
        if (i < end && s->p[i] == '0') f.zero = true, i++;
        f.width = number_at(s, &i, 0);
        if (i < end && s->p[i] == '.') {
            i++;
            f.precision = number_at(s, &i, 0);
        }
        if (i < end && s->p[i] && strchr("sdfFeEgGxX", s->p[i])) f.type = f.type == 'r' ? 'r' : s->p[i++];
    }
    if (i != end || (unsigned char)f.fill >= 0x80) return jfail(c, AG_ENOTSUP, "format: the specification is not supported");
    if (!f.type && f.width > 0 && is_int(v)) f.type = 'd';
    if (!f.type && f.precision >= 0 && v->type == V_FLOAT) return jfail(c, AG_ENOTSUP, "format: want a type after the precision");
    if (!f.type) f.type = 's', f.right = f.right || (f.width > 0 && v->type == V_FLOAT && !f.left && !f.center);
    return one(c, b, &f, v);
}

int format_braces(struct ctx *c, const struct jstr *s, const struct call *call, struct value *out) {
    struct build b = { .c = c };
    size_t next = 0, cursor = 0;
    int rc = spend(c, 1 + s->n / 16);
    for (size_t i = 0; rc == AG_OK && i < s->n; i++) {
        char ch = s->p[i];
        if (ch != '{' && ch != '}') {
            build_add(&b, s->p + i, 1, str_literal_at(s, i, &cursor));
        } else if (i + 1 < s->n && s->p[i + 1] == ch) {
            build_add(&b, s->p + i, 1, str_literal_at(s, i, &cursor));
            i++;
        } else {
            const char *end = ch == '{' ? memchr(s->p + i, '}', s->n - i) : NULL;
            if (!end) return jfail(c, AG_EINVAL, "format: a single '%c'", ch);
            rc = field(c, &b, s, i + 1, (size_t)(end - s->p), call, &next);
            i = (size_t)(end - s->p);
        }
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}
