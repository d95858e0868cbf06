/* SPDX-License-Identifier: MIT */
/* show.h - what is said on standard error around an answer. Nothing of it with --quiet. */
#ifndef HOST_SHOW_H
#define HOST_SHOW_H

#include "generate.h"

#include <jansson.h>

void show_opened(const struct loaded *);  /* banner, where it needs no loaded weights */
void show_started(const struct loaded *); /* banner elsewhere, system, model, context, recipe */
void show_stats(const struct loaded *, const struct generation *);
/* --profile: time per operation. */
void show_profile(const struct loaded *, const struct generation *);
json_t *json_profile(const struct loaded *);
/* The result object of --json; NULL when out of memory. */
json_t *json_result(const struct loaded *, const struct generation *, const char *prompt, size_t n,
                    const struct str *output);

/* Upper-case short name of a backend: "CPU". */
void show_backend(const struct loaded *, char *to, size_t n);

#endif
