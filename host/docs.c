/* SPDX-License-Identifier: MIT */
/* docs.c - run by the build: writes the manual page or a shell's completions out of the tables.
 * agave-docs man|bash|zsh|fish */
#include "options.h"

#include <stdio.h>
#include <string.h>

/* Prints text with a backslash before each of `special`. */
static void escaped(const char *text, const char *special) {
    for (; *text; text++) {
        if (strchr(special, *text)) putchar('\\');
        putchar(*text);
    }
}

/* roff: hyphens and backslashes are escaped, a line must not begin with a dot. */
static void roff(const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", stdout);
    escaped(text, "-\\");
}

static bool taken(const struct option_row *row, const struct command_row *c) {
    return !row->section && (row->commands & (1u << c->id));
}

static void man_option(const struct option_row *row) {
    puts(".TP");
    fputs(".B ", stdout);
    if (row->ch) printf("\\-%c, ", row->ch);
    fputs("\\-\\-", stdout);
    roff(row->name);
    if (row->arg) {
        fputs(" \\fI", stdout);
        roff(row->arg);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    roff(row->help);
    if (row->dflt) printf(" (default: %s)", row->dflt);
    putchar('\n');
}

/* Options of the command without a word; the others stand with their commands. */
static void man_options(void) {
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (row->section) {
            printf(".SS %s\n", row->section);
            continue;
        }
        if (!(row->commands & (1u << CMD_RUN))) continue;
        man_option(row);
    }
}

static void man_commands(void) {
    puts(".SH COMMANDS");
    for (size_t i = 0; i < command_table_n; i++) {
        const struct command_row *c = &command_table[i];
        if (!c->word) continue;
        printf(".SS agave %s [options] ", c->word);
        roff(c->args);
        putchar('\n');
        roff(c->summary);
        putchar('\n');
        for (size_t k = 0; k < option_table_n; k++)
            if (taken(&option_table[k], c) && !(option_table[k].commands & (1u << CMD_RUN)))
                man_option(&option_table[k]);
    }
}

static const char man_tail[] =
    ".SH CONVERSATION\n"
    "With a model and no prompt, on a terminal. Enter sends; a line that ends in a backslash goes on in\n"
    "the next, and newlines of pasted text do not send. Ctrl+C stops an answer; at the prompt it clears\n"
    "the line, and twice within a second it leaves, as does Ctrl+D on an empty line. Ctrl+R searches the\n"
    "history. When the context is full the oldest turns are forgotten, and that is said.\n"
    "Commands: /clear, /context, /system [TEXT|none], /model, /stats, /verbose, /debug, /help, /quit.\n"
    ".SH RECIPES\n"
    "A recipe is a preset for a model family, backend and quantisation. The first that fits fills the\n"
    "options that were not given; its name is told after the banner. Rows of the model's plugin come\n"
    "first, then this one for any model on the CPU: at most 256 new tokens, 2048 tokens of context. So a\n"
    "recipe may change even the temperature: say \\-t 0 or \\-\\-no\\-recipe to be sure.\n"
    ".SH FILES\n"
    ".TP\n.I ~/.local/state/agave/history\nmessages of conversations, readable by the user alone\n"
    ".TP\n.I ~/.local/share/agave/abi\\-1\nplugins of the user\n"
    ".SH EXIT STATUS\n"
    "0: done. 1: a usage, file, model, device, memory or generation error, told in one line on\n"
    "standard error. 130: an answer was stopped with Ctrl+C.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B AGAVE_PLUGIN_PATH\nfolders with plugins, separated by colons, looked at before the\n"
    "installed ones; ignored by a binary that runs with raised rights\n"
    ".TP\n.B AGAVE_LOG\nerror, warn, info or debug: what is told on standard error\n"
    ".TP\n.B NO_COLOR\nnot empty: no colours unless \\-\\-color always\n"
    ".TP\n.B TERM\ndumb: no colours unless \\-\\-color always\n"
    ".TP\n.B XDG_DATA_HOME\nplugins are also looked for in agave/abi\\-1 below it (~/.local/share)\n"
    ".TP\n.B XDG_STATE_HOME\nthe history of conversations is agave/history below it (~/.local/state)\n"
    ".SH EXAMPLES\n"
    ".nf\nagave model.gguf \"Why is the sky blue?\"\nagave model.gguf < question.txt\n"
    "agave \\-n 40 \\-\\-raw model.gguf \"The capital of France is\" > answer.txt\n.fi\n";

static void man(void) {
    const struct command_row *run = command_row(CMD_RUN);
    printf(".\\\" SPDX-License-Identifier: MIT\n.TH AGAVE 1 \"\" \"agave " AG_VERSION "\"\n"
           ".SH NAME\nagave \\- run language models\n.SH SYNOPSIS\n"
           ".B agave\n[options] %s\n.br\n.B agave\ncommand [options] ...\n.SH DESCRIPTION\n",
           run->args);
    roff(run->summary);
    puts("\nWithout a prompt the text comes from standard input; on a terminal a conversation "
         "begins.\nThe answer goes to standard output, all else to standard error.\n.SH OPTIONS");
    man_options();
    man_commands();
    fputs(man_tail, stdout);
}

/* Words of all commands that exist, separated by a blank. */
static void words(void) {
    for (size_t i = 0; i < command_table_n; i++)
        if (command_table[i].word) printf("%s ", command_table[i].word);
    fputs("help", stdout);
}

static void bash_command(const struct command_row *c) {
    printf("    %s) opts='", c->word ? c->word : "*");
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (taken(row, c)) printf("--%s ", row->name);
    }
    puts("' ;;");
}

static void bash_values(void) {
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (row->section || !row->arg) continue;
        if (row->kind == OPTION_CHOICE || row->kind == OPTION_KVTYPE) {
            printf("    --%s) COMPREPLY=($(compgen -W '", row->name);
            for (const char *c = row->arg; *c; c++) putchar(*c == '|' ? ' ' : *c);
            puts("' -- \"$cur\")); return ;;");
        } else if (row->kind == OPTION_INT || row->kind == OPTION_NUM || row->kind == OPTION_UINT) {
            printf("    --%s) return ;;\n", row->name);
        }
    }
}

static void bash(void) {
    puts("# SPDX-License-Identifier: MIT\n_agave() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} opts\n"
         "    COMPREPLY=()\n    case $prev in");
    bash_values();
    puts("    esac\n    case ${COMP_WORDS[1]} in");
    for (size_t i = 0; i < command_table_n; i++)
        if (command_table[i].word) bash_command(&command_table[i]);
    bash_command(command_row(CMD_RUN));
    puts("    esac\n    if [[ $cur == -* ]]; then\n"
         "        COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n    else");
    fputs("        (( COMP_CWORD == 1 )) && COMPREPLY=($(compgen -W '", stdout);
    words();
    puts("' -- \"$cur\"))\n        COMPREPLY+=($(compgen -f -- \"$cur\"))\n    fi\n}\n"
         "complete -o filenames -F _agave agave");
}

static void zsh_option(const struct option_row *row) {
    printf("        '--%s%s[", row->name, row->arg || (row->alias && !row->value) ? "=" : "");
    for (const char *c = row->help; *c; c++) {
        if (*c == '\'') fputs("'\\''", stdout);
        else if (strchr("[]:", *c)) printf("\\%c", *c);
        else putchar(*c);
    }
    putchar(']');
    if (row->kind == OPTION_CHOICE || row->kind == OPTION_KVTYPE) {
        printf(":%s:(", row->name);
        for (const char *c = row->arg ? row->arg : ""; *c; c++) putchar(*c == '|' ? ' ' : *c);
        putchar(')');
    } else if (row->arg) {
        bool path = !strcmp(row->arg, "FILE") || !strcmp(row->arg, "DIR");
        printf(":%s:%s", row->name, path ? "_files" : "");
    }
    puts("' \\");
}

static void zsh_command(const struct command_row *c) {
    printf("    %s) _arguments \\\n", c->word ? c->word : "*");
    for (size_t i = 0; i < option_table_n; i++)
        if (taken(&option_table[i], c)) zsh_option(&option_table[i]);
    puts("        '*:file:_files' ;;");
}

static void zsh(void) {
    puts("#compdef agave\n# SPDX-License-Identifier: MIT");
    fputs("if (( CURRENT == 2 )); then compadd ", stdout);
    words();
    puts("; fi\ncase ${words[2]} in");
    for (size_t i = 0; i < command_table_n; i++)
        if (command_table[i].word) zsh_command(&command_table[i]);
    zsh_command(command_row(CMD_RUN));
    puts("esac");
}

/* Condition under which fish offers something of a command. */
static void fish_when(uint32_t commands) {
    if (commands & (1u << CMD_RUN)) return;
    fputs(" -n '__fish_seen_subcommand_from", stdout);
    for (size_t i = 0; i < command_table_n; i++)
        if (command_table[i].word && (commands & (1u << command_table[i].id)))
            printf(" %s", command_table[i].word);
    putchar('\'');
}

static void fish(void) {
    puts("# SPDX-License-Identifier: MIT");
    for (size_t i = 0; i < command_table_n; i++) {
        const struct command_row *c = &command_table[i];
        if (!c->word) continue;
        printf("complete -c agave -n __fish_use_subcommand -a %s -d '", c->word);
        escaped(c->summary, "'\\");
        puts("'");
    }
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (row->section) continue;
        printf("complete -c agave -l %s", row->name);
        if (row->ch) printf(" -s %c", row->ch);
        fish_when(row->commands);
        if (row->kind == OPTION_CHOICE || row->kind == OPTION_KVTYPE) {
            fputs(" -x -a '", stdout);
            for (const char *c = row->arg ? row->arg : ""; *c; c++) putchar(*c == '|' ? ' ' : *c);
            putchar('\'');
        } else if (row->arg) {
            fputs(" -r", stdout);
        }
        fputs(" -d '", stdout);
        escaped(row->help, "'\\");
        puts("'");
    }
}

int main(int argc, char **argv) {
    static const struct { const char *name; void (*write)(void); } forms[] = {
        { "man", man }, { "bash", bash }, { "zsh", zsh }, { "fish", fish },
    };
    for (size_t i = 0; argc == 2 && i < sizeof forms / sizeof *forms; i++) {
        if (strcmp(argv[1], forms[i].name)) continue;
        forms[i].write();
        return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
    }
    fputs("usage: agave-docs man|bash|zsh|fish\n", stderr);
    return 1;
}
