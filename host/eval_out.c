/* SPDX-License-Identifier: MIT */
/* eval_out.c - what `agave eval` writes. Rows go out as they come: the file may be larger than memory. */
#include "eval.h"

#include "util/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add(struct eval *e, int *number, const char *prompt, const char *tail, enum st_type type,
               int n_dim, int64_t d0, int64_t d1) {
    char name[512];
    int n = snprintf(name, sizeof name, "%s%s%s", prompt, *prompt ? "." : "", tail);
    if (n < 0 || (size_t)n >= sizeof name)
        return fail(AG_EINVAL, "prompt %.60s...: the name is too long", prompt);
    *number = st_add(e->out, name, type, n_dim, (uint64_t)d0, (uint64_t)d1);
    return *number < 0 ? *number : AG_OK;
}

static int add_trace(struct eval *e, struct eval_prompt *p) {
    int err = add(e, &p->t_embed, p->name, "trace.embed", ST_F32, 2, p->n, e->info.n_embd);
    for (int32_t il = 0; il < e->info.n_layer && !err; il++) {
        char tail[40];
        int number;
        snprintf(tail, sizeof tail, "trace.layer.%02d.out", il);
        err = add(e, &number, p->name, tail, ST_F32, 2, p->n, e->info.n_embd);
        if (il == 0) p->t_layer = number;
    }
    return err;
}

static int add_prompt(struct eval *e, struct eval_prompt *p) {
    const struct eval_args *a = &e->args;
    int err = AG_OK, v = e->info.n_vocab;
    p->t_logits = p->t_greedy = p->t_greedy_logits = p->t_embed = p->t_layer = -1;
    p->t_top_id = p->t_top_logprob = -1;
    if (a->logits) err = add(e, &p->t_logits, p->name, "logits", ST_F32, 2, p->n, v);
    if (!err && a->greedy) {
        err = add(e, &p->t_greedy, p->name, "greedy.tokens", ST_I32, 1, a->greedy, 1);
        if (!err)
            err = add(e, &p->t_greedy_logits, p->name, "greedy.logits", ST_F32, 2, a->greedy, v);
    }
    if (!err && a->trace) err = add_trace(e, p);
    if (!err && a->top) {
        err = add(e, &p->t_top_id, p->name, "top_ids", ST_I32, 2, p->n, a->top);
        if (!err) err = add(e, &p->t_top_logprob, p->name, "top_logprobs", ST_F32, 2, p->n, a->top);
    }
    return err;
}

int eval_out_open(struct eval *e, const char *path) {
    int err = st_create(path, &e->out);
    int64_t steps = 0; /* no step is without a row */
    for (int32_t i = 0; i < e->n_prompt && !err; i++) {
        struct eval_prompt *p = &e->prompt[i];
        err = add_prompt(e, p);
        steps += 2 * (int64_t)p->n + e->args.greedy;
    }
    if (!err) err = add(e, &e->t_step_rows, "", "eval.step_rows", ST_I32, 1, steps, 1);
    return err ? err : st_begin(e->out);
}

/* The k largest of logits into top_id/top_logit, best first; of equals the lower id is better. */
static void find_top(struct eval *e, const float *logits) {
    int32_t k = e->args.top, n = 0;
    for (int32_t id = 0; id < e->info.n_vocab; id++) {
        if (n == k && logits[id] <= e->top_logit[k - 1]) continue;
        int32_t at = n < k ? n++ : k - 1;
        for (; at > 0 && e->top_logit[at - 1] < logits[id]; at--) {
            e->top_logit[at] = e->top_logit[at - 1];
            e->top_id[at] = e->top_id[at - 1];
        }
        e->top_logit[at] = logits[id];
        e->top_id[at] = id;
    }
}

static int score(struct eval *e, struct eval_prompt *p, int32_t at, const float *logits) {
    float max = logits[0];
    double sum = 0;
    for (int32_t i = 1; i < e->info.n_vocab; i++) max = logits[i] > max ? logits[i] : max;
    for (int32_t i = 0; i < e->info.n_vocab; i++) sum += (double)expf(logits[i] - max);
    double log_sum = (double)max + log(sum);
    if (at + 1 < p->n) p->nll[at] = log_sum - (double)logits[p->id[at + 1]];
    if (p->t_top_id < 0) return AG_OK;
    find_top(e, logits);
    for (int32_t i = 0; i < e->args.top; i++)
        e->top_logit[i] = (float)((double)e->top_logit[i] - log_sum);
    uint64_t k = (uint64_t)e->args.top, from = (uint64_t)at * k;
    int err = st_write(e->out, p->t_top_id, from, e->top_id, k);
    return err ? err : st_write(e->out, p->t_top_logprob, from, e->top_logit, k);
}

static int check_finite(const struct eval *e, const struct eval_prompt *p, int32_t at,
                        const float *logits) {
    int bad = 0;
    for (int32_t i = 0; i < e->info.n_vocab; i++) bad |= logits[i] != logits[i];
    return bad ? fail(AG_EDEVICE, "prompt %s: logits of position %d are not numbers", p->name, at)
               : AG_OK;
}

int eval_out_row(struct eval *e, struct eval_prompt *p, int32_t at, const float *logits) {
    uint64_t v = (uint64_t)e->info.n_vocab;
    int err = check_finite(e, p, at, logits);
    if (!err && p->last && at + 1 == p->n) memcpy(p->last, logits, v * sizeof *logits);
    if (!err && e->out && p->t_logits >= 0)
        err = st_write(e->out, p->t_logits, (uint64_t)at * v, logits, v);
    if (!err && p->nll) err = score(e, p, at, logits);
    return err;
}

int eval_out_trace(struct eval *e, const struct eval_prompt *p, int32_t at, int32_t row,
                   int32_t n) {
    uint64_t h = (uint64_t)e->info.n_embd;
    for (int32_t il = -1; il < e->info.n_layer; il++)
        for (int32_t i = 0; i < n; i++) {
            uint32_t tag = il < 0 ? AG_TAG_EMBED : AG_TAG_LAYER_OUT;
            const float *x = engine_trace(e->engine, tag, il, row + i);
            if (!x)
                return fail(AG_ENOTSUP, "the model does not tag its %s: no trace can be written",
                            il < 0 ? "embedding" : "layer outputs");
            int err = st_write(e->out, il < 0 ? p->t_embed : p->t_layer + il,
                               (uint64_t)(at + i) * h, x, h);
            if (err) return err;
        }
    return AG_OK;
}

int eval_out_greedy(struct eval *e, const struct eval_prompt *p, int32_t i, const float *logits) {
    uint64_t v = (uint64_t)e->info.n_vocab;
    int err = st_write(e->out, p->t_greedy, (uint64_t)i, &p->greedy[i], 1);
    return err ? err : st_write(e->out, p->t_greedy_logits, (uint64_t)i * v, logits, v);
}

int eval_out_commit(struct eval *e) {
    int err = st_write(e->out, e->t_step_rows, 0, e->step_rows, e->n_step);
    if (err) return err;
    st_shorten(e->out, e->n_step);
    return st_commit(e->out);
}
