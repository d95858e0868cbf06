/* SPDX-License-Identifier: MIT */
/* lexer.c - template text to tokens, in one pass. White space around tags goes as trim_blocks and
 * lstrip_blocks have it. */
#include "impl.h"

#include "token/unicode.h"
#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct lexer {
    struct arena *arena;
    char *s; /* the text with \n for all line ends */
    size_t n, i;
    struct tokens *out;
    size_t line_at, line_begin; /* the line of the byte line_at, so that lines are counted once */
    uint32_t line;
    bool line_starting;         /* the last tag took the line's end with it */
};

int lex_fail(int code, uint32_t line, uint32_t col, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fail(code, "chat template %u:%u: %s", line, col, text);
}

/* Positions come in rising order, but for those of errors. */
static void place(struct lexer *x, size_t at, uint32_t *line, uint32_t *col) {
    if (at < x->line_at) {
        x->line_at = x->line_begin = 0;
        x->line = 1;
    }
    for (; x->line_at < at; x->line_at++)
        if (x->s[x->line_at] == '\n') {
            x->line++;
            x->line_begin = x->line_at + 1;
        }
    *line = x->line;
    *col = (uint32_t)(at - x->line_begin + 1);
}

static int bad(struct lexer *x, size_t at, const char *what) {
    uint32_t line, col;
    place(x, at, &line, &col);
    return lex_fail(AG_EFORMAT, line, col, "%s", what);
}

static struct token *add(struct lexer *x, int kind, size_t at) {
    struct tokens *t = x->out;
    if (mem_grow(&t->at, &t->cap, t->n + 1, sizeof *t->at) < 0) return NULL;
    struct token *k = &t->at[t->n++];
    *k = (struct token){ .kind = (uint8_t)kind };
    place(x, at, &k->line, &k->col);
    return k;
}

static int add_data(struct lexer *x, size_t from, size_t to) {
    if (from == to) return AG_OK;
    struct token *k = add(x, TOK_DATA, from);
    if (!k) return AG_ENOMEM;
    k->s = x->s + from;
    k->n = to - from;
    return AG_OK;
}

static bool at(const struct lexer *x, size_t i, const char *what) {
    size_t n = strlen(what);
    return i <= x->n && x->n - i >= n && !memcmp(x->s + i, what, n);
}

static size_t skip_space(const struct lexer *x, size_t i) {
    size_t len;
    while (i < x->n && is_space_at(x->s + i, x->n - i, &len)) i += len;
    return i;
}

static size_t trim_end(const struct lexer *x, size_t from, size_t end) {
    struct jstr s = { .p = x->s + from, .n = end - from };
    size_t a, b;
    str_strip(&s, NULL, false, true, &a, &b);
    return from + b;
}

/* The text before a tag; sign: '-', '+' or 0; indent: lstrip_blocks holds for this tag. */
static int data_before(struct lexer *x, size_t from, size_t end, char sign, bool indent) {
    if (sign == '-') {
        end = trim_end(x, from, end);
    } else if (sign != '+' && indent) {
        size_t begin = end;
        while (begin > from && x->s[begin - 1] != '\n') begin--;
        if ((begin > from || x->line_starting) && trim_end(x, begin, end) == begin) end = begin;
    }
    return add_data(x, from, end);
}

/* Past the end of a block or comment tag: "-%}" takes the white space behind it, "%}" one line end. */
static bool tag_end(struct lexer *x, const char *mark, bool newline) {
    size_t n = strlen(mark), i = x->i;
    if ((x->s[i] == '-' || (newline && x->s[i] == '+')) && at(x, i + 1, mark)) {
        x->i += 1 + n;
        if (x->s[i] == '-') x->i = skip_space(x, x->i);
    } else if (at(x, i, mark)) {
        x->i += n;
        if (newline && x->i < x->n && x->s[x->i] == '\n') x->i++;
    } else {
        return false;
    }
    x->line_starting = x->s[x->i - 1] == '\n';
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name_byte(char c) {
    return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

static size_t digits(const struct lexer *x, size_t i) {
    while (i < x->n && (is_digit(x->s[i]) || (x->s[i] == '_' && i + 1 < x->n && is_digit(x->s[i + 1])))) i++;
    return i;
}

static int number(struct lexer *x) {
    const char *s = x->s;
    size_t begin = x->i, i = digits(x, begin);
    bool real = false, dot = begin && s[begin - 1] == '.';
    if (!dot && i + 1 < x->n && s[i] == '.' && is_digit(s[i + 1])) {
        real = true;
        i = digits(x, i + 1);
    }
    if (!dot && i + 1 < x->n && (s[i] == 'e' || s[i] == 'E')) {
        size_t k = i + 1 + (s[i + 1] == '+' || s[i + 1] == '-');
        if (k < x->n && is_digit(s[k])) {
            real = true;
            i = digits(x, k);
        }
    }
    int base = 10;
    if (!real && i == begin + 1 && s[begin] == '0' && i < x->n && (s[i] | 32) == 'x') base = 16;
    if (base == 16) {
        i++;
        while (i < x->n && (is_digit(s[i]) || ((s[i] | 32) >= 'a' && (s[i] | 32) <= 'f'))) i++;
    }
    char text[64];
    size_t n = 0;
    for (size_t k = begin; k < i; k++) {
        if (n + 1 >= sizeof text) return bad(x, begin, "a number of too many digits");
        if (s[k] != '_') text[n++] = s[k];
    }
    text[n] = 0;
    struct token *k = add(x, real ? TOK_FLOAT : TOK_INT, begin);
    if (!k) return AG_ENOMEM;
    if (real) {
        k->f = strtod(text, NULL);
    } else {
        for (size_t d = base == 16 ? 2 : 0; d < n; d++) {
            int v = is_digit(text[d]) ? text[d] - '0' : (text[d] | 32) - 'a' + 10;
            if (__builtin_mul_overflow(k->i, base, &k->i) || __builtin_add_overflow(k->i, v, &k->i))
                return lex_fail(AG_ENOTSUP, k->line, k->col, "an integer beyond 64 bits");
        }
    }
    x->i = i;
    return AG_OK;
}

/* Digits of an escape at s; false when there are too few. */
static bool escape_digits(const char *s, size_t left, int want, uint32_t *cp) {
    *cp = 0;
    for (int i = 0; i < want; i++) {
        char c = (size_t)i < left ? s[i] : 0;
        int v = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (v < 0) return false;
        *cp = *cp << 4 | (uint32_t)v;
    }
    return *cp < 0x110000 && !(*cp >= 0xd800 && *cp < 0xe000);
}

/* One escape at s[i] = '\\'; i moves past it. Unknown ones stay as they are. */
static int escape(struct lexer *x, size_t *i, size_t end, char **to) {
    static const char from[] = "ntrabfv\\'\"", by[] = "\n\t\r\a\b\f\v\\'\"";
    const char *s = x->s;
    char c = s[*i + 1];
    const char *simple = strchr(from, c);
    uint32_t cp = 0;
    if (c == '\n') {
        *i += 2;
    } else if (c && simple) {
        *(*to)++ = by[simple - from];
        *i += 2;
    } else if (c >= '0' && c <= '7') {
        size_t k = *i + 1;
        for (; k < end && k < *i + 4 && s[k] >= '0' && s[k] <= '7'; k++) cp = cp * 8 + (uint32_t)(s[k] - '0');
        *to += utf8_encode(cp, *to);
        *i = k;
    } else if (c == 'x' || c == 'u' || c == 'U') {
        int want = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        if (!escape_digits(s + *i + 2, end - *i - 2, want, &cp))
            return bad(x, *i, "a string with a malformed \\x, \\u or \\U escape");
        *to += utf8_encode(cp, *to);
        *i += 2 + (size_t)want;
    } else if (c == 'N') {
        return bad(x, *i, "a string with a \\N escape, which is not supported");
    } else {
        *(*to)++ = '\\';
        *i += 1;
    }
    return AG_OK;
}

static int string(struct lexer *x) {
    size_t begin = x->i, i = begin + 1, slashes = 0;
    char quote = x->s[begin];
    for (; i < x->n && x->s[i] != quote; i++)
        if (x->s[i] == '\\') i++, slashes++;
    if (i >= x->n) return bad(x, begin, "a string without an end");
    struct token *k = add(x, TOK_STRING, begin);
    if (!k) return AG_ENOMEM;
    k->s = x->s + begin + 1;
    k->n = i - begin - 1;
    x->i = i + 1;
    if (!slashes) return AG_OK;
    char *text = arena_alloc(x->arena, k->n + 1), *to = text; /* no escape grows */
    if (!text) return AG_ENOMEM;
    for (size_t a = begin + 1; a < i;) {
        if (x->s[a] != '\\') {
            *to++ = x->s[a++];
            continue;
        }
        int rc = escape(x, &a, i, &to);
        if (rc < 0) return rc;
    }
    k->s = text;
    k->n = (size_t)(to - text);
    return AG_OK;
}

static int operator(struct lexer *x, char *stack, size_t *depth, size_t max) {
    static const struct { char s[3]; int op; } two[] = {
        { "==", OP_EQ }, { "!=", OP_NE }, { "<=", OP_LE }, { ">=", OP_GE }, { "//", OP_FLOORDIV },
        { "**", OP_POW },
    };
    char c = x->s[x->i];
    struct token *k = add(x, TOK_OP, x->i);
    if (!k) return AG_ENOMEM;
    k->op = (unsigned char)c;
    for (size_t t = 0; t < sizeof two / sizeof *two; t++)
        if (at(x, x->i, two[t].s)) k->op = two[t].op;
    if (k->op < 256 && (!strchr("+-/*%~[](){}><=.:|,;", c) || !c))
        return lex_fail(AG_EFORMAT, k->line, k->col, "unexpected character '%c'",
                        c >= 32 && c < 127 ? c : '?');
    if (c == '(' || c == '[' || c == '{') {
        if (*depth == max) return lex_fail(AG_ENOTSUP, k->line, k->col, "brackets nested too deep");
        stack[(*depth)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!*depth) return lex_fail(AG_EFORMAT, k->line, k->col, "unexpected '%c'", c);
        if (stack[--*depth] != c)
            return lex_fail(AG_EFORMAT, k->line, k->col, "want '%c', found '%c'", stack[*depth], c);
    }
    x->i += k->op < 256 ? 1 : 2;
    return AG_OK;
}

/* Between the marks of {{ }} or {% %}. */
static int inside(struct lexer *x, bool block) {
    char stack[256];
    size_t depth = 0, begin = x->i, len;
    while (x->i < x->n) {
        size_t here = x->i;
        if (!depth && (block ? tag_end(x, "%}", true) : tag_end(x, "}}", false)))
            return add(x, block ? TOK_BLOCK_END : TOK_VAR_END, here) ? AG_OK : AG_ENOMEM;
        char c = x->s[x->i];
        int rc = AG_OK;
        if (is_space_at(x->s + x->i, x->n - x->i, &len)) {
            x->i += len;
        } else if (is_digit(c)) {
            rc = number(x);
        } else if (is_name_byte(c)) {
            struct token *k = add(x, TOK_NAME, x->i);
            if (!k) return AG_ENOMEM;
            k->s = x->s + x->i;
            while (x->i < x->n && is_name_byte(x->s[x->i])) x->i++;
            k->n = (size_t)(x->s + x->i - k->s);
        } else if (c == '\'' || c == '"') {
            rc = string(x);
        } else {
            rc = operator(x, stack, &depth, sizeof stack);
        }
        if (rc < 0) return rc;
    }
    return bad(x, begin, block ? "a tag {% without its %}" : "a tag {{ without its }}");
}

static int comment(struct lexer *x, size_t begin) {
    for (; x->i < x->n; x->i++)
        if (tag_end(x, "#}", true)) return AG_OK;
    return bad(x, begin, "a comment without its #}");
}

/* Past "raw" and its mark, or as it was. */
static bool raw_begin(struct lexer *x, size_t tag) {
    size_t i = skip_space(x, tag);
    if (!at(x, i, "raw")) return false;
    i = skip_space(x, i + 3);
    if (at(x, i, "-%}")) x->i = skip_space(x, i + 3);
    else if (at(x, i, "%}")) x->i = i + 2;
    else return false;
    x->line_starting = x->s[x->i - 1] == '\n';
    return true;
}

static int raw(struct lexer *x) {
    size_t begin = x->i;
    for (size_t i = begin; i + 2 < x->n; i++) {
        if (!at(x, i, "{%")) continue;
        char sign = x->s[i + 2];
        size_t k = skip_space(x, i + 2 + (sign == '-' || sign == '+'));
        if (!at(x, k, "endraw")) {
            i = k > i + 2 ? k - 1 : i; /* white space is passed over once */
            continue;
        }
        x->i = skip_space(x, k + 6);
        size_t to = x->i;
        int rc = data_before(x, begin, i, sign, true);
        x->i = to;
        if (rc < 0) return rc;
        if (x->i < x->n && tag_end(x, "%}", true)) return AG_OK;
        i = to > i ? to - 1 : i;
        return bad(x, i, "want %} after endraw");
    }
    return bad(x, begin, "a raw block without its endraw");
}

static int root(struct lexer *x) {
    for (size_t i = x->i; i + 1 < x->n; i++) {
        if (x->s[i] != '{' || !strchr("{%#", x->s[i + 1]) || !x->s[i + 1]) continue;
        char kind = x->s[i + 1], sign = i + 2 < x->n ? x->s[i + 2] : 0;
        bool signed_ = sign == '-' || sign == '+';
        size_t from = x->i, tag = i + 2 + signed_;
        int rc = data_before(x, from, i, sign, kind != '{');
        if (rc < 0) return rc;
        x->i = tag;
        if (kind == '%' && raw_begin(x, tag)) return raw(x);
        if (kind == '#') return comment(x, i);
        if (!add(x, kind == '{' ? TOK_VAR_BEGIN : TOK_BLOCK_BEGIN, i)) return AG_ENOMEM;
        return inside(x, kind == '%');
    }
    size_t from = x->i;
    x->i = x->n;
    return add_data(x, from, x->n);
}

/* One kind of line end, and the last one goes; all of it must be UTF-8. */
static int normalise(struct lexer *x, const char *text, size_t n) {
    x->s = arena_alloc(x->arena, n + 1);
    if (!x->s) return AG_ENOMEM;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        size_t len = utf8_decode(text + i, n - i, &cp);
        if (!len) return fail(AG_EFORMAT, "chat template: byte %zu is no UTF-8", i);
        if (text[i] == '\r') {
            x->s[x->n++] = '\n';
            i += i + 1 < n && text[i + 1] == '\n' ? 2 : 1;
            continue;
        }
        memcpy(x->s + x->n, text + i, len);
        x->n += len;
        i += len;
    }
    if (x->n && x->s[x->n - 1] == '\n') x->n--;
    x->s[x->n] = 0;
    return AG_OK;
}

int lex(struct arena *arena, const char *text, size_t n, struct tokens *out) {
    struct lexer x = { .arena = arena, .out = out, .line = 1, .line_starting = true };
    int rc = normalise(&x, text, n);
    while (rc == AG_OK && x.i < x.n) rc = root(&x);
    if (rc == AG_OK && !add(&x, TOK_END, x.n)) rc = AG_ENOMEM;
    return rc;
}
