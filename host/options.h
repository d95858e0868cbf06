/* SPDX-License-Identifier: MIT */
/* options.h - the command line as a struct: one field for each row of option.def.
 *
 * Texts point into argv. Nothing here reads the environment or prints but help.c. */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include "util/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OPTION_LIST_MAX = 16, OPTION_ARG_MAX = 8, OPTION_AUTO = -1 };

/* Bits of `commands` in option.def. A command exists once it has a row in command.def. */
enum command_id {
    CMD_RUN, CMD_EVAL, CMD_TOKENIZE, CMD_TEMPLATE, CMD_BENCH, CMD_INFO, CMD_PLUGIN, CMD_DOCTOR,
};
#define ON(id) (1u << CMD_##id)
#define ON_ALL 0xffffffffu
/* How a model is loaded: every command takes these, so that one set of options serves all; those that
 * load none say what had no effect. */
#define ON_MODEL 0xffu

struct text_list { const char *at[OPTION_LIST_MAX]; size_t n; };

/* What a value is; option.def says more. */
enum option_kind {
    OPTION_FLAG, OPTION_INT, OPTION_UINT, OPTION_NUM, OPTION_TEXT, OPTION_FILE, OPTION_DIR,
    OPTION_CHOICE, OPTION_LIST, OPTION_CTX, OPTION_KVTYPE,
};
#define OPTION_C_FLAG bool
#define OPTION_C_INT int64_t
#define OPTION_C_UINT uint64_t
#define OPTION_C_NUM double
#define OPTION_C_TEXT const char *
#define OPTION_C_FILE const char *
#define OPTION_C_DIR const char *
#define OPTION_C_CHOICE const char *
#define OPTION_C_LIST struct text_list
#define OPTION_C_CTX int64_t
#define OPTION_C_KVTYPE uint32_t

enum option_id {
#define SECTION(title)
#define OPTION(field, kind, ch, name, arg, lo, hi, dflt, cmds, help) OPT_##field,
#define ALIAS(name, field, value, cmds, help)
#include "option.def"
#undef SECTION
#undef OPTION
#undef ALIAS
    OPTION_COUNT
};

struct options {
    enum command_id command;
#define SECTION(title)
#define OPTION(field, kind, ch, name, arg, lo, hi, dflt, cmds, help) OPTION_C_##kind field;
#define ALIAS(name, field, value, cmds, help)
#include "option.def"
#undef SECTION
#undef OPTION
#undef ALIAS
    bool given[OPTION_COUNT];        /* on the command line, by enum option_id */
    const char *arg[OPTION_ARG_MAX]; /* arguments that are no options */
    int n_arg, n_extra;              /* extra: those above the command's most */
};

/* The tables, for help.c and the generator of manual and completions. */
struct option_row {
    const char *section; /* set: a section begins here, nothing else is set */
    const char *name, *arg, *dflt, *help, *value; /* value: of an alias that takes none */
    double lo, hi;
    uint32_t commands;
    enum option_kind kind;
    int id;              /* enum option_id */
    size_t offset;
    char ch;
    bool alias;
};
struct command_row {
    enum command_id id;
    const char *word, *args, *summary;
    int min_arg, max_arg;
};
extern const struct option_row option_table[];
extern const size_t option_table_n;
extern const struct command_row command_table[];
extern const size_t command_table_n;
/* Row of a word, NULL when it is none; of an id. */
const struct command_row *command_find(const char *word);
const struct command_row *command_row(enum command_id id);

/* Defaults, then argv[1 .. argc). Even after an error the rest is read, so that --help and --json
 * are known; the first error is returned, its text kept. */
int options_parse(int argc, char *const *argv, struct options *out);

/* Help text of a command; of the program with its list of commands when it is the one without a
 * word. width: columns to fold at. */
void help_command(const struct command_row *, int width, struct str *out);

#endif
