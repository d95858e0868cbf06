/* SPDX-License-Identifier: MIT */
/* value.c - values: truth, equality, order, membership, and JSON made into them. */
#include "impl.h"

#include <stdarg.h>
#include <stdio.h>

const struct jinja_limits jinja_default_limits = {
    .steps = 50u << 20, .depth = 600, .output = 64u << 20, .memory = 512u << 20,
};

int jfail(struct ctx *c, int code, const char *fmt, ...) {
    char text[768];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127) *p = ' '; /* one line */
    return lex_fail(code, c->at ? c->at->line : 1, c->at ? c->at->col : 1, "%s", text);
}

int spend(struct ctx *c, uint64_t steps) {
    if (steps > c->limit.steps - c->steps)
        return jfail(c, AG_ENOMEM, "the template takes more than the %llu steps it may",
                     (unsigned long long)c->limit.steps);
    c->steps += steps;
    return AG_OK;
}

int deeper(struct ctx *c) {
    if (c->depth >= c->limit.depth)
        return jfail(c, AG_ENOMEM, "nested deeper than the %u levels allowed", c->limit.depth);
    c->depth++;
    return AG_OK;
}

void *jalloc(struct ctx *c, size_t bytes) { return arena_alloc(&c->arena, bytes); }

const char *type_name(const struct value *v) {
    static const char *const names[] = {
        "undefined", "None", "bool", "int", "float", "str", "list", "tuple", "dict", "namespace",
        "macro", "method", "function", "loop", "object",
    };
    return names[v->type];
}

bool truthy(const struct value *v) {
    switch (v->type) {
    case V_UNDEFINED:
    case V_NONE: return false;
    case V_BOOL: return v->b;
    case V_INT: return v->i != 0;
    case V_FLOAT: return v->f != 0;
    case V_STRING: return v->s->n > 0;
    case V_LIST:
    case V_TUPLE: return v->l->n > 0 || v->l->generator;
    case V_DICT: return v->d->n > 0;
    default: return true;
    }
}

int undefined_fail(struct ctx *c, const struct value *v) {
    return jfail(c, AG_EINVAL, "'%.80s' is undefined", v->name ? v->name : "value");
}

bool text_is(const struct jstr *s, const char *text) {
    return s->n == strlen(text) && !memcmp(s->p, text, s->n);
}

static int list_equal(struct ctx *c, const struct list *a, const struct list *b, bool *out) {
    int rc = deeper(c);
    *out = a->n == b->n;
    for (size_t i = 0; rc == AG_OK && *out && i < a->n; i++) rc = value_equal(c, &a->at[i], &b->at[i], out);
    shallower(c);
    return rc;
}

static int dict_equal(struct ctx *c, const struct dict *a, const struct dict *b, bool *out) {
    int rc = deeper(c);
    *out = a->n == b->n;
    for (size_t i = 0; rc == AG_OK && *out && i < a->n; i++) {
        struct value *other;
        rc = dict_find(c, b, &a->at[i].key, &other);
        *out = other != NULL;
        if (rc == AG_OK && other) rc = value_equal(c, &a->at[i].value, other, out);
    }
    shallower(c);
    return rc;
}

int value_equal(struct ctx *c, const struct value *a, const struct value *b, bool *out) {
    int rc = spend(c, 1);
    *out = false;
    if (rc < 0) return rc;
    if (is_number(a) && is_number(b)) {
        *out = is_int(a) && is_int(b) ? as_int(a) == as_int(b) : as_float(a) == as_float(b);
        return AG_OK;
    }
    if (a->type != b->type) return AG_OK;
    switch (a->type) {
    case V_UNDEFINED:
    case V_NONE: return *out = true, AG_OK;
    case V_STRING:
        *out = a->s->n == b->s->n && !memcmp(a->s->p, b->s->p, a->s->n);
        return *out ? spend(c, a->s->n / 64) : AG_OK;
    case V_LIST:
    case V_TUPLE: return list_equal(c, a->l, b->l, out);
    case V_DICT: return dict_equal(c, a->d, b->d, out);
    case V_METHOD: return *out = a->method == b->method, AG_OK;
    default: return *out = a->d == b->d, AG_OK;
    }
}

static int list_less(struct ctx *c, const struct list *a, const struct list *b, bool *out) {
    int rc = deeper(c);
    size_t i = 0, n = a->n < b->n ? a->n : b->n;
    bool same = true;
    for (; rc == AG_OK && i < n; i++) {
        rc = value_equal(c, &a->at[i], &b->at[i], &same);
        if (!same) break;
    }
    if (rc == AG_OK && i < n) rc = value_less(c, &a->at[i], &b->at[i], out);
    else *out = a->n < b->n;
    shallower(c);
    return rc;
}

int value_less(struct ctx *c, const struct value *a, const struct value *b, bool *out) {
    int rc = spend(c, 1);
    *out = false;
    if (rc < 0) return rc;
    if (is_number(a) && is_number(b)) {
        *out = is_int(a) && is_int(b) ? as_int(a) < as_int(b) : as_float(a) < as_float(b);
        return AG_OK;
    }
    if (is_str(a) && is_str(b)) { /* UTF-8 sorts as its code points do */
        size_t n = a->s->n < b->s->n ? a->s->n : b->s->n;
        int d = memcmp(a->s->p, b->s->p, n);
        *out = d < 0 || (d == 0 && a->s->n < b->s->n);
        return spend(c, n / 64);
    }
    if (is_seq(a) && a->type == b->type) return list_less(c, a->l, b->l, out);
    if (a->type == V_UNDEFINED) return undefined_fail(c, a);
    if (b->type == V_UNDEFINED) return undefined_fail(c, b);
    return jfail(c, AG_EINVAL, "%s and %s have no order", type_name(a), type_name(b));
}

int value_contains(struct ctx *c, const struct value *in, const struct value *what, bool *out) {
    *out = false;
    if (in->type == V_STRING) {
        if (what->type == V_UNDEFINED) return undefined_fail(c, what);
        if (!is_str(what))
            return jfail(c, AG_EINVAL, "want a string to look for in a string, found %s", type_name(what));
        *out = text_find(in->s->p, in->s->n, 0, what->s->p, what->s->n) != SIZE_MAX;
        return spend(c, 1 + in->s->n / 64);
    }
    if (in->type == V_DICT) {
        struct value *found;
        int rc = dict_find(c, in->d, what, &found);
        *out = found != NULL;
        return rc;
    }
    struct list items;
    int rc = value_items(c, in, &items);
    for (size_t i = 0; rc == AG_OK && !*out && i < items.n; i++)
        rc = value_equal(c, &items.at[i], what, out);
    return rc;
}

/* ---- containers -------------------------------------------------------------------------------- */

int new_list(struct ctx *c, int type, struct value *out) {
    *out = (struct value){ .type = (uint8_t)type, .l = jalloc(c, sizeof *out->l) };
    return out->l ? AG_OK : AG_ENOMEM;
}

int new_dict(struct ctx *c, int type, struct value *out) {
    *out = (struct value){ .type = (uint8_t)type, .d = jalloc(c, sizeof *out->d) };
    return out->d ? AG_OK : AG_ENOMEM;
}

int list_add(struct ctx *c, struct list *l, struct value v) {
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 4;
        l->at = arena_grow(&c->arena, l->at, l->n, cap, sizeof *l->at);
        if (!l->at) return AG_ENOMEM;
        l->cap = cap;
    }
    l->at[l->n++] = v;
    return spend(c, 1);
}

static int dict_append(struct ctx *c, struct dict *d, struct value key, struct value v) {
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 4;
        d->at = arena_grow(&c->arena, d->at, d->n, cap, sizeof *d->at);
        if (!d->at) return AG_ENOMEM;
        d->cap = cap;
    }
    d->at[d->n++] = (struct pair){ key, v };
    return spend(c, 1);
}

static int check_key(struct ctx *c, const struct value *key) {
    if (key->type == V_LIST || key->type == V_DICT)
        return jfail(c, AG_EINVAL, "a %s cannot be the key of a dict", type_name(key));
    return AG_OK;
}

int dict_find(struct ctx *c, const struct dict *d, const struct value *key, struct value **out) {
    int rc = check_key(c, key);
    *out = NULL;
    if (rc == AG_OK) rc = spend(c, d->n / 16);
    for (size_t i = 0; rc == AG_OK && i < d->n; i++) {
        const struct value *k = &d->at[i].key;
        bool same;
        if (key->type == V_STRING) {
            same = k->type == V_STRING && k->s->n == key->s->n && !memcmp(k->s->p, key->s->p, k->s->n);
        } else {
            rc = value_equal(c, k, key, &same);
        }
        if (rc == AG_OK && same) return *out = &d->at[i].value, AG_OK;
    }
    return rc;
}

struct value *dict_find_text(const struct dict *d, const char *key) {
    for (size_t i = 0; i < d->n; i++)
        if (d->at[i].key.type == V_STRING && text_is(d->at[i].key.s, key)) return &d->at[i].value;
    return NULL;
}

int dict_set(struct ctx *c, struct dict *d, struct value key, struct value v) {
    struct value *old;
    int rc = dict_find(c, d, &key, &old);
    if (rc < 0) return rc;
    if (old) return *old = v, AG_OK;
    return dict_append(c, d, key, v);
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static int object_from_json(struct ctx *c, const json_t *j, bool literal, struct value *out) {
    const char *key;
    size_t n;
    json_t *v;
    int rc = new_dict(c, V_DICT, out);
    if (rc < 0) return rc;
    json_object_keylen_foreach((json_t *)j, key, n, v) {
        struct value k, item;
        if ((rc = str_copy(c, key, n, literal, &k)) < 0) return rc;
        if ((rc = value_from_json(c, v, literal, &item)) < 0) return rc;
        if ((rc = dict_append(c, out->d, k, item)) < 0) return rc;
    }
    return AG_OK;
}

int value_from_json(struct ctx *c, const json_t *j, bool literal, struct value *out) {
    int rc = deeper(c);
    if (rc < 0) return rc;
    switch (json_typeof(j)) {
    case JSON_NULL: *out = v_none(); break;
    case JSON_TRUE: *out = v_bool(true); break;
    case JSON_FALSE: *out = v_bool(false); break;
    case JSON_INTEGER: *out = v_int(json_integer_value(j)); break;
    case JSON_REAL: *out = v_float(json_real_value(j)); break;
    case JSON_STRING: /* the JSON outlives the rendering */
        rc = str_make(c, json_string_value(j), json_string_length(j), literal, out);
        break;
    case JSON_OBJECT: rc = object_from_json(c, j, literal, out); break;
    case JSON_ARRAY:
        rc = new_list(c, V_LIST, out);
        for (size_t i = 0; rc == AG_OK && i < json_array_size(j); i++) {
            struct value item;
            rc = value_from_json(c, json_array_get(j, i), literal, &item);
            if (rc == AG_OK) rc = list_add(c, out->l, item);
        }
        break;
    }
    shallower(c);
    return rc;
}

static int string_items(struct ctx *c, const struct jstr *s, struct list *out) {
    int rc = AG_OK;
    for (size_t i = 0, end; rc == AG_OK && i < s->n; i = end) {
        struct value ch;
        for (end = i + 1; end < s->n && ((unsigned char)s->p[end] & 0xc0) == 0x80; end++) {}
        rc = str_slice(c, s, i, end, &ch);
        if (rc == AG_OK) rc = list_add(c, out, ch);
    }
    return rc;
}

int value_items(struct ctx *c, const struct value *v, struct list *out) {
    int rc = AG_OK;
    *out = (struct list){ 0 };
    switch (v->type) {
    case V_UNDEFINED: return AG_OK;
    case V_LIST:
    case V_TUPLE: return *out = *v->l, out->cap = out->n, out->generator = false, AG_OK;
    case V_STRING: return string_items(c, v->s, out);
    case V_DICT:
        for (size_t i = 0; rc == AG_OK && i < v->d->n; i++) rc = list_add(c, out, v->d->at[i].key);
        return rc;
    default: return jfail(c, AG_EINVAL, "%s cannot be iterated over", type_name(v));
    }
}
