/* SPDX-License-Identifier: MIT */
/* scan.c - reads JSON without building it: memory and time are linear in the bytes, whatever the file
 * holds. Headers of SafeTensors files may have 100 MB, of which a tree would take gigabytes. */
#include "st.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64 };

int st_fail(const struct st_scan *s, const char *want) {
    return st_host->fail(AG_EFORMAT, "%s: malformed JSON at byte %zu: want %s", s->path,
                         (size_t)(s->p - s->start), want);
}

static void blanks(struct st_scan *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r')) s->p++;
}

bool st_peek(struct st_scan *s, char c) {
    blanks(s);
    return s->p < s->end && *s->p == c;
}

int st_take(struct st_scan *s, char c) {
    char want[] = { '\'', c, '\'', 0 };
    if (!st_peek(s, c)) return st_fail(s, want);
    s->p++;
    return AG_OK;
}

static bool hex4(const char *p, const char *end, uint32_t *out) {
    if (end - p < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i], lower = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9';
        if (!digit && (lower < 'a' || lower > 'f')) return false;
        *out = *out << 4 | (uint32_t)(digit ? c - '0' : lower - 'a' + 10);
    }
    return true;
}

static char *put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
    *to++ = (char)(lead[more] | c >> 6 * more);
    while (more--) *to++ = (char)(0x80 | (c >> 6 * more & 63));
    return to;
}

/* The escape behind a backslash at s->p; its bytes never outgrow it, so *to stays behind s->p. */
static bool unescape(struct st_scan *s, char **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (s->p == s->end) return false;
    const char *at = *s->p ? strchr(from, *s->p) : NULL;
    if (at) {
        *(*to)++ = into[at - from];
        s->p++;
        return true;
    }
    uint32_t c, low;
    if (*s->p != 'u' || !hex4(s->p + 1, s->end, &c) || !c) return false;
    s->p += 5;
    if (c >= 0xdc00 && c < 0xe000) return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u' || !hex4(s->p + 2, s->end, &low) ||
            low < 0xdc00 || low >= 0xe000)
            return false;
        s->p += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, c);
    return true;
}

/* Bytes of the UTF-8 sequence at p, 0 when it is none. */
static int utf8_length(const char *at, const char *end) {
    const unsigned char *p = (const unsigned char *)at;
    int n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (!n || end - at < n) return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : n;
}

int st_string(struct st_scan *s, const char **text, size_t *n) {
    int rc = st_take(s, '"');
    if (rc < 0) return rc;
    char *to = s->p;
    *text = to;
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\') {
            s->p++;
            if (!unescape(s, &to)) return st_fail(s, "an escape of JSON");
            continue;
        }
        int len = (unsigned char)*s->p < 0x20 ? 0 : utf8_length(s->p, s->end);
        if (!len) return st_fail(s, "UTF-8 text without control bytes");
        while (len--) *to++ = *s->p++;
    }
    *n = (size_t)(to - *text);
    return st_take(s, '"');
}

int st_number(struct st_scan *s, uint64_t *out) {
    blanks(s);
    const char *start = s->p;
    *out = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (__builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*s->p - '0'), out))
            return st_fail(s, "a number below 2^64");
    bool more = s->p < s->end && (*s->p == '.' || *s->p == 'e' || *s->p == 'E');
    if (s->p == start || more || (*start == '0' && s->p - start > 1))
        return st_fail(s, "a whole number");
    return AG_OK;
}

int st_next(struct st_scan *s, char close, bool *first) {
    if (st_peek(s, close)) {
        s->p++;
        return 0;
    }
    int rc = *first ? AG_OK : st_take(s, ',');
    if (rc < 0) return rc;
    *first = false;
    return 1;
}

static bool in_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/* A value that is no object and no list: a string, or what a number or word is made of. */
static int skip_scalar(struct st_scan *s) {
    const char *text;
    size_t n;
    if (st_peek(s, '"')) return st_string(s, &text, &n);
    const char *start = s->p;
    while (s->p < s->end && in_word(*s->p)) s->p++;
    return s->p == start ? st_fail(s, "a value") : AG_OK;
}

int st_skip(struct st_scan *s) {
    char close[DEPTH_MAX];
    bool first[DEPTH_MAX];
    int depth = 0;
    do {
        if (depth) {
            int rc = st_next(s, close[depth - 1], &first[depth - 1]);
            if (rc < 0) return rc;
            if (!rc) {
                depth--;
                continue;
            }
            if (close[depth - 1] == '}') {
                const char *key;
                size_t n;
                rc = st_string(s, &key, &n);
                if (rc == AG_OK) rc = st_take(s, ':');
                if (rc < 0) return rc;
            }
        }
        bool object = st_peek(s, '{'), list = st_peek(s, '[');
        if (!object && !list) {
            int rc = skip_scalar(s);
            if (rc < 0) return rc;
            continue;
        }
        if (depth == DEPTH_MAX) return st_fail(s, "values nested less deep");
        s->p++;
        first[depth] = true;
        close[depth++] = object ? '}' : ']';
    } while (depth);
    return AG_OK;
}

int st_read_file(const char *path, uint64_t max, char **out, size_t *n) {
    struct stat st;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = AG_OK;
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = st_host->fail(errno == ENOENT ? AG_ENOENT : AG_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
        rc = st_host->fail(AG_EFORMAT, "%s: want a file of at most %" PRIu64 " bytes, found %s", path,
                           max, S_ISREG(st.st_mode) ? "a larger one" : "no regular file");
        goto out;
    }
    char *p = st_host->alloc((size_t)st.st_size + 1, 16);
    if (!p) {
        rc = st_host->fail(AG_ENOMEM, "out of memory (%s)", path);
        goto out;
    }
    for (*n = 0; *n < (size_t)st.st_size;) {
        ssize_t got = read(fd, p + *n, (size_t)st.st_size - *n);
        if (got <= 0) break; /* shorter than a moment ago: what there is */
        *n += (size_t)got;
    }
    p[*n] = 0;
    *out = p;
out:
    if (fd >= 0) close(fd);
    return rc;
}
