/* SPDX-License-Identifier: MIT */
#include "repl.h"

#include "info.h"
#include "line.h"
#include "show.h"
#include "talk.h"
#include "util/error.h"
#include "util/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GO_ON = 0, LEAVE = 1 };

struct command { const char *word; int (*run)(struct talk *, const char *rest); const char *help; };

static int do_clear(struct talk *t, const char *rest) {
    (void)rest;
    talk_clear(t);
    fputs("Conversation cleared.\n", stderr);
    return GO_ON;
}

static int do_context(struct talk *t, const char *rest) {
    int32_t used = session_length(t->session), most = engine_ctx(t->l->engine);
    (void)rest;
    fprintf(stderr, "Context: %d / %d tokens (%.1f%% used)\n", used, most, 100.0 * used / most);
    return GO_ON;
}

static int do_system(struct talk *t, const char *rest) {
    if (!*rest) {
        fprintf(stderr, "System prompt: %s\n", t->system ? t->system : "none");
        return GO_ON;
    }
    if (!t->l->chat) {
        fputs("System prompt: no effect without a chat template.\n", stderr);
        return GO_ON;
    }
    bool none = !strcmp(rest, "none");
    int status = talk_system(t, none ? NULL : rest);
    if (status == 0)
        fprintf(stderr, "System prompt %s, conversation cleared.\n", none ? "removed" : "set");
    return status;
}

static void told(const char *what, bool on) { fprintf(stderr, "%s: %s\n", what, on ? "on" : "off"); }

static int do_stats(struct talk *t, const char *rest) {
    (void)rest;
    told("Statistics", t->stats = !t->stats);
    return GO_ON;
}

static void set_log(const struct loaded *l) {
    log_set_level(l->debug ? AG_LOG_DEBUG : l->verbose ? AG_LOG_INFO
                  : l->quiet ? AG_LOG_ERROR : AG_LOG_WARN);
}

static int do_verbose(struct talk *t, const char *rest) {
    (void)rest;
    told("Verbose", t->l->verbose = !t->l->verbose);
    set_log(t->l);
    return GO_ON;
}

static int do_debug(struct talk *t, const char *rest) {
    (void)rest;
    told("Debug", t->l->debug = !t->l->debug);
    if (t->l->debug) t->l->verbose = true;
    set_log(t->l);
    return GO_ON;
}

static int do_model(struct talk *t, const char *rest) {
    struct str text = { 0 };
    (void)rest;
    info_text(t->l, -1, &text);
    fputs(str_text(&text), stderr);
    str_free(&text);
    return GO_ON;
}

static int do_quit(struct talk *t, const char *rest) {
    (void)t, (void)rest;
    return LEAVE;
}

static int do_help(struct talk *, const char *);

static const struct command commands[] = {
    { "/clear", do_clear, "forget the conversation, keep the system prompt" },
    { "/reset", do_clear, NULL },
    { "/context", do_context, "how full the context is" },
    { "/ctx", do_context, NULL },
    { "/system", do_system, "show the system prompt; /system TEXT sets it, /system none removes it" },
    { "/model", do_model, "what is known of the model" },
    { "/stats", do_stats, "line of statistics on or off" },
    { "/verbose", do_verbose, "technical detail on or off" },
    { "/debug", do_debug, "debug log on or off" },
    { "/help", do_help, "this list" },
    { "/quit", do_quit, "leave (also /exit, /q, Ctrl+D)" },
    { "/exit", do_quit, NULL },
    { "/q", do_quit, NULL },
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int do_help(struct talk *t, const char *rest) {
    (void)t, (void)rest;
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].help) fprintf(stderr, "  %-10s %s\n", commands[i].word, commands[i].help);
    fputs("A line that ends in \\ goes on in the next. Ctrl+C stops an answer.\n", stderr);
    return GO_ON;
}

static int command(struct talk *t, const char *line) {
    size_t n = strcspn(line, " \t\n");
    const char *rest = line + n + strspn(line + n, " \t\n");
    for (int i = 0; i < N_COMMANDS; i++)
        if (strlen(commands[i].word) == n && !memcmp(commands[i].word, line, n))
            return commands[i].run(t, rest);
    fprintf(stderr, "Unknown command: %.*s (try /help)\n", (int)n, line);
    return GO_ON;
}

/* $XDG_STATE_HOME/agave/history; caller frees. */
static char *history_path(const struct loaded *l) {
    if (l->o->no_history || !l->env->state_home) return NULL;
    struct str s = { 0 };
    str_printf(&s, "%s/agave/history", l->env->state_home);
    if (s.failed) str_free(&s);
    return s.p;
}

/* True while the conversation goes on. An error of one answer does not end it. */
static bool handle(struct talk *t, const struct str *line) {
    const char *text = str_text(line);
    bool closed = false;
    if (!text[strspn(text, " \t\n")]) return true;
    size_t bad = utf8_valid(text, line->n);
    if (bad != line->n) {
        log_line(AG_LOG_ERROR, "the message is not UTF-8 from byte %zu on; it was not sent", bad);
        return true;
    }
    int status = *text == '/' ? command(t, text) : talk_say(t, text, line->n, &closed);
    if (status < 0) log_line(AG_LOG_ERROR, "%s", fail_text());
    return status != LEAVE && !closed;
}

int repl_run(struct loaded *l) {
    struct talk t = { 0 };
    struct line_editor *editor = NULL;
    struct str line = { 0 };
    char *history = history_path(l);
    int status = talk_open(l, &t);
    if (status == 0) status = line_open(history, l->color_out, &editor);
    if (status == 0) {
        fputs("Type a message, /help for commands, Ctrl+D to quit.\n", stderr);
        while (line_read(editor, &line))
            if (!handle(&t, &line)) break;
    }
    line_close(editor);
    talk_close(&t);
    str_free(&line);
    free(history);
    return status;
}
