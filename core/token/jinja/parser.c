/* SPDX-License-Identifier: MIT */
/* parser.c - tokens to a tree: statements, and what statements and expressions share. */
#include "impl.h"

#include <stdlib.h>

/* Nesting of the source. Chains (a.b.c, 1 + 1 + 1) make trees as deep as they are long; rendering
 * limits those. */
enum { NESTING = 200, MAX_TEMPLATE = 1 << 20, TEMPLATE_MEMORY = 128 << 20 };

bool tok_is_name(const struct token *t, const char *name) {
    return t->kind == TOK_NAME && t->n == strlen(name) && !memcmp(t->s, name, t->n);
}

bool skip_name(struct parser *p, const char *name) {
    return tok_is_name(tok(p), name) ? p->at++, true : false;
}

bool skip_op(struct parser *p, int op) { return tok_is_op(tok(p), op) ? p->at++, true : false; }

int unexpected(struct parser *p, const char *wanted) {
    static const char *const shown[] = {
        [TOK_END] = "the end of the template", [TOK_DATA] = "text", [TOK_VAR_BEGIN] = "{{",
        [TOK_VAR_END] = "}}", [TOK_BLOCK_BEGIN] = "{%", [TOK_BLOCK_END] = "%}",
        [TOK_STRING] = "a string", [TOK_INT] = "a number", [TOK_FLOAT] = "a number",
    };
    static const char *const two[] = { "==", "!=", "<=", ">=", "//", "**" };
    const struct token *t = tok(p);
    if (t->kind == TOK_NAME)
        return lex_fail(AG_EFORMAT, t->line, t->col, "want %s, found '%.*s'", wanted,
                        t->n > 60 ? 60 : (int)t->n, t->s);
    if (t->kind == TOK_OP && t->op < 256)
        return lex_fail(AG_EFORMAT, t->line, t->col, "want %s, found '%c'", wanted, t->op);
    return lex_fail(AG_EFORMAT, t->line, t->col, "want %s, found %s", wanted,
                    t->kind == TOK_OP ? two[t->op - 256] : shown[t->kind]);
}

int want_op(struct parser *p, int op, const char *shown) {
    return skip_op(p, op) ? AG_OK : unexpected(p, shown);
}

int want_name(struct parser *p, const struct token **out) {
    *out = tok(p);
    if ((*out)->kind != TOK_NAME) return unexpected(p, "a name");
    p->at++;
    return AG_OK;
}

static int want_block_end(struct parser *p) {
    if (tok(p)->kind != TOK_BLOCK_END) return unexpected(p, "%}");
    p->at++;
    return AG_OK;
}

int parse_enter(struct parser *p) {
    if (p->depth == NESTING)
        return lex_fail(AG_ENOTSUP, tok(p)->line, tok(p)->col, "nested deeper than %d levels", NESTING);
    p->depth++;
    return AG_OK;
}

struct node *node_new(struct parser *p, int kind, const struct token *at) {
    struct node *n = arena_alloc(p->arena, sizeof *n);
    if (!n) return NULL;
    n->kind = (uint8_t)kind;
    n->line = at->line;
    n->col = at->col;
    return n;
}

int nodes_add(struct parser *p, struct nodes *list, struct node *n) {
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? 2 * list->cap : 4;
        list->at = arena_grow(p->arena, list->at, list->n, cap, sizeof *list->at);
        if (!list->at) return AG_ENOMEM;
        list->cap = cap;
    }
    list->at[list->n++] = n;
    return AG_OK;
}

static uint32_t name_hash(const char *s, size_t n) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h;
}

static int grow_names(struct parser *p) {
    struct jinja *j = p->j;
    uint32_t cap = j->cap_name ? 2 * j->cap_name : 64;
    j->name = arena_grow(p->arena, j->name, j->n_name, cap, sizeof *j->name);
    free(p->slot);
    p->n_slot = 4 * cap;
    p->slot = calloc(p->n_slot, sizeof *p->slot);
    if (!j->name || !p->slot) return fail(AG_ENOMEM, "chat template: out of memory");
    j->cap_name = cap;
    for (uint32_t i = 0; i < j->n_name; i++) {
        uint32_t at = name_hash(j->name[i], strlen(j->name[i])) % p->n_slot;
        while (p->slot[at]) at = (at + 1) % p->n_slot;
        p->slot[at] = i + 1;
    }
    return AG_OK;
}

int parse_name_index(struct parser *p, const char *s, size_t n, uint32_t *out) {
    struct jinja *j = p->j;
    if (j->n_name == j->cap_name && grow_names(p) < 0) return AG_ENOMEM;
    uint32_t at = name_hash(s, n) % p->n_slot, i;
    for (; (i = p->slot[at]); at = (at + 1) % p->n_slot)
        if (!strncmp(j->name[i - 1], s, n) && !j->name[i - 1][n]) return *out = i - 1, AG_OK;
    char *copy = arena_alloc(p->arena, n + 1);
    if (!copy) return AG_ENOMEM;
    memcpy(copy, s, n);
    j->name[j->n_name] = copy;
    p->slot[at] = ++j->n_name;
    return *out = j->n_name - 1, AG_OK;
}

/* ---- statements -------------------------------------------------------------------------------- */

static int parse_body(struct parser *p, struct nodes *out, const char *const *ends, int *which);

static const char *const end_for[] = { "endfor", "else", NULL }, *const end_else[] = { "endfor", NULL },
    *const end_if[] = { "endif", "else", "elif", NULL }, *const end_if_else[] = { "endif", NULL },
    *const end_set[] = { "endset", NULL }, *const end_macro[] = { "endmacro", NULL },
    *const end_call[] = { "endcall", NULL }, *const end_filter[] = { "endfilter", NULL },
    *const end_with[] = { "endwith", NULL }, *const end_generation[] = { "endgeneration", NULL };

/* A name or names with commas between, in parentheses or not; flag: one name without a comma. */
static int targets(struct parser *p, const char *stop, struct node *of) {
    bool parens = skip_op(p, '('), comma = false;
    int rc = AG_OK;
    do {
        const struct token *t;
        struct node *n;
        if (of->list.n && (tok_is_op(tok(p), ')') || tok_is_op(tok(p), '=') || tok_is_name(tok(p), stop))) break;
        rc = want_name(p, &t);
        if (rc == AG_OK && !(n = node_new(p, N_NAME, t))) rc = AG_ENOMEM;
        if (rc == AG_OK) rc = parse_name_index(p, t->s, t->n, &n->name);
        if (rc == AG_OK) rc = nodes_add(p, &of->list, n);
        if (rc == AG_OK && tok_is_op(tok(p), ',')) comma = true;
    } while (rc == AG_OK && skip_op(p, ','));
    if (rc == AG_OK && parens) rc = want_op(p, ')', "')'");
    of->op = comma; /* unpack */
    return rc;
}

static int parse_for(struct parser *p, struct node *n) {
    int rc = targets(p, "in", n), which;
    if (rc == AG_OK && !skip_name(p, "in")) rc = unexpected(p, "'in'");
    if (rc == AG_OK) rc = parse_tuple(p, false, false, &n->a);
    if (rc == AG_OK && skip_name(p, "if")) rc = parse_expr(p, true, &n->b);
    if (rc == AG_OK && tok_is_name(tok(p), "recursive"))
        return lex_fail(AG_ENOTSUP, n->line, n->col, "recursive loops are not supported");
    p->loops++;
    if (rc == AG_OK) rc = parse_body(p, &n->body, end_for, &which);
    p->loops--;
    if (rc == AG_OK && which == 1) rc = parse_body(p, &n->other, end_else, &which);
    return rc;
}

static int parse_if(struct parser *p, struct node *n) {
    int which = 2, rc = AG_OK;
    while (rc == AG_OK && which == 2) {
        rc = parse_tuple(p, false, false, &n->a);
        if (rc == AG_OK) rc = parse_body(p, &n->body, end_if, &which);
        if (rc < 0 || which == 0) break;
        if (which == 1) {
            rc = parse_body(p, &n->other, end_if_else, &which);
            break;
        }
        /* An elif is an if in the else; its end is ours. */
        struct node *next = node_new(p, N_IF, tok(p));
        if (!next) return AG_ENOMEM;
        rc = nodes_add(p, &n->other, next);
        n = next;
    }
    return rc;
}

static int parse_set(struct parser *p, struct node *n) {
    const struct token *t = tok(p);
    int rc, which;
    if (t->kind == TOK_NAME && tok_is_op(t + 1, '.')) {
        p->at += 2;
        rc = parse_name_index(p, t->s, t->n, &n->name);
        if (rc == AG_OK) rc = want_name(p, &t);
        n->flag = true;
        n->s = t->s;
        n->n = t->n;
    } else {
        rc = targets(p, "=", n);
    }
    if (rc < 0) return rc;
    if (skip_op(p, '=')) return parse_tuple(p, true, false, &n->a);
    n->kind = N_SET_BLOCK;
    rc = parse_filters(p, NULL, false, &n->a);
    return rc == AG_OK ? parse_body(p, &n->body, end_set, &which) : rc;
}

/* Parameters: names in list, defaults (or NULL) in args. */
static int signature(struct parser *p, struct node *n) {
    int rc = want_op(p, '(', "'('");
    while (rc == AG_OK && !tok_is_op(tok(p), ')')) {
        const struct token *t;
        struct node *name;
        if (n->list.n && (rc = want_op(p, ',', "','")) < 0) break;
        rc = want_name(p, &t);
        if (rc == AG_OK && !(name = node_new(p, N_NAME, t))) rc = AG_ENOMEM;
        if (rc == AG_OK) rc = parse_name_index(p, t->s, t->n, &name->name);
        if (rc == AG_OK) rc = nodes_add(p, &n->list, name);
        if (rc == AG_OK && skip_op(p, '=')) rc = parse_expr(p, true, &name->a);
        else if (rc == AG_OK && n->list.n > 1 && n->list.at[n->list.n - 2]->a)
            return lex_fail(AG_EFORMAT, t->line, t->col, "want a default: the parameter before has one");
    }
    return rc == AG_OK ? want_op(p, ')', "')'") : rc;
}

/* break and continue do not reach out of a macro's body. */
static int macro_body(struct parser *p, struct nodes *body, const char *const *ends) {
    uint32_t loops = p->loops;
    int which;
    p->loops = 0;
    int rc = parse_body(p, body, ends, &which);
    p->loops = loops;
    return rc;
}

static int parse_macro(struct parser *p, struct node *n) {
    const struct token *t;
    int rc = want_name(p, &t);
    if (rc == AG_OK) rc = parse_name_index(p, t->s, t->n, &n->name);
    if (rc == AG_OK) rc = signature(p, n);
    return rc == AG_OK ? macro_body(p, &n->body, end_macro) : rc;
}

static int parse_call_block(struct parser *p, struct node *n) {
    int rc = tok_is_op(tok(p), '(') ? signature(p, n) : AG_OK;
    n->name = p->j->caller;
    if (rc == AG_OK) rc = parse_expr(p, true, &n->a);
    if (rc == AG_OK && n->a->kind != N_CALL) return unexpected(p, "a call before");
    return rc == AG_OK ? macro_body(p, &n->body, end_call) : rc;
}

static int parse_filter_block(struct parser *p, struct node *n) {
    int rc = parse_filters(p, NULL, true, &n->a), which;
    return rc == AG_OK ? parse_body(p, &n->body, end_filter, &which) : rc;
}

static int parse_with(struct parser *p, struct node *n) {
    int rc = AG_OK, which;
    while (rc == AG_OK && tok(p)->kind != TOK_BLOCK_END) {
        const struct token *t;
        struct node *name;
        if (n->list.n && (rc = want_op(p, ',', "','")) < 0) break;
        rc = want_name(p, &t);
        if (rc == AG_OK && !(name = node_new(p, N_NAME, t))) rc = AG_ENOMEM;
        if (rc == AG_OK) rc = parse_name_index(p, t->s, t->n, &name->name);
        if (rc == AG_OK) rc = want_op(p, '=', "'='");
        if (rc == AG_OK) rc = parse_expr(p, true, &name->a);
        if (rc == AG_OK) rc = nodes_add(p, &n->list, name);
    }
    return rc == AG_OK ? parse_body(p, &n->body, end_with, &which) : rc;
}

/* The marks of the assistant's own words, for training: they change nothing. */
static int parse_generation(struct parser *p, struct node *n) {
    int which;
    return parse_body(p, &n->body, end_generation, &which);
}

static int parse_jump(struct parser *p, struct node *n) {
    return p->loops ? AG_OK : lex_fail(AG_EFORMAT, n->line, n->col, "break or continue outside of a loop");
}

static const struct { const char *name; int kind; int (*fn)(struct parser *, struct node *); bool ended; }
statements[] = {
    { "if", N_IF, parse_if, true },           { "for", N_FOR, parse_for, true },
    { "set", N_SET, parse_set, false },       { "macro", N_MACRO, parse_macro, true },
    { "call", N_CALL_BLOCK, parse_call_block, true }, { "with", N_WITH, parse_with, true },
    { "filter", N_FILTER_BLOCK, parse_filter_block, true },
    { "generation", N_SCOPE, parse_generation, true },
    { "break", N_BREAK, parse_jump, false },  { "continue", N_CONTINUE, parse_jump, false },
};

static int parse_statement(struct parser *p, struct nodes *out) {
    const struct token *t;
    int rc = want_name(p, &t);
    if (rc < 0) return rc;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!tok_is_name(t, statements[i].name)) continue;
        struct node *n = node_new(p, statements[i].kind, t);
        if (!n) return AG_ENOMEM;
        rc = statements[i].fn(p, n);
        if (rc == AG_OK) rc = nodes_add(p, out, n);
        return rc == AG_OK ? want_block_end(p) : rc;
    }
    if (t->n > 3 && !memcmp(t->s, "end", 3)) return p->at--, unexpected(p, "another tag here");
    return lex_fail(AG_ENOTSUP, t->line, t->col, "the tag {%% %.*s %%} is not supported",
                    t->n > 40 ? 40 : (int)t->n, t->s);
}

static int parse_output(struct parser *p, struct nodes *out) {
    struct node *n = node_new(p, N_OUTPUT, tok(p));
    if (!n) return AG_ENOMEM;
    int rc = parse_tuple(p, true, false, &n->a);
    if (rc == AG_OK && tok(p)->kind != TOK_VAR_END) return unexpected(p, "}}");
    if (rc == AG_OK) p->at++;
    return rc == AG_OK ? nodes_add(p, out, n) : rc;
}

/* Up to {% of one of ends, which is passed over but for its %}. ends NULL: up to the end. */
static int statements_until(struct parser *p, struct nodes *out, const char *const *ends, int *which) {
    int rc = AG_OK;
    while (rc == AG_OK) {
        const struct token *t = tok(p);
        if (t->kind == TOK_END) {
            if (!ends) return AG_OK;
            char what[64] = "{% ";
            strcat(strcat(what, ends[0]), " %}");
            return unexpected(p, what);
        }
        p->at++;
        if (t->kind == TOK_DATA) {
            struct node *n = node_new(p, N_DATA, t);
            if (!n) return AG_ENOMEM;
            n->s = t->s;
            n->n = t->n;
            rc = nodes_add(p, out, n);
        } else if (t->kind == TOK_VAR_BEGIN) {
            rc = parse_output(p, out);
        } else {
            for (int i = 0; ends && ends[i]; i++)
                if (skip_name(p, ends[i])) return *which = i, AG_OK;
            rc = parse_statement(p, out);
        }
    }
    return rc;
}

static int parse_body(struct parser *p, struct nodes *out, const char *const *ends, int *which) {
    int rc = want_block_end(p);
    if (rc == AG_OK) rc = parse_enter(p);
    if (rc < 0) return rc;
    rc = statements_until(p, out, ends, which);
    parse_leave(p);
    return rc;
}

static int parse_all(struct parser *p) {
    static const char *const fixed[] = { "loop", "caller", "varargs", "kwargs" };
    struct jinja *j = p->j;
    uint32_t *const index[] = { &j->loop, &j->caller, &j->varargs, &j->kwargs };
    int rc = AG_OK, which;
    for (size_t i = 0; i < 4 && rc == AG_OK; i++)
        rc = parse_name_index(p, fixed[i], strlen(fixed[i]), index[i]);
    const struct token none = { .line = 1, .col = 1 };
    if (rc == AG_OK && !(j->root = node_new(p, N_SCOPE, &none))) rc = AG_ENOMEM;
    return rc == AG_OK ? statements_until(p, &j->root->body, NULL, &which) : rc;
}

int jinja_parse(const char *text, size_t n, struct jinja **out) {
    if (n > MAX_TEMPLATE)
        return fail(AG_ENOTSUP, "chat template: want at most %d bytes, found %zu", MAX_TEMPLATE, n);
    struct jinja *j = calloc(1, sizeof *j);
    if (!j) return fail(AG_ENOMEM, "chat template: out of memory");
    j->arena.limit = TEMPLATE_MEMORY;
    struct parser p = { .j = j, .arena = &j->arena };
    int rc = lex(&j->arena, text, n, &p.tokens);
    if (rc == AG_OK) rc = parse_all(&p);
    free(p.tokens.at);
    free(p.slot);
    if (rc < 0) {
        jinja_free(j);
        return rc;
    }
    *out = j;
    return AG_OK;
}

void jinja_free(struct jinja *j) {
    if (!j) return;
    arena_free(&j->arena);
    free(j);
}

bool jinja_uses(const struct jinja *j, const char *name) {
    for (uint32_t i = 0; i < j->n_name; i++)
        if (!strcmp(j->name[i], name)) return true;
    return false;
}
