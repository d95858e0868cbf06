/* SPDX-License-Identifier: MIT */
/* chat.h - a conversation as a prompt, by a struct ag_chat of a model plugin or the generic "chatml".
 * Only text of the template may become control tokens; what people wrote is encoded as plain text. */
#ifndef TOKEN_CHAT_H
#define TOKEN_CHAT_H

#include "token/tokenizer.h"
#include "util/str.h"

#include <agave/model.h>

struct chat_message { const char *role, *content; size_t n; }; /* role: system, user, assistant */

/* Pieces in order (literal: from the template); text is owned by the prompt. */
struct chat_prompt { struct str text; struct chat_piece *piece; size_t n_piece, cap_piece; };
void chat_prompt_free(struct chat_prompt *);

extern const struct ag_chat chat_chatml;

/* An unknown role, or turns that do not fit the template, is an error that says so. */
int chat_render(const struct ag_chat *, const struct chat_message *, size_t n, bool open_answer,
                struct chat_prompt *out);
/* The whole text is encoded at once, with control tokens in literal pieces only; a leading BOS of the template is not doubled. */
int chat_encode(const struct tokenizer *, const struct chat_prompt *, struct ids *out);

#endif
