/* SPDX-License-Identifier: MIT */
/* own_template.h - Jinja templates: of model files, and of files named on the command line. */
#ifndef HOST_OWN_TEMPLATE_H
#define HOST_OWN_TEMPLATE_H

#include "loaded.h"
#include "token/chat_jinja.h"

/* Stands for a template that is of no built-in form. */
extern const struct ag_chat chat_own;

int own_template_read(const char *path, struct jinja **out);
/* The model file's own; tries it on a short conversation. *out NULL: there is none. AG_ENOTSUP: it
 * wants something the engine does not know. */
int own_template_of(const struct tokenizer *, struct jinja **out);
/* Local time, for templates that tell the date. */
void own_template_now(char to[32]);
/* The conversation with an open answer. thinking: the prompt has opened the reasoning. */
int own_template_prompt(const struct loaded *, const struct chat_message *, size_t n, struct chat_prompt *out,
                        bool *thinking);

#endif
