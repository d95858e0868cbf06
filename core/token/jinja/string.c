/* SPDX-License-Identifier: MIT */
/* string.c - strings whose bytes remember where they come from. */
#define _GNU_SOURCE    /* memmem, linear where a loop over memcmp is not */
#define _DARWIN_C_SOURCE
#include "impl.h"

#include "token/unicode.h"

bool is_space_at(const char *s, size_t n, size_t *len) {
    unsigned cls = utf8_class(s, n, len);
    return cls & CLASS_SPACE || (*s >= 0x1c && *s <= 0x1f);
}

int str_make(struct ctx *c, const char *p, size_t n, bool literal, struct value *out) {
    struct jstr *s = jalloc(c, sizeof *s);
    if (!s) return AG_ENOMEM;
    *s = (struct jstr){ .p = p, .n = n, .literal = literal };
    *out = v_str(s);
    return AG_OK;
}

int str_copy(struct ctx *c, const char *p, size_t n, bool literal, struct value *out) {
    char *copy = jalloc(c, n + 1);
    if (!copy) return AG_ENOMEM;
    if (n) memcpy(copy, p, n);
    int rc = spend(c, n / 64);
    return rc == AG_OK ? str_make(c, copy, n, literal, out) : rc;
}

bool str_literal_at(const struct jstr *s, size_t byte, size_t *cursor) {
    if (!s->n_run) return s->literal;
    while (*cursor + 1 < s->n_run && s->run[*cursor].end <= byte) ++*cursor;
    return s->run[*cursor].literal;
}

bool str_all_literal(const struct jstr *s) {
    if (!s->n_run) return s->literal || !s->n;
    for (size_t i = 0; i < s->n_run; i++)
        if (!s->run[i].literal) return false;
    return true;
}

/* First run that holds the byte. */
static size_t run_of(const struct jstr *s, size_t byte) {
    size_t lo = 0, hi = s->n_run;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->run[mid].end <= byte) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

int str_slice(struct ctx *c, const struct jstr *s, size_t from, size_t to, struct value *out) {
    if (to < from) to = from;
    struct jstr *part = jalloc(c, sizeof *part);
    if (!part) return AG_ENOMEM;
    *part = (struct jstr){ .p = s->p + from, .n = to - from, .literal = s->literal };
    *out = v_str(part);
    if (!s->n_run || from == to) return spend(c, 1);
    size_t first = run_of(s, from), last = run_of(s, to - 1), n = last - first + 1;
    part->literal = s->run[first].literal;
    if (n == 1) return spend(c, 1);
    part->run = jalloc(c, n * sizeof *part->run);
    if (!part->run) return AG_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        size_t end = s->run[first + i].end;
        part->run[i] = (struct run){ (end < to ? end : to) - from, s->run[first + i].literal };
    }
    part->n_run = n;
    return spend(c, 1 + n / 16);
}

/* ---- building ---------------------------------------------------------------------------------- */

void build_add(struct build *b, const char *p, size_t n, bool literal) {
    if (b->rc < 0 || !n) return;
    if (n > SIZE_MAX / 4 - b->n || (b->rc = spend(b->c, n / 64)) < 0) {
        if (b->rc == AG_OK) b->rc = fail(AG_ENOMEM, "chat template: out of memory");
        return;
    }
    if (b->n + n > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->n + n) cap *= 2;
        b->p = arena_grow(&b->c->arena, b->p, b->cap, cap, 1);
        if (!b->p) {
            b->rc = AG_ENOMEM;
            return;
        }
        b->cap = cap;
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    if (b->n_run && b->run[b->n_run - 1].literal == literal) {
        b->run[b->n_run - 1].end = b->n;
        return;
    }
    if (b->n_run == b->cap_run) {
        size_t cap = b->cap_run ? 2 * b->cap_run : 2;
        b->run = arena_grow(&b->c->arena, b->run, b->n_run, cap, sizeof *b->run);
        if (!b->run) {
            b->rc = AG_ENOMEM;
            return;
        }
        b->cap_run = cap;
    }
    b->run[b->n_run++] = (struct run){ b->n, literal };
}

void build_text(struct build *b, const char *text) { build_add(b, text, strlen(text), true); }

void build_str(struct build *b, const struct jstr *s, size_t from, size_t to) {
    if (from >= to) return;
    if (!s->n_run) {
        build_add(b, s->p + from, to - from, s->literal);
        return;
    }
    for (size_t i = run_of(s, from); from < to && b->rc == AG_OK; i++) {
        size_t end = s->run[i].end < to ? s->run[i].end : to;
        build_add(b, s->p + from, end - from, s->run[i].literal);
        from = end;
    }
}

int build_done(struct build *b, struct value *out) {
    if (b->rc < 0) return b->rc;
    struct jstr *s = jalloc(b->c, sizeof *s);
    if (!s) return AG_ENOMEM;
    *s = (struct jstr){ .p = b->p ? b->p : "", .n = b->n, .literal = !b->n_run || b->run[0].literal };
    if (b->n_run > 1) {
        s->run = b->run;
        s->n_run = b->n_run;
    }
    *out = v_str(s);
    return AG_OK;
}

int str_concat(struct ctx *c, const struct jstr *a, const struct jstr *b, struct value *out) {
    struct build to = { .c = c };
    build_str(&to, a, 0, a->n);
    build_str(&to, b, 0, b->n);
    return build_done(&to, out);
}

/* ---- places ------------------------------------------------------------------------------------ */

size_t str_length(const struct jstr *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += ((unsigned char)s->p[i] & 0xc0) != 0x80;
    return n;
}

size_t str_byte_of(const struct jstr *s, size_t code_point) {
    size_t i = 0;
    for (; i < s->n; i++)
        if (((unsigned char)s->p[i] & 0xc0) != 0x80 && code_point-- == 0) break;
    return i;
}

size_t text_find(const char *s, size_t n, size_t from, const char *what, size_t m) {
    if (m > n || from > n - m) return SIZE_MAX;
    if (!m) return from;
    const char *at = memmem(s + from, n - from, what, m);
    return at ? (size_t)(at - s) : SIZE_MAX;
}

/* Does the character at p of a string stand in `set` (NULL: white space)? */
static bool strips(const char *p, size_t len, const struct jstr *set) {
    size_t k;
    if (!set) return is_space_at(p, len, &k);
    return text_find(set->p, set->n, 0, p, len) != SIZE_MAX;
}

void str_strip(const struct jstr *s, const struct jstr *set, bool left, bool right, size_t *from,
               size_t *to) {
    size_t a = 0, b = s->n;
    while (left && a < b) {
        size_t end = a + 1;
        while (end < b && ((unsigned char)s->p[end] & 0xc0) == 0x80) end++;
        if (!strips(s->p + a, end - a, set)) break;
        a = end;
    }
    while (right && a < b) {
        size_t at = b - 1;
        while (at > a && ((unsigned char)s->p[at] & 0xc0) == 0x80) at--;
        if (!strips(s->p + at, b - at, set)) break;
        b = at;
    }
    *from = a;
    *to = b;
}

/* ---- whole strings ----------------------------------------------------------------------------- */

static void add_mapped(struct build *b, uint32_t cp, bool upper, bool literal) {
    char text[4];
    if (cp == 0xdf && upper) { /* sharp s */
        build_add(b, "SS", 2, literal);
        return;
    }
    build_add(b, text, utf8_encode(case_map(cp, upper), text), literal);
}

int str_case(struct ctx *c, const struct jstr *s, int how, struct value *out) {
    struct build b = { .c = c };
    size_t cursor = 0, len;
    bool word = false; /* inside a word */
    int rc = spend(c, s->n / 16);
    for (size_t i = 0; rc == AG_OK && i < s->n && b.rc == AG_OK; i += len) {
        uint32_t cp = 0;
        unsigned cls = utf8_class(s->p + i, s->n - i, &len);
        bool literal = str_literal_at(s, i, &cursor);
        bool letter = cls & (CLASS_UPPER | CLASS_LOWER);
        bool upper = how == CASE_UPPER || (how == CASE_TITLE && !word) || (how == CASE_CAPITAL && i == 0);
        utf8_decode(s->p + i, s->n - i, &cp);
        add_mapped(&b, cp, upper, literal);
        word = letter;
    }
    return rc == AG_OK ? build_done(&b, out) : rc;
}

int str_escape(struct ctx *c, const struct jstr *s, struct value *out) {
    static const char what[] = "&<>'\"", *const by[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    struct build b = { .c = c };
    size_t done = 0;
    int rc = spend(c, s->n / 16);
    for (size_t i = 0; rc == AG_OK && i < s->n; i++) {
        const char *at = s->p[i] ? strchr(what, s->p[i]) : NULL;
        if (!at) continue;
        size_t cursor = 0;
        build_str(&b, s, done, i);
        build_add(&b, by[at - what], strlen(by[at - what]), str_literal_at(s, i, &cursor));
        done = i + 1;
    }
    if (rc == AG_OK) build_str(&b, s, done, s->n);
    if (rc == AG_OK) rc = build_done(&b, out);
    if (rc == AG_OK) ((struct jstr *)out->s)->markup = true; /* fresh: nobody else has it */
    return rc;
}

int str_replace(struct ctx *c, const struct jstr *s, const struct jstr *what, const struct jstr *by,
                int64_t count, struct value *out) {
    struct build b = { .c = c };
    size_t at = 0, from = 0;
    int rc = spend(c, 1 + s->n / 64);
    while (rc == AG_OK && b.rc == AG_OK && count-- != 0 && from <= s->n) {
        size_t hit = text_find(s->p, s->n, from, what->p, what->n);
        if (hit == SIZE_MAX) break;
        build_str(&b, s, at, hit);
        build_str(&b, by, 0, by->n);
        at = hit + what->n;
        from = at;
        if (!what->n) /* between all characters */
            do from++; while (from < s->n && ((unsigned char)s->p[from] & 0xc0) == 0x80);
        rc = spend(c, 1);
    }
    build_str(&b, s, at, s->n);
    return rc == AG_OK ? build_done(&b, out) : rc;
}
