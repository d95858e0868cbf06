/* SPDX-License-Identifier: MIT */
/* info.h - what is known of a model once it is loaded. */
#ifndef HOST_INFO_H
#define HOST_INFO_H

#include "loaded.h"

#include <jansson.h>

/* One "Name: value" line each. warmup_ms < 0: not measured. */
void info_text(const struct loaded *, double warmup_ms, struct str *out);
/* The same as an object; NULL when out of memory. */
json_t *info_json(const struct loaded *, double warmup_ms);

#endif
