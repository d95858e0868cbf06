/* SPDX-License-Identifier: MIT */
/* eval.c - expressions to values. */
#include "impl.h"

static struct value *env_find(struct ctx *c, uint32_t name) {
    for (struct env *e = c->env; e; e = e->up)
        for (uint32_t i = e->n; i-- > 0;)
            if (e->at[i].name == name) return &e->at[i].value;
    return c->root_set[name] ? &c->root[name] : NULL;
}

static int eval_name(struct ctx *c, const struct node *n, struct value *out) {
    const struct value *v = env_find(c, n->name);
    const char *name = c->j->name[n->name];
    if (v) return *out = *v, AG_OK;
    for (const struct function *f = jinja_functions; f->name; f++)
        if (!strcmp(f->name, name))
            return *out = (struct value){ .type = V_FUNCTION, .fn = f }, AG_OK;
    return *out = v_undefined(name), AG_OK;
}

static int eval_list(struct ctx *c, const struct node *n, struct value *out) {
    int rc = new_list(c, n->kind == N_TUPLE ? V_TUPLE : V_LIST, out);
    for (uint32_t i = 0; rc == AG_OK && i < n->list.n; i++) {
        struct value v;
        rc = eval(c, n->list.at[i], &v);
        if (rc == AG_OK) rc = list_add(c, out->l, v);
    }
    return rc;
}

static int eval_dict(struct ctx *c, const struct node *n, struct value *out) {
    int rc = new_dict(c, V_DICT, out);
    for (uint32_t i = 0; rc == AG_OK && i + 1 < n->list.n; i += 2) {
        struct value k, v;
        rc = eval(c, n->list.at[i], &k);
        if (rc == AG_OK) rc = eval(c, n->list.at[i + 1], &v);
        if (rc == AG_OK) rc = dict_set(c, out->d, k, v);
    }
    return rc;
}

static int eval_attr(struct ctx *c, const struct node *n, struct value *out) {
    struct value of;
    int rc = eval(c, n->a, &of);
    c->at = n;
    return rc == AG_OK ? get_attr(c, &of, n->s, n->n, out) : rc;
}

static int eval_item(struct ctx *c, const struct node *n, struct value *out) {
    struct value of, key;
    int rc = eval(c, n->a, &of);
    if (rc == AG_OK) rc = eval(c, n->b, &key);
    c->at = n;
    return rc == AG_OK ? get_item(c, &of, &key, out) : rc;
}

static int eval_slice(struct ctx *c, const struct node *n, struct value *out) {
    struct value of, part[3] = { v_none(), v_none(), v_none() };
    const struct node *const node[] = { n->b, n->c, n->d };
    int rc = eval(c, n->a, &of);
    for (int i = 0; rc == AG_OK && i < 3; i++)
        if (node[i]) rc = eval(c, node[i], &part[i]);
    c->at = n;
    return rc == AG_OK ? get_slice(c, &of, part, out) : rc;
}

static int eval_call(struct ctx *c, const struct node *n, struct value *out) {
    struct value fn;
    struct call call;
    int rc = eval(c, n->a, &fn);
    if (rc == AG_OK) rc = call_args(c, &n->args, &call);
    c->at = n;
    return rc == AG_OK ? call_value(c, &fn, &call, out) : rc;
}

static int eval_filter(struct ctx *c, const struct node *n, struct value *out) {
    struct value of;
    struct call call;
    int rc = eval(c, n->a, &of);
    if (rc == AG_OK) rc = call_args(c, &n->args, &call);
    c->at = n;
    return rc == AG_OK ? apply_filter(c, n->s, n->n, &of, &call, out) : rc;
}

static int eval_test(struct ctx *c, const struct node *n, struct value *out) {
    struct value of;
    struct call call;
    bool yes;
    int rc = eval(c, n->a, &of);
    if (rc == AG_OK) rc = call_args(c, &n->args, &call);
    c->at = n;
    if (rc == AG_OK) rc = apply_test(c, n->s, n->n, &of, &call, &yes);
    if (rc == AG_OK) *out = v_bool(yes);
    return rc;
}

static int eval_not(struct ctx *c, const struct node *n, struct value *out) {
    struct value v;
    int rc = eval(c, n->a, &v);
    if (rc == AG_OK) *out = v_bool(!truthy(&v));
    return rc;
}

static int eval_sign(struct ctx *c, const struct node *n, struct value *out) {
    struct value v;
    int rc = eval(c, n->a, &v);
    c->at = n;
    if (rc < 0) return rc;
    if (v.type == V_UNDEFINED) return undefined_fail(c, &v);
    if (!is_number(&v)) return jfail(c, AG_EINVAL, "want a number, found %s", type_name(&v));
    if (v.type == V_FLOAT) return *out = v_float(n->kind == N_NEG ? -v.f : v.f), AG_OK;
    int64_t i = as_int(&v);
    if (n->kind == N_NEG && __builtin_sub_overflow((int64_t)0, i, &i))
        return jfail(c, AG_ENOTSUP, "an integer beyond 64 bits");
    return *out = v_int(i), AG_OK;
}

static int eval_logic(struct ctx *c, const struct node *n, struct value *out) {
    int rc = eval(c, n->a, out);
    if (rc < 0 || truthy(out) == (n->kind == N_OR)) return rc;
    return eval(c, n->b, out);
}

static int eval_cond(struct ctx *c, const struct node *n, struct value *out) {
    struct value v;
    int rc = eval(c, n->a, &v);
    if (rc < 0) return rc;
    if (truthy(&v)) return eval(c, n->b, out);
    if (n->c) return eval(c, n->c, out);
    return *out = v_undefined("the value of an if without else"), AG_OK;
}

static int eval_binary(struct ctx *c, const struct node *n, struct value *out) {
    struct value a, b;
    int rc = eval(c, n->a, &a);
    if (rc == AG_OK) rc = eval(c, n->b, &b);
    c->at = n;
    return rc == AG_OK ? arith(c, n->op, &a, &b, out) : rc;
}

static int eval_concat(struct ctx *c, const struct node *n, struct value *out) {
    struct build b = { .c = c };
    int rc = AG_OK;
    for (uint32_t i = 0; rc == AG_OK && i < n->list.n; i++) {
        struct value v;
        rc = eval(c, n->list.at[i], &v);
        c->at = n;
        if (rc == AG_OK) rc = value_str(c, &v, &v);
        if (rc == AG_OK) build_str(&b, v.s, 0, v.s->n);
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}

static int compare(struct ctx *c, int op, const struct value *a, const struct value *b, bool *out) {
    int rc;
    switch (op) {
    case OP_EQ: return value_equal(c, a, b, out);
    case OP_NE: return rc = value_equal(c, a, b, out), *out = !*out, rc;
    case '<': return value_less(c, a, b, out);
    case '>': return value_less(c, b, a, out);
    case OP_LE: case OP_GE:
        rc = op == OP_LE ? value_less(c, a, b, out) : value_less(c, b, a, out);
        return rc == AG_OK && !*out ? value_equal(c, a, b, out) : rc;
    case OP_IN: return value_contains(c, b, a, out);
    default: return rc = value_contains(c, b, a, out), *out = !*out, rc;
    }
}

static int eval_compare(struct ctx *c, const struct node *n, struct value *out) {
    struct value left, right;
    bool yes = true;
    int rc = eval(c, n->a, &left);
    for (uint32_t i = 0; rc == AG_OK && yes && i < n->list.n; i++) {
        rc = eval(c, n->list.at[i], &right);
        c->at = n;
        if (rc == AG_OK) rc = compare(c, n->ops[i], &left, &right, &yes);
        left = right;
    }
    *out = v_bool(yes);
    return rc;
}

static int eval_const(struct ctx *c, const struct node *n, struct value *out) {
    (void)c;
    return *out = *n->value, AG_OK;
}

static int (*const evals[])(struct ctx *, const struct node *, struct value *) = {
    [N_CONST] = eval_const, [N_NAME] = eval_name, [N_LIST] = eval_list, [N_TUPLE] = eval_list,
    [N_DICT] = eval_dict, [N_ATTR] = eval_attr, [N_ITEM] = eval_item, [N_SLICE] = eval_slice,
    [N_CALL] = eval_call, [N_FILTER] = eval_filter, [N_TEST] = eval_test, [N_NOT] = eval_not,
    [N_NEG] = eval_sign, [N_POS] = eval_sign, [N_AND] = eval_logic, [N_OR] = eval_logic,
    [N_COND] = eval_cond, [N_BINARY] = eval_binary, [N_CONCAT] = eval_concat,
    [N_COMPARE] = eval_compare,
};

int eval(struct ctx *c, const struct node *n, struct value *out) {
    c->at = n;
    int rc = spend(c, 1);
    if (rc == AG_OK) rc = deeper(c);
    if (rc < 0) return rc;
    rc = evals[n->kind](c, n, out);
    shallower(c);
    return rc;
}
