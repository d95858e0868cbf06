/* SPDX-License-Identifier: MIT */
/* filters_list.c - filters of lists and dicts. */
#include "impl.h"

#include <stdlib.h>

static const char *const no_names[] = { NULL };

/* Filters that choose or map take nothing, not even none, for an empty list. */
static int items_or_none(struct ctx *c, const struct value *of, struct list *items) {
    if (truthy(of)) return value_items(c, of, items);
    *items = (struct list){ 0 };
    return AG_OK;
}

/* a.b.0 of an item; a number as attribute is an index. */
static int attribute(struct ctx *c, const struct value *of, const struct value *path, struct value *out) {
    int rc = AG_OK;
    *out = *of;
    if (!path || path->type == V_NONE) return AG_OK;
    if (!is_str(path)) return get_item(c, of, path, out);
    for (size_t i = 0, end; rc == AG_OK && i <= path->s->n; i = end + 1) {
        bool digits = true;
        int64_t index = 0;
        struct value of_part = *out, key;
        for (end = i; end < path->s->n && path->s->p[end] != '.'; end++) {
            digits = digits && path->s->p[end] >= '0' && path->s->p[end] <= '9' && end - i < 9;
            index = digits ? index * 10 + path->s->p[end] - '0' : 0;
        }
        if (digits && end > i) key = v_int(index);
        else rc = str_slice(c, path->s, i, end, &key);
        if (rc == AG_OK) rc = get_item(c, &of_part, &key, out);
    }
    return rc;
}

static bool flag_arg(const struct call *call, size_t i, const char *name) {
    struct value *v = call_arg(call, i, name);
    return v && truthy(v);
}

static int fold(struct ctx *c, struct value *v, bool keep_case) {
    return keep_case || !is_str(v) ? AG_OK : str_case(c, v->s, CASE_LOWER, v);
}

/* ---- sorting ----------------------------------------------------------------------------------- */

struct keyed { struct value key, item; };

/* Stable, and no deeper than the logarithm of n. */
static int merge_sort(struct ctx *c, struct keyed *a, struct keyed *room, size_t n, bool reverse) {
    if (n < 2) return AG_OK;
    size_t half = n / 2, i = 0, k = half, to = 0;
    int rc = merge_sort(c, a, room, half, reverse);
    if (rc == AG_OK) rc = merge_sort(c, a + half, room, n - half, reverse);
    if (rc < 0) return rc;
    memcpy(room, a, half * sizeof *a);
    while (i < half && k < n) {
        bool later;
        rc = reverse ? value_less(c, &room[i].key, &a[k].key, &later) : value_less(c, &a[k].key, &room[i].key, &later);
        if (rc < 0) return rc;
        a[to++] = later ? a[k++] : room[i++];
    }
    while (i < half) a[to++] = room[i++];
    return AG_OK;
}

static int sort_keyed(struct ctx *c, struct keyed *k, size_t n, bool reverse) {
    struct keyed *room = jalloc(c, (n + 1) * sizeof *room);
    return room ? merge_sort(c, k, room, n, reverse) : AG_ENOMEM;
}

static int keys_of(struct ctx *c, const struct list *items, const struct value *path, bool keep_case,
                   struct keyed **out) {
    int rc = AG_OK;
    *out = jalloc(c, (items->n + 1) * sizeof **out);
    if (!*out) return AG_ENOMEM;
    for (size_t i = 0; rc == AG_OK && i < items->n; i++) {
        (*out)[i].item = items->at[i];
        rc = attribute(c, &items->at[i], path, &(*out)[i].key);
        if (rc == AG_OK) rc = fold(c, &(*out)[i].key, keep_case);
    }
    return rc;
}

static int give(struct ctx *c, const struct keyed *k, size_t n, struct value *out) {
    int rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < n; i++) rc = list_add(c, out->l, k[i].item);
    return rc;
}

static int f_sort(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "reverse", "case_sensitive", "attribute", NULL };
    struct list items;
    struct keyed *k;
    int rc = call_check(c, "sort", call, 0, 3, names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) rc = keys_of(c, &items, call_arg(call, 2, "attribute"), flag_arg(call, 1, "case_sensitive"), &k);
    if (rc == AG_OK) rc = sort_keyed(c, k, items.n, flag_arg(call, 0, "reverse"));
    return rc == AG_OK ? give(c, k, items.n, out) : rc;
}

static int pairs_of(struct ctx *c, const struct dict *d, struct value *out) {
    int rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < d->n; i++) {
        struct value t;
        rc = new_list(c, V_TUPLE, &t);
        if (rc == AG_OK) rc = list_add(c, t.l, d->at[i].key);
        if (rc == AG_OK) rc = list_add(c, t.l, d->at[i].value);
        if (rc == AG_OK) rc = list_add(c, out->l, t);
    }
    return rc;
}

static int f_dictsort(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "case_sensitive", "by", "reverse", NULL };
    struct value pairs, *by = call_arg(call, 1, "by"), at;
    struct keyed *k;
    int rc = call_check(c, "dictsort", call, 0, 3, names);
    if (rc == AG_OK && of->type == V_UNDEFINED) return undefined_fail(c, of);
    if (rc == AG_OK && of->type != V_DICT)
        rc = jfail(c, AG_EINVAL, "dictsort: want a dict, found %s", type_name(of));
    at = v_int(by && is_str(by) && text_is(by->s, "value"));
    if (rc == AG_OK) rc = pairs_of(c, of->d, &pairs);
    if (rc == AG_OK) rc = keys_of(c, pairs.l, &at, flag_arg(call, 0, "case_sensitive"), &k);
    if (rc == AG_OK) rc = sort_keyed(c, k, pairs.l->n, flag_arg(call, 2, "reverse"));
    return rc == AG_OK ? give(c, k, pairs.l->n, out) : rc;
}

static int extreme(struct ctx *c, const char *what, const struct value *of, const struct call *call, bool most,
                   struct value *out) {
    static const char *const names[] = { "case_sensitive", "attribute", NULL };
    struct list items;
    struct keyed *k;
    size_t best = 0;
    int rc = call_check(c, what, call, 0, 2, names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) rc = keys_of(c, &items, call_arg(call, 1, "attribute"), flag_arg(call, 0, "case_sensitive"), &k);
    if (rc == AG_OK && !items.n) return *out = v_undefined("an item of an empty list"), AG_OK;
    for (size_t i = 1; rc == AG_OK && i < items.n; i++) {
        bool better;
        rc = most ? value_less(c, &k[best].key, &k[i].key, &better) : value_less(c, &k[i].key, &k[best].key, &better);
        if (rc == AG_OK && better) best = i;
    }
    if (rc == AG_OK) *out = k[best].item;
    return rc;
}
static int f_min(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return extreme(c, "min", of, call, false, out);
}
static int f_max(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return extreme(c, "max", of, call, true, out);
}

static int f_unique(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "case_sensitive", "attribute", NULL };
    struct list items;
    struct keyed *k;
    int rc = call_check(c, "unique", call, 0, 2, names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) rc = keys_of(c, &items, call_arg(call, 1, "attribute"), flag_arg(call, 0, "case_sensitive"), &k);
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        bool seen = false;
        for (size_t b = 0; rc == AG_OK && !seen && b < i; b++) rc = value_equal(c, &k[b].key, &k[i].key, &seen);
        if (rc == AG_OK && !seen) rc = list_add(c, out->l, k[i].item);
    }
    if (rc == AG_OK) out->l->generator = true;
    return rc;
}

/* ---- choosing and mapping ---------------------------------------------------------------------- */

/* The arguments from `from` on. */
static struct call rest(const struct call *call, size_t from) {
    struct call r = *call;
    if (from > r.n) from = r.n;
    r.at += from;
    r.n -= from;
    return r;
}

static int choose(struct ctx *c, const char *what, const struct value *of, const struct call *call, bool attr,
                  bool want, struct value *out) {
    struct list items;
    size_t at = attr;
    if (attr && !call->n) return jfail(c, AG_EINVAL, "%s: want an attribute", what);
    if (call->n > at && !is_str(&call->at[at])) return jfail(c, AG_EINVAL, "%s: want the name of a test", what);
    struct call args = rest(call, at + 1);
    int rc = items_or_none(c, of, &items);
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        struct value v;
        bool yes = false;
        rc = attribute(c, &items.at[i], attr ? &call->at[0] : NULL, &v);
        if (rc == AG_OK && call->n > at)
            rc = apply_test(c, call->at[at].s->p, call->at[at].s->n, &v, &args, &yes);
        else yes = rc == AG_OK && truthy(&v);
        if (rc == AG_OK && yes == want) rc = list_add(c, out->l, items.at[i]);
    }
    if (rc == AG_OK) out->l->generator = true;
    return rc;
}
static int f_select(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return choose(c, "select", of, call, false, true, out);
}
static int f_reject(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return choose(c, "reject", of, call, false, false, out);
}
static int f_selectattr(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return choose(c, "selectattr", of, call, true, true, out);
}
static int f_rejectattr(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    return choose(c, "rejectattr", of, call, true, false, out);
}

static int f_map(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct list items;
    struct value *path = call->n ? NULL : call_arg(call, SIZE_MAX, "attribute"),
                 *other = call_arg(call, SIZE_MAX, "default");
    if (!path && !(call->n && is_str(&call->at[0])))
        return jfail(c, AG_EINVAL, "map: want attribute= or the name of a filter");
    struct call args = rest(call, 1);
    int rc = items_or_none(c, of, &items);
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        struct value v;
        if (path) rc = attribute(c, &items.at[i], path, &v);
        else rc = apply_filter(c, call->at[0].s->p, call->at[0].s->n, &items.at[i], &args, &v);
        if (rc == AG_OK && path && other && v.type == V_UNDEFINED) v = *other;
        if (rc == AG_OK) rc = list_add(c, out->l, v);
    }
    if (rc == AG_OK) out->l->generator = true;
    return rc;
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static int f_items(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const struct dict none;
    int rc = call_check(c, "items", call, 0, 0, no_names);
    if (rc == AG_OK && of->type != V_DICT && of->type != V_UNDEFINED)
        rc = jfail(c, AG_EINVAL, "items: want a dict, found %s", type_name(of));
    if (rc == AG_OK) rc = pairs_of(c, of->type == V_DICT ? of->d : &none, out);
    if (rc == AG_OK) out->l->generator = true;
    return rc;
}

static int f_list(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct list items;
    int rc = call_check(c, "list", call, 0, 0, no_names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) rc = list_add(c, out->l, items.at[i]);
    return rc;
}

static int f_first(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct list items;
    int rc = call_check(c, "first", call, 0, 0, no_names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) *out = items.n ? items.at[0] : v_undefined("the first item of an empty list");
    return rc;
}

static int f_last(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct list items;
    int rc = call_check(c, "last", call, 0, 0, no_names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) *out = items.n ? items.at[items.n - 1] : v_undefined("the last item of an empty list");
    return rc;
}

static int f_reverse(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    struct list items;
    struct build b = { .c = c };
    int rc = call_check(c, "reverse", call, 0, 0, no_names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK && !is_str(of)) rc = new_list(c, V_LIST, out);
    for (size_t i = rc == AG_OK ? items.n : 0; rc == AG_OK && i-- > 0;) {
        if (is_str(of)) build_str(&b, items.at[i].s, 0, items.at[i].s->n);
        else rc = list_add(c, out->l, items.at[i]);
    }
    if (rc < 0 || is_str(of)) return rc < 0 ? rc : build_done(&b, out);
    return out->l->generator = true, AG_OK;
}

static int f_join(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "d", "attribute", NULL };
    struct value *sep = call_arg(call, 0, "d"), *path = call_arg(call, 1, "attribute"), between, v;
    struct build b = { .c = c };
    struct list items;
    int rc = call_check(c, "join", call, 0, 2, names);
    if (rc == AG_OK) rc = sep ? value_str(c, sep, &between) : str_make(c, "", 0, true, &between);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        rc = attribute(c, &items.at[i], path, &v);
        if (rc == AG_OK) rc = value_str(c, &v, &v);
        if (rc < 0) break;
        if (i) build_str(&b, between.s, 0, between.s->n);
        build_str(&b, v.s, 0, v.s->n);
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}

static int f_sum(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "attribute", "start", NULL };
    struct value *start = call_arg(call, 1, "start"), v, total = start ? *start : v_int(0);
    struct list items;
    int rc = call_check(c, "sum", call, 0, 2, names);
    if (rc == AG_OK) rc = value_items(c, of, &items);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        rc = attribute(c, &items.at[i], call_arg(call, 0, "attribute"), &v);
        if (rc == AG_OK) rc = arith(c, '+', &total, &v, &total);
    }
    return *out = total, rc;
}

static int f_batch(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    static const char *const names[] = { "linecount", "fill_with", NULL };
    struct value *fill = call_arg(call, 1, "fill_with"), row = v_none();
    struct list items;
    int64_t n = 0;
    int rc = call_check(c, "batch", call, 1, 2, names);
    if (rc == AG_OK) rc = call_int(c, "batch", call_arg(call, 0, "linecount"), &n);
    if (rc == AG_OK && n < 1) rc = jfail(c, AG_EINVAL, "batch: want at least 1 a row");
    if (rc == AG_OK) rc = value_items(c, of, &items);
    if (rc == AG_OK) rc = new_list(c, V_LIST, out);
    for (size_t i = 0; rc == AG_OK && i < items.n; i++) {
        if (i % (size_t)n == 0) {
            rc = new_list(c, V_LIST, &row);
            if (rc == AG_OK) rc = list_add(c, out->l, row);
        }
        if (rc == AG_OK) rc = list_add(c, row.l, items.at[i]);
    }
    while (rc == AG_OK && fill && fill->type != V_NONE && row.type == V_LIST && row.l->n < (size_t)n)
        rc = list_add(c, row.l, *fill);
    if (rc == AG_OK) out->l->generator = true;
    return rc;
}

static int f_attr(struct ctx *c, const struct value *of, const struct call *call, struct value *out) {
    int rc = call_check(c, "attr", call, 1, 1, no_names);
    if (rc == AG_OK && !is_str(&call->at[0])) rc = jfail(c, AG_EINVAL, "attr: want a name");
    if (rc < 0) return rc;
    if (of->type == V_DICT) { /* attributes only, not items */
        if (method_name(of, call->at[0].s->p, call->at[0].s->n))
            return get_attr(c, of, call->at[0].s->p, call->at[0].s->n, out);
        return *out = v_undefined("an attribute"), AG_OK;
    }
    return get_attr(c, of, call->at[0].s->p, call->at[0].s->n, out);
}

const struct filter list_filters[] = {
    { "items", f_items }, { "list", f_list }, { "first", f_first }, { "last", f_last }, { "join", f_join },
    { "map", f_map }, { "select", f_select }, { "reject", f_reject }, { "selectattr", f_selectattr },
    { "rejectattr", f_rejectattr }, { "dictsort", f_dictsort }, { "sort", f_sort }, { "unique", f_unique },
    { "min", f_min }, { "max", f_max }, { "sum", f_sum }, { "reverse", f_reverse }, { "batch", f_batch },
    { "attr", f_attr }, { NULL, NULL },
};
