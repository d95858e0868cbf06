/* SPDX-License-Identifier: MIT */
#ifndef HOST_RECIPE_H
#define HOST_RECIPE_H

#include <agave/model.h>

/* The first row that fits, of a model's rows (NULL-terminated, may be NULL) and then of those for any
 * model; NULL when none does. Backend and quantisation are compared without case. */
const struct ag_recipe *recipe_match(const struct ag_recipe *const *rows, const char *backend,
                                     const char *quant);

#endif
