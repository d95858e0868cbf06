/* SPDX-License-Identifier: MIT */
/* line_plain.c - line.h in a build without libedit: the terminal's own line editing, no history. */
#include "line.h"

#include "util/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct line_editor {
    FILE *out;
    char *line;
    size_t cap;
};

int line_open(const char *history, bool color, struct line_editor **out) {
    (void)history;
    (void)color;
    struct line_editor *e = calloc(1, sizeof *e);
    if (!e) return fail(AG_ENOMEM, "line editor: out of memory");
    e->out = isatty(STDOUT_FILENO) ? stdout : stderr;
    *out = e;
    return 0;
}

void line_close(struct line_editor *e) {
    if (!e) return;
    free(e->line);
    free(e);
}

bool line_read(struct line_editor *e, struct str *out) {
    bool more = false;
    str_clear(out);
    do {
        fputs(more ? ". " : "> ", e->out);
        fflush(e->out);
        ssize_t n = getline(&e->line, &e->cap, stdin);
        if (n <= 0) return false;
        while (n && (e->line[n - 1] == '\n' || e->line[n - 1] == '\r')) n--;
        more = n && e->line[n - 1] == '\\';
        str_add(out, e->line, (size_t)n - more);
        if (more) str_putc(out, '\n');
    } while (more);
    return true;
}
