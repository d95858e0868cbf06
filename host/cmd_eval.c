/* SPDX-License-Identifier: MIT */
/* cmd_eval.c - agave eval: which numbers are wanted, and whether the options fit together. */
#include "cmd.h"
#include "eval.h"

#include "util/error.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

static int check(const struct options *o) {
    static const char advice[] = "try 'agave eval --help'";
    if (!o->tokens == !o->text)
        return fail(AG_EINVAL, "want either --tokens or --text; %s", advice);
    if (o->tokens && !o->logits)
        return fail(AG_EINVAL, "--tokens: want --logits OUT for the result; %s", advice);
    if (o->step && o->given[OPT_chunk])
        return fail(AG_EINVAL, "want either --step or --chunk; %s", advice);
    if (o->tokens && (o->given[OPT_top] || o->out))
        return fail(AG_EINVAL, "--top and --out want --text; %s", advice);
    if (o->given[OPT_top] && !o->out)
        return fail(AG_EINVAL, "--top: want --out OUT for the result; %s", advice);
    if (o->out && !o->given[OPT_top])
        return fail(AG_EINVAL, "--out: want --top K; %s", advice);
    if (o->out && o->logits)
        return fail(AG_EINVAL, "want either --logits or --out; %s", advice);
    if (o->text && !o->logits && (o->given[OPT_greedy] || o->trace))
        return fail(AG_EINVAL, "--greedy and --trace: want --logits OUT for the result; %s", advice);
    return AG_OK;
}

/* The result takes the place of a file of that name. */
static int check_out(const char *out, const char *in) {
    struct stat a, b;
    if (!out || !in || stat(out, &a) || stat(in, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return AG_OK;
    return fail(AG_EINVAL, "%s: the result would replace what is read; want another name for it", out);
}

static int read_text(const struct tool *t, const char *path, struct eval_prompt **prompt,
                     int32_t *n) {
    struct tokenizer *tok;
    int err = tokenizer_open(t->file->format, t->file->file, &tok);
    if (err) return err;
    err = eval_read_text(path, tok, prompt, n);
    tokenizer_free(tok);
    return err;
}

static int print(json_t *o) {
    if (!o) return fail(AG_ENOMEM, "result: it cannot be formed as JSON");
    int bad = json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
    json_decref(o);
    putchar('\n');
    return bad ? fail(AG_EIO, "standard output: the result cannot be written") : AG_OK;
}

static int print_text(const struct eval_result *r) {
    json_t *ppl = isfinite(r->perplexity) ? json_real(r->perplexity) : json_null();
    return print(json_pack("{s:i, s:f, s:o}", "tokens", r->tokens, "nll_mean", r->nll_mean,
                           "perplexity", ppl));
}

static int print_run(const struct eval_args *a, const struct eval_prompt *prompt, int32_t n,
                     const struct eval_result *r) {
    json_t *prompts = json_object();
    for (int32_t i = 0; i < n; i++)
        json_object_set_new(prompts, prompt[i].name, json_integer(prompt[i].n));
    return print(json_pack("{s:s, s:o, s:I}", "logits", a->logits, "prompts", prompts, "steps",
                           (json_int_t)r->steps));
}

int cmd_eval(const struct env *env, const struct options *o) {
    const struct eval_args args = {
        .tokens = o->tokens, .logits = o->logits, .text = o->text, .out = o->out,
        .greedy = (int32_t)o->greedy,
        .chunk = o->step ? 1 : (int32_t)o->chunk,
        .rewind = (int32_t)o->rewind,
        .top = (int32_t)o->top,
        .parallel = o->parallel, .trace = o->trace,
    };
    struct tool t = { 0 };
    struct eval_prompt *prompt = NULL;
    struct eval_result result = { 0 };
    int32_t n = 0;
    int err = check(o);
    const char *out = o->logits ? o->logits : o->out;
    if (!err) err = check_out(out, o->tokens ? o->tokens : o->text);
    if (!err) err = check_out(out, o->arg[0]);
    if (!err && o->tokens) err = eval_read_tokens(o->tokens, &prompt, &n);
    if (!err) err = tool_open(env, o, o->arg[0], &t);
    if (!err && o->text) err = read_text(&t, o->text, &prompt, &n);
    t.engine.exact = o->exact;
    if (!err) err = eval_run(&t, &args, prompt, n, &result);
    if (!err && o->text) err = print_text(&result);
    if (!err && o->json && !o->text) err = print_run(&args, prompt, n, &result);
    eval_free_prompts(prompt, n);
    tool_close(&t);
    return err;
}
