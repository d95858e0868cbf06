/* SPDX-License-Identifier: MIT */
/* exec.c - statements, and a rendering from its start to its end. */
#include "impl.h"

#include "util/mem.h"

#include <stdlib.h>

struct env *env_push(struct ctx *c) {
    struct env *e = jalloc(c, sizeof *e);
    if (!e) return NULL;
    e->up = c->env;
    return c->env = e;
}

int env_set(struct ctx *c, uint32_t name, struct value v) {
    struct env *e = c->env;
    if (!e) {
        c->root[name] = v;
        c->root_set[name] = true;
        return AG_OK;
    }
    for (uint32_t i = 0; i < e->n; i++)
        if (e->at[i].name == name) return e->at[i].value = v, AG_OK;
    if (e->n == e->cap) {
        uint32_t cap = e->cap ? 2 * e->cap : 4;
        e->at = arena_grow(&c->arena, e->at, e->n, cap, sizeof *e->at);
        if (!e->at) return AG_ENOMEM;
        e->cap = cap;
    }
    e->at[e->n++] = (struct binding){ name, v };
    return AG_OK;
}

/* To a name, or item by item to several. */
static int assign(struct ctx *c, const struct node *n, const struct value *v) {
    if (!n->op) return env_set(c, n->list.at[0]->name, *v);
    struct list items;
    int rc = v->type == V_UNDEFINED ? undefined_fail(c, v) : value_items(c, v, &items);
    if (rc == AG_OK && items.n != n->list.n)
        rc = jfail(c, AG_EINVAL, "want %u values to assign, found %zu", n->list.n, items.n);
    for (uint32_t i = 0; rc == AG_OK && i < n->list.n; i++)
        rc = env_set(c, n->list.at[i]->name, items.at[i]);
    return rc;
}

static int assign_attr(struct ctx *c, const struct node *n, const struct value *v) {
    const struct node name = { .kind = N_NAME, .name = n->name, .line = n->line, .col = n->col };
    struct value ns, key;
    int rc = eval(c, &name, &ns);
    c->at = n;
    if (rc == AG_OK && ns.type != V_NAMESPACE)
        rc = jfail(c, AG_EINVAL, "want a namespace to set an attribute of, found %s", type_name(&ns));
    if (rc == AG_OK) rc = str_make(c, n->s, n->n, true, &key);
    return rc == AG_OK ? dict_set(c, ns.d, key, *v) : rc;
}

static int check_output(struct ctx *c) {
    if (c->out->rc < 0) return c->out->rc;
    if (c->out->n > c->limit.output)
        return jfail(c, AG_ENOMEM, "the output is larger than the %zu bytes allowed", c->limit.output);
    return AG_OK;
}

static int exec_data(struct ctx *c, const struct node *n) {
    build_add(c->out, n->s, n->n, true);
    return check_output(c);
}

static int exec_output(struct ctx *c, const struct node *n) {
    struct value v;
    int rc = eval(c, n->a, &v);
    c->at = n;
    if (rc == AG_OK) rc = value_str(c, &v, &v);
    if (rc < 0) return rc;
    build_str(c->out, v.s, 0, v.s->n);
    return check_output(c);
}

static int exec_if(struct ctx *c, const struct node *n) {
    for (;;) {
        struct value v;
        int rc = eval(c, n->a, &v);
        if (rc < 0) return rc;
        if (truthy(&v)) return exec_all(c, &n->body);
        /* Chains of elif are as long as the template likes. */
        if (n->other.n != 1 || n->other.at[0]->kind != N_IF) return exec_all(c, &n->other);
        n = n->other.at[0];
    }
}

/* The items of which the loop's condition holds. */
static int filtered(struct ctx *c, const struct node *n, struct list *items) {
    struct list kept = { 0 };
    int rc = AG_OK;
    for (size_t i = 0; rc == AG_OK && i < items->n; i++) {
        struct value v;
        struct env *env = c->env;
        if (!env_push(c)) return AG_ENOMEM;
        rc = assign(c, n, &items->at[i]);
        if (rc == AG_OK) rc = eval(c, n->b, &v);
        if (rc == AG_OK && truthy(&v)) rc = list_add(c, &kept, items->at[i]);
        c->env = env;
    }
    *items = kept;
    return rc;
}

static int iterate(struct ctx *c, const struct node *n, struct loop *loop) {
    struct env *env = c->env, *own = NULL;
    int rc = AG_OK;
    for (; rc == AG_OK && loop->i < loop->items.n; loop->i++) {
        c->env = env;
        if (!own || own->captured) own = env_push(c); /* else the last turn's scope serves again */
        if (!own) return AG_ENOMEM;
        c->env = own;
        own->n = 0;
        c->at = n;
        rc = spend(c, 1);
        if (rc == AG_OK) rc = env_set(c, c->j->loop, (struct value){ .type = V_LOOP, .loop = loop });
        if (rc == AG_OK) rc = assign(c, n, &loop->items.at[loop->i]);
        if (rc == AG_OK) rc = exec_all(c, &n->body);
        int jump = c->jump;
        c->jump = 0;
        if (jump == N_BREAK) break;
    }
    c->env = env;
    return rc;
}

static int exec_for(struct ctx *c, const struct node *n) {
    struct value over;
    struct loop *loop = jalloc(c, sizeof *loop);
    if (!loop) return AG_ENOMEM;
    int rc = eval(c, n->a, &over);
    c->at = n;
    if (rc == AG_OK) rc = value_items(c, &over, &loop->items);
    if (rc == AG_OK && n->b) rc = filtered(c, n, &loop->items);
    if (rc == AG_OK && loop->items.n) return iterate(c, n, loop);
    if (rc < 0 || !n->other.n) return rc;
    struct env *env = c->env;
    if (!env_push(c)) return AG_ENOMEM;
    rc = exec_all(c, &n->other);
    c->env = env;
    return rc;
}

static int exec_set(struct ctx *c, const struct node *n) {
    struct value v;
    int rc = eval(c, n->a, &v);
    c->at = n;
    if (rc < 0) return rc;
    return n->flag ? assign_attr(c, n, &v) : assign(c, n, &v);
}

/* What a body writes, in a scope of its own, through filters that have no operand but this. */
static int captured(struct ctx *c, const struct node *n, struct value *out) {
    struct build here = { .c = c }, *before = c->out;
    struct env *env = c->env;
    if (!env_push(c)) return AG_ENOMEM;
    c->out = &here;
    int rc = exec_all(c, &n->body);
    c->out = before;
    c->env = env;
    if (rc == AG_OK) rc = build_done(&here, out);
    const struct node *chain[64];
    size_t k = 0;
    for (const struct node *f = n->a; f; f = f->a) {
        if (k == 64) return jfail(c, AG_ENOTSUP, "more than 64 filters of a block");
        chain[k++] = f;
    }
    while (rc == AG_OK && k-- > 0) {
        struct call call;
        rc = call_args(c, &chain[k]->args, &call);
        c->at = chain[k];
        if (rc == AG_OK) rc = apply_filter(c, chain[k]->s, chain[k]->n, out, &call, out);
    }
    return rc;
}

static int exec_set_block(struct ctx *c, const struct node *n) {
    struct value v;
    int rc = captured(c, n, &v);
    c->at = n;
    if (rc < 0) return rc;
    return n->flag ? assign_attr(c, n, &v) : assign(c, n, &v);
}

static int exec_filter_block(struct ctx *c, const struct node *n) {
    struct value v;
    int rc = captured(c, n, &v);
    if (rc == AG_OK) rc = value_str(c, &v, &v);
    if (rc < 0) return rc;
    build_str(c->out, v.s, 0, v.s->n);
    return check_output(c);
}

static int macro_value(struct ctx *c, const struct node *n, struct value *out) {
    struct macro *m = jalloc(c, sizeof *m);
    if (!m) return AG_ENOMEM;
    *m = (struct macro){ n, c->env };
    for (struct env *e = c->env; e && !e->captured; e = e->up) e->captured = true;
    *out = (struct value){ .type = V_MACRO, .m = m };
    return AG_OK;
}

static int exec_macro(struct ctx *c, const struct node *n) {
    struct value v;
    int rc = macro_value(c, n, &v);
    return rc == AG_OK ? env_set(c, n->name, v) : rc;
}

static int exec_call_block(struct ctx *c, const struct node *n) {
    struct value caller, fn, v;
    struct call call;
    int rc = macro_value(c, n, &caller);
    if (rc == AG_OK) rc = eval(c, n->a->a, &fn);
    if (rc == AG_OK) rc = call_args(c, &n->a->args, &call);
    c->at = n;
    if (rc == AG_OK && fn.type != V_MACRO)
        rc = jfail(c, AG_ENOTSUP, "a call block of a %s is not supported", type_name(&fn));
    if (rc == AG_OK) rc = call_macro(c, fn.m, &call, &caller, &v);
    if (rc < 0) return rc;
    build_str(c->out, v.s, 0, v.s->n);
    return check_output(c);
}

static int exec_with(struct ctx *c, const struct node *n) {
    struct env *env = c->env;
    struct list values = { 0 };
    int rc = AG_OK;
    for (uint32_t i = 0; rc == AG_OK && i < n->list.n; i++) { /* none sees another */
        struct value v;
        rc = eval(c, n->list.at[i]->a, &v);
        if (rc == AG_OK) rc = list_add(c, &values, v);
    }
    if (rc < 0) return rc;
    if (!env_push(c)) return AG_ENOMEM;
    for (uint32_t i = 0; rc == AG_OK && i < n->list.n; i++) rc = env_set(c, n->list.at[i]->name, values.at[i]);
    if (rc == AG_OK) rc = exec_all(c, &n->body);
    c->env = env;
    return rc;
}

static int exec_jump(struct ctx *c, const struct node *n) {
    c->jump = n->kind;
    return AG_OK;
}

static int exec_scope(struct ctx *c, const struct node *n) {
    struct env *env = c->env;
    if (!env_push(c)) return AG_ENOMEM;
    int rc = exec_all(c, &n->body);
    c->env = env;
    return rc;
}

static int (*const execs[])(struct ctx *, const struct node *) = {
    [N_DATA] = exec_data, [N_OUTPUT] = exec_output, [N_IF] = exec_if, [N_FOR] = exec_for,
    [N_SET] = exec_set, [N_SET_BLOCK] = exec_set_block, [N_MACRO] = exec_macro,
    [N_CALL_BLOCK] = exec_call_block, [N_FILTER_BLOCK] = exec_filter_block, [N_WITH] = exec_with,
    [N_BREAK] = exec_jump, [N_CONTINUE] = exec_jump, [N_SCOPE] = exec_scope,
};

int exec_all(struct ctx *c, const struct nodes *list) {
    int rc = deeper(c);
    if (rc < 0) return rc;
    for (uint32_t i = 0; rc == AG_OK && !c->jump && i < list->n; i++) {
        c->at = list->at[i];
        rc = spend(c, 1);
        if (rc == AG_OK) rc = execs[list->at[i]->kind](c, list->at[i]);
    }
    shallower(c);
    return rc;
}

/* ---- rendering --------------------------------------------------------------------------------- */

static int take_vars(struct ctx *c, const json_t *vars, bool literal) {
    const char *key;
    json_t *v;
    if (!vars) return AG_OK;
    if (!json_is_object(vars)) return fail(AG_EINVAL, "chat template: want an object of variables");
    json_object_foreach((json_t *)vars, key, v) {
        for (uint32_t i = 0; i < c->j->n_name; i++) { /* what the template does not name is not converted */
            if (strcmp(c->j->name[i], key)) continue;
            int rc = value_from_json(c, v, literal, &c->root[i]);
            if (rc < 0) return rc;
            c->root_set[i] = true;
            break;
        }
    }
    return AG_OK;
}

static int give_output(const struct build *b, struct jinja_output *out) {
    size_t at = 0;
    str_add(&out->text, b->p ? b->p : "", b->n);
    if (out->text.failed) return fail(AG_ENOMEM, "chat template: out of memory");
    int rc = mem_grow(&out->piece, &out->cap_piece, b->n_run + 1, sizeof *out->piece);
    for (size_t i = 0; rc == AG_OK && i < b->n_run; i++) {
        out->piece[out->n_piece++] = (struct jinja_piece){ at, b->run[i].end - at, b->run[i].literal };
        at = b->run[i].end;
    }
    return rc;
}

int jinja_render(const struct jinja *j, const struct jinja_input *in, const struct jinja_limits *limits,
                 struct jinja_output *out) {
    struct ctx c = { .j = j, .limit = limits ? *limits : jinja_default_limits, .now = in->now };
    struct build b = { .c = &c };
    *out = (struct jinja_output){ 0 };
    c.arena.limit = c.limit.memory;
    c.out = &b;
    c.root = jalloc(&c, (j->n_name + 1) * sizeof *c.root);
    c.root_set = jalloc(&c, j->n_name + 1);
    int rc = c.root && c.root_set ? AG_OK : AG_ENOMEM;
    if (rc == AG_OK) rc = take_vars(&c, in->vars, false);
    if (rc == AG_OK) rc = take_vars(&c, in->literal, true);
    if (rc == AG_OK) rc = exec_all(&c, &j->root->body);
    if (rc == AG_OK) rc = b.rc;
    if (rc == AG_OK) rc = give_output(&b, out);
    arena_free(&c.arena);
    if (rc < 0) jinja_output_free(out);
    return rc;
}

void jinja_output_free(struct jinja_output *o) {
    str_free(&o->text);
    free(o->piece);
    *o = (struct jinja_output){ 0 };
}
