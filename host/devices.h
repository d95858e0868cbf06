/* SPDX-License-Identifier: MIT */
#ifndef HOST_DEVICES_H
#define HOST_DEVICES_H

#include "env.h"

/* --list-devices: what every usable backend has; as JSON with --json. */
int devices_print(const struct env *, const struct options *);

#endif
