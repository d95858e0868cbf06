/* SPDX-License-Identifier: MIT */
/* session.h - one timeline of tokens. The caller always hands over the whole prefix;
 * session_sync finds out what of it is cached, rewinds what is not part of it, computes the rest.
 *
 * The road of a token: comes from host/cmd_run.c and core/token/bpe.c, goes on to a model's build()
 * (once, at load) and the backend's plan. */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include "engine.h"

struct session;

int session_create(struct engine *, struct session **out); /* AG_ENOSPC above max_seq */
void session_free(struct session *);                      /* NULL is fine */

/* Makes the cache hold exactly ids[0 .. n) and logits those of the last one. n > ctx: AG_ENOSPC,
 * nothing changed. At least one token is computed. *reused (may be NULL): tokens not computed again.
 * on_chunk (may be NULL) is told after each step how many of the n are done. A failed or cancelled
 * call leaves the session at the last finished step. */
struct session_progress { void (*on_chunk)(void *ctx, int32_t done, int32_t n); void *ctx; };
int session_sync(struct session *, const int32_t *ids, int32_t n, const struct session_progress *,
                 int32_t *reused);
/* Logits of the last token synced, f32 [n_vocab]; valid until the engine's next step. */
float *session_logits(struct session *);
int32_t session_length(const struct session *);
/* How many leading ids the cache holds already. */
int32_t session_shared(const struct session *, const int32_t *ids, int32_t n);
/* Keeps the first n entries if the cache allows, else as many as it can (0 at worst). */
int32_t session_rewind(struct session *, int32_t n);

/* Low level, for eval and the scheduler: one step of rows from several sessions. */
struct step_item {
    struct session *session;
    const int32_t *ids; /* appended to the session */
    int32_t n;
    int32_t n_out;      /* the last n_out of them get logits */
};
/* One step: sum of n <= max_batch, of n_out <= max_out, one item per session. */
int engine_step(struct engine *, const struct step_item *items, int32_t n_items);
/* Of the last step: logits of output row i (in item order), traces [n_embd] of token row t. */
float *engine_logits(struct engine *, int32_t i);
const float *engine_trace(struct engine *, uint32_t tag, int32_t layer, int32_t t);

#endif
