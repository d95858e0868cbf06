/* SPDX-License-Identifier: MIT */
/* static.h - plugins linked into the binary. */
#ifndef REGISTRY_STATIC_H
#define REGISTRY_STATIC_H

#include <agave/base.h>

struct static_plugin {
    const struct ag_plugin *plugin;
    const char *note; /* the text that a file has in its ELF note: lines "key=value\n" */
};

/* Ended by a NULL plugin. A build that loads plugins from files has the empty array of static_none.c;
 * a static build brings its own, written by Meson, and the linker never looks at static_none.c. */
extern const struct static_plugin static_plugins[];

#endif
