/* SPDX-License-Identifier: MIT */
/* expr.c - expressions, one function a level of precedence. */
#include "impl.h"

#include <stdlib.h>

static int parse_unary(struct parser *p, bool filters, struct node **out);

static int new_node(struct parser *p, int kind, const struct token *at, struct node **out) {
    *out = node_new(p, kind, at);
    return *out ? AG_OK : AG_ENOMEM;
}

static int constant(struct parser *p, const struct token *at, struct value v, struct node **out) {
    int rc = new_node(p, N_CONST, at, out);
    if (rc < 0) return rc;
    (*out)->value = arena_alloc(p->arena, sizeof v);
    if (!(*out)->value) return AG_ENOMEM;
    *(*out)->value = v;
    return AG_OK;
}

static int string_constant(struct parser *p, struct node **out) {
    const struct token *first = tok(p);
    size_t n = 0, to = 0, from = p->at;
    for (; tok(p)->kind == TOK_STRING; p->at++) n += tok(p)->n;
    struct jstr *s = arena_alloc(p->arena, sizeof *s);
    char *text = arena_alloc(p->arena, n + 1);
    if (!s || !text) return AG_ENOMEM;
    for (size_t i = from; i < p->at; i++) {
        memcpy(text + to, p->tokens.at[i].s, p->tokens.at[i].n);
        to += p->tokens.at[i].n;
    }
    *s = (struct jstr){ .p = text, .n = n, .literal = true };
    return constant(p, first, v_str(s), out);
}

static int name_or_word(struct parser *p, struct node **out) {
    static const struct { const char *name; int type; bool b; } word[] = {
        { "true", V_BOOL, true }, { "True", V_BOOL, true }, { "false", V_BOOL, false },
        { "False", V_BOOL, false }, { "none", V_NONE, false }, { "None", V_NONE, false },
    };
    const struct token *t = tok(p);
    p->at++;
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (tok_is_name(t, word[i].name))
            return constant(p, t, word[i].type == V_BOOL ? v_bool(word[i].b) : v_none(), out);
    int rc = new_node(p, N_NAME, t, out);
    if (rc == AG_OK) rc = parse_name_index(p, t->s, t->n, &(*out)->name);
    if (rc == AG_OK && ((*out)->name == p->j->varargs || (*out)->name == p->j->kwargs)) p->j->uses_rest = true;
    return rc;
}

/* Items up to `end`; dicts take two expressions an item. */
static int items(struct parser *p, int end, const char *shown, bool dict, struct nodes *list) {
    int rc = AG_OK;
    while (rc == AG_OK && !tok_is_op(tok(p), end)) {
        struct node *item;
        if (list->n && (rc = want_op(p, ',', "','")) < 0) break;
        if (tok_is_op(tok(p), end)) break;
        rc = parse_expr(p, true, &item);
        if (rc == AG_OK) rc = nodes_add(p, list, item);
        if (rc == AG_OK && dict) {
            rc = want_op(p, ':', "':'");
            if (rc == AG_OK) rc = parse_expr(p, true, &item);
            if (rc == AG_OK) rc = nodes_add(p, list, item);
        }
    }
    return rc == AG_OK ? want_op(p, end, shown) : rc;
}

static int parse_primary(struct parser *p, struct node **out) {
    const struct token *t = tok(p);
    int rc;
    switch (t->kind) {
    case TOK_NAME: return name_or_word(p, out);
    case TOK_STRING: return string_constant(p, out);
    case TOK_INT: return p->at++, constant(p, t, v_int(t->i), out);
    case TOK_FLOAT: return p->at++, constant(p, t, v_float(t->f), out);
    default: break;
    }
    if (skip_op(p, '(')) {
        rc = parse_tuple(p, true, true, out);
        return rc == AG_OK ? want_op(p, ')', "')'") : rc;
    }
    if (!tok_is_op(t, '[') && !tok_is_op(t, '{')) return unexpected(p, "an expression");
    bool dict = t->op == '{';
    p->at++;
    rc = new_node(p, dict ? N_DICT : N_LIST, t, out);
    return rc == AG_OK ? items(p, dict ? '}' : ']', dict ? "'}'" : "']'", dict, &(*out)->list) : rc;
}

/* What stands between brackets: an expression or a slice. */
static int subscript(struct parser *p, const struct token *at, struct node **out) {
    struct node *part[3] = { NULL, NULL, NULL };
    int rc = AG_OK;
    if (!tok_is_op(tok(p), ':')) rc = parse_expr(p, true, &part[0]);
    if (rc < 0 || !tok_is_op(tok(p), ':')) return *out = part[0], rc;
    for (int i = 1; i < 3 && rc == AG_OK && skip_op(p, ':'); i++)
        if (!tok_is_op(tok(p), ':') && !tok_is_op(tok(p), ']') && !tok_is_op(tok(p), ','))
            rc = parse_expr(p, true, &part[i]);
    if (rc == AG_OK) rc = new_node(p, N_SLICE, at, out);
    if (rc < 0) return rc;
    (*out)->b = part[0];
    (*out)->c = part[1];
    (*out)->d = part[2];
    return AG_OK;
}

static int item_of(struct parser *p, struct node *of, struct node **out) {
    const struct token *t = tok(p);
    struct node *key = NULL;
    p->at++;
    if (tok_is_op(tok(p), ']')) return unexpected(p, "a subscript");
    int rc = subscript(p, t, &key);
    if (rc == AG_OK && tok_is_op(tok(p), ','))
        return lex_fail(AG_ENOTSUP, t->line, t->col, "a subscript of several values is not supported");
    if (rc == AG_OK) rc = want_op(p, ']', "']'");
    if (rc < 0) return rc;
    if (key->kind == N_SLICE && !key->a) {
        key->a = of;
        return *out = key, AG_OK;
    }
    rc = new_node(p, N_ITEM, t, out);
    if (rc < 0) return rc;
    (*out)->a = of;
    (*out)->b = key;
    return AG_OK;
}

static int attr_of(struct parser *p, struct node *of, struct node **out) {
    const struct token *dot = tok(p), *t = dot + 1;
    p->at++;
    int rc;
    if (t->kind == TOK_INT) {
        struct node *key;
        p->at++;
        rc = constant(p, t, v_int(t->i), &key);
        if (rc == AG_OK) rc = new_node(p, N_ITEM, dot, out);
        if (rc == AG_OK) (*out)->a = of, (*out)->b = key;
        return rc;
    }
    rc = want_name(p, &t);
    if (rc == AG_OK) rc = new_node(p, N_ATTR, dot, out);
    if (rc < 0) return rc;
    (*out)->a = of;
    (*out)->s = t->s;
    (*out)->n = t->n;
    return AG_OK;
}

static int call_of(struct parser *p, struct node *of, struct node **out) {
    int rc = new_node(p, N_CALL, tok(p), out);
    if (rc < 0) return rc;
    (*out)->a = of;
    (*out)->line = of->line; /* where the name stands */
    (*out)->col = of->col;
    return parse_call_args(p, &(*out)->args);
}

int parse_call_args(struct parser *p, struct args *args) {
    int rc = want_op(p, '(', "'('"), last = 0; /* 0 position, 1 *args, 2 name=, 3 **kwargs */
    while (rc == AG_OK && !tok_is_op(tok(p), ')')) {
        struct arg a = { 0 };
        if (args->n && (rc = want_op(p, ',', "','")) < 0) break;
        if (tok_is_op(tok(p), ')')) break;
        const struct token *t = tok(p);
        int kind = 0;
        if (skip_op(p, '*')) {
            a.star = 1, kind = 1;
        } else if (skip_op(p, OP_POW)) {
            a.star = 2, kind = 3;
        } else if (t->kind == TOK_NAME && tok_is_op(t + 1, '=')) {
            a.name = t->s;
            a.n_name = t->n;
            p->at += 2, kind = 2;
        }
        if (kind < last || (kind == last && kind % 2))
            return lex_fail(AG_EFORMAT, t->line, t->col, "arguments in a wrong order");
        last = kind;
        rc = parse_expr(p, true, &a.value);
        if (rc == AG_OK && args->n == args->cap) {
            uint32_t cap = args->cap ? 2 * args->cap : 4;
            args->at = arena_grow(p->arena, args->at, args->n, cap, sizeof *args->at);
            if (!args->at) return AG_ENOMEM;
            args->cap = cap;
        }
        if (rc == AG_OK) args->at[args->n++] = a;
    }
    return rc == AG_OK ? want_op(p, ')', "')'") : rc;
}

int parse_filters(struct parser *p, struct node *of, bool inline_first, struct node **out) {
    int rc = AG_OK;
    const struct token *t;
    *out = of;
    while (rc == AG_OK && (inline_first || tok_is_op(tok(p), '|'))) {
        struct node *f = NULL;
        if (!inline_first) p->at++;
        inline_first = false;
        rc = want_name(p, &t);
        if (rc == AG_OK && tok_is_op(tok(p), '.')) return unexpected(p, "a filter without '.'");
        if (rc == AG_OK) rc = new_node(p, N_FILTER, t, &f);
        if (rc < 0) return rc;
        f->s = t->s;
        f->n = t->n;
        f->a = *out;
        if (tok_is_op(tok(p), '(')) rc = parse_call_args(p, &f->args);
        *out = f;
    }
    return rc;
}

static int parse_postfix(struct parser *p, struct node **node) {
    int rc = AG_OK;
    while (rc == AG_OK) {
        if (tok_is_op(tok(p), '.')) rc = attr_of(p, *node, node);
        else if (tok_is_op(tok(p), '[')) rc = item_of(p, *node, node);
        else if (tok_is_op(tok(p), '(')) rc = call_of(p, *node, node);
        else break;
    }
    return rc;
}

static bool begins_argument(const struct token *t) {
    if (t->kind == TOK_NAME) return !tok_is_name(t, "else") && !tok_is_name(t, "or") && !tok_is_name(t, "and");
    return t->kind == TOK_STRING || t->kind == TOK_INT || t->kind == TOK_FLOAT || tok_is_op(t, '(') ||
           tok_is_op(t, '[') || tok_is_op(t, '{');
}

static int test_of(struct parser *p, struct node **node) {
    const struct token *is = tok(p), *t;
    p->at++;
    bool negated = skip_name(p, "not");
    struct node *test = NULL;
    int rc = want_name(p, &t);
    if (rc == AG_OK) rc = new_node(p, N_TEST, is, &test);
    if (rc < 0) return rc;
    test->a = *node;
    test->s = t->s;
    test->n = t->n;
    if (tok_is_op(tok(p), '(')) {
        rc = parse_call_args(p, &test->args);
    } else if (begins_argument(tok(p))) {
        if (tok_is_name(tok(p), "is")) return unexpected(p, "one test, not a chain of them");
        struct arg *a = arena_alloc(p->arena, sizeof *a);
        if (!a) return AG_ENOMEM;
        test->args = (struct args){ a, 1, 1 };
        rc = parse_primary(p, &a->value);
        if (rc == AG_OK) rc = parse_postfix(p, &a->value);
    }
    *node = test;
    if (rc < 0 || !negated) return rc;
    rc = new_node(p, N_NOT, is, node);
    if (rc == AG_OK) (*node)->a = test;
    return rc;
}

static int filter_expr(struct parser *p, struct node **node) {
    int rc = AG_OK;
    while (rc == AG_OK) {
        if (tok_is_op(tok(p), '|')) rc = parse_filters(p, *node, false, node);
        else if (tok_is_name(tok(p), "is")) rc = test_of(p, node);
        else if (tok_is_op(tok(p), '(')) rc = call_of(p, *node, node);
        else break;
    }
    return rc;
}

static int parse_unary(struct parser *p, bool filters, struct node **out) {
    const struct token *t = tok(p);
    int rc = parse_enter(p);
    if (rc < 0) return rc;
    if (tok_is_op(t, '-') || tok_is_op(t, '+')) {
        struct node *of;
        p->at++;
        rc = parse_unary(p, false, &of);
        if (rc == AG_OK) rc = new_node(p, t->op == '-' ? N_NEG : N_POS, t, out);
        if (rc == AG_OK) (*out)->a = of;
    } else {
        rc = parse_primary(p, out);
    }
    if (rc == AG_OK) rc = parse_postfix(p, out);
    if (rc == AG_OK && filters) rc = filter_expr(p, out);
    parse_leave(p);
    return rc;
}

static int binary(struct parser *p, int kind, const struct token *at, struct node *b, struct node **a) {
    struct node *n;
    int rc = new_node(p, kind, at, &n);
    if (rc < 0) return rc;
    n->a = *a;
    n->b = b;
    n->op = at->op;
    return *a = n, AG_OK;
}

/* Levels of binary operators, the loosest first; concatenation lies between the first two. */
static const int level_ops[][5] = {
    { '+', '-' }, { '~' }, { '*', '/', OP_FLOORDIV, '%' }, { OP_POW },
};
enum { LEVELS = sizeof level_ops / sizeof *level_ops };

static int parse_binary(struct parser *p, int level, struct node **out) {
    if (level == LEVELS) return parse_unary(p, true, out);
    int rc = parse_binary(p, level + 1, out);
    while (rc == AG_OK) {
        const struct token *t = tok(p);
        bool ours = false;
        for (const int *op = level_ops[level]; *op; op++) ours |= tok_is_op(t, *op);
        if (!ours) break;
        struct node *right;
        p->at++;
        rc = parse_binary(p, level + 1, &right);
        if (rc < 0) break;
        if (t->op != '~') {
            rc = binary(p, N_BINARY, t, right, out);
            continue;
        }
        if ((*out)->kind != N_CONCAT || (*out)->flag) {
            struct node *n;
            if ((rc = new_node(p, N_CONCAT, t, &n)) < 0 || (rc = nodes_add(p, &n->list, *out)) < 0) break;
            *out = n;
        }
        rc = nodes_add(p, &(*out)->list, right);
    }
    if (rc == AG_OK && (*out)->kind == N_CONCAT) (*out)->flag = true; /* closed: no more operands */
    return rc;
}

static int compare_op(struct parser *p) {
    const struct token *t = tok(p);
    if (tok_is_name(t, "in")) return p->at++, OP_IN;
    if (tok_is_name(t, "not") && tok_is_name(t + 1, "in")) return p->at += 2, OP_NOT_IN;
    if (t->kind != TOK_OP) return 0;
    if (t->op == OP_EQ || t->op == OP_NE || t->op == OP_LE || t->op == OP_GE || t->op == '<' || t->op == '>')
        return p->at++, t->op;
    return 0;
}

static int parse_compare(struct parser *p, struct node **out) {
    const struct token *t = tok(p);
    int rc = parse_binary(p, 0, out), op;
    struct node *n = NULL;
    while (rc == AG_OK && (op = compare_op(p))) {
        struct node *right;
        if (!n) {
            if ((rc = new_node(p, N_COMPARE, t, &n)) < 0) break;
            n->a = *out;
            *out = n;
        }
        rc = parse_binary(p, 0, &right);
        if (rc == AG_OK) rc = nodes_add(p, &n->list, right);
        if (rc < 0) break;
        n->ops = arena_grow(p->arena, n->ops, n->list.n - 1, n->list.n, sizeof *n->ops);
        if (!n->ops) return AG_ENOMEM;
        n->ops[n->list.n - 1] = op;
    }
    return rc;
}

static int parse_not(struct parser *p, struct node **out) {
    const struct token *t = tok(p);
    if (!skip_name(p, "not")) return parse_compare(p, out);
    struct node *of;
    int rc = parse_enter(p);
    if (rc < 0) return rc;
    rc = parse_not(p, &of);
    if (rc == AG_OK) rc = new_node(p, N_NOT, t, out);
    if (rc == AG_OK) (*out)->a = of;
    parse_leave(p);
    return rc;
}

static int parse_logic(struct parser *p, bool or_, struct node **out) {
    int rc = or_ ? parse_logic(p, false, out) : parse_not(p, out);
    while (rc == AG_OK && tok_is_name(tok(p), or_ ? "or" : "and")) {
        const struct token *t = tok(p);
        struct node *right;
        p->at++;
        rc = or_ ? parse_logic(p, false, &right) : parse_not(p, &right);
        if (rc == AG_OK) rc = binary(p, or_ ? N_OR : N_AND, t, right, out);
    }
    return rc;
}

int parse_expr(struct parser *p, bool ternary, struct node **out) {
    int rc = parse_enter(p);
    if (rc < 0) return rc;
    rc = parse_logic(p, true, out);
    while (rc == AG_OK && ternary && tok_is_name(tok(p), "if")) {
        struct node *n;
        rc = new_node(p, N_COND, tok(p), &n);
        p->at++;
        if (rc == AG_OK) rc = parse_logic(p, true, &n->a);
        if (rc == AG_OK && skip_name(p, "else")) rc = parse_expr(p, true, &n->c);
        if (rc < 0) break;
        n->b = *out;
        *out = n;
    }
    parse_leave(p);
    return rc;
}

static bool ends_tuple(const struct token *t) {
    return t->kind == TOK_VAR_END || t->kind == TOK_BLOCK_END || tok_is_op(t, ')');
}

int parse_tuple(struct parser *p, bool ternary, bool parens, struct node **out) {
    const struct token *t = tok(p);
    struct node *item = NULL;
    if (ends_tuple(t) && !parens) return unexpected(p, "an expression");
    int rc = ends_tuple(t) ? AG_OK : parse_expr(p, ternary, &item);
    if (rc < 0 || (item && !tok_is_op(tok(p), ','))) return *out = item, rc;
    rc = new_node(p, N_TUPLE, t, out);
    if (rc == AG_OK && item) rc = nodes_add(p, &(*out)->list, item);
    while (rc == AG_OK && skip_op(p, ',') && !ends_tuple(tok(p))) {
        rc = parse_expr(p, ternary, &item);
        if (rc == AG_OK) rc = nodes_add(p, &(*out)->list, item);
    }
    return rc;
}
