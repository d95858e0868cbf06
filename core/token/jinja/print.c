/* SPDX-License-Identifier: MIT */
/* print.c - values as text: str(), repr(), and JSON as json.dumps writes it. A container's text is the
 * template's only when all its strings are. */
#include "impl.h"

#include "token/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest text that reads back the same, as Python's repr. */
size_t float_text(double v, char to[32]) {
    if (isnan(v)) return (size_t)sprintf(to, "nan");
    if (isinf(v)) return (size_t)sprintf(to, v < 0 ? "-inf" : "inf");
    char digits[32];
    int precision = 1;
    do snprintf(digits, sizeof digits, "%.*e", precision - 1, v);
    while (strtod(digits, NULL) != v && precision++ < 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        char *e = strchr(digits, 'e');
        return (size_t)sprintf(to, "%.*se%c%02d", (int)(e - digits), digits, exponent < 0 ? '-' : '+',
                               abs(exponent));
    }
    int after = precision - 1 - exponent;
    size_t n = (size_t)snprintf(to, 32, "%.*f", after > 0 ? after : 1, v);
    return n;
}

/* ---- repr -------------------------------------------------------------------------------------- */

/* Characters that repr() escapes; code points that are not assigned are taken for printable. */
static bool hidden(uint32_t cp, unsigned cls) {
    if (cp < 32 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad) return true;
    if (cls & CLASS_SPACE && cp != ' ') return true;
    return (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xe000 && cp <= 0xf8ff) ||
           (cp >= 0xfff0 && cp <= 0xfffb) || cp >= 0xe0000;
}

static void repr_string(struct build *b, const struct jstr *s, bool literal) {
    char quote = memchr(s->p, '\'', s->n) && !memchr(s->p, '"', s->n) ? '"' : '\'';
    size_t len;
    build_add(b, &quote, 1, literal);
    for (size_t i = 0; i < s->n && b->rc == AG_OK; i += len) {
        uint32_t cp;
        char text[16];
        unsigned cls = utf8_class(s->p + i, s->n - i, &len);
        if (!utf8_decode(s->p + i, s->n - i, &cp)) cp = (unsigned char)s->p[i];
        const char *simple = cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : cp == '\t' ? "\\t" : cp == '\\' ? "\\\\" : NULL;
        if (simple) build_add(b, simple, 2, literal);
        else if (cp == (unsigned char)quote) build_add(b, quote == '"' ? "\\\"" : "\\'", 2, literal);
        else if (!hidden(cp, cls)) build_add(b, s->p + i, len, literal);
        else build_add(b, text, (size_t)sprintf(text, cp < 256 ? "\\x%02x" : cp < 65536 ? "\\u%04x" : "\\U%08x", cp),
                       literal);
    }
    build_add(b, &quote, 1, literal);
}

/* Is every string in it the template's? */
static int all_literal(struct ctx *c, const struct value *v, bool *out) {
    int rc = deeper(c);
    if (rc < 0) return rc;
    if (is_str(v)) *out = *out && str_all_literal(v->s);
    rc = spend(c, 1);
    if (is_seq(v))
        for (size_t i = 0; rc == AG_OK && *out && i < v->l->n; i++) rc = all_literal(c, &v->l->at[i], out);
    if (v->type == V_DICT)
        for (size_t i = 0; rc == AG_OK && *out && i < v->d->n; i++) {
            rc = all_literal(c, &v->d->at[i].key, out);
            if (rc == AG_OK) rc = all_literal(c, &v->d->at[i].value, out);
        }
    shallower(c);
    return rc;
}

static int repr(struct ctx *c, struct build *b, const struct value *v, bool literal);

static int repr_list(struct ctx *c, struct build *b, const struct value *v, bool literal) {
    int rc = AG_OK;
    build_add(b, v->type == V_LIST ? "[" : "(", 1, literal);
    for (size_t i = 0; rc == AG_OK && i < v->l->n; i++) {
        if (i) build_add(b, ", ", 2, literal);
        rc = repr(c, b, &v->l->at[i], literal);
    }
    if (v->type == V_TUPLE && v->l->n == 1) build_add(b, ",", 1, literal);
    build_add(b, v->type == V_LIST ? "]" : ")", 1, literal);
    return rc;
}

static int repr_dict(struct ctx *c, struct build *b, const struct value *v, bool literal) {
    int rc = AG_OK;
    build_add(b, "{", 1, literal);
    for (size_t i = 0; rc == AG_OK && i < v->d->n; i++) {
        if (i) build_add(b, ", ", 2, literal);
        rc = repr(c, b, &v->d->at[i].key, literal);
        build_add(b, ": ", 2, literal);
        if (rc == AG_OK) rc = repr(c, b, &v->d->at[i].value, literal);
    }
    build_add(b, "}", 1, literal);
    return rc;
}

static void plain(struct build *b, const char *text, bool literal) { build_add(b, text, strlen(text), literal); }

static int repr(struct ctx *c, struct build *b, const struct value *v, bool literal) {
    char text[32];
    int rc = deeper(c);
    if (rc == AG_OK) rc = spend(c, 1);
    if (rc < 0) return rc;
    switch (v->type) {
    case V_UNDEFINED: plain(b, "Undefined", literal); break;
    case V_NONE: plain(b, "None", literal); break;
    case V_BOOL: plain(b, v->b ? "True" : "False", literal); break;
    case V_INT: build_add(b, text, (size_t)sprintf(text, "%lld", (long long)v->i), literal); break;
    case V_FLOAT: build_add(b, text, float_text(v->f, text), literal); break;
    case V_STRING: repr_string(b, v->s, literal); break;
    case V_LIST:
    case V_TUPLE: rc = repr_list(c, b, v, literal); break;
    case V_DICT: rc = repr_dict(c, b, v, literal); break;
    default: rc = jfail(c, AG_ENOTSUP, "a %s has no text", type_name(v)); break;
    }
    shallower(c);
    return rc == AG_OK ? b->rc : rc;
}

int value_repr(struct ctx *c, const struct value *v, struct value *out) {
    struct build b = { .c = c };
    bool literal = true;
    int rc = all_literal(c, v, &literal);
    if (rc == AG_OK) rc = repr(c, &b, v, literal);
    return rc == AG_OK ? build_done(&b, out) : rc;
}

int value_str(struct ctx *c, const struct value *v, struct value *out) {
    if (is_str(v)) return *out = *v, AG_OK;
    if (v->type == V_UNDEFINED) return str_make(c, "", 0, true, out);
    return value_repr(c, v, out);
}

/* ---- JSON -------------------------------------------------------------------------------------- */

struct json_writer { struct ctx *c; struct build *b; const struct json_style *style; bool literal; };

static void json_string_text(struct json_writer *w, const struct jstr *s) {
    struct build *b = w->b;
    size_t done = 0, len;
    build_add(b, "\"", 1, w->literal);
    for (size_t i = 0; i < s->n && b->rc == AG_OK; i += len) {
        static const char from[] = "\"\\\n\r\t\f\b", by[] = "\"\\nrtfb";
        unsigned char ch = (unsigned char)s->p[i];
        const char *simple = ch ? strchr(from, ch) : NULL;
        char text[16];
        size_t n = 0;
        uint32_t cp = ch;
        len = 1;
        if (ch >= 0x80 && w->style->ascii) len = utf8_decode(s->p + i, s->n - i, &cp);
        if (!len) len = 1;
        if (simple) n = (size_t)sprintf(text, "\\%c", by[simple - from]);
        else if (ch < 32 || (w->style->ascii && cp >= 0x7f + 1u && cp < 0x10000))
            n = (size_t)sprintf(text, "\\u%04x", cp);
        else if (w->style->ascii && cp >= 0x10000)
            n = (size_t)sprintf(text, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10),
                                0xdc00 + ((cp - 0x10000) & 0x3ff));
        if (!n) continue;
        build_add(b, s->p + done, i - done, w->literal);
        build_add(b, text, n, w->literal);
        done = i + len;
    }
    build_add(b, s->p + done, s->n - done, w->literal);
    build_add(b, "\"", 1, w->literal);
}

static void separator(struct json_writer *w, bool first, int level) {
    const struct json_style *s = w->style;
    if (!first) build_add(w->b, s->item_sep->p, s->item_sep->n, w->literal);
    if (s->indent < 0) return;
    build_add(w->b, "\n", 1, w->literal);
    for (int i = 0; i < level && w->b->rc == AG_OK; i++) {
        if (s->indent_text) build_add(w->b, s->indent_text->p, s->indent_text->n, w->literal);
        else for (int k = 0; k < s->indent; k++) build_add(w->b, " ", 1, w->literal);
    }
}

static int json(struct json_writer *w, const struct value *v, int level);

static int json_key(struct json_writer *w, const struct value *key) {
    if (is_str(key)) return json_string_text(w, key->s), AG_OK;
    if (key->type != V_NONE && !is_number(key))
        return jfail(w->c, AG_EINVAL, "tojson: want a string as key, found %s", type_name(key));
    build_add(w->b, "\"", 1, w->literal);
    int rc = json(w, key, 0);
    build_add(w->b, "\"", 1, w->literal);
    return rc;
}

/* Indices in the order of the keys' texts. */
static int sorted_keys(struct ctx *c, const struct dict *d, size_t **out) {
    size_t *at = *out = jalloc(c, (d->n + 1) * sizeof *at);
    if (!at) return AG_ENOMEM;
    for (size_t i = 0; i < d->n; i++) {
        size_t k = i;
        bool less = true;
        for (; k > 0; k--) {
            int rc = value_less(c, &d->at[i].key, &d->at[at[k - 1]].key, &less);
            if (rc < 0) return rc;
            if (!less) break;
            at[k] = at[k - 1];
        }
        at[k] = i;
    }
    return AG_OK;
}

static int json_dict(struct json_writer *w, const struct dict *d, int level) {
    size_t *order = NULL;
    int rc = w->style->sort ? sorted_keys(w->c, d, &order) : AG_OK;
    build_add(w->b, "{", 1, w->literal);
    for (size_t i = 0; rc == AG_OK && i < d->n; i++) {
        const struct pair *p = &d->at[order ? order[i] : i];
        separator(w, i == 0, level + 1);
        rc = json_key(w, &p->key);
        build_add(w->b, w->style->key_sep->p, w->style->key_sep->n, w->literal);
        if (rc == AG_OK) rc = json(w, &p->value, level + 1);
    }
    if (d->n) separator(w, true, level);
    build_add(w->b, "}", 1, w->literal);
    return rc;
}

static int json_list(struct json_writer *w, const struct list *l, int level) {
    int rc = AG_OK;
    build_add(w->b, "[", 1, w->literal);
    for (size_t i = 0; rc == AG_OK && i < l->n; i++) {
        separator(w, i == 0, level + 1);
        rc = json(w, &l->at[i], level + 1);
    }
    if (l->n) separator(w, true, level);
    build_add(w->b, "]", 1, w->literal);
    return rc;
}

static int json(struct json_writer *w, const struct value *v, int level) {
    char text[32];
    int rc = deeper(w->c);
    if (rc == AG_OK) rc = spend(w->c, 1);
    if (rc < 0) return rc;
    switch (v->type) {
    case V_NONE: plain(w->b, "null", w->literal); break;
    case V_BOOL: plain(w->b, v->b ? "true" : "false", w->literal); break;
    case V_INT: plain(w->b, (sprintf(text, "%lld", (long long)v->i), text), w->literal); break;
    case V_FLOAT:
        if (isnan(v->f)) plain(w->b, "NaN", w->literal);
        else if (isinf(v->f)) plain(w->b, v->f < 0 ? "-Infinity" : "Infinity", w->literal);
        else build_add(w->b, text, float_text(v->f, text), w->literal);
        break;
    case V_STRING: json_string_text(w, v->s); break;
    case V_LIST:
    case V_TUPLE: rc = json_list(w, v->l, level); break;
    case V_DICT: rc = json_dict(w, v->d, level); break;
    default: rc = jfail(w->c, AG_EINVAL, "tojson: %s is no JSON", type_name(v)); break;
    }
    shallower(w->c);
    return rc == AG_OK ? w->b->rc : rc;
}

int value_json(struct ctx *c, const struct value *v, const struct json_style *style, struct value *out) {
    struct build b = { .c = c };
    struct json_writer w = { c, &b, style, true };
    int rc = all_literal(c, v, &w.literal);
    if (rc == AG_OK) rc = json(&w, v, 0);
    return rc == AG_OK ? build_done(&b, out) : rc;
}
