/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Length of the well-formed character at p, 0 when there is none (Unicode, table 3-7). */
static size_t utf8_char(const unsigned char *p, size_t n) {
    static const struct { unsigned char from, to, second_from, second_to, length; } rows[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (p[0] < rows[i].from || p[0] > rows[i].to) continue;
        size_t len = rows[i].length;
        if (len > n) return 0;
        if (len > 1 && (p[1] < rows[i].second_from || p[1] > rows[i].second_to)) return 0;
        for (size_t k = 2; k < len; k++)
            if ((p[k] & 0xc0) != 0x80) return 0;
        return len;
    }
    return 0;
}

size_t utf8_valid(const char *p, size_t n) {
    size_t at = 0;
    while (at < n) {
        size_t len = utf8_char((const unsigned char *)p + at, n - at);
        if (!len) return at;
        at += len;
    }
    return n;
}

static bool is_control(const unsigned char *p, size_t len) {
    return (len == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (len == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void text_clean(const char *p, size_t n, struct str *out) {
    const unsigned char *u = (const unsigned char *)p;
    for (size_t at = 0; at < n;) {
        size_t len = utf8_char(u + at, n - at);
        if (!len || is_control(u + at, len)) str_putc(out, '?');
        else str_add(out, p + at, len);
        at += len ? len : 1;
    }
}

void text_bytes(double bytes, char *to, size_t n) {
    static const char *const unit[] = { "KB", "MB", "GB", "TB" };
    size_t u = 0;
    for (bytes /= 1024; bytes >= 1024 && u < 3; bytes /= 1024) u++;
    snprintf(to, n, "%.1f %s", bytes, unit[u]);
}

void text_count(double count, char *to, size_t n) {
    static const char *const unit[] = { "", "K", "M", "B", "T" };
    size_t u = 0;
    for (; count >= 1000 && u < 4; count /= 1000) u++;
    snprintf(to, n, count < 10 && u ? "%.1f%s" : "%.0f%s", count, unit[u]);
}

enum { PLAIN, ESCAPE, CSI, STRING, STRING_ESCAPE };

void text_filter(struct text_filter *f, const char *p, size_t n, struct str *out) {
    const unsigned char *u = (const unsigned char *)p;
    for (size_t at = 0; at < n;) {
        size_t len = utf8_char(u + at, n - at);
        if (!len) len = 1;
        unsigned char c = u[at];
        switch (f->state) {
        case ESCAPE: /* [: CSI; ] P X ^ _: a string up to BEL or ESC \ ; else one more byte */
            f->state = c == '[' ? CSI : c && strchr("]PX^_", c) ? STRING : PLAIN;
            break;
        case CSI:
            if (c >= 0x40) f->state = PLAIN;
            break;
        case STRING:
            f->state = c == 0x1b ? STRING_ESCAPE : c == 7 ? PLAIN : STRING;
            break;
        case STRING_ESCAPE:
            f->state = c == '\\' ? PLAIN : STRING;
            break;
        default:
            if (c == 0x1b) f->state = ESCAPE;
            else if (c == '\n' || c == '\t' || !is_control(u + at, len)) str_add(out, p + at, len);
        }
        at += len;
    }
}
