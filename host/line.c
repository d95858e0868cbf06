/* SPDX-License-Identifier: MIT */
/* line.c - keys are libedit's emacs ones, but for what is bound in line_open. While a line is read the
 * terminal sends Ctrl+C as a character and marks pasted text; between lines it is as it was found. */
#include "line.h"

#include "text.h"
#include "util/error.h"
#include "util/log.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_SIZE = 256, QUIT_MS = 1000, SEARCH_MAX = 128 };
#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"

struct line_editor {
    EditLine *el;
    History *history;
    FILE *out;
    char *path;
    double interrupted; /* when Ctrl+C came last, ms */
    bool color, cancelled, quit, more;
};

static struct line_editor *editor_of(EditLine *el) {
    void *p = NULL;
    el_get(el, EL_CLIENTDATA, &p);
    return p;
}

static char *prompt(EditLine *el) {
    static char plain[] = "> ", more[] = ". ", green[] = "\1\033[1;32m\1> \1\033[0m\1";
    struct line_editor *e = editor_of(el);
    return e->more ? more : e->color ? green : plain;
}

static unsigned char on_interrupt(EditLine *el, wint_t ch) {
    struct line_editor *e = editor_of(el);
    (void)ch;
    double now = now_ms();
    e->cancelled = true;
    e->quit = e->interrupted > 0 && now - e->interrupted <= QUIT_MS;
    e->interrupted = now;
    return CC_NEWLINE;
}

/* Ctrl+Z is a character too; libedit's own handler cares for the terminal while the process stops. */
static unsigned char on_suspend(EditLine *el, wint_t ch) {
    (void)el, (void)ch;
    raise(SIGTSTP);
    return CC_REDISPLAY;
}

/* Pasted text up to its end mark; a newline in it does not send. */
static unsigned char on_paste(EditLine *el, wint_t ch) {
    static const wchar_t end[] = L"\033[201~";
    size_t cap = 4096, n = 0, m = wcslen(end);
    wchar_t *text = malloc(cap * sizeof *text);
    (void)ch;
    while (text && el_wgetc(el, &text[n]) == 1) {
        if (text[n] == L'\r') text[n] = L'\n';
        n++;
        if (n >= m && !wmemcmp(text + n - m, end, m)) {
            n -= m;
            break;
        }
        if (n + 1 < cap) continue;
        wchar_t *larger = realloc(text, 2 * cap * sizeof *text);
        if (!larger) break;
        text = larger;
        cap *= 2;
    }
    if (text) {
        while (n && text[n - 1] == L'\n') n--;
        text[n] = 0;
        if (n) el_winsertstr(el, text);
    }
    free(text);
    return CC_REFRESH;
}

/* The line as it stands becomes text. */
static void replace(EditLine *el, const char *text) {
    const LineInfoW *info = el_wline(el);
    el_cursor(el, (int)(info->lastchar - info->cursor));
    el_deletestr(el, (int)(info->lastchar - info->buffer));
    if (*text) el_insertstr(el, text);
}

/* The nth newest entry (0 = newest) that holds what is sought, NULL when there are no more. */
static const char *match(struct line_editor *e, const char *sought, int nth) {
    HistEvent ev;
    for (int s = history(e->history, &ev, H_FIRST); s >= 0; s = history(e->history, &ev, H_NEXT))
        if (strstr(ev.str, sought) && nth-- == 0) return ev.str;
    return NULL;
}

static size_t encode(wchar_t wc, char to[MB_LEN_MAX]) {
    mbstate_t state;
    memset(&state, 0, sizeof state);
    size_t n = wcrtomb(to, wc, &state);
    return n == (size_t)-1 ? 0 : n;
}

static void search_show(struct line_editor *e, const char *sought, const char *found) {
    struct str clean = { 0 };
    if (found) text_clean(found, strcspn(found, "\n"), &clean);
    fprintf(e->out, "\r\033[K(search) '%s': %.60s", sought, str_text(&clean));
    fflush(e->out);
    str_free(&clean);
}

/* Ctrl+R: typed text is sought backwards, Ctrl+R again goes to an older match, Enter takes it. */
static unsigned char on_search(EditLine *el, wint_t ch) {
    struct line_editor *e = editor_of(el);
    char sought[SEARCH_MAX] = "", one[MB_LEN_MAX];
    size_t n = 0;
    int nth = 0;
    bool take = false;
    const char *found = NULL;
    wchar_t wc;
    (void)ch;
    for (;;) {
        const char *next = n ? match(e, sought, nth) : NULL;
        if (!next && nth > 0) next = match(e, sought, --nth);
        found = next;
        search_show(e, sought, found);
        if (el_wgetc(el, &wc) != 1 || wc == 0x1b || wc == 7 || wc == 3) break;
        if (wc == L'\r' || wc == L'\n') {
            take = true;
            break;
        }
        if (wc == 0x12) {
            nth++;
        } else if (wc == 0x7f || wc == 8) {
            while (n && (sought[n - 1] & 0xc0) == 0x80) n--;
            sought[n ? --n : 0] = 0;
            nth = 0;
        } else if (wc >= 0x20) {
            size_t len = encode(wc, one);
            if (n + len >= sizeof sought) continue;
            memcpy(sought + n, one, len);
            sought[n += len] = 0;
            nth = 0;
        }
    }
    fputs("\r\033[K", e->out);
    fflush(e->out);
    if (take && found) {
        char *copy = strdup(found); /* without the newline entries end with */
        if (copy) {
            copy[strlen(copy) - (*copy && copy[strlen(copy) - 1] == '\n')] = 0;
            replace(el, copy);
        }
        free(copy);
    }
    return CC_REDISPLAY;
}

static void bind_keys(EditLine *el) {
    static const char *const keys[][2] = {
        { "^C", "agave-interrupt" },   { "^Z", "agave-suspend" },      { "^R", "agave-search" },
        { "\\e[200~", "agave-paste" },
        { "^D", "em-delete-or-list" }, { "^U", "vi-kill-line-prev" },  { "^W", "ed-delete-prev-word" },
        { "^L", "ed-clear-screen" },   { "^T", "ed-transpose-chars" }, { "\\e[3~", "ed-delete-next-char" },
        { "\\e[H", "ed-move-to-beg" }, { "\\e[F", "ed-move-to-end" },  { "\\eOH", "ed-move-to-beg" },
        { "\\eOF", "ed-move-to-end" }, { "\\e[1~", "ed-move-to-beg" }, { "\\e[4~", "ed-move-to-end" },
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        el_set(el, EL_BIND, keys[i][0], keys[i][1], NULL);
}

int line_open(const char *path, bool color, struct line_editor **out) {
    struct line_editor *e = calloc(1, sizeof *e);
    if (!e) return fail(AG_ENOMEM, "line editor: out of memory");
    HistEvent ev;
    e->out = isatty(STDOUT_FILENO) ? stdout : stderr;
    e->color = color;
    e->el = el_init("agave", stdin, e->out, stderr);
    e->history = history_init();
    e->path = path ? strdup(path) : NULL;
    if (!e->el || !e->history || (path && !e->path)) {
        line_close(e);
        return fail(AG_ENOMEM, "line editor: it cannot be set up on this terminal");
    }
    history(e->history, &ev, H_SETSIZE, HISTORY_SIZE);
    history(e->history, &ev, H_SETUNIQUE, 1);
    if (e->path && access(e->path, R_OK) == 0) history(e->history, &ev, H_LOAD, e->path);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_SIGNAL, 1);
    el_set(e->el, EL_PROMPT_ESC, prompt, '\1');
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_SETTY, "-d", "-isig", NULL);
    /* Wide, for el_set keeps copies of the names that nobody frees. */
    el_wset(e->el, EL_ADDFN, L"agave-interrupt", L"leave the line", on_interrupt);
    el_wset(e->el, EL_ADDFN, L"agave-suspend", L"stop the process", on_suspend);
    el_wset(e->el, EL_ADDFN, L"agave-search", L"search the history", on_search);
    el_wset(e->el, EL_ADDFN, L"agave-paste", L"take pasted text", on_paste);
    bind_keys(e->el);
    *out = e;
    return 0;
}

/* Makes the folders of a file, for the user alone. */
static void make_folders(char *path) {
    for (char *c = strchr(path + 1, '/'); c; c = strchr(c + 1, '/')) {
        *c = 0;
        mkdir(path, 0700);
        *c = '/';
    }
}

static void save(struct line_editor *e) {
    HistEvent ev;
    mode_t before = umask(077);
    make_folders(e->path);
    if (history(e->history, &ev, H_SAVE, e->path) < 0)
        log_line(AG_LOG_WARN, "history is not kept: %s cannot be written (--no-history stops trying)",
                 e->path);
    else chmod(e->path, 0600);
    umask(before);
}

void line_close(struct line_editor *e) {
    if (!e) return;
    if (e->path && e->history && e->el) save(e);
    if (e->el) el_end(e->el);
    if (e->history) history_end(e->history);
    free(e->path);
    free(e);
}

/* A signal that ends the process while a line is read: libedit gives the terminal its modes back and
 * passes the signal on to here. */
static void on_end(int signo) {
    static const char off[] = PASTE_OFF;
    ssize_t n = write(STDERR_FILENO, off, sizeof off - 1);
    (void)n;
    signal(signo, SIG_DFL);
    raise(signo);
}

/* One line without its newline; NULL at the end. */
static const char *read_line(struct line_editor *e, int *n) {
    static const int ends[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
    enum { N_END = sizeof ends / sizeof *ends };
    struct sigaction before[N_END], act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_end;
    sigemptyset(&act.sa_mask);
    for (int i = 0; i < N_END; i++) sigaction(ends[i], &act, &before[i]);
    el_set(e->el, EL_PREP_TERM, 1); /* before the prompt: a quick key is a key, not the line discipline's */
    fputs(PASTE_ON, e->out);
    fflush(e->out);
    const char *line;
    do {
        errno = 0;
        line = el_gets(e->el, n);
    } while (!line && errno == EINTR);
    fputs(PASTE_OFF, e->out);
    fflush(e->out);
    for (int i = 0; i < N_END; i++) sigaction(ends[i], &before[i], NULL);
    return line;
}

bool line_read(struct line_editor *e, struct str *out) {
    str_clear(out);
    e->more = false;
    for (;;) {
        int count = 0;
        e->cancelled = e->quit = false;
        const char *line = read_line(e, &count);
        if (e->quit) return false;
        if (e->cancelled) {
            fputs("Press Ctrl+C again to quit\n", stderr);
            str_clear(out);
            e->more = false;
            continue;
        }
        if (!line || count <= 0) return false;
        size_t n = strlen(line);
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
        e->more = n && line[n - 1] == '\\';
        str_add(out, line, n - e->more);
        if (!e->more) break;
        str_putc(out, '\n');
    }
    HistEvent ev;
    if (out->n && !out->failed) history(e->history, &ev, H_ENTER, str_text(out));
    return true;
}
