/* SPDX-License-Identifier: MIT */
/* static_none.c - no plugin is linked into the binary. Alone in its file: see static.h. */
#include "registry/static.h"

const struct static_plugin static_plugins[] = { { NULL, NULL } };
