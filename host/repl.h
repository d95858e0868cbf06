/* SPDX-License-Identifier: MIT */
#ifndef HOST_REPL_H
#define HOST_REPL_H

#include "loaded.h"

/* The conversation on a terminal, until the user leaves: 0. */
int repl_run(struct loaded *);

#endif
