/* SPDX-License-Identifier: MIT */
/* functions.c - the functions templates find, and the attributes of `loop`. */
#include "impl.h"

#include <stdio.h>

enum { MAX_RANGE = 100000 }; /* as the sandbox of jinja2 */

static int fn_range(struct ctx *c, const struct call *a, struct value *out) {
    int64_t v[3] = { 0, 0, 1 };
    int rc = call_check(c, "range", a, 1, 3, NULL);
    for (size_t i = 0; rc == AG_OK && i < a->n; i++) rc = call_int(c, "range", &a->at[i], &v[i]);
    if (rc < 0) return rc;
    if (a->n == 1) v[1] = v[0], v[0] = 0;
    if (!v[2]) return jfail(c, AG_EINVAL, "range: the step is zero");
    rc = new_list(c, V_LIST, out);
    for (int64_t i = v[0]; rc == AG_OK && (v[2] > 0 ? i < v[1] : i > v[1]);) {
        if (out->l->n == MAX_RANGE) return jfail(c, AG_ENOMEM, "range: more than %d numbers", MAX_RANGE);
        rc = list_add(c, out->l, v_int(i));
        if (__builtin_add_overflow(i, v[2], &i)) break;
    }
    return rc;
}

/* A dict of the pairs of another, then of keywords. */
static int make_dict(struct ctx *c, const char *what, int type, const struct call *a, struct value *out) {
    if (a->n > 1 || (a->n && a->at[0].type != V_DICT))
        return jfail(c, AG_ENOTSUP, "%s: want a dict and keywords", what);
    int rc = new_dict(c, type, out);
    for (size_t i = 0; rc == AG_OK && a->n && i < a->at[0].d->n; i++)
        rc = dict_set(c, out->d, a->at[0].d->at[i].key, a->at[0].d->at[i].value);
    for (size_t i = 0; rc == AG_OK && i < a->n_kw; i++) rc = dict_set(c, out->d, a->kw[i].key, a->kw[i].value);
    return rc;
}
static int fn_dict(struct ctx *c, const struct call *a, struct value *out) {
    return make_dict(c, "dict", V_DICT, a, out);
}
static int fn_namespace(struct ctx *c, const struct call *a, struct value *out) {
    return make_dict(c, "namespace", V_NAMESPACE, a, out);
}

static int fn_raise(struct ctx *c, const struct call *a, struct value *out) {
    struct value s;
    (void)out;
    int rc = call_check(c, "raise_exception", a, 1, 1, NULL);
    if (rc == AG_OK) rc = value_str(c, &a->at[0], &s);
    return rc == AG_OK ? jfail(c, AG_EINVAL, "%.*s", s.s->n > 600 ? 600 : (int)s.s->n, s.s->p) : rc;
}

/* ---- time -------------------------------------------------------------------------------------- */

struct moment { int year, month, day, hour, minute, second, weekday, yearday; };

static bool read_moment(const char *now, struct moment *m) {
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    *m = (struct moment){ 0 };
    int n = now ? sscanf(now, "%4d-%2d-%2d%*c%2d:%2d:%2d", &m->year, &m->month, &m->day, &m->hour, &m->minute,
                         &m->second) : 0;
    if (n < 3 || m->year < 1 || m->month < 1 || m->month > 12 || m->day < 1 || m->day > 31 || m->hour < 0 ||
        m->hour > 23 || m->minute < 0 || m->minute > 59 || m->second < 0 || m->second > 60)
        return false;
    bool leap = (m->year % 4 == 0 && m->year % 100) || m->year % 400 == 0;
    int y = m->year - 1;
    m->yearday = before[m->month - 1] + m->day + (leap && m->month > 2);
    m->weekday = (y * 365 + y / 4 - y / 100 + y / 400 + m->yearday) % 7; /* 0 = Sunday */
    return true;
}

static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July",
                                      "August", "September", "October", "November", "December" };
static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
                                    "Saturday" };

/* One conversion; false when it is not known. */
static bool time_part(const struct moment *m, char what, bool bare, char to[64]) {
    const char *pad = bare ? "%d" : "%02d";
    int twelve = m->hour % 12 ? m->hour % 12 : 12;
    switch (what) {
    case 'Y': return sprintf(to, "%04d", m->year), true;
    case 'y': return sprintf(to, pad, m->year % 100), true;
    case 'm': return sprintf(to, pad, m->month), true;
    case 'd': return sprintf(to, pad, m->day), true;
    case 'e': return sprintf(to, bare ? "%d" : "%2d", m->day), true;
    case 'H': return sprintf(to, pad, m->hour), true;
    case 'I': return sprintf(to, pad, twelve), true;
    case 'M': return sprintf(to, pad, m->minute), true;
    case 'S': return sprintf(to, pad, m->second), true;
    case 'p': return sprintf(to, m->hour < 12 ? "AM" : "PM"), true;
    case 'j': return sprintf(to, bare ? "%d" : "%03d", m->yearday), true;
    case 'B': return sprintf(to, "%s", months[m->month - 1]), true;
    case 'b': return sprintf(to, "%.3s", months[m->month - 1]), true;
    case 'A': return sprintf(to, "%s", days[m->weekday]), true;
    case 'a': return sprintf(to, "%.3s", days[m->weekday]), true;
    case 'w': return sprintf(to, "%d", m->weekday), true;
    case 'F': return sprintf(to, "%04d-%02d-%02d", m->year, m->month, m->day), true;
    case 'T': return sprintf(to, "%02d:%02d:%02d", m->hour, m->minute, m->second), true;
    case '%': return sprintf(to, "%%"), true;
    default: return false;
    }
}

static int fn_strftime_now(struct ctx *c, const struct call *a, struct value *out) {
    struct build b = { .c = c };
    struct moment m;
    int rc = call_check(c, "strftime_now", a, 1, 1, NULL);
    if (rc < 0) return rc;
    if (!is_str(&a->at[0])) return jfail(c, AG_EINVAL, "strftime_now: want a string");
    if (!read_moment(c->now, &m))
        return jfail(c, AG_EINVAL, "strftime_now: want the time as YYYY-MM-DDTHH:MM:SS, found '%.40s'",
                     c->now ? c->now : "");
    const struct jstr *f = a->at[0].s;
    for (size_t i = 0; i < f->n && b.rc == AG_OK; i++) {
        char text[64];
        if (f->p[i] != '%') {
            size_t cursor = 0;
            build_add(&b, f->p + i, 1, str_literal_at(f, i, &cursor));
            continue;
        }
        bool bare = i + 1 < f->n && f->p[i + 1] == '-';
        i += 1 + bare;
        if (i >= f->n || !time_part(&m, f->p[i], bare, text))
            return jfail(c, AG_ENOTSUP, "strftime_now: the conversion %%%c is not supported",
                         i < f->n && f->p[i] > 32 && f->p[i] < 127 ? f->p[i] : '?');
        build_text(&b, text);
    }
    return build_done(&b, out);
}

const struct function jinja_functions[] = {
    { "range", fn_range }, { "namespace", fn_namespace }, { "dict", fn_dict },
    { "raise_exception", fn_raise }, { "strftime_now", fn_strftime_now }, { NULL, NULL },
};

int loop_attr(struct ctx *c, const struct loop *l, const char *name, size_t n, struct value *out) {
    int64_t i = (int64_t)l->i, all = (int64_t)l->items.n;
    const struct { const char *name; struct value v; } attr[] = {
        { "index", v_int(i + 1) }, { "index0", v_int(i) }, { "first", v_bool(i == 0) },
        { "last", v_bool(i + 1 >= all) }, { "length", v_int(all) }, { "revindex", v_int(all - i) },
        { "revindex0", v_int(all - i - 1) }, { "depth", v_int(1) }, { "depth0", v_int(0) },
        { "previtem", i ? l->items.at[i - 1] : v_undefined("loop.previtem") },
        { "nextitem", i + 1 < all ? l->items.at[i + 1] : v_undefined("loop.nextitem") },
    };
    for (size_t k = 0; k < sizeof attr / sizeof *attr; k++)
        if (strlen(attr[k].name) == n && !memcmp(attr[k].name, name, n)) return *out = attr[k].v, AG_OK;
    return jfail(c, AG_ENOTSUP, "loop.%.*s is not supported", n > 40 ? 40 : (int)n, name);
}
