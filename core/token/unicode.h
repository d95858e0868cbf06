/* SPDX-License-Identifier: MIT */
/* unicode.h - UTF-8 and the class of code points. Invalid bytes are code points of class OTHER, one
 * byte each: nothing is lost and nothing is refused here. */
#ifndef TOKEN_UNICODE_H
#define TOKEN_UNICODE_H

#include <stddef.h>
#include <stdint.h>

/* One bit each, so that sets of classes are masks. PUNCT comes with OTHER. */
enum unicode_class_bit {
    CLASS_UPPER = 1,  /* Lu Lt */
    CLASS_LOWER = 2,  /* Ll */
    CLASS_LETTER = 4, /* Lm Lo: neither case */
    CLASS_MARK = 8,
    CLASS_NUMBER = 16,
    CLASS_SPACE = 32, /* White_Space */
    CLASS_OTHER = 64, /* all else, unassigned too */
    CLASS_PUNCT = 128,
};

extern const uint8_t unicode_block[0x1100];
extern const uint8_t unicode_class[][256];

/* Bytes of the valid UTF-8 sequence at s (n >= 1 bytes left) and its code point, or 0. */
static inline size_t utf8_decode(const char *text, size_t n, uint32_t *cp) {
    const unsigned char *s = (const unsigned char *)text;
    uint32_t c = s[0];
    if (c < 0x80) return *cp = c, 1;
    if (c >= 0xc2 && c < 0xe0 && n >= 2 && (s[1] & 0xc0) == 0x80) {
        *cp = (c & 0x1f) << 6 | (s[1] & 0x3fu);
        return 2;
    }
    if ((c & 0xf0) == 0xe0 && n >= 3 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
        uint32_t v = (c & 0xf) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
        return *cp = v, v < 0x800 || (v >= 0xd800 && v < 0xe000) ? 0 : 3;
    }
    if (c >= 0xf0 && c < 0xf5 && n >= 4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
        (s[3] & 0xc0) == 0x80) {
        uint32_t v = (c & 7) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu);
        return *cp = v, v < 0x10000 || v > 0x10ffff ? 0 : 4;
    }
    return 0;
}

/* Bytes written for a code point below 0x110000. */
static inline size_t utf8_encode(uint32_t cp, char out[4]) {
    if (cp < 0x80) return out[0] = (char)cp, 1;
    if (cp < 0x800) return out[0] = (char)(0xc0 | cp >> 6), out[1] = (char)(0x80 | (cp & 0x3f)), 2;
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

static inline unsigned unicode_class_of(uint32_t cp) {
    return unicode_class[unicode_block[cp >> 8]][cp & 0xff];
}

/* Class of what stands at s; *len = its bytes. An invalid byte is OTHER. n >= 1. */
static inline unsigned utf8_class(const char *s, size_t n, size_t *len) {
    unsigned char c = (unsigned char)*s;
    if (c < 0x80) return *len = 1, unicode_class[0][c];
    uint32_t cp;
    size_t k = utf8_decode(s, n, &cp);
    if (!k) return *len = 1, CLASS_OTHER;
    return *len = k, unicode_class_of(cp);
}

#endif
