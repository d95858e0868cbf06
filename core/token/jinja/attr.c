/* SPDX-License-Identifier: MIT */
/* attr.c - a.b, a[b] and a[b:c:d]. What is not there is undefined; what is asked of undefined fails. */
#include "impl.h"

static int method_of(struct ctx *c, const struct value *of, const char *name, struct value *out) {
    struct method *m = jalloc(c, sizeof *m);
    if (!m) return AG_ENOMEM;
    *m = (struct method){ *of, name };
    *out = (struct value){ .type = V_METHOD, .method = m };
    return AG_OK;
}

static int missing(struct ctx *c, const char *name, size_t n, struct value *out) {
    char *copy = jalloc(c, n + 1);
    if (!copy) return AG_ENOMEM;
    memcpy(copy, name, n);
    return *out = v_undefined(copy), AG_OK;
}

static int item_named(struct ctx *c, const struct value *of, const char *name, size_t n, struct value *out,
                      bool *found) {
    struct jstr s = { .p = name, .n = n };
    const struct value key = v_str(&s);
    struct value *v;
    int rc = dict_find(c, of->d, &key, &v);
    *found = v != NULL;
    if (v) *out = *v;
    return rc;
}

int get_attr(struct ctx *c, const struct value *of, const char *name, size_t n, struct value *out) {
    bool found = false;
    int rc = AG_OK;
    if (of->type == V_UNDEFINED) return undefined_fail(c, of);
    if (of->type == V_LOOP) return loop_attr(c, of->loop, name, n, out);
    const char *method = method_name(of, name, n);
    if (method) return method_of(c, of, method, out);
    if (of->type == V_DICT || of->type == V_NAMESPACE) rc = item_named(c, of, name, n, out, &found);
    return rc == AG_OK && !found ? missing(c, name, n, out) : rc;
}

static int index_of(struct ctx *c, const struct value *of, int64_t i, struct value *out) {
    if (is_str(of)) {
        int64_t n = (int64_t)str_length(of->s);
        if (i < 0) i += n;
        if (i < 0 || i >= n) return *out = v_undefined("an index beyond the end"), AG_OK;
        size_t from = str_byte_of(of->s, (size_t)i), to = from + 1;
        while (to < of->s->n && ((unsigned char)of->s->p[to] & 0xc0) == 0x80) to++;
        int rc = spend(c, 1 + of->s->n / 32);
        return rc == AG_OK ? str_slice(c, of->s, from, to, out) : rc;
    }
    int64_t n = (int64_t)of->l->n;
    if (i < 0) i += n;
    if (i < 0 || i >= n) return *out = v_undefined("an index beyond the end"), AG_OK;
    return *out = of->l->at[i], AG_OK;
}

int get_item(struct ctx *c, const struct value *of, const struct value *key, struct value *out) {
    if (of->type == V_UNDEFINED) return undefined_fail(c, of);
    if (is_int(key) && (is_seq(of) || is_str(of))) return index_of(c, of, as_int(key), out);
    if (of->type == V_DICT && key->type != V_LIST && key->type != V_DICT) {
        struct value *v;
        int rc = dict_find(c, of->d, key, &v);
        if (rc < 0 || v) return v ? (*out = *v, AG_OK) : rc;
    }
    if (is_str(key)) return get_attr(c, of, key->s->p, key->s->n, out); /* names of methods too */
    return *out = v_undefined("an item"), AG_OK;
}

/* ---- slices ------------------------------------------------------------------------------------ */

static int bound(struct ctx *c, const struct value *v, int64_t n, int64_t step, int64_t none, int64_t *out) {
    if (v->type == V_NONE) return *out = none, AG_OK;
    int rc = call_int(c, "slice", v, out);
    if (rc < 0) return rc;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    if (*out < 0) *out = *out < -n ? low : *out + n;
    if (*out < low) *out = low;
    if (*out > high) *out = high;
    return AG_OK;
}

static int slice_string(struct ctx *c, const struct jstr *s, int64_t a, int64_t b, int64_t step, struct value *out) {
    if (step == 1) {
        size_t from = str_byte_of(s, (size_t)a);
        const struct jstr rest = { .p = s->p + from, .n = s->n - from };
        return str_slice(c, s, from, b > a ? from + str_byte_of(&rest, (size_t)(b - a)) : from, out);
    }
    struct list chars;
    struct build to = { .c = c };
    const struct value v = v_str(s);
    int rc = value_items(c, &v, &chars);
    for (int64_t i = a; rc == AG_OK && (step > 0 ? i < b : i > b); i += step) {
        build_str(&to, chars.at[i].s, 0, chars.at[i].s->n);
        if (step > 0 ? step > b - i : step < b - i) break;
    }
    return rc == AG_OK ? build_done(&to, out) : rc;
}

int get_slice(struct ctx *c, const struct value *of, const struct value part[3], struct value *out) {
    int64_t step = 1, a, b;
    if (of->type == V_UNDEFINED) return undefined_fail(c, of);
    if (!is_seq(of) && !is_str(of)) return *out = v_undefined("a slice"), AG_OK;
    int64_t n = (int64_t)(is_str(of) ? str_length(of->s) : of->l->n);
    int rc = part[2].type == V_NONE ? AG_OK : call_int(c, "slice", &part[2], &step);
    if (rc == AG_OK && !step) rc = jfail(c, AG_EINVAL, "the step of a slice is zero");
    if (rc == AG_OK) rc = bound(c, &part[0], n, step, step < 0 ? n - 1 : 0, &a);
    if (rc == AG_OK) rc = bound(c, &part[1], n, step, step < 0 ? -1 : n, &b);
    if (rc == AG_OK) rc = spend(c, 1 + (uint64_t)n / 32);
    if (rc < 0) return rc;
    if (is_str(of)) return slice_string(c, of->s, a, b, step, out);
    rc = new_list(c, of->type, out);
    for (int64_t i = a; rc == AG_OK && (step > 0 ? i < b : i > b); i += step) {
        rc = list_add(c, out->l, of->l->at[i]);
        if (step > 0 ? step > b - i : step < b - i) break; /* i + step would pass the end, or all bounds */
    }
    return rc;
}
