/* SPDX-License-Identifier: MIT */
/* option_table.c - option.def and command.def as arrays. Linked into agave and into the generator
 * of manual and completions; needs the C library only. */
#include "options.h"

#include <float.h>
#include <string.h>

#define ABOVE_0 DBL_TRUE_MIN

const struct option_row option_table[] = {
#define SECTION(title) { .section = title },
#define OPTION(field_, kind_, ch_, name_, arg_, lo_, hi_, dflt_, cmds_, help_)                \
    { .name = name_, .arg = arg_, .dflt = dflt_, .help = help_, .lo = lo_, .hi = hi_,         \
      .commands = cmds_, .kind = OPTION_##kind_, .id = OPT_##field_,                          \
      .offset = offsetof(struct options, field_), .ch = ch_ },
#define ALIAS(name_, field_, value_, cmds_, help_)                                            \
    { .name = name_, .help = help_, .value = value_, .commands = cmds_, .id = OPT_##field_,   \
      .alias = true },
#include "option.def"
#undef SECTION
#undef OPTION
#undef ALIAS
};
const size_t option_table_n = sizeof option_table / sizeof *option_table;

const struct command_row command_table[] = {
#define COMMAND(id_, word_, min_, max_, fn_, args_, summary_)                                 \
    { CMD_##id_, word_, args_, summary_, min_, max_ },
#include "command.def"
#undef COMMAND
};
const size_t command_table_n = sizeof command_table / sizeof *command_table;

const struct command_row *command_find(const char *word) {
    for (size_t i = 0; i < command_table_n; i++) {
        const struct command_row *c = &command_table[i];
        if (c->word && !strcmp(c->word, word)) return c;
    }
    return NULL;
}

const struct command_row *command_row(enum command_id id) {
    for (size_t i = 0; i < command_table_n; i++)
        if (command_table[i].id == id) return &command_table[i];
    return NULL;
}
