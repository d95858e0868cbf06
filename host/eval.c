/* SPDX-License-Identifier: MIT */
/* eval.c - runs prompts through the engine in the pieces that were asked for: whole, in chunks, packed
 * with others, or again after a rewind. */
#include "eval.h"

#include "interrupt.h"
#include "sample/sampler.h"
#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ROWS = 512,
    LOGITS_BUDGET = 256 << 20, /* bytes of a step's logits, unless --chunk wants more */
    LOGITS_LIMIT = 1 << 30,
};

static int check_prompt(const struct eval *e, const struct eval_prompt *p, int32_t ctx) {
    for (int32_t i = 0; i < p->n; i++)
        if (p->id[i] < 0 || p->id[i] >= e->info.n_vocab)
            return fail(AG_EINVAL, "prompt %s: token %d at position %d is outside the vocabulary "
                        "of %d", p->name, p->id[i], i, e->info.n_vocab);
    int64_t more = e->args.greedy > 1 ? e->args.greedy - 1 : 0;
    if (p->n <= ctx - more) return AG_OK;
    if (more)
        return fail(AG_ENOSPC, "prompt %s: %d tokens and %lld more of --greedy do not fit into the "
                    "context of %d; raise --ctx-size", p->name, p->n, (long long)more, ctx);
    return fail(AG_ENOSPC, "prompt %s: %d tokens do not fit into the context of %d; raise "
                "--ctx-size", p->name, p->n, ctx);
}

static int check_prompts(struct eval *e, int32_t ctx) {
    int err = AG_OK;
    for (int32_t i = 0; i < e->n_prompt && !err; i++) err = check_prompt(e, &e->prompt[i], ctx);
    if (!err && e->args.top > e->info.n_vocab)
        err = fail(AG_EINVAL, "--top: want at most the vocabulary of %d, got %d", e->info.n_vocab,
                   e->args.top);
    return err;
}

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

/* Rows of a step: all of a prompt where memory for its logits allows, as asked otherwise. */
static int choose_rows(struct eval *e) {
    int64_t row = 4 * (int64_t)e->info.n_vocab, longest = 0, all = 0;
    int64_t most = min64(MAX_ROWS, LOGITS_BUDGET / row);
    if (most < 1) most = 1;
    if (e->args.chunk > most && e->args.chunk > LOGITS_LIMIT / row)
        return fail(AG_EINVAL, "--chunk: logits of %d tokens would need more than 1 GiB a step; "
                    "want at most %lld here", e->args.chunk, (long long)(LOGITS_LIMIT / row));
    int64_t piece = e->args.chunk ? e->args.chunk : most;
    if (piece > most) most = piece;
    for (int32_t i = 0; i < e->n_prompt; i++) {
        int64_t n = min64(e->prompt[i].n, piece);
        if (n > longest) longest = n;
        all += n;
    }
    e->piece = (int32_t)longest;
    e->budget = (int32_t)(e->args.parallel ? min64(all, most) : longest);
    return AG_OK;
}

static int create_engine(struct eval *e, const struct tool *t) {
    struct engine_options o = t->engine;
    int32_t longest = 0;
    for (int32_t i = 0; i < e->n_prompt; i++)
        if (e->prompt[i].n > longest) longest = e->prompt[i].n;
    o.ctx_size = longest + (e->args.greedy > 1 ? e->args.greedy - 1 : 0);
    o.max_batch = o.max_out = e->budget;
    o.max_seq = e->args.parallel ? e->n_prompt : 1;
    o.trace = e->args.trace;
    return engine_create(t->registry, t->file, &o, &e->engine);
}

static void *grab(size_t n, size_t elem, int *err) {
    void *p = calloc(n ? n : 1, elem);
    if (!p && !*err) *err = fail(AG_ENOMEM, "out of memory (%zu x %zu bytes)", n, elem);
    return p;
}

static int allocate(struct eval *e) {
    int err = AG_OK;
    size_t n = (size_t)e->n_prompt;
    e->item = grab(n, sizeof *e->item, &err);
    e->packed = grab(n, sizeof(struct eval_prompt *), &err);
    e->top_id = grab((size_t)e->args.top, sizeof *e->top_id, &err);
    e->top_logit = grab((size_t)e->args.top, sizeof *e->top_logit, &err);
    for (int32_t i = 0; i < e->n_prompt && !err; i++) {
        struct eval_prompt *p = &e->prompt[i];
        if (e->args.text) p->nll = grab((size_t)p->n, sizeof *p->nll, &err);
        if (!e->args.greedy) continue;
        p->last = grab((size_t)e->info.n_vocab, sizeof *p->last, &err);
        p->greedy = grab((size_t)e->args.greedy, sizeof *p->greedy, &err);
    }
    struct sampler_params greedy = sampler_defaults();
    return err ? err : sampler_create(&greedy, e->info.n_vocab, &e->greedy);
}

/* One step of n items, the prompts they belong to in e->packed. */
static int step(struct eval *e, int32_t n) {
    int32_t rows = 0;
    int err = engine_step(e->engine, e->item, n);
    if (err) return fail_prefix(err, "prompt %s", e->packed[0]->name);
    for (int32_t i = 0; i < n; i++) rows += e->item[i].n;
    err = mem_grow(&e->step_rows, &e->cap_step, e->n_step + 1, sizeof *e->step_rows);
    if (err) return err;
    e->step_rows[e->n_step++] = rows;
    return AG_OK;
}

/* Next pieces of prompts first .. end into items; how many. */
static int32_t pack(struct eval *e, struct eval_prompt *first, const struct eval_prompt *end) {
    int32_t n = 0, left = e->budget;
    for (struct eval_prompt *p = first; p < end && left; p++) {
        int32_t rows = (int32_t)min64(min64(p->n - p->done, e->piece), left);
        if (rows <= 0) continue;
        e->packed[n] = p;
        e->item[n++] = (struct step_item){ p->session, p->id + p->done, rows, rows };
        left -= rows;
    }
    return n;
}

/* Computes the prompts to their ends. */
static int advance(struct eval *e, struct eval_prompt *first, const struct eval_prompt *end) {
    int32_t n;
    while ((n = pack(e, first, end)) > 0) {
        int err = step(e, n);
        for (int32_t i = 0, row = 0; i < n && !err; row += e->item[i++].n) {
            struct eval_prompt *p = e->packed[i];
            if (e->args.trace) err = eval_out_trace(e, p, p->done, row, e->item[i].n);
            for (int32_t r = 0; r < e->item[i].n && !err; r++)
                err = eval_out_row(e, p, p->done + r, engine_logits(e->engine, row + r));
            p->done += e->item[i].n;
        }
        if (err) return err;
    }
    return AG_OK;
}

static int rewind_prompts(struct eval *e, struct eval_prompt *first,
                          const struct eval_prompt *end) {
    for (struct eval_prompt *p = first; p < end; p++) {
        if (p->n <= e->args.rewind) continue;
        int32_t want = p->n - e->args.rewind, kept = session_rewind(p->session, want);
        if (kept < 0) return fail_prefix(kept, "prompt %s", p->name);
        if (kept > want)
            return fail(AG_EDEVICE, "prompt %s: %d entries stayed after a rewind to %d", p->name,
                        kept, want);
        if (kept < want)
            log_line(AG_LOG_WARN, "prompt %s: a rewind to %d kept %d entries", p->name, want, kept);
        p->done = kept;
    }
    return advance(e, first, end);
}

static int choose(struct eval *e, struct eval_prompt *p, int32_t i) {
    int err = sampler_sample(e->greedy, p->last, &p->greedy[i]);
    if (err) return fail_prefix(err, "prompt %s: token %d of the continuation", p->name, i);
    return eval_out_greedy(e, p, i, p->last);
}

/* Token i of all continuations: each computes token i - 1 and takes the best of its logits. */
static int continue_once(struct eval *e, struct eval_prompt *first, const struct eval_prompt *end,
                         int32_t i) {
    while (first < end) {
        int32_t n = 0;
        for (; first < end && n < e->budget; first++) {
            e->packed[n] = first;
            e->item[n++] = (struct step_item){ first->session, &first->greedy[i - 1], 1, 1 };
        }
        int err = step(e, n);
        for (int32_t k = 0; k < n && !err; k++) {
            memcpy(e->packed[k]->last, engine_logits(e->engine, k),
                   (size_t)e->info.n_vocab * sizeof(float));
            err = choose(e, e->packed[k], i);
        }
        if (err) return err;
    }
    return AG_OK;
}

/* Prompts that are in flight together: all of them, or one. */
static int run_group(struct eval *e, struct eval_prompt *first, const struct eval_prompt *end) {
    int err = AG_OK;
    for (struct eval_prompt *p = first; p < end && !err; p++)
        err = session_create(e->engine, &p->session);
    if (!err) err = advance(e, first, end);
    if (!err && e->args.rewind) err = rewind_prompts(e, first, end);
    for (int32_t i = 0; i < e->args.greedy && !err; i++) {
        if (i) err = continue_once(e, first, end, i);
        for (struct eval_prompt *p = first; p < end && !i && !err; p++) err = choose(e, p, 0);
    }
    for (struct eval_prompt *p = first; p < end; p++) {
        session_free(p->session);
        p->session = NULL;
    }
    return err;
}

static int run_all(struct eval *e) {
    struct eval_prompt *end = e->prompt + e->n_prompt;
    if (e->args.parallel) return run_group(e, e->prompt, end);
    int err = AG_OK;
    for (struct eval_prompt *p = e->prompt; p < end && !err; p++) err = run_group(e, p, p + 1);
    return err;
}

static void summarise(const struct eval *e, struct eval_result *r) {
    const struct eval_prompt *p = e->prompt;
    double sum = 0;
    for (int32_t i = 0; p->nll && i + 1 < p->n; i++) sum += p->nll[i];
    r->steps = (int64_t)e->n_step;
    r->tokens = p->n;
    r->nll_mean = p->n > 1 ? sum / (p->n - 1) : 0;
    r->perplexity = exp(r->nll_mean);
}

int eval_run(const struct tool *t, const struct eval_args *args, struct eval_prompt *prompt,
             int32_t n_prompt, struct eval_result *result) {
    struct eval e = { .args = *args, .info = t->info, .prompt = prompt, .n_prompt = n_prompt };
    const char *path = args->logits ? args->logits : args->out;
    int err = check_prompts(&e, tool_ctx(t));
    if (!err) err = choose_rows(&e);
    if (!err) err = allocate(&e);
    if (!err) err = create_engine(&e, t);
    if (!err && path) err = eval_out_open(&e, path);
    if (!err) {
        struct interrupt interrupt;
        interrupt_begin(&interrupt, e.engine);
        err = run_all(&e);
        interrupt_end(&interrupt);
    }
    if (!err && e.out) err = eval_out_commit(&e);
    if (!err) summarise(&e, result);
    st_free(e.out);
    for (int32_t i = 0; i < n_prompt; i++) { /* sessions go before their engine */
        session_free(prompt[i].session);
        prompt[i].session = NULL;
    }
    engine_free(e.engine);
    sampler_free(e.greedy);
    free(e.item);
    free(e.packed);
    free(e.step_rows);
    free(e.top_id);
    free(e.top_logit);
    return err;
}
