/* SPDX-License-Identifier: MIT */
/* talk.h - a conversation: its turns, and the cache that follows them. */
#ifndef HOST_TALK_H
#define HOST_TALK_H

#include "generate.h"

struct turn { char *text; size_t n; bool answer; };

struct talk {
    struct loaded *l;
    struct session *session;
    struct sampler *sampler;
    struct turn *turn;
    size_t n_turn, cap_turn;
    char *system; /* NULL = none */
    bool stats;
};

int talk_open(struct loaded *, struct talk *out);
void talk_close(struct talk *);
/* Forgets the turns, keeps the system prompt. */
void talk_clear(struct talk *);
int talk_system(struct talk *, const char *text); /* NULL = none; also forgets the turns */
/* One message and its answer, printed. *closed: nobody reads the output any more. */
int talk_say(struct talk *, const char *text, size_t n, bool *closed);

#endif
