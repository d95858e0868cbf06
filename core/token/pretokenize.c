/* SPDX-License-Identifier: MIT */
#include "token/pretokenize.h"

#include "token/unicode.h"

#include <string.h>

enum {
    ALPHA = CLASS_UPPER | CLASS_LOWER | CLASS_LETTER, /* \p{L} */
    REST = CLASS_OTHER | CLASS_MARK,                  /* [^\s\p{L}\p{N}] */
    HIGH = CLASS_UPPER | CLASS_LETTER | CLASS_MARK,   /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    LOW = CLASS_LOWER | CLASS_LETTER | CLASS_MARK,    /* [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    BOTH = CLASS_LETTER | CLASS_MARK,
};

/* End of the run of classes in mask. */
static size_t run(const char *s, size_t i, size_t n, unsigned mask) {
    size_t len;
    while (i < n && utf8_class(s + i, n - i, &len) & mask) i += len;
    return i;
}

/* At most `most` characters of the mask. */
static size_t run_most(const char *s, size_t i, size_t n, unsigned mask, int most) {
    size_t len;
    for (; most > 0 && i < n && utf8_class(s + i, n - i, &len) & mask; most--) i += len;
    return i;
}

/* End of 's 't 're 've 'm 'll 'd at i, or i. U+017F is an s without case. */
static size_t contraction(const char *s, size_t i, size_t n, bool any_case) {
    if (i + 1 >= n || s[i] != '\'') return i;
    unsigned char fold = any_case ? 0x20 : 0;
    unsigned char a = (unsigned char)s[i + 1], b = i + 2 < n ? (unsigned char)s[i + 2] : 0;
    if (any_case && a == 0xc5 && b == 0xbf) return i + 3;
    if (a >= 0x80) return i;
    a |= fold, b |= fold;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
    if ((a == 'r' || a == 'v') && b == 'e') return i + 3;
    return a == 'l' && b == 'l' ? i + 3 : i;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+ at i, which is white space. */
static size_t space_run(const char *s, size_t i, size_t n, bool lines) {
    size_t end = i, line = 0, last = i, len;
    while (end < n && utf8_class(s + end, n - end, &len) & CLASS_SPACE) {
        last = end;
        if (s[end] == '\r' || s[end] == '\n') line = end + 1;
        end += len;
    }
    if (lines && line) return line;
    return end < n && last > i ? last : end;
}

size_t pretok_gpt2(const char *s, size_t i, size_t n) {
    size_t c = contraction(s, i, n, false), len;
    if (c > i) return c;
    unsigned cls = utf8_class(s + i, n - i, &len);
    size_t j = i;
    if (s[i] == ' ' && i + 1 < n) cls = utf8_class(s + (j = i + 1), n - i - 1, &len);
    if (cls & CLASS_SPACE) return space_run(s, i, n, false);
    return run(s, j, n, cls & ALPHA ? ALPHA : cls & CLASS_NUMBER ? CLASS_NUMBER : REST);
}

/* What differs between the expressions of one shape. */
struct words {
    unsigned letters; /* of a word */
    unsigned rest;    /* neither letter, number nor space */
    int digits;       /* of one number */
    bool cased;       /* words end where lower case gives way to upper case */
    bool suffix;      /* a contraction belongs to the word before it (else it stands first) */
    bool slash;       /* trailing slashes follow a run of signs, as line ends do */
};

/* Word of o200k's two letter expressions from i, prefix included, or i. */
static size_t cased_word(const struct words *w, const char *s, size_t i, size_t n, bool prefix,
                         unsigned cls, size_t len) {
    size_t p = prefix ? i + len : i, a = p, last = p, end, k;
    unsigned c = 0;
    while (a < n && (c = utf8_class(s + a, n - a, &k)) & HIGH) {
        a += k;
        if (c & BOTH) last = a;
    }
    if (a < n && c & CLASS_LOWER) end = run(s, a, n, LOW);
    else if (last > p) end = last;
    else if (prefix && cls & CLASS_MARK) end = i + len;
    else if (a > p) return w->suffix ? contraction(s, a, n, true) : a;
    else return i;
    return w->suffix ? contraction(s, end, n, true) : end;
}

static size_t words_next(const struct words *w, const char *s, size_t i, size_t n) {
    if (!w->cased) {
        size_t c = contraction(s, i, n, true);
        if (c > i) return c;
    }
    size_t len, len2;
    unsigned cls = utf8_class(s + i, n - i, &len);
    bool prefix = !(cls & (ALPHA | CLASS_NUMBER)) && s[i] != '\r' && s[i] != '\n';
    if (w->cased && !(cls & CLASS_NUMBER)) {
        size_t end = cased_word(w, s, i, n, prefix, cls, len);
        if (end > i) return end;
    } else if (!w->cased) {
        if (prefix && i + len < n && utf8_class(s + i + len, n - i - len, &len2) & w->letters)
            return run(s, i + len, n, w->letters);
        if (cls & w->letters) return run(s, i, n, w->letters);
    }
    if (cls & CLASS_NUMBER) return run_most(s, i, n, CLASS_NUMBER, w->digits);
    size_t j = s[i] == ' ' ? i + 1 : i;
    if (j < n && utf8_class(s + j, n - j, &len2) & w->rest) {
        j = run(s, j, n, w->rest);
        while (j < n && (s[j] == '\r' || s[j] == '\n' || (w->slash && s[j] == '/'))) j++;
        return j;
    }
    return space_run(s, i, n, true);
}

#define SCANNER(name, ...)                                                                         \
    static size_t name(const char *s, size_t i, size_t n) {                                        \
        static const struct words w = { __VA_ARGS__ };                                             \
        return words_next(&w, s, i, n);                                                            \
    }
SCANNER(llama3, .letters = ALPHA, .rest = REST, .digits = 3)
SCANNER(qwen2, .letters = ALPHA, .rest = REST, .digits = 1)
SCANNER(qwen35, .letters = ALPHA | CLASS_MARK, .rest = CLASS_OTHER, .digits = 1)
SCANNER(o200k, .rest = REST, .digits = 3, .cased = true, .suffix = true, .slash = true)
SCANNER(tekken, .rest = REST, .digits = 1, .cased = true, .slash = true)

/* Matches of one character class are cut out one by one. */
static size_t isolate(const char *s, size_t i, size_t n, unsigned mask, bool runs) {
    size_t len;
    if (utf8_class(s + i, n - i, &len) & mask) return runs ? run(s, i, n, mask) : i + len;
    return run(s, i, n, ~mask);
}

size_t pretok_digit(const char *s, size_t i, size_t n) {
    return isolate(s, i, n, CLASS_NUMBER, false);
}

size_t pretok_digits(const char *s, size_t i, size_t n) {
    return isolate(s, i, n, CLASS_NUMBER, true);
}

size_t pretok_lines(const char *s, size_t i, size_t n) {
    bool ends = s[i] == '\n';
    while (++i < n && (s[i] == '\n') == ends) {}
    return i;
}

size_t pretok_space(const char *s, size_t i, size_t n) {
    const char *end = i + 1 < n ? memchr(s + i + 1, ' ', n - i - 1) : NULL;
    return end ? (size_t)(end - s) : n;
}

/* [\p{P}$+<=>^~|]+ */
static bool is_sign(const char *s, size_t i, size_t n, size_t *len) {
    return (utf8_class(s + i, n - i, len) & CLASS_PUNCT) || (s[i] && strchr("$+<=>^~|", s[i]));
}

static size_t signs(const char *s, size_t i, size_t n) {
    size_t len;
    bool first = is_sign(s, i, n, &len);
    for (i += len; i < n && is_sign(s, i, n, &len) == first;) i += len;
    return i;
}

static bool three_digits(const char *s, size_t i, size_t n) {
    for (size_t k = i; k < i + 3; k++)
        if (k >= n || s[k] < '0' || s[k] > '9') return false;
    return true;
}

static size_t threes(const char *s, size_t i, size_t n) {
    if (three_digits(s, i, n)) return i + 3;
    while (++i < n && !three_digits(s, i, n)) {}
    return i;
}

static const struct pretok_name names[] = {
    { .name = "default", .p = { { signs, pretok_gpt2, pretok_digits, threes }, 4 } },
    { .name = "gpt-2", .p = { { pretok_gpt2 }, 1 } },
    { .name = "mpt", .p = { { pretok_gpt2 }, 1 } },
    { .name = "smollm", .p = { { pretok_digit, pretok_gpt2 }, 2 } },
    { .name = "starcoder", .p = { { pretok_digit, pretok_gpt2 }, 2 } },
    { .name = "refact", .p = { { pretok_digit, pretok_gpt2 }, 2 } },
    { .name = "command-r", .p = { { pretok_digit, pretok_gpt2 }, 2 } },
    { .name = "llama-bpe", .p = { { llama3 }, 1 }, .ignore_merges = true, .add_bos = true },
    { .name = "llama3", .p = { { llama3 }, 1 }, .ignore_merges = true, .add_bos = true },
    { .name = "llama-v3", .p = { { llama3 }, 1 }, .ignore_merges = true, .add_bos = true },
    { .name = "falcon3", .p = { { llama3 }, 1 }, .ignore_merges = true, .add_bos = true },
    { .name = "pixtral", .p = { { llama3 }, 1 }, .ignore_merges = true, .add_bos = true },
    { .name = "glm4", .p = { { llama3 }, 1 }, .ignore_merges = true, .drop_bos = true },
    { .name = "qwen2", .p = { { qwen2 }, 1 } },
    { .name = "deepseek-r1-qwen", .p = { { qwen2 }, 1 } },
    { .name = "qwen35", .p = { { qwen35 }, 1 } },
    { .name = "gpt-4o", .p = { { o200k }, 1 } },
    { .name = "tekken", .p = { { tekken }, 1 }, .ignore_merges = true, .add_bos = true },
};

const struct pretok_name *pretok_by_name(const char *name, size_t n) {
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strlen(names[k].name) == n && !memcmp(names[k].name, name, n)) return &names[k];
    return NULL;
}

const char *pretok_names(void) {
    return "default, gpt-2, mpt, smollm, starcoder, refact, command-r, llama-bpe, falcon3, pixtral, "
           "glm4, qwen2, deepseek-r1-qwen, qwen35, gpt-4o, tekken";
}

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LINES_AND_SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define HIGH_SET "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOW_SET "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(suffix)                                                                              \
    "[^\\r\\n\\p{L}\\p{N}]?" HIGH_SET "*" LOW_SET "+" suffix                                       \
    "|[^\\r\\n\\p{L}\\p{N}]?" HIGH_SET "+" LOW_SET "*" suffix

static const struct { const char *regex; pretok_fn fn; } regexes[] = {
    { "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      pretok_gpt2 },
    { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
      LINES_AND_SPACES, llama3 },
    { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
      LINES_AND_SPACES, qwen2 },
    { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
      "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" LINES_AND_SPACES, qwen35 },
    { CASED(CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" LINES_AND_SPACES,
      o200k },
    { CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" LINES_AND_SPACES, tekken },
    { "\\p{N}", pretok_digit },
    { "\\p{N}+", pretok_digits },
};

pretok_fn pretok_by_regex(const char *regex, size_t n) {
    for (size_t k = 0; k < sizeof regexes / sizeof *regexes; k++)
        if (strlen(regexes[k].regex) == n && !memcmp(regexes[k].regex, regex, n))
            return regexes[k].fn;
    return NULL;
}
