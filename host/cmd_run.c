/* SPDX-License-Identifier: MIT */
/* cmd_run.c - agave <model> [prompt]: one answer, or a conversation on a terminal.
 *
 * The road of a token begins here: the prompt goes to core/token/bpe.c (generate.c calls it), from
 * there to core/session.c; what comes back goes to core/sample/chain.c and out through answer.c. */
#include "cmd.h"

#include "devices.h"
#include "input.h"
#include "repl.h"
#include "show.h"
#include "util/error.h"
#include "util/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int prompt_ids(const struct loaded *l, const struct str *text, struct ids *ids,
                      bool *thinking) {
    *thinking = false;
    if (!l->chat) return prompt_raw(l, str_text(text), text->n, ids);
    struct chat_message m[2];
    size_t n = 0;
    if (l->o->system)
        m[n++] = (struct chat_message){ "system", l->o->system, strlen(l->o->system) };
    m[n++] = (struct chat_message){ "user", str_text(text), text->n };
    return prompt_chat(l, m, n, ids, thinking);
}

static void log_ids(const struct ids *ids) {
    struct str s = { 0 };
    for (size_t i = 0; i < ids->n && s.n < 1500; i++) str_printf(&s, " %d", ids->id[i]);
    log_line(AG_LOG_DEBUG, "%zu ids of the prompt:%s", ids->n, str_text(&s));
    str_free(&s);
}

static int print_json(const struct loaded *l, const struct generation *g, const struct str *prompt,
                      const struct answer *a) {
    json_t *o = json_result(l, g, str_text(prompt), prompt->n, &a->all);
    if (!o) return fail(AG_ENOMEM, "result: it cannot be formed as JSON");
    int status = json_dumpf(o, stdout, JSON_COMPACT);
    json_decref(o);
    putchar('\n');
    return status < 0 ? fail(AG_EIO, "standard output: the result cannot be written") : 0;
}

/* What follows the text: marks, numbers, the JSON result. The exit status, or an error. */
static int tell(const struct loaded *l, const struct generation *g, const struct str *prompt,
                const struct answer *a) {
    if (l->o->json) {
        int status = print_json(l, g, prompt, a);
        if (status < 0) return status;
    }
    if (l->verbose && !l->quiet && g->finish == FINISH_STOP) fputs("[EOG]\n", stderr);
    if (!l->quiet) show_stats(l, g);
    if (l->o->profile && !l->o->json) show_profile(l, g);
    return g->finish == FINISH_INTERRUPTED ? 130 : 0;
}

static int answer_one(const struct loaded *l, struct session *s, struct sampler *sampler,
                      const struct str *prompt, struct ids *ids, bool thinking) {
    const struct answer_options a_options = {
        .stop = l->o->stop.at, .n_stop = (int)l->o->stop.n,
        .think_begin = l->chat ? l->chat->think_begin : NULL,
        .think_end = l->chat ? l->chat->think_end : NULL,
        .thinking = thinking, .show_thinking = l->o->show_thinking,
        .print = !l->o->json, .tty = isatty(STDOUT_FILENO), .color = l->color_out,
    };
    struct answer a;
    struct generation g;
    answer_begin(&a, &a_options);
    int status = generate(l, s, sampler, ids, &a, &g);
    bool begun = g.tokens > 0;
    /* An error in the middle: the text so far is finished before the error is told. */
    int ended = status == 0 || begun ? answer_end(&a) : 0;
    if (ended < 0 && a.closed) status = 0;
    else if (status == 0 && ended < 0) status = ended;
    else if (status == 0) status = tell(l, &g, prompt, &a);
    answer_free(&a);
    return status;
}

static int one_shot(struct loaded *l, const struct str *prompt) {
    struct session *session = NULL;
    struct sampler *sampler = NULL;
    struct ids ids = { 0 };
    bool thinking;
    int status = prompt_ids(l, prompt, &ids, &thinking);
    if (status == 0 && l->debug) log_ids(&ids);
    if (status == 0) status = session_create(l->engine, &session);
    if (status == 0) status = sampler_open(l, &sampler);
    if (status == 0) status = answer_one(l, session, sampler, prompt, &ids, thinking);
    sampler_free(sampler);
    session_free(session);
    ids_free(&ids);
    return status;
}

int cmd_run(const struct env *env, const struct options *o) {
    if (o->list_devices) return devices_print(env, o);
    if (!o->n_arg)
        return fail(AG_EINVAL, "want a model file or directory, got none; try 'agave --help'");
    if (o->model_info) return cmd_info(env, o);
    if (o->benchmark) return cmd_bench(env, o);
    bool piped = !isatty(STDIN_FILENO), talk = o->n_arg < 2 && !piped;
    if (talk && o->json)
        return fail(AG_EINVAL, "--json: want a prompt as an argument or on standard input, got none");
    struct str prompt = { 0 };
    struct loaded l = { 0 };
    int status = talk ? 0 : input_prompt(o->n_arg > 1 ? o->arg[1] : NULL, piped, o->quiet, &prompt);
    if (status == 0) status = loaded_open(env, o, &l);
    if (status == 0) show_opened(&l);
    if (status == 0) status = loaded_start(&l);
    if (status == 0) show_started(&l);
    if (status == 0) status = talk ? repl_run(&l) : one_shot(&l, &prompt);
    loaded_close(&l);
    str_free(&prompt);
    return status;
}
