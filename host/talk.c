/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include "show.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int talk_open(struct loaded *l, struct talk *t) {
    *t = (struct talk){ .l = l, .stats = !l->quiet };
    int status = l->o->system ? talk_system(t, l->o->system) : 0;
    if (status == 0) status = session_create(l->engine, &t->session);
    if (status == 0) status = sampler_open(l, &t->sampler);
    return status;
}

static void drop(struct talk *t, size_t n) {
    for (size_t i = 0; i < n; i++) free(t->turn[i].text);
    t->n_turn -= n;
    if (t->n_turn) memmove(t->turn, t->turn + n, t->n_turn * sizeof *t->turn);
}

void talk_clear(struct talk *t) {
    drop(t, t->n_turn);
    if (t->session) session_rewind(t->session, 0);
}

void talk_close(struct talk *t) {
    drop(t, t->n_turn);
    free(t->turn);
    free(t->system);
    sampler_free(t->sampler);
    session_free(t->session);
}

int talk_system(struct talk *t, const char *text) {
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy) return fail(AG_ENOMEM, "system prompt: out of memory");
    free(t->system);
    t->system = copy;
    talk_clear(t);
    return 0;
}

static int add(struct talk *t, const char *text, size_t n, bool answer) {
    char *copy = malloc(n + 1);
    if (!copy || mem_grow(&t->turn, &t->cap_turn, t->n_turn + 1, sizeof *t->turn) < 0) {
        free(copy);
        return fail(AG_ENOMEM, "conversation: out of memory");
    }
    if (n) memcpy(copy, text, n);
    copy[n] = 0;
    t->turn[t->n_turn++] = (struct turn){ copy, n, answer };
    return 0;
}

/* The whole conversation as ids. Without a template its texts simply follow each other. */
static int encode(struct talk *t, struct ids *ids, bool *thinking) {
    ids->n = 0;
    *thinking = false;
    if (!t->l->chat) {
        struct str all = { 0 };
        for (size_t i = 0; i < t->n_turn; i++) str_add(&all, t->turn[i].text, t->turn[i].n);
        int status = all.failed ? AG_ENOMEM : prompt_raw(t->l, str_text(&all), all.n, ids);
        str_free(&all);
        return status;
    }
    struct chat_message *m = malloc((t->n_turn + 1) * sizeof *m);
    size_t n = 0;
    if (!m) return fail(AG_ENOMEM, "conversation: out of memory");
    if (t->system) m[n++] = (struct chat_message){ "system", t->system, strlen(t->system) };
    for (size_t i = 0; i < t->n_turn; i++)
        m[n++] = (struct chat_message){ t->turn[i].answer ? "assistant" : "user", t->turn[i].text,
                                        t->turn[i].n };
    int status = prompt_chat(t->l, m, n, ids, thinking);
    free(m);
    return status;
}

/* Would the last message fit if all before it were forgotten? Leaves its ids. */
static int encode_last(struct talk *t, struct ids *ids, bool *thinking) {
    struct talk last = *t;
    last.turn += t->n_turn - 1;
    last.n_turn = 1;
    return encode(&last, ids, thinking);
}

/* Encodes; while there is no room for an answer the oldest question and its answer go. Nothing goes for a
 * message that cannot fit by itself. */
static int fit(struct talk *t, struct ids *ids, bool *thinking) {
    int32_t ctx = engine_ctx(t->l->engine), room = ctx / 4;
    size_t before = t->n_turn;
    if (room > t->l->max_tokens) room = t->l->max_tokens;
    int status = encode(t, ids, thinking);
    if (status == 0 && ids->n > (size_t)ctx) status = encode_last(t, ids, thinking);
    if (status != 0 || ids->n > (size_t)ctx) return status;
    if (before > 1) status = encode(t, ids, thinking);
    while (status == 0 && ids->n + (size_t)room > (size_t)ctx && t->n_turn > 1) {
        size_t n = 1;
        while (n < t->n_turn - 1 && t->turn[n].answer) n++;
        drop(t, n);
        status = encode(t, ids, thinking);
    }
    if (before != t->n_turn)
        fprintf(stderr, "context full (%d tokens): the oldest %zu turns are forgotten\n", ctx,
                before - t->n_turn);
    return status;
}

static int answer(struct talk *t, struct ids *ids, bool thinking, bool *closed) {
    const struct loaded *l = t->l;
    const struct answer_options a_options = {
        .stop = l->o->stop.at, .n_stop = (int)l->o->stop.n,
        .think_begin = l->chat ? l->chat->think_begin : NULL,
        .think_end = l->chat ? l->chat->think_end : NULL,
        .thinking = thinking, .show_thinking = l->o->show_thinking,
        .print = true, .tty = isatty(STDOUT_FILENO), .color = l->color_out,
    };
    struct answer a;
    struct generation g;
    answer_begin(&a, &a_options);
    int status = generate(l, t->session, t->sampler, ids, &a, &g);
    int ended = status == 0 || g.tokens > 0 ? answer_end(&a) : 0;
    *closed = a.closed;
    if (status == 0 && ended < 0 && !a.closed) status = ended;
    if (status == 0 && !a.closed) {
        if (l->verbose && g.finish == FINISH_STOP) fputs("[EOG]\n", stderr);
        if (g.finish == FINISH_INTERRUPTED) fputs("[stopped]\n", stderr);
        if (t->stats) show_stats(l, &g);
        if (l->o->profile) show_profile(l, &g);
        status = add(t, str_text(&a.text), a.text.n, true);
    }
    answer_free(&a);
    return status;
}

int talk_say(struct talk *t, const char *text, size_t n, bool *closed) {
    struct ids ids = { 0 };
    bool thinking;
    *closed = false;
    int status = add(t, text, n, false);
    if (status < 0) return status;
    status = fit(t, &ids, &thinking);
    if (status == 0) status = answer(t, &ids, thinking, closed);
    /* A message without an answer would leave two questions in a row. */
    if (status < 0 && t->n_turn && !t->turn[t->n_turn - 1].answer) free(t->turn[--t->n_turn].text);
    ids_free(&ids);
    return status;
}
