/* SPDX-License-Identifier: MIT */
/* main.c - agave: reads the command line, runs one command, says what went wrong. The only file that
 * ends the process. Next on a token's road: cmd_run.c. */
#include "cmd.h"
#include "text.h"
#include "version.h"

#include "util/error.h"
#include "util/log.h"
#include "util/team.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*command_fn)(const struct env *, const struct options *);

static command_fn function_of(enum command_id id) {
    static const struct { enum command_id id; command_fn fn; } rows[] = {
#define COMMAND(id_, word, min, max, fn_, args, summary) { CMD_##id_, fn_ },
#include "command.def"
#undef COMMAND
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].id == id) return rows[i].fn;
    return NULL;
}

/* One line on standard error, and as JSON where the result was to be JSON. */
static int report(const struct options *o, int status) {
    const char *text = *fail_text() ? fail_text() : status_text(status);
    log_line(AG_LOG_ERROR, "%s", text);
    if (o->json) {
        struct str clean = { 0 };
        text_clean(text, strlen(text), &clean);
        json_t *object = json_pack("{s:s}", "error", str_text(&clean));
        str_free(&clean);
        if (object) json_dumpf(object, stdout, JSON_COMPACT);
        json_decref(object);
        putchar('\n');
    }
    return 1;
}

static int print(const struct str *text) {
    if (text->failed) return fail(AG_ENOMEM, "out of memory");
    fputs(str_text(text), stdout);
    return 0;
}

static int show_help(const struct command_row *c) {
    struct str text = { 0 };
    help_command(c, env_width(STDOUT_FILENO), &text);
    int status = print(&text);
    str_free(&text);
    return status;
}

/* agave help [COMMAND]; the word is no option, so it is looked at before the table. */
static int run_help(int argc, char **argv) {
    const struct command_row *c = argc > 2 ? command_find(argv[2]) : command_row(CMD_RUN);
    if (argc > 3) return fail(AG_EINVAL, "help: want one command, got %d words; try 'agave help'", argc - 2);
    if (!c) {
        struct str words = { 0 };
        for (size_t i = 0; i < command_table_n; i++)
            if (command_table[i].word)
                str_printf(&words, "%s%s", words.n ? ", " : "", command_table[i].word);
        fail(AG_EINVAL, "no help on '%.100s': want one of %s; try 'agave --help'", argv[2],
             words.n ? str_text(&words) : "none");
        str_free(&words);
        return AG_EINVAL;
    }
    return show_help(c);
}

static int run(const struct env *env, const struct options *o) {
    int status = env_apply(env, o);
    return status < 0 ? status : function_of(o->command)(env, o);
}

/* Has the reader of standard output gone (`agave ... | head`)? */
static bool reader_left(void) {
    struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP));
}

/* Output that was lost is a failure, unless nobody wants it any more. */
static int finish(const struct options *o, int code) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    int why = errno;
    if (why == EPIPE || reader_left()) return 0;
    if (code != 0) return code;
    fail(AG_EIO, "standard output: %s", why ? strerror(why) : "it could not be written");
    struct options plain = *o;
    plain.json = false;
    return report(&plain, AG_EIO);
}

/* A caller may have closed some of the three streams. A file opened later must not become one of them:
 * what is read from or printed to a closed stream fails, or meets the end. */
static void hold_streams(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!open("/dev/null", O_RDONLY);
}

int main(int argc, char **argv) {
    struct options o;
    struct env env;
    hold_streams();
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    int status = env_read(&env);
    int parsed = options_parse(argc, argv, &o);
    if (status < 0) {
    } else if (argc > 1 && !strcmp(argv[1], "help")) {
        status = run_help(argc, argv);
    } else if (o.help) {
        status = show_help(command_row(o.command));
    } else if (o.version) {
        status = version_print(&env, &o);
    } else {
        status = parsed < 0 ? parsed : run(&env, &o);
    }
    if (status == AG_EIO && reader_left()) status = 0;
    int code = status < 0 ? report(&o, status) : status;
    code = finish(&o, code);
    team_stop();
    env_free(&env);
    return code;
}
