/* SPDX-License-Identifier: MIT */
/* recipe.c - presets of generation options. A model plugin brings its own rows, tried first; then
 * come those that fit any model. The first that fits wins and fills what the command line left open. */
#include "recipe.h"

#include "loaded.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const struct ag_recipe cpu_generic = {
    .size = sizeof(struct ag_recipe), .name = "CPU generic", .backend = "cpu",
    .temperature = NAN, .top_p = NAN, .repeat_penalty = NAN, .max_tokens = 256, .ctx_size = 2048,
};

static bool fits(const struct ag_recipe *r, const char *backend, const char *quant) {
    return (!r->backend || !strcasecmp(r->backend, backend)) &&
           (!r->quant || !strncasecmp(r->quant, quant, strlen(r->quant)));
}

const struct ag_recipe *recipe_match(const struct ag_recipe *const *rows, const char *backend,
                                     const char *quant) {
    static const struct ag_recipe *const any_model[] = { &cpu_generic, NULL };
    const struct ag_recipe *const *tables[] = { rows, any_model };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct ag_recipe *const *r = tables[i]; r && *r; r++)
            if (fits(*r, backend, quant)) return *r;
    return NULL;
}

static bool set(double v) { return !isnan(v) && v != 0; }

int recipe_apply(struct loaded *l, int32_t *ctx) {
    const bool *given = l->o->given;
    const char *quant = modelfile_quant(l->file);
    const struct ag_recipe *r = l->o->no_recipe ? NULL
        : recipe_match(l->model->u.model.recipe, l->backend->name, quant ? quant : "");
    if (!r) return 0;
    l->recipe = r->name;
    if (!given[OPT_temperature] && set(r->temperature)) l->sampling.temperature = (float)r->temperature;
    if (!given[OPT_top_p] && set(r->top_p)) l->sampling.top_p = (float)r->top_p;
    if (!given[OPT_repeat_penalty] && set(r->repeat_penalty))
        l->sampling.repeat_penalty = (float)r->repeat_penalty;
    if (!given[OPT_max_tokens] && r->max_tokens > 0) l->max_tokens = r->max_tokens;
    if (!given[OPT_ctx_size] && r->ctx_size > 0) *ctx = r->ctx_size;
    return 0;
}
