/* SPDX-License-Identifier: MIT */
/* token_cmds.h - the work of `agave tokenize` and `agave template`: JSON in, results out. A line or
 * request that cannot be served ends the work with an error that names it. */
#ifndef HOST_TOKEN_CMDS_H
#define HOST_TOKEN_CMDS_H

#include "token/chat.h"
#include "token/tokenizer.h"

#include <stdio.h>

/* A JSON string a line to an array of ids a line; with decode the other way round. special: BOS and
 * EOS as the model asks, control tokens in texts are control tokens (decode: are shown). */
int run_tokenize(const struct tokenizer *, bool special, bool decode, FILE *in, FILE *out);

/* One request object to its prompt text by a Jinja template: its keys are the template's variables,
 * chat_template_kwargs too; now is the date, thinking also enable_thinking. tokenizer may be NULL. */
struct jinja;
int run_template_jinja(const struct jinja *, const struct tokenizer *, FILE *in, FILE *out);

/* One request object to its prompt text, by a built-in template. What the template cannot express
 * (tools, thinking, variables) is an error. */
int run_template(const struct ag_chat *, FILE *in, FILE *out);

#endif
