/* SPDX-License-Identifier: MIT */
/* call.c - arguments, and calls of macros, methods and functions. */
#include "impl.h"

static int add_value(struct ctx *c, struct call *call, size_t *cap, struct value v) {
    if (call->n == *cap) {
        size_t more = *cap ? 2 * *cap : 4;
        call->at = arena_grow(&c->arena, call->at, call->n, more, sizeof *call->at);
        if (!call->at) return AG_ENOMEM;
        *cap = more;
    }
    call->at[call->n++] = v;
    return spend(c, 1);
}

static int add_keyword(struct ctx *c, struct call *call, size_t *cap, struct value name, struct value v) {
    for (size_t i = 0; i < call->n_kw; i++)
        if (call->kw[i].key.s->n == name.s->n && !memcmp(call->kw[i].key.s->p, name.s->p, name.s->n))
            return jfail(c, AG_EINVAL, "argument %.*s is given twice", name.s->n > 60 ? 60 : (int)name.s->n,
                         name.s->p);
    if (call->n_kw == *cap) {
        size_t more = *cap ? 2 * *cap : 4;
        call->kw = arena_grow(&c->arena, call->kw, call->n_kw, more, sizeof *call->kw);
        if (!call->kw) return AG_ENOMEM;
        *cap = more;
    }
    call->kw[call->n_kw++] = (struct pair){ name, v };
    return spend(c, call->n_kw);
}

static int spread(struct ctx *c, const struct value *v, int star, struct call *call, size_t *cap, size_t *cap_kw) {
    int rc = AG_OK;
    if (star == 1) {
        struct list items;
        rc = value_items(c, v, &items);
        for (size_t i = 0; rc == AG_OK && i < items.n; i++) rc = add_value(c, call, cap, items.at[i]);
        return rc;
    }
    if (v->type != V_DICT) return jfail(c, AG_EINVAL, "want a dict after **, found %s", type_name(v));
    for (size_t i = 0; rc == AG_OK && i < v->d->n; i++) {
        const struct pair *p = &v->d->at[i];
        if (!is_str(&p->key)) return jfail(c, AG_EINVAL, "want strings as keys after **");
        rc = add_keyword(c, call, cap_kw, p->key, p->value);
    }
    return rc;
}

int call_args(struct ctx *c, const struct args *args, struct call *call) {
    size_t cap = 0, cap_kw = 0;
    int rc = AG_OK;
    *call = (struct call){ 0 };
    for (uint32_t i = 0; rc == AG_OK && i < args->n; i++) {
        const struct arg *a = &args->at[i];
        struct value v, name;
        rc = eval(c, a->value, &v);
        if (rc < 0) break;
        if (a->star) {
            rc = spread(c, &v, a->star, call, &cap, &cap_kw);
        } else if (a->name) {
            rc = str_make(c, a->name, a->n_name, true, &name);
            if (rc == AG_OK) rc = add_keyword(c, call, &cap_kw, name, v);
        } else {
            rc = add_value(c, call, &cap, v);
        }
    }
    return rc;
}

struct value *call_arg(const struct call *call, size_t i, const char *name) {
    if (i < call->n) return &call->at[i];
    for (size_t k = 0; name && k < call->n_kw; k++)
        if (text_is(call->kw[k].key.s, name)) return &call->kw[k].value;
    return NULL;
}

int call_check(struct ctx *c, const char *what, const struct call *call, size_t min, size_t max,
               const char *const *names) {
    if (call->n > max)
        return jfail(c, AG_EINVAL, "%s: want at most %zu arguments, found %zu", what, max, call->n);
    for (size_t k = 0; k < call->n_kw; k++) {
        const struct jstr *name = call->kw[k].key.s;
        bool known = false;
        for (size_t i = 0; names && names[i]; i++) known |= text_is(name, names[i]) && i >= call->n;
        if (!known)
            return jfail(c, AG_ENOTSUP, "%s: the argument %.*s= is not supported", what,
                         name->n > 40 ? 40 : (int)name->n, name->p);
    }
    for (size_t i = call->n; i < min; i++)
        if (!names || !call_arg(call, i, names[i]))
            return jfail(c, AG_EINVAL, "%s: want at least %zu arguments, found %zu", what, min, call->n);
    return AG_OK;
}

int call_int(struct ctx *c, const char *what, const struct value *v, int64_t *out) {
    if (!is_int(v)) return jfail(c, AG_EINVAL, "%s: want an integer, found %s", what, type_name(v));
    *out = as_int(v);
    return AG_OK;
}

/* ---- macros ------------------------------------------------------------------------------------ */

static bool is_param(const struct node *m, const struct ctx *c, const struct jstr *name) {
    for (uint32_t i = 0; i < m->list.n; i++)
        if (text_is(name, c->j->name[m->list.at[i]->name])) return true;
    return false;
}

static const char *macro_name(const struct ctx *c, const struct node *m) { return c->j->name[m->name]; }

/* What no parameter takes: varargs, kwargs. */
static int bind_rest(struct ctx *c, const struct node *m, const struct call *call) {
    struct value rest, named;
    if (!c->j->uses_rest) {
        if (call->n > m->list.n)
            return jfail(c, AG_EINVAL, "macro %s: want at most %u arguments, found %zu", macro_name(c, m),
                         m->list.n, call->n);
        for (size_t k = 0; k < call->n_kw; k++)
            if (!is_param(m, c, call->kw[k].key.s))
                return jfail(c, AG_EINVAL, "macro %s: no parameter %.*s", macro_name(c, m),
                             call->kw[k].key.s->n > 60 ? 60 : (int)call->kw[k].key.s->n, call->kw[k].key.s->p);
        return AG_OK;
    }
    int rc = new_list(c, V_TUPLE, &rest);
    if (rc == AG_OK) rc = new_dict(c, V_DICT, &named);
    for (size_t i = m->list.n; rc == AG_OK && i < call->n; i++) rc = list_add(c, rest.l, call->at[i]);
    for (size_t k = 0; rc == AG_OK && k < call->n_kw; k++)
        if (!is_param(m, c, call->kw[k].key.s))
            rc = dict_set(c, named.d, call->kw[k].key, call->kw[k].value);
    if (rc == AG_OK) rc = env_set(c, c->j->varargs, rest);
    return rc == AG_OK ? env_set(c, c->j->kwargs, named) : rc;
}

static int bind(struct ctx *c, const struct node *m, const struct call *call, const struct value *caller) {
    int rc = AG_OK;
    for (uint32_t i = 0; rc == AG_OK && i < m->list.n; i++) {
        const struct node *param = m->list.at[i];
        const char *name = c->j->name[param->name];
        const struct value *given = call_arg(call, i, name);
        struct value v = v_undefined(name);
        if (given) v = *given;
        else if (param->a) rc = eval(c, param->a, &v);
        if (rc == AG_OK) rc = env_set(c, param->name, v);
    }
    if (rc == AG_OK) rc = bind_rest(c, m, call);
    if (rc == AG_OK && caller) rc = env_set(c, c->j->caller, *caller);
    return rc;
}

int call_macro(struct ctx *c, const struct macro *m, const struct call *call, const struct value *caller,
               struct value *out) {
    struct env *env = c->env;
    struct build here = { .c = c }, *before = c->out;
    const struct node *at = c->at;
    int rc = deeper(c), jump = c->jump;
    if (rc < 0) return rc;
    c->env = m->env;
    if (!env_push(c)) rc = AG_ENOMEM;
    if (rc == AG_OK) rc = bind(c, m->node, call, caller);
    c->out = &here;
    if (rc == AG_OK) rc = exec_all(c, &m->node->body);
    if (rc == AG_OK) rc = build_done(&here, out);
    c->out = before;
    c->env = env;
    c->jump = jump;
    if (rc == AG_OK) c->at = at;
    shallower(c);
    return rc;
}

/* jinja2 has these; templates of conversations have no use for them. */
static int undefined_call(struct ctx *c, const struct value *fn) {
    static const char *const known[] = { "lipsum", "cycler", "joiner" };
    for (size_t i = 0; fn->name && i < sizeof known / sizeof *known; i++)
        if (!strcmp(fn->name, known[i])) return jfail(c, AG_ENOTSUP, "the function %s is not supported", known[i]);
    return undefined_fail(c, fn);
}

int call_value(struct ctx *c, const struct value *fn, const struct call *call, struct value *out) {
    switch (fn->type) {
    case V_MACRO: return call_macro(c, fn->m, call, NULL, out);
    case V_METHOD: return call_method(c, fn->method, call, out);
    case V_FUNCTION: return fn->fn->fn(c, call, out);
    case V_UNDEFINED: return undefined_call(c, fn);
    default: return jfail(c, AG_EINVAL, "%s cannot be called", type_name(fn));
    }
}
