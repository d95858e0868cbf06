/* SPDX-License-Identifier: MIT */
/* loaded.h - a model ready to answer: registry, file, vocabulary, engine, chat template, and the
 * options as the recipe completed them. */
#ifndef HOST_LOADED_H
#define HOST_LOADED_H

#include "env.h"
#include "engine.h"
#include "sample/sampler.h"
#include "token/chat.h"

struct loaded {
    const struct env *env;
    const struct options *o;
    struct registry *registry;
    struct modelfile *file;
    struct tokenizer *tokenizer;
    struct plugin *model, *backend; /* of the registry */
    int device;
    struct engine *engine;
    struct ag_model_info info;      /* before the engine is there too */
    const struct ag_chat *chat;     /* NULL: the prompt goes in as it is */
    struct jinja *jinja;            /* forms the prompt when there; chat then has marks and EOG texts */
    struct sampler_params sampling;
    int32_t max_tokens;
    char ctx_text[80];            /* "4096 (model supports ...)" */
    const char *recipe;             /* name, NULL when none fits */
    double load_ms;
    bool quiet, verbose, debug;     /* the last two can be switched in a conversation */
    bool color_out, color_err;
};

/* The steps in order; loaded_open finds everything out that needs no weights, loaded_start reads
 * them and shows the bar of progress. Both leave what they made to loaded_close. */
int loaded_open(const struct env *, const struct options *, struct loaded *out);
int loaded_start(struct loaded *);
void loaded_close(struct loaded *);

/* recipe.c: values for what the command line left open. */
int recipe_apply(struct loaded *, int32_t *ctx);
/* context.c: tokens of context by --ctx-size, the recipe's (0 = none) and memory. */
int context_size(struct loaded *, int32_t recipe_ctx, int32_t *out);
/* chat_pick.c: chat template of --raw, --chat-template, the file's own text, the model's first. */
int chat_pick(struct loaded *);

#endif
