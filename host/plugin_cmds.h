/* SPDX-License-Identifier: MIT */
/* plugin_cmds.h - what `agave plugin` does: list, check, new. Results go to stdout, advice to the log. */
#ifndef HOST_PLUGIN_CMDS_H
#define HOST_PLUGIN_CMDS_H

#include "env.h"

struct plugin_list_options {
    bool all;     /* refused, shadowed and outranked files too, with the reason */
    bool support; /* op x dtype tables; loads the backends */
    bool json;
};
/* Reads notes only, unless `support`. */
int plugin_list(struct registry *, const struct plugin_list_options *);

struct plugin_new_options {
    const char *kind; /* model, backend, format */
    const char *name;
    const char *dir;  /* the folder to make, ./<kind>_<name> when NULL; in_tree: the source tree, else
                       * found from the current folder upwards */
    bool in_tree;
};
/* Writes the folder; nothing is left behind when it fails. */
int plugin_new(const struct plugin_new_options *);

/* Every rule a plugin file must keep, and what its kind promises; a line for each on stdout. sample: a
 * file for a format to read, NULL = none. 0, or 1 when something failed. */
int plugin_check(const struct env *, const struct options *, const char *file, const char *sample);

#endif
