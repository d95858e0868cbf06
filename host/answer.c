/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FLUSH_TOKENS = 32, FLUSH_MS = 50 };

void answer_begin(struct answer *a, const struct answer_options *o) {
    *a = (struct answer){ .o = *o, .thinking = o->thinking && o->think_end, .flushed = now_ms() };
    stream_init(&a->stream, o->stop, o->n_stop);
}

void answer_free(struct answer *a) {
    stream_finish(&a->stream);
    str_free(&a->shown);
    str_free(&a->text);
    str_free(&a->all);
}

static void put(struct answer *a, const char *p, size_t n) {
    if (!n || a->failed || !a->o.print) return;
    errno = 0;
    if (fwrite(p, 1, n, stdout) != n) {
        a->failed = true;
        a->closed = errno == EPIPE;
    }
    a->newline = p[n - 1] == '\n';
}

static void flush(struct answer *a) {
    if (!a->o.print || a->failed) return;
    errno = 0;
    if (fflush(stdout) != 0) {
        a->failed = true;
        a->closed = errno == EPIPE;
    }
    a->flushed = now_ms();
    a->unflushed = 0;
}

static void dim(struct answer *a, bool on) {
    if (!a->o.color || !a->o.print || a->dimmed == on) return;
    const char *code = on ? "\033[2m" : "\033[0m";
    if (fputs(code, stdout) < 0) a->failed = true;
    a->dimmed = on;
}

/* A piece of the answer or of its reasoning. Newlines before the first other character go. */
static void emit(struct answer *a, const char *p, size_t n, bool thinking) {
    bool visible = !thinking || a->o.show_thinking || (a->o.tty && a->o.print);
    struct str safe = { 0 };
    if (!thinking) {
        size_t skip = 0;
        while (!a->text.n && skip < n && p[skip] == '\n') skip++;
        str_add(&a->text, p + skip, n - skip);
        if (!a->begun) p += skip, n -= skip;
    }
    if (!visible || !n) return;
    dim(a, thinking);
    a->begun = true; /* behind shown reasoning the answer keeps its distance */
    if (a->o.tty && a->o.print) {
        text_filter(&a->filter, p, n, &safe);
        p = str_text(&safe);
        n = safe.n;
    }
    put(a, p, n);
    str_add(&a->all, p, n);
    str_free(&safe);
}

/* Bytes at the end of p that could be the beginning of the mark. */
static size_t partial(const char *p, size_t n, const char *mark) {
    size_t m = strlen(mark), k = m - 1 < n ? m - 1 : n;
    for (; k > 0; k--)
        if (!memcmp(p + n - k, mark, k)) return k;
    return 0;
}

static const char *find(const char *p, size_t n, const char *mark, size_t m) {
    for (size_t i = 0; i + m <= n; i++)
        if (!memcmp(p + i, mark, m)) return p + i;
    return NULL;
}

/* Sorts what the stream gave into answer and reasoning; last: nothing more comes. */
static void sort(struct answer *a, bool last) {
    char *p = a->shown.p;
    size_t n = a->shown.n;
    while (n && a->o.think_begin && a->o.think_end) {
        const char *mark = a->thinking ? a->o.think_end : a->o.think_begin;
        size_t m = strlen(mark);
        const char *at = find(p, n, mark, m);
        if (!at) break;
        size_t before = (size_t)(at - p);
        if (a->thinking) before += m;
        emit(a, p, before, a->thinking);
        p += before;
        n -= before;
        if (!a->thinking) {
            emit(a, p, m, true);
            p += m;
            n -= m;
        }
        a->thinking = !a->thinking;
    }
    size_t keep = 0;
    if (!last && a->o.think_begin && a->o.think_end)
        keep = partial(p, n, a->thinking ? a->o.think_end : a->o.think_begin);
    emit(a, p, n - keep, a->thinking);
    if (keep) memmove(a->shown.p, p + n - keep, keep);
    a->shown.n = keep;
}

bool answer_push(struct answer *a, const char *bytes, size_t n) {
    bool stopped = stream_push(&a->stream, bytes, n, &a->shown);
    sort(a, false);
    a->unflushed++;
    if (a->o.tty || a->unflushed >= FLUSH_TOKENS || now_ms() - a->flushed >= FLUSH_MS) flush(a);
    return stopped || a->failed;
}

int answer_end(struct answer *a) {
    stream_flush(&a->stream, &a->shown);
    sort(a, true);
    dim(a, false);
    if (!a->newline && a->o.print) put(a, "\n", 1);
    flush(a);
    if (a->failed) return fail(AG_EIO, "standard output: %s", a->closed ? "closed" : strerror(errno));
    if (a->shown.failed || a->text.failed || a->all.failed)
        return fail(AG_ENOMEM, "answer: out of memory");
    return 0;
}
