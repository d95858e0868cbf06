/* SPDX-License-Identifier: MIT */
/* methods.c - methods of strings, dicts and lists. All of Python's names are known, since they hide
 * items of a dict in a.b; only what templates use can be called. */
#include "impl.h"

#include "token/unicode.h"

typedef int method_fn(struct ctx *, const struct value *self, const struct call *, struct value *out);
struct entry { const char *name; method_fn *fn; uint8_t min, max; };

static int want_text(struct ctx *c, const struct value *v, const struct jstr **out) {
    static const struct jstr none = { .p = "" };
    *out = &none;
    if (v->type == V_UNDEFINED) return undefined_fail(c, v);
    if (!is_str(v)) return jfail(c, AG_EINVAL, "want a string, found %s", type_name(v));
    return *out = v->s, AG_OK;
}

/* ---- str --------------------------------------------------------------------------------------- */

static int strip(struct ctx *c, const struct value *self, const struct call *a, bool left, bool right,
                 struct value *out) {
    const struct jstr *set = NULL;
    size_t from, to;
    int rc = a->n && a->at[0].type != V_NONE ? want_text(c, &a->at[0], &set) : AG_OK;
    if (rc < 0) return rc;
    str_strip(self->s, set, left, right, &from, &to);
    rc = spend(c, 1 + (self->s->n - (to - from)) / 16 * (1 + (set ? set->n / 16 : 0)));
    return rc == AG_OK ? str_slice(c, self->s, from, to, out) : rc;
}
static int s_strip(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    return strip(c, self, a, true, true, out);
}
static int s_lstrip(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    return strip(c, self, a, true, false, out);
}
static int s_rstrip(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    return strip(c, self, a, false, true, out);
}

static int add_part(struct ctx *c, const struct jstr *s, size_t from, size_t to, struct list *l) {
    struct value v;
    int rc = str_slice(c, s, from, to, &v);
    return rc == AG_OK ? list_add(c, l, v) : rc;
}

static int split_space(struct ctx *c, const struct jstr *s, int64_t max, struct list *l) {
    int rc = spend(c, s->n / 32);
    size_t i = 0, len;
    while (rc == AG_OK) {
        while (i < s->n && is_space_at(s->p + i, s->n - i, &len)) i += len;
        if (i >= s->n) break;
        size_t from = i, to = s->n;
        if (max >= 0 && (int64_t)l->n >= max) {
            i = s->n; /* the rest as it is */
        } else {
            while (i < s->n && !is_space_at(s->p + i, s->n - i, &len)) i += len;
            to = i;
        }
        rc = add_part(c, s, from, to, l);
    }
    return rc;
}

static int s_split(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct value *sep = call_arg(a, 0, "sep"), *most = call_arg(a, 1, "maxsplit");
    const struct jstr *s = self->s, *by;
    int64_t max = -1;
    int rc = most ? call_int(c, "split", most, &max) : AG_OK;
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    if (rc < 0) return rc;
    if (!sep || sep->type == V_NONE) return split_space(c, s, max, out->l);
    rc = want_text(c, sep, &by);
    if (rc == AG_OK && !by->n) rc = jfail(c, AG_EINVAL, "split: the separator is empty");
    if (rc == AG_OK) rc = spend(c, s->n / 64);
    size_t from = 0;
    while (rc == AG_OK && (max < 0 || (int64_t)out->l->n < max)) {
        size_t at = text_find(s->p, s->n, from, by->p, by->n);
        if (at == SIZE_MAX) break;
        rc = add_part(c, s, from, at, out->l);
        from = at + by->n;
    }
    return rc == AG_OK ? add_part(c, s, from, s->n, out->l) : rc;
}

static size_t find_last(const struct jstr *s, size_t end, const struct jstr *what) {
    for (size_t i = end; i + 1 > what->n; i--)
        if (!memcmp(s->p + i - what->n, what->p, what->n)) return i - what->n;
    return SIZE_MAX;
}

static int s_rsplit(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct value *sep = call_arg(a, 0, "sep"), *most = call_arg(a, 1, "maxsplit");
    const struct jstr *by;
    int64_t max = -1;
    if (!most) return s_split(c, self, a, out);
    if (!sep || sep->type == V_NONE) return jfail(c, AG_ENOTSUP, "rsplit by white space with a limit is not supported");
    int rc = call_int(c, "rsplit", most, &max);
    if (rc == AG_OK) rc = want_text(c, sep, &by);
    if (rc == AG_OK && !by->n) rc = jfail(c, AG_EINVAL, "rsplit: the separator is empty");
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    if (rc == AG_OK) rc = spend(c, self->s->n / 8 * (1 + by->n / 8));
    size_t end = self->s->n;
    while (rc == AG_OK && (max < 0 || (int64_t)out->l->n < max)) {
        size_t at = find_last(self->s, end, by);
        if (at == SIZE_MAX) break;
        rc = add_part(c, self->s, at + by->n, end, out->l);
        end = at;
    }
    if (rc == AG_OK) rc = add_part(c, self->s, 0, end, out->l);
    for (size_t i = 0; rc == AG_OK && i < out->l->n / 2; i++) {
        struct value v = out->l->at[i];
        out->l->at[i] = out->l->at[out->l->n - 1 - i];
        out->l->at[out->l->n - 1 - i] = v;
    }
    return rc;
}

static int s_splitlines(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *s = self->s;
    const struct value *keep = call_arg(a, 0, "keepends");
    int rc = new_list(c, V_LIST, out);
    for (size_t i = 0, end; rc == AG_OK && i < s->n; i = end) {
        size_t stop = i;
        while (stop < s->n && s->p[stop] != '\n' && s->p[stop] != '\r') stop++;
        end = stop < s->n ? stop + 1 : stop;
        if (stop + 1 < s->n && s->p[stop] == '\r' && s->p[stop + 1] == '\n') end++;
        rc = add_part(c, s, i, keep && truthy(keep) ? end : stop, out->l);
    }
    return rc;
}

static bool at_end(const struct jstr *s, const struct jstr *what, bool start) {
    return what->n <= s->n && !memcmp(start ? s->p : s->p + s->n - what->n, what->p, what->n);
}

static int begins(struct ctx *c, const struct value *self, const struct call *a, bool start, struct value *out) {
    const struct jstr *what;
    bool yes = false;
    const struct value *v = &a->at[0];
    int rc = AG_OK;
    if (v->type == V_TUPLE) {
        for (size_t i = 0; rc == AG_OK && !yes && i < v->l->n; i++) {
            rc = want_text(c, &v->l->at[i], &what);
            yes = rc == AG_OK && at_end(self->s, what, start);
        }
    } else {
        rc = want_text(c, v, &what);
        yes = rc == AG_OK && at_end(self->s, what, start);
    }
    return *out = v_bool(yes), rc;
}
static int s_startswith(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    return begins(c, self, a, true, out);
}
static int s_endswith(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    return begins(c, self, a, false, out);
}

static int s_removeprefix(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *what;
    int rc = want_text(c, &a->at[0], &what);
    if (rc < 0) return rc;
    return str_slice(c, self->s, at_end(self->s, what, true) ? what->n : 0, self->s->n, out);
}
static int s_removesuffix(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *what;
    int rc = want_text(c, &a->at[0], &what);
    if (rc < 0) return rc;
    return str_slice(c, self->s, 0, self->s->n - (at_end(self->s, what, false) ? what->n : 0), out);
}

static int s_replace(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *what, *by;
    int64_t count = -1;
    int rc = want_text(c, &a->at[0], &what);
    if (rc == AG_OK) rc = want_text(c, &a->at[1], &by);
    if (rc == AG_OK && a->n > 2) rc = call_int(c, "replace", &a->at[2], &count);
    return rc == AG_OK ? str_replace(c, self->s, what, by, count, out) : rc;
}

static int s_upper(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return str_case(c, self->s, CASE_UPPER, out);
}
static int s_lower(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return str_case(c, self->s, CASE_LOWER, out);
}
static int s_title(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return str_case(c, self->s, CASE_TITLE, out);
}
static int s_capitalize(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return str_case(c, self->s, CASE_CAPITAL, out);
}

static int s_join(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    struct build b = { .c = c };
    struct list items;
    const struct jstr *s;
    int rc = value_items(c, &a->at[0], &items);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        rc = want_text(c, &items.at[i], &s);
        if (rc < 0) break;
        if (i) build_str(&b, self->s, 0, self->s->n);
        build_str(&b, s, 0, s->n);
        rc = spend(c, 1);
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}

static int found(struct ctx *c, const struct value *self, size_t at, struct value *out) {
    const struct jstr before = { .p = self->s->p, .n = at };
    *out = v_int(at == SIZE_MAX ? -1 : (int64_t)str_length(&before));
    return spend(c, 1 + self->s->n / 64);
}
static int s_find(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *what;
    int rc = want_text(c, &a->at[0], &what);
    return rc == AG_OK ? found(c, self, text_find(self->s->p, self->s->n, 0, what->p, what->n), out) : rc;
}
static int s_rfind(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *what;
    int rc = want_text(c, &a->at[0], &what);
    if (rc == AG_OK) rc = spend(c, self->s->n / 8 * (1 + what->n / 8));
    return rc == AG_OK ? found(c, self, find_last(self->s, self->s->n, what), out) : rc;
}
static int s_count(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    const struct jstr *what;
    int64_t n = 0;
    int rc = want_text(c, &a->at[0], &what);
    if (rc == AG_OK && !what->n) return *out = v_int((int64_t)str_length(self->s) + 1), AG_OK;
    for (size_t i = 0; rc == AG_OK; n++) {
        i = text_find(self->s->p, self->s->n, i, what->p, what->n);
        if (i == SIZE_MAX) break;
        i += what->n;
    }
    if (rc == AG_OK) rc = spend(c, 1 + self->s->n / 64);
    return *out = v_int(n), rc;
}

/* Not empty, and each character of a class of the mask. */
static int all_of(struct ctx *c, const struct value *self, unsigned mask, struct value *out) {
    size_t len;
    bool yes = self->s->n > 0;
    for (size_t i = 0; yes && i < self->s->n; i += len) yes = utf8_class(self->s->p + i, self->s->n - i, &len) & mask;
    return *out = v_bool(yes), spend(c, 1 + self->s->n / 16);
}
enum { LETTERS = CLASS_UPPER | CLASS_LOWER | CLASS_LETTER };
static int s_isdigit(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return all_of(c, self, CLASS_NUMBER, out);
}
static int s_isalpha(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return all_of(c, self, LETTERS, out);
}
static int s_isalnum(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return all_of(c, self, LETTERS | CLASS_NUMBER, out);
}
static int s_isspace(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    return all_of(c, self, CLASS_SPACE, out);
}
static int s_format(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    return format_braces(c, self->s, a, out);
}

static const struct entry str_methods[] = {
    { "strip", s_strip, 0, 1 }, { "lstrip", s_lstrip, 0, 1 }, { "rstrip", s_rstrip, 0, 1 },
    { "split", s_split, 0, 2 }, { "rsplit", s_rsplit, 0, 2 }, { "splitlines", s_splitlines, 0, 1 },
    { "startswith", s_startswith, 1, 1 }, { "endswith", s_endswith, 1, 1 },
    { "removeprefix", s_removeprefix, 1, 1 }, { "removesuffix", s_removesuffix, 1, 1 },
    { "replace", s_replace, 2, 3 }, { "upper", s_upper, 0, 0 }, { "lower", s_lower, 0, 0 },
    { "title", s_title, 0, 0 }, { "capitalize", s_capitalize, 0, 0 }, { "join", s_join, 1, 1 },
    { "find", s_find, 1, 1 }, { "rfind", s_rfind, 1, 1 }, { "count", s_count, 1, 1 },
    { "isdigit", s_isdigit, 0, 0 }, { "isalpha", s_isalpha, 0, 0 }, { "isalnum", s_isalnum, 0, 0 },
    { "isspace", s_isspace, 0, 0 }, { "format", s_format, 0, UINT8_MAX },
    { "casefold", NULL, 0, 0 }, { "center", NULL, 0, 0 }, { "encode", NULL, 0, 0 },
    { "expandtabs", NULL, 0, 0 }, { "format_map", NULL, 0, 0 }, { "index", NULL, 0, 0 },
    { "isascii", NULL, 0, 0 }, { "isdecimal", NULL, 0, 0 }, { "isidentifier", NULL, 0, 0 },
    { "islower", NULL, 0, 0 }, { "isnumeric", NULL, 0, 0 }, { "isprintable", NULL, 0, 0 },
    { "istitle", NULL, 0, 0 }, { "isupper", NULL, 0, 0 }, { "ljust", NULL, 0, 0 },
    { "maketrans", NULL, 0, 0 }, { "partition", NULL, 0, 0 }, { "rindex", NULL, 0, 0 },
    { "rjust", NULL, 0, 0 }, { "rpartition", NULL, 0, 0 }, { "swapcase", NULL, 0, 0 },
    { "translate", NULL, 0, 0 }, { "zfill", NULL, 0, 0 }, { NULL, NULL, 0, 0 },
};

/* ---- dict -------------------------------------------------------------------------------------- */

static int d_get(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    struct value *v;
    int rc = dict_find(c, self->d, &a->at[0], &v);
    if (rc == AG_OK) *out = v ? *v : a->n > 1 ? a->at[1] : v_none();
    return rc;
}

static int d_items(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    static const char name[] = "items";
    (void)a;
    const struct call none = { 0 };
    int rc = apply_filter(c, name, sizeof name - 1, self, &none, out);
    if (rc == AG_OK) out->l->generator = false; /* a view has a length */
    return rc;
}

static int d_keys(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    int rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < self->d->n; i++) rc = list_add(c, out->l, self->d->at[i].key);
    return rc;
}

static int d_values(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    int rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < self->d->n; i++) rc = list_add(c, out->l, self->d->at[i].value);
    return rc;
}

static int d_copy(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    (void)a;
    int rc = new_dict(c, V_DICT, out);
    for (size_t i = 0; rc == AG_OK && i < self->d->n; i++)
        rc = dict_set(c, out->d, self->d->at[i].key, self->d->at[i].value);
    return rc;
}

static const struct entry dict_methods[] = {
    { "get", d_get, 1, 2 }, { "items", d_items, 0, 0 }, { "keys", d_keys, 0, 0 },
    { "values", d_values, 0, 0 }, { "copy", d_copy, 0, 0 }, { "clear", NULL, 0, 0 },
    { "fromkeys", NULL, 0, 0 }, { "pop", NULL, 0, 0 }, { "popitem", NULL, 0, 0 },
    { "setdefault", NULL, 0, 0 }, { "update", NULL, 0, 0 }, { NULL, NULL, 0, 0 },
};

/* ---- list: append and pop are what jinja2's immutable sandbox refuses, but templates are seen that
 * cannot do without ---- */

static int l_append(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    *out = v_none();
    return list_add(c, self->l, a->at[0]);
}

static int l_pop(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    int64_t n = (int64_t)self->l->n, i = n - 1;
    int rc = a->n ? call_int(c, "pop", &a->at[0], &i) : AG_OK;
    if (rc < 0) return rc;
    if (i < 0) i += n;
    if (i < 0 || i >= n) return jfail(c, AG_EINVAL, "pop: the list has %lld items", (long long)n);
    /* A loop over the list keeps its own view: the rest moves to new memory. */
    struct list rest = { 0 };
    *out = self->l->at[i];
    for (int64_t k = 0; rc == AG_OK && k < n; k++)
        if (k != i) rc = list_add(c, &rest, self->l->at[k]);
    *self->l = rest;
    return rc;
}

static int l_index(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    for (size_t i = 0; i < self->l->n; i++) {
        bool same;
        int rc = value_equal(c, &self->l->at[i], &a->at[0], &same);
        if (rc < 0) return rc;
        if (same) return *out = v_int((int64_t)i), AG_OK;
    }
    return jfail(c, AG_EINVAL, "index: the list has no such item");
}

static int l_count(struct ctx *c, const struct value *self, const struct call *a, struct value *out) {
    int64_t n = 0;
    for (size_t i = 0; i < self->l->n; i++) {
        bool same;
        int rc = value_equal(c, &self->l->at[i], &a->at[0], &same);
        if (rc < 0) return rc;
        n += same;
    }
    return *out = v_int(n), AG_OK;
}

static const struct entry list_methods[] = {
    { "index", l_index, 1, 1 }, { "count", l_count, 1, 1 }, { "append", l_append, 1, 1 },
    { "pop", l_pop, 0, 1 }, { "clear", NULL, 0, 0 }, { "copy", NULL, 0, 0 }, { "extend", NULL, 0, 0 },
    { "insert", NULL, 0, 0 }, { "remove", NULL, 0, 0 }, { "reverse", NULL, 0, 0 },
    { "sort", NULL, 0, 0 }, { NULL, NULL, 0, 0 },
}, tuple_methods[] = {
    { "index", l_index, 1, 1 }, { "count", l_count, 1, 1 }, { NULL, NULL, 0, 0 },
};

static const struct entry *table_of(const struct value *v) {
    switch (v->type) {
    case V_STRING: return str_methods;
    case V_DICT: return dict_methods;
    case V_LIST: return list_methods;
    case V_TUPLE: return tuple_methods;
    default: return NULL;
    }
}

const char *method_name(const struct value *of, const char *name, size_t n) {
    for (const struct entry *e = table_of(of); e && e->name; e++)
        if (strlen(e->name) == n && !memcmp(e->name, name, n)) return e->name;
    return NULL;
}

int call_method(struct ctx *c, const struct method *m, const struct call *call, struct value *out) {
    static const char *const split_names[] = { "sep", "maxsplit", NULL }, *const line_names[] = { "keepends", NULL },
        *const no_names[] = { NULL };
    const struct entry *e = table_of(&m->self);
    while (strcmp(e->name, m->name)) e++; /* method_name found it there */
    if (!e->fn) return jfail(c, AG_ENOTSUP, "the method %s.%s is not supported", type_name(&m->self), m->name);
    bool split = e->fn == s_split || e->fn == s_rsplit, lines = e->fn == s_splitlines;
    if (e->fn != s_format) {
        int rc = call_check(c, m->name, call, e->min, e->max, split ? split_names : lines ? line_names : no_names);
        if (rc < 0) return rc;
    }
    return e->fn(c, &m->self, call, out);
}
