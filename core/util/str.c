/* SPDX-License-Identifier: MIT */
#include "util/str.h"

#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_add(struct str *s, const char *bytes, size_t n) {
    if (s->failed) return;
    if (n > SIZE_MAX - 1 - s->n || mem_grow(&s->p, &s->cap, s->n + n + 1, 1) < 0) {
        s->failed = true;
        return;
    }
    if (n) memcpy(s->p + s->n, bytes, n);
    s->n += n;
    s->p[s->n] = 0;
}

void str_puts(struct str *s, const char *text) { str_add(s, text, strlen(text)); }

void str_putc(struct str *s, char c) { str_add(s, &c, 1); }

void str_printf(struct str *s, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || s->failed || mem_grow(&s->p, &s->cap, s->n + (size_t)n + 1, 1) < 0) {
        s->failed = true;
    } else {
        vsnprintf(s->p + s->n, (size_t)n + 1, fmt, again);
        s->n += (size_t)n;
    }
    va_end(again);
}

void str_clear(struct str *s) {
    s->n = 0;
    s->failed = false;
    if (s->p) s->p[0] = 0;
}

void str_free(struct str *s) {
    free(s->p);
    *s = (struct str){ 0 };
}

const char *str_text(const struct str *s) { return s->p ? s->p : ""; }
