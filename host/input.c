/* SPDX-License-Identifier: MIT */
#include "input.h"

#include "text.h"
#include "util/error.h"
#include "util/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A pipe that nobody closes looks like a hang: say what is being waited for. */
static void say_waiting(void) {
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    if (poll(&p, 1, 2000) == 0)
        log_line(AG_LOG_WARN, "waiting for the end of standard input; "
                              "with </dev/null the prompt stands alone");
}

static int read_all(struct str *out) {
    char part[1 << 14];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, part, sizeof part);
        if (n == 0) return 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(AG_EIO, "standard input: %s", strerror(errno));
        if (out->n + (size_t)n > INPUT_MAX)
            return fail(AG_EINVAL, "standard input: want at most %d bytes of prompt, got more; "
                                   "shorten it", INPUT_MAX);
        str_add(out, part, (size_t)n);
        if (out->failed) return fail(AG_ENOMEM, "standard input: out of memory");
    }
}

int input_check_utf8(const char *what, const char *p, size_t n) {
    size_t bad = utf8_valid(p, n);
    if (bad == n) return 0;
    return fail(AG_EINVAL, "%s: want UTF-8 text, found byte 0x%02x at offset %zu; convert it first",
                what, (unsigned char)p[bad], bad);
}

int input_prompt(const char *argument, bool piped, bool quiet, struct str *out) {
    struct str in = { 0 };
    int status = 0;
    if (piped && isatty(STDIN_FILENO) == 0) {
        if (argument && !quiet) say_waiting();
        status = read_all(&in);
        if (status == 0) status = input_check_utf8("standard input", str_text(&in), in.n);
        while (in.n && strchr(" \t\r\n\f\v", in.p[in.n - 1]) && in.p[in.n - 1]) in.n--;
    }
    if (status == 0 && argument) status = input_check_utf8("prompt", argument, strlen(argument));
    if (status == 0) {
        if (argument) str_puts(out, argument);
        if (argument && *argument && in.n) str_puts(out, "\n\n");
        str_add(out, str_text(&in), in.n);
        if (out->failed) status = fail(AG_ENOMEM, "prompt: out of memory");
        else if (!out->n) status = fail(AG_EINVAL, "empty prompt: want text as an argument or on "
                                                   "standard input");
    }
    str_free(&in);
    return status;
}
