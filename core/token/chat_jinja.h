/* SPDX-License-Identifier: MIT */
/* chat_jinja.h - a conversation as a prompt, by a Jinja template: a model file's own, or a given one. */
#ifndef TOKEN_CHAT_JINJA_H
#define TOKEN_CHAT_JINJA_H

#include "token/chat.h"
#include "token/jinja/jinja.h"

/* vars: an object with messages, tools, ... as templates expect them; tools and documents are none when
 * absent, and arguments of tool calls that come as JSON text become objects. bos_token and eos_token are
 * the tokenizer's, which may be NULL. now: as in jinja.h. */
int chat_jinja_render(const struct jinja *, const struct tokenizer *, const json_t *vars, const char *now,
                      struct chat_prompt *out);

#endif
