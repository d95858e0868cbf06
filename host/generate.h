/* SPDX-License-Identifier: MIT */
/* generate.h - from prompt ids to an answer, token by token. */
#ifndef HOST_GENERATE_H
#define HOST_GENERATE_H

#include "answer.h"
#include "loaded.h"
#include "session.h"

enum finish { FINISH_STOP, FINISH_LENGTH, FINISH_STOP_TEXT, FINISH_INTERRUPTED, FINISH_CLOSED };
const char *finish_name(enum finish); /* as in the JSON result */

struct generation {
    enum finish finish;
    bool context_full;    /* FINISH_LENGTH because of it */
    int32_t prompt, reused; /* tokens of the prompt; those that were cached */
    int32_t tokens;       /* generated, the end-of-generation token not counted */
    double prefill_ms, gen_ms;
    double tok_per_sec;   /* between the first and the last token */
    double prefill_tok_per_sec;
};

/* A prompt as text without a template; as turns of the chosen one. thinking: it has opened the
 * reasoning. */
int prompt_raw(const struct loaded *, const char *text, size_t n, struct ids *out);
int prompt_chat(const struct loaded *, const struct chat_message *, size_t n, struct ids *out,
                bool *thinking);

/* Appends to ids what was generated. The prompt must fit the context (AG_ENOSPC with both numbers
 * otherwise, nothing done). Ctrl+C ends the answer, not the process. */
int generate(const struct loaded *, struct session *, struct sampler *, struct ids *,
             struct answer *, struct generation *out);

/* A sampler by the options, with the tokens banned that must not be drawn. */
int sampler_open(const struct loaded *, struct sampler **out);

#endif
