/* SPDX-License-Identifier: MIT */
/* impl.h - inside the template engine. lexer.c -> parser.c, expr.c (a tree in an arena) -> exec.c,
 * eval.c over values; all values of a rendering live in its arena and go at once. */
#ifndef JINJA_IMPL_H
#define JINJA_IMPL_H

#include "token/jinja/jinja.h"
#include "util/error.h"

#include <string.h>

/* ---- arena.c: bump allocation under a limit ---------------------------------------------------- */

struct block;
struct arena { struct block *last; size_t used, limit; };
void *arena_alloc(struct arena *, size_t bytes); /* 16-byte aligned, zeroed; NULL with a fail text */
/* Room for n elements of `elem` bytes, the first `old` copied from p. */
void *arena_grow(struct arena *, void *p, size_t old, size_t n, size_t elem);
void arena_free(struct arena *);

/* ---- lexer.c ----------------------------------------------------------------------------------- */

enum token_kind {
    TOK_END, TOK_DATA, TOK_VAR_BEGIN, TOK_VAR_END, TOK_BLOCK_BEGIN, TOK_BLOCK_END,
    TOK_NAME, TOK_STRING, TOK_INT, TOK_FLOAT, TOK_OP,
};
/* Operators of one byte are themselves. */
enum { OP_EQ = 256, OP_NE, OP_LE, OP_GE, OP_FLOORDIV, OP_POW, OP_IN, OP_NOT_IN };

struct token {
    uint8_t kind;
    int op;
    const char *s; /* DATA, NAME, STRING (escapes resolved) */
    size_t n;
    int64_t i;
    double f;
    uint32_t line, col;
};
struct tokens { struct token *at; size_t n, cap; };
int lex(struct arena *, const char *text, size_t n, struct tokens *out);
int lex_fail(int code, uint32_t line, uint32_t col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- the tree ---------------------------------------------------------------------------------- */

enum node_kind {
    /* expressions */
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST,
    N_NOT, N_NEG, N_POS, N_AND, N_OR, N_COND, N_BINARY, N_CONCAT, N_COMPARE,
    /* statements */
    N_DATA, N_OUTPUT, N_IF, N_FOR, N_SET, N_SET_BLOCK, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_WITH,
    N_BREAK, N_CONTINUE, N_SCOPE,
};

struct node;
struct nodes { struct node **at; uint32_t n, cap; };
struct arg { const char *name; size_t n_name; struct node *value; uint8_t star; }; /* star: 0, 1, 2 */
struct args { struct arg *at; uint32_t n, cap; };

struct node {
    uint8_t kind;
    bool flag;            /* SET: namespace target (name.attr); MACRO: takes extra arguments */
    int op;               /* BINARY */
    uint32_t line, col;
    uint32_t name;        /* NAME, MACRO, SET ns: index of the name */
    const char *s;        /* ATTR, FILTER, TEST: name; DATA: text */
    size_t n;
    struct value *value;  /* CONST */
    struct node *a, *b, *c, *d;
    struct nodes list;    /* items; operands; loop target names; macro parameters; body */
    struct nodes body, other; /* other: else */
    int *ops;             /* COMPARE: one an operand of list */
    struct args args;
};

struct jinja {
    struct arena arena;
    struct node *root;
    const char **name; /* 0-terminated; macros may use varargs, kwargs and caller */
    uint32_t n_name, cap_name;
    uint32_t loop, caller, varargs, kwargs; /* indices of these names */
    bool uses_rest;    /* varargs or kwargs are read somewhere */
};

/* ---- parser.c, expr.c -------------------------------------------------------------------------- */

struct parser {
    struct jinja *j;
    struct arena *arena; /* the template's */
    struct tokens tokens;
    size_t at;
    uint32_t depth;
    uint32_t loops;      /* nesting of for, for break and continue */
    uint32_t *slot;      /* hash of names: index + 1 */
    uint32_t n_slot;
};

int parse_template(struct parser *, struct node **out);
int parse_expr(struct parser *, bool ternary, struct node **out);
/* Expressions with commas between are a tuple. end_in: `in` ends it. */
int parse_tuple(struct parser *, bool ternary, bool parens, struct node **out);
int parse_filters(struct parser *, struct node *of, bool inline_first, struct node **out);
int parse_call_args(struct parser *, struct args *);
int parse_name_index(struct parser *, const char *s, size_t n, uint32_t *out);
struct node *node_new(struct parser *, int kind, const struct token *at);
int nodes_add(struct parser *, struct nodes *, struct node *);
int parse_enter(struct parser *);
static inline void parse_leave(struct parser *p) { p->depth--; }
static inline const struct token *tok(const struct parser *p) { return &p->tokens.at[p->at]; }
bool tok_is_name(const struct token *, const char *name);
static inline bool tok_is_op(const struct token *t, int op) { return t->kind == TOK_OP && t->op == op; }
bool skip_name(struct parser *, const char *name);
bool skip_op(struct parser *, int op);
int want_op(struct parser *, int op, const char *shown);
int want_name(struct parser *, const struct token **out);
int unexpected(struct parser *, const char *wanted);

/* ---- values ------------------------------------------------------------------------------------ */

enum value_type {
    V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_FLOAT, V_STRING, V_LIST, V_TUPLE, V_DICT, V_NAMESPACE,
    V_MACRO, V_METHOD, V_FUNCTION, V_LOOP,
};

/* Bytes up to `end` are of the kind; the last run ends at the string's end. */
struct run { size_t end; bool literal; };
struct jstr {
    const char *p;
    size_t n;
    bool literal;       /* all of it, when there are no runs */
    bool markup;        /* what `safe` and `escape` give: "+" escapes what it is joined with */
    struct run *run;
    size_t n_run;
};

struct value {
    uint8_t type;
    union {
        bool b;
        int64_t i;
        double f;
        const struct jstr *s;
        struct list *l;
        struct dict *d;     /* DICT, NAMESPACE */
        const char *name;   /* UNDEFINED: what was looked for */
        struct macro *m;
        struct method *method;
        const struct function *fn;
        struct loop *loop;
    };
};
/* generator: what Python's lazy filters give: true even when empty, and without a length. */
struct list { struct value *at; size_t n, cap; bool generator; };
struct pair { struct value key, value; };
struct dict { struct pair *at; size_t n, cap; };
struct method { struct value self; const char *name; };

/* A scope: names set in it. NULL is the root, whose values are indexed by name. captured: a macro
 * keeps it. */
struct binding { uint32_t name; struct value value; };
struct env { struct env *up; struct binding *at; uint32_t n, cap; bool captured; };
struct macro { const struct node *node; struct env *env; };
struct loop { struct list items; size_t i; };



struct build;
struct ctx {
    const struct jinja *j;
    struct arena arena;
    struct jinja_limits limit;
    uint64_t steps;
    uint32_t depth;
    const struct node *at; /* for error texts */
    struct env *env;
    struct build *out;     /* where statements write: the rendering, a macro, a block */
    struct value *root;    /* one a name */
    bool *root_set;
    const char *now;
    int jump;              /* 0, N_BREAK, N_CONTINUE */
};

/* Evaluated arguments. */
struct call {
    struct value *at;
    size_t n;
    struct pair *kw; /* keys are strings */
    size_t n_kw;
};

static inline struct value v_bool(bool b) { return (struct value){ .type = V_BOOL, .b = b }; }
static inline struct value v_int(int64_t i) { return (struct value){ .type = V_INT, .i = i }; }
static inline struct value v_float(double f) { return (struct value){ .type = V_FLOAT, .f = f }; }
static inline struct value v_none(void) { return (struct value){ .type = V_NONE }; }
static inline struct value v_str(const struct jstr *s) { return (struct value){ .type = V_STRING, .s = s }; }
static inline struct value v_undefined(const char *name) {
    return (struct value){ .type = V_UNDEFINED, .name = name };
}
static inline bool is_str(const struct value *v) { return v->type == V_STRING; }
static inline bool is_seq(const struct value *v) { return v->type == V_LIST || v->type == V_TUPLE; }
static inline bool is_number(const struct value *v) {
    return v->type == V_INT || v->type == V_FLOAT || v->type == V_BOOL;
}
/* Booleans are integers in Python. */
static inline bool is_int(const struct value *v) { return v->type == V_INT || v->type == V_BOOL; }
static inline int64_t as_int(const struct value *v) { return v->type == V_BOOL ? v->b : v->i; }
static inline double as_float(const struct value *v) {
    return v->type == V_FLOAT ? v->f : (double)as_int(v);
}

/* value.c */
int jfail(struct ctx *, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int spend(struct ctx *, uint64_t steps);
int deeper(struct ctx *);
static inline void shallower(struct ctx *c) { c->depth--; }
void *jalloc(struct ctx *, size_t bytes);
const char *type_name(const struct value *);
bool truthy(const struct value *);
int undefined_fail(struct ctx *, const struct value *);
int value_equal(struct ctx *, const struct value *, const struct value *, bool *out);
int value_less(struct ctx *, const struct value *, const struct value *, bool *out);
int value_contains(struct ctx *, const struct value *in, const struct value *what, bool *out);
int list_add(struct ctx *, struct list *, struct value);
int dict_set(struct ctx *, struct dict *, struct value key, struct value);
int dict_find(struct ctx *, const struct dict *, const struct value *key, struct value **out);
struct value *dict_find_text(const struct dict *, const char *key); /* NULL: absent */
int new_list(struct ctx *, int type, struct value *out);
int new_dict(struct ctx *, int type, struct value *out);
int value_from_json(struct ctx *, const json_t *, bool literal, struct value *out);
/* Items of what a for loop takes. Lists are not copied. */
int value_items(struct ctx *, const struct value *, struct list *out);
bool text_is(const struct jstr *, const char *);

/* string.c: strings are immutable; ranges of kinds go with the bytes */
struct build { struct ctx *c; char *p; size_t n, cap; struct run *run; size_t n_run, cap_run; int rc; };
void build_add(struct build *, const char *p, size_t n, bool literal);
void build_str(struct build *, const struct jstr *, size_t from, size_t to); /* bytes */
void build_text(struct build *, const char *text);                           /* literal */
int build_done(struct build *, struct value *out);
int str_make(struct ctx *, const char *p, size_t n, bool literal, struct value *out); /* keeps p */
int str_copy(struct ctx *, const char *p, size_t n, bool literal, struct value *out);
int str_slice(struct ctx *, const struct jstr *, size_t from, size_t to, struct value *out); /* bytes */
int str_concat(struct ctx *, const struct jstr *, const struct jstr *, struct value *out);
bool str_all_literal(const struct jstr *);
bool str_literal_at(const struct jstr *, size_t byte, size_t *cursor); /* cursor starts at 0 */
size_t str_length(const struct jstr *); /* code points */
size_t str_byte_of(const struct jstr *, size_t code_point);
size_t text_find(const char *s, size_t n, size_t from, const char *what, size_t m); /* SIZE_MAX: no */
bool is_space_at(const char *s, size_t n, size_t *len);
/* Bytes [*from, *to) without white space, or the characters of `set`, at the ends asked for. */
void str_strip(const struct jstr *, const struct jstr *set, bool left, bool right, size_t *from, size_t *to);
uint32_t case_map(uint32_t cp, bool upper);
enum { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL };
int str_case(struct ctx *, const struct jstr *, int how, struct value *out);
int str_escape(struct ctx *, const struct jstr *, struct value *out);
int str_replace(struct ctx *, const struct jstr *, const struct jstr *what, const struct jstr *by,
                int64_t count, struct value *out);

/* print.c */
int value_str(struct ctx *, const struct value *, struct value *out);  /* str() */
int value_repr(struct ctx *, const struct value *, struct value *out);
size_t float_text(double, char to[32]);
struct json_style { bool ascii, sort; int indent; const struct jstr *indent_text, *item_sep, *key_sep; };
int value_json(struct ctx *, const struct value *, const struct json_style *, struct value *out);

/* call.c */
int call_args(struct ctx *, const struct args *, struct call *);
/* Argument i or keyword `name`; NULL when absent. */
struct value *call_arg(const struct call *, size_t i, const char *name);
int call_check(struct ctx *, const char *what, const struct call *, size_t min, size_t max,
               const char *const *names);
int call_int(struct ctx *, const char *what, const struct value *, int64_t *out);
int call_value(struct ctx *, const struct value *fn, const struct call *, struct value *out);
int call_macro(struct ctx *, const struct macro *, const struct call *, const struct value *caller,
               struct value *out);

/* eval.c, attr.c, arith.c, exec.c */
int eval(struct ctx *, const struct node *, struct value *out);
int get_attr(struct ctx *, const struct value *of, const char *name, size_t n, struct value *out);
int get_item(struct ctx *, const struct value *of, const struct value *key, struct value *out);
int get_slice(struct ctx *, const struct value *of, const struct value part[3], struct value *out);
int arith(struct ctx *, int op, const struct value *, const struct value *, struct value *out);
int exec_all(struct ctx *, const struct nodes *);
int env_set(struct ctx *, uint32_t name, struct value);
struct env *env_push(struct ctx *);

/* filters.c, filters_list.c, tests.c, methods.c, functions.c, format.c */
typedef int filter_fn(struct ctx *, const struct value *of, const struct call *, struct value *out);
int apply_filter(struct ctx *, const char *name, size_t n, const struct value *of, const struct call *,
                 struct value *out);
struct filter { const char *name; filter_fn *fn; };
extern const struct filter list_filters[]; /* ends with a NULL name */
int apply_test(struct ctx *, const char *name, size_t n, const struct value *of, const struct call *,
               bool *out);
const char *method_name(const struct value *of, const char *name, size_t n); /* NULL: has no such */
int call_method(struct ctx *, const struct method *, const struct call *, struct value *out);
struct function { const char *name; int (*fn)(struct ctx *, const struct call *, struct value *out); };
extern const struct function jinja_functions[]; /* ends with a NULL name */
int loop_attr(struct ctx *, const struct loop *, const char *name, size_t n, struct value *out);
int format_percent(struct ctx *, const struct jstr *, const struct value *args, struct value *out);
int format_braces(struct ctx *, const struct jstr *, const struct call *, struct value *out);

#endif
