/* SPDX-License-Identifier: MIT */
#include "util/jsonpull.h"

#include "util/error.h"

#include <string.h>

enum { WANT_VALUE, WANT_VALUE_OR_CLOSE, WANT_KEY_OR_CLOSE, WANT_COMMA_OR_CLOSE, WANT_END };

void pull_start(struct jsonpull *j, const char *bytes, size_t n) {
    *j = (struct jsonpull){ .begin = bytes, .p = bytes, .end = bytes + n, .expect = WANT_VALUE };
}

void pull_finish(struct jsonpull *j) { str_free(&j->unescaped); }

static int bad(const struct jsonpull *j, const char *what) {
    return fail(AG_EFORMAT, "JSON: %s at byte %zu", what, (size_t)(j->p - j->begin));
}

static void skip_space(struct jsonpull *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

static int hex4(struct jsonpull *j, uint32_t *out) {
    if (j->end - j->p < 4) return bad(j, "unfinished \\u");
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = j->p[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
        if (d > 15) return bad(j, "bad digit after \\u");
        v = v << 4 | d;
    }
    j->p += 4;
    *out = v;
    return AG_OK;
}

static void add_utf8(struct str *s, uint32_t c) {
    if (c < 0x80) {
        str_putc(s, (char)c);
        return;
    }
    char b[4];
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6) b[i] = (char)(0x80 | (c & 0x3f));
    b[0] = (char)(c | (n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0));
    str_add(s, b, (size_t)n);
}

/* After a backslash. */
static int escape(struct jsonpull *j) {
    if (j->p == j->end) return bad(j, "unfinished string");
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = *j->p;
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        j->p++;
        str_putc(&j->unescaped, to[at - from]);
        return AG_OK;
    }
    if (c != 'u') return bad(j, "unknown escape");
    j->p++;
    uint32_t v, low;
    if (hex4(j, &v) < 0) return AG_EFORMAT;
    if (v >= 0xd800 && v < 0xdc00) {
        if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u') return bad(j, "lone surrogate");
        j->p += 2;
        if (hex4(j, &low) < 0) return AG_EFORMAT;
        if (low < 0xdc00 || low > 0xdfff) return bad(j, "lone surrogate");
        v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
    } else if (v >= 0xdc00 && v < 0xe000) {
        return bad(j, "lone surrogate");
    }
    add_utf8(&j->unescaped, v);
    return AG_OK;
}

/* Bytes of the valid UTF-8 sequence above ASCII at p, or 0. */
static size_t utf8_len(const char *text, const char *end) {
    const unsigned char *s = (const unsigned char *)text;
    size_t n = (size_t)(end - text), k = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < k) return 0;
    for (size_t i = 1; i < k; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] > 0x9f) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return k;
}

/* After the opening quote. Text without escapes stays where it is. */
static int string(struct jsonpull *j) {
    const char *from = j->p;
    bool escaped = false;
    while (j->p < j->end) {
        unsigned char c = (unsigned char)*j->p;
        if (c == '"') {
            if (escaped) {
                str_add(&j->unescaped, from, (size_t)(j->p - from));
                if (j->unescaped.failed) return fail(AG_ENOMEM, "JSON: out of memory");
                j->text = str_text(&j->unescaped);
                j->n = j->unescaped.n;
            } else {
                j->text = from;
                j->n = (size_t)(j->p - from);
            }
            j->p++;
            return AG_OK;
        }
        if (c == '\\') {
            if (!escaped) str_clear(&j->unescaped);
            escaped = true;
            str_add(&j->unescaped, from, (size_t)(j->p - from));
            j->p++;
            if (escape(j) < 0) return AG_EFORMAT;
            if (j->unescaped.failed) return fail(AG_ENOMEM, "JSON: out of memory");
            from = j->p;
        } else if (c < 0x20) {
            return bad(j, "control character in a string");
        } else if (c < 0x80) {
            j->p++;
        } else {
            size_t k = utf8_len(j->p, j->end);
            if (!k) return bad(j, "invalid UTF-8");
            j->p += k;
        }
    }
    return bad(j, "unfinished string");
}

static bool digits(struct jsonpull *j) {
    const char *from = j->p;
    while (j->p < j->end && *j->p >= '0' && *j->p <= '9') j->p++;
    return j->p > from;
}

static int number(struct jsonpull *j) {
    const char *from = j->p;
    if (*j->p == '-') j->p++;
    bool zero = j->p < j->end && *j->p == '0';
    const char *first = j->p;
    if (!digits(j) || (zero && j->p > first + 1)) return bad(j, "malformed number");
    if (j->p < j->end && *j->p == '.') {
        j->p++;
        if (!digits(j)) return bad(j, "malformed number");
    }
    if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
        j->p++;
        if (j->p < j->end && (*j->p == '+' || *j->p == '-')) j->p++;
        if (!digits(j)) return bad(j, "malformed number");
    }
    j->text = from;
    j->n = (size_t)(j->p - from);
    return PULL_NUMBER;
}

static int word(struct jsonpull *j, const char *text, int event) {
    size_t n = strlen(text);
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, text, n)) return bad(j, "unknown word");
    j->p += n;
    return event;
}

static bool in_object(const struct jsonpull *j) {
    int k = j->depth - 1;
    return j->open[k / 8] >> (k % 8) & 1;
}

static int open_level(struct jsonpull *j, bool object) {
    if (j->depth == PULL_MAX_DEPTH) return bad(j, "nested too deeply");
    int k = j->depth++;
    uint8_t bit = (uint8_t)(1u << (k % 8));
    j->open[k / 8] = (uint8_t)(object ? j->open[k / 8] | bit : j->open[k / 8] & ~bit);
    j->p++;
    j->expect = object ? WANT_KEY_OR_CLOSE : WANT_VALUE_OR_CLOSE;
    return object ? PULL_OBJECT : PULL_ARRAY;
}

static int after_value(struct jsonpull *j, int event) {
    j->expect = j->depth ? WANT_COMMA_OR_CLOSE : WANT_END;
    return event;
}

static int close_level(struct jsonpull *j) {
    bool object = in_object(j);
    j->p++;
    j->depth--;
    return after_value(j, object ? PULL_OBJECT_END : PULL_ARRAY_END);
}

static int key(struct jsonpull *j) {
    if (*j->p != '"') return bad(j, "expected a key");
    j->p++;
    int rc = string(j);
    if (rc < 0) return rc;
    skip_space(j);
    if (j->p == j->end || *j->p != ':') return bad(j, "expected ':'");
    j->p++;
    j->expect = WANT_VALUE;
    return PULL_KEY;
}

static int value(struct jsonpull *j) {
    int rc;
    switch (*j->p) {
    case '{': return open_level(j, true);
    case '[': return open_level(j, false);
    case '"':
        j->p++;
        rc = string(j);
        if (rc == AG_OK) rc = PULL_STRING;
        break;
    case 't': rc = word(j, "true", PULL_TRUE); break;
    case 'f': rc = word(j, "false", PULL_FALSE); break;
    case 'n': rc = word(j, "null", PULL_NULL); break;
    default:
        if (*j->p != '-' && (*j->p < '0' || *j->p > '9')) return bad(j, "expected a value");
        rc = number(j);
    }
    return rc < 0 ? rc : after_value(j, rc);
}

int pull_next(struct jsonpull *j) {
    skip_space(j);
    if (j->expect == WANT_END) return j->p == j->end ? PULL_END : bad(j, "text after the end");
    if (j->p == j->end) return bad(j, "unexpected end");
    if (j->expect == WANT_COMMA_OR_CLOSE) {
        if (*j->p == (in_object(j) ? '}' : ']')) return close_level(j);
        if (*j->p != ',') return bad(j, in_object(j) ? "expected ',' or '}'" : "expected ',' or ']'");
        j->p++;
        skip_space(j);
        if (j->p == j->end) return bad(j, "unexpected end");
        return in_object(j) ? key(j) : value(j);
    }
    if (j->expect == WANT_KEY_OR_CLOSE) return *j->p == '}' ? close_level(j) : key(j);
    if (j->expect == WANT_VALUE_OR_CLOSE && *j->p == ']') return close_level(j);
    return value(j);
}

int pull_skip(struct jsonpull *j, int event) {
    if (event != PULL_OBJECT && event != PULL_ARRAY) return event < 0 ? event : AG_OK;
    size_t level = 1;
    bool quoted = false;
    for (; j->p < j->end && level; j->p++) {
        char c = *j->p;
        if (c == '"') quoted = !quoted;
        else if (quoted && c == '\\' && j->p + 1 < j->end) j->p++;
        else if (!quoted && (c == '{' || c == '[')) level++;
        else if (!quoted && (c == '}' || c == ']')) level--;
    }
    if (level) return bad(j, "unexpected end");
    j->depth--;
    after_value(j, AG_OK);
    return AG_OK;
}

int pull_expect(struct jsonpull *j, int event, const char *what) {
    static const char *const name[] = { "the end", "an object", "the end of an object", "an array",
                                        "the end of an array", "a key", "a string", "a number",
                                        "true", "false", "null" };
    int rc = pull_next(j);
    if (rc < 0 || rc == event) return rc < 0 ? rc : AG_OK;
    return fail(AG_EFORMAT, "JSON: %s should be %s, found %s before byte %zu", what, name[event],
                name[rc], (size_t)(j->p - j->begin));
}

bool pull_int(const struct jsonpull *j, int64_t *out) {
    bool minus = j->n && j->text[0] == '-';
    int64_t v = 0;
    if (j->n == (size_t)minus) return false;
    for (size_t i = minus; i < j->n; i++) {
        char c = j->text[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, minus ? '0' - c : c - '0', &v))
            return false;
    }
    *out = v;
    return true;
}

bool pull_is(const struct jsonpull *j, const char *text) {
    return strlen(text) == j->n && !memcmp(j->text, text, j->n);
}
