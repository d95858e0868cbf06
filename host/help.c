/* SPDX-License-Identifier: MIT */
/* help.c - help texts out of the option table. */
#include "options.h"

#include <string.h>

enum { HELP_INDENT = 30 };

/* Words of text from column `at`, folded at width, further lines indented. */
static void fold(struct str *out, const char *text, int at, int indent, int width) {
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (!first && at + 1 + (int)n > width) {
            str_printf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            str_putc(out, ' ');
            at++;
        }
        str_add(out, text, n);
        at += (int)n;
        first = false;
        text += n + (text[n] == ' ');
    }
    str_putc(out, '\n');
}

static void option_line(const struct option_row *row, int width, struct str *out) {
    struct str left = { 0 }, right = { 0 };
    if (row->ch) str_printf(&left, "  -%c, ", row->ch);
    else str_puts(&left, "      ");
    str_printf(&left, "--%s", row->name);
    if (row->arg) str_printf(&left, " %s", row->arg);
    str_puts(&right, row->help);
    if (row->dflt) str_printf(&right, " (default: %s)", row->dflt);
    if (left.n + 2 > HELP_INDENT) str_printf(out, "%s\n%*s", str_text(&left), HELP_INDENT, "");
    else str_printf(out, "%-*s", HELP_INDENT, str_text(&left));
    fold(out, str_text(&right), HELP_INDENT, HELP_INDENT, width);
    str_free(&left);
    str_free(&right);
}

static void commands(int width, struct str *out) {
    str_puts(out, "\nCommands ('agave help COMMAND' tells more):\n");
    for (size_t i = 0; i < command_table_n; i++) {
        const struct command_row *c = &command_table[i];
        if (!c->word) continue;
        str_printf(out, "  %-12s", c->word);
        fold(out, c->summary, 14, 14, width);
    }
}

void help_command(const struct command_row *cmd, int width, struct str *out) {
    if (width < 60) width = 60;
    if (width > 110) width = 110;
    str_printf(out, "Usage: agave %s%s[options] %s\n", cmd->word ? cmd->word : "",
               cmd->word ? " " : "", cmd->args);
    if (!cmd->word) str_puts(out, "       agave COMMAND [options] ...\n");
    str_putc(out, '\n');
    fold(out, cmd->summary, 0, 0, width);
    if (!cmd->word) commands(width, out);
    const char *section = NULL;
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (row->section) {
            section = row->section;
        } else if (row->commands & (1u << cmd->id)) {
            if (section) str_printf(out, "\n%s:\n", section);
            section = NULL;
            option_line(row, width, out);
        }
    }
}
