/* SPDX-License-Identifier: MIT */
#ifndef HOST_VERSION_H
#define HOST_VERSION_H

#include "env.h"

/* One line; with --verbose also compiler, build and the plugins that are there. */
int version_print(const struct env *, const struct options *);

#endif
