/* SPDX-License-Identifier: MIT */
/* cmd.h - the functions of command.def, and what all of them are given. */
#ifndef HOST_CMD_H
#define HOST_CMD_H

#include "env.h"

/* 0 done; above 0 an exit status, reason already said; below 0 enum ag_status, main() says the text. */
#define COMMAND(id, word, min, max, fn, args, summary) \
    int fn(const struct env *, const struct options *);
#include "command.def"
#undef COMMAND

#endif
