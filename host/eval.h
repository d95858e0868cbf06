/* SPDX-License-Identifier: MIT */
/* eval.h - numbers of a model for testers: logits, traces and likelihoods of given tokens.
 * cmd_eval.c reads the command line, eval_prompts.c the prompts, eval.c runs the steps, eval_out.c
 * writes what they yield. */
#ifndef HOST_EVAL_H
#define HOST_EVAL_H

#include "session.h"
#include "stio.h"
#include "tool.h"
#include "token/tokenizer.h"

struct eval_args {
    const char *tokens, *logits; /* SafeTensors files; NULL = not given */
    const char *text, *out;
    int32_t greedy; /* tokens of the continuation, 0 = none */
    int32_t chunk;  /* tokens of a piece, 0 = as many as fit */
    int32_t rewind; /* positions dropped and computed again, 0 = none */
    int32_t top;    /* most likely tokens of each position, 0 = none */
    bool parallel, trace;
};

struct eval_prompt {
    char *name;
    int32_t *id;
    int32_t n;
    int32_t done; /* entries computed */
    struct session *session;
    float *last;  /* [n_vocab] logits of the newest entry; only when a continuation is wanted */
    int32_t *greedy; /* [args.greedy] */
    double *nll;     /* [n] -log p of the token after each entry; only of a text */
    /* numbers of the tensors in the output */
    int t_logits, t_greedy, t_greedy_logits, t_embed, t_layer; /* t_layer: of layer 0, then in order */
    int t_top_id, t_top_logprob;
};

struct eval {
    struct eval_args args;
    struct ag_model_info info;
    struct eval_prompt *prompt;
    int32_t n_prompt;
    int32_t piece;  /* most rows of one prompt in a step */
    int32_t budget; /* most rows of a step */
    struct engine *engine;
    struct sampler *greedy;
    struct step_item *item;      /* [n_prompt] */
    struct eval_prompt **packed; /* [n_prompt] whose the items are */
    struct st_writer *out;       /* NULL: nothing is written */
    int t_step_rows;
    int32_t *step_rows;
    size_t n_step, cap_step;
    int32_t *top_id;             /* [args.top] scratch */
    float *top_logit;
};

/* Prompts of --tokens; every fault names the prompt. */
int eval_read_tokens(const char *path, struct eval_prompt **prompt, int32_t *n);
/* The text of a file as the one prompt "text". */
int eval_read_text(const char *path, const struct tokenizer *, struct eval_prompt **prompt,
                   int32_t *n);
void eval_free_prompts(struct eval_prompt *, int32_t n); /* sessions too */

/* Names and sizes of all tensors; begins the file at `path`. */
int eval_out_open(struct eval *, const char *path);
/* Logits of position `at` of a prompt. */
int eval_out_row(struct eval *, struct eval_prompt *, int32_t at, const float *logits);
/* Traces of n rows from position `at` on; `row` is their first row in the last step. */
int eval_out_trace(struct eval *, const struct eval_prompt *, int32_t at, int32_t row, int32_t n);
int eval_out_greedy(struct eval *, const struct eval_prompt *, int32_t i, const float *logits);
int eval_out_commit(struct eval *);

/* Runs all prompts; batch sizes are chosen here. The prompts stay the caller's. */
struct eval_result { int64_t steps; int32_t tokens; double nll_mean, perplexity; /* of the text */ };
int eval_run(const struct tool *, const struct eval_args *, struct eval_prompt *, int32_t n_prompt,
             struct eval_result *);

#endif
