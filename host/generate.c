/* SPDX-License-Identifier: MIT */
#include "generate.h"

#include "interrupt.h"
#include "own_template.h"
#include "util/error.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOW_PREFILL = 50 };

const char *finish_name(enum finish f) {
    static const char *const name[] = { "stop", "length", "stop_sequence", "interrupted", "closed" };
    return name[f];
}

int sampler_open(const struct loaded *l, struct sampler **out) {
    int32_t n = l->info.n_vocab, known = tokenizer_size(l->tokenizer), *ban;
    if (n <= 0 || !(ban = malloc((size_t)n * sizeof *ban)))
        return fail(AG_ENOMEM, "sampler: no memory for %d tokens", n);
    size_t n_ban = 0;
    for (int32_t i = 0; i < n; i++)
        if (i >= known || tokenizer_is_unused(l->tokenizer, i)) ban[n_ban++] = i;
    *out = NULL;
    int status = sampler_create(&l->sampling, n, out);
    if (status == 0 && n_ban < (size_t)n) status = sampler_ban(*out, ban, n_ban);
    free(ban);
    return status;
}

int prompt_raw(const struct loaded *l, const char *text, size_t n, struct ids *out) {
    return tokenizer_encode(l->tokenizer, text, n, TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL, out);
}

/* Adds template text behind the last piece. */
static int add_literal(struct chat_prompt *p, const char *text) {
    size_t n = strlen(text);
    if (mem_grow(&p->piece, &p->cap_piece, p->n_piece + 1, sizeof *p->piece) < 0) return AG_ENOMEM;
    p->piece[p->n_piece++] = (struct chat_piece){ .begin = p->text.n, .n = n, .literal = true };
    str_add(&p->text, text, n);
    return p->text.failed ? AG_ENOMEM : 0;
}

/* --think off: an empty reasoning block stands at the head of the answer. */
static int close_thinking(const struct ag_chat *c, struct chat_prompt *p, bool opened) {
    int status = opened ? 0 : add_literal(p, c->think_begin);
    if (status == 0) status = add_literal(p, "\n\n");
    if (status == 0) status = add_literal(p, c->think_end);
    if (status == 0) status = add_literal(p, "\n\n");
    return status;
}

static void log_prompt(const struct chat_prompt *p) {
    struct str clean = { 0 };
    text_clean(str_text(&p->text), p->text.n, &clean);
    log_line(AG_LOG_DEBUG, "prompt: %.1500s", str_text(&clean));
    str_free(&clean);
}

int prompt_chat(const struct loaded *l, const struct chat_message *m, size_t n, struct ids *out,
                bool *thinking) {
    struct chat_prompt p = { 0 };
    const struct ag_chat *c = l->chat;
    *thinking = false;
    int status = l->jinja ? own_template_prompt(l, m, n, &p, thinking) : chat_render(c, m, n, true, &p);
    if (status == 0 && !l->jinja && c->think_begin && c->think_end && c->answer) {
        *thinking = strstr(c->answer, c->think_begin) && !strstr(c->answer, c->think_end);
        if (!strcmp(l->o->think, "off")) {
            status = close_thinking(c, &p, *thinking);
            *thinking = false;
        }
    }
    if (status == 0 && l->debug) log_prompt(&p);
    if (status == 0) status = chat_encode(l->tokenizer, &p, out);
    chat_prompt_free(&p);
    return status;
}

struct prefill_view { int32_t n; bool tty; };

static void on_chunk(void *ctx, int32_t done, int32_t n) {
    const struct prefill_view *v = ctx;
    if (!v->tty) return;
    if (done >= n) fputs("\r\033[K", stderr);
    else fprintf(stderr, "\rprefill %d tokens... %d%%", v->n, (int)(100.0 * (v->n - (n - done)) / v->n));
}

static int prefill(const struct loaded *l, struct session *s, const struct ids *ids,
                   struct generation *g) {
    int32_t shared = session_shared(s, ids->id, (int32_t)ids->n);
    struct prefill_view view = { (int32_t)ids->n - shared, false };
    if (!l->quiet && view.n > SHOW_PREFILL) {
        view.tty = isatty(STDERR_FILENO);
        fprintf(stderr, "prefill %d tokens...%s", view.n, view.tty ? "" : "\n");
    }
    const struct session_progress progress = { on_chunk, &view };
    double begin = now_ms();
    int status = session_sync(s, ids->id, (int32_t)ids->n, &progress, &g->reused);
    if (view.tty) fputs("\r\033[K", stderr);
    g->prompt = (int32_t)ids->n;
    g->prefill_ms = now_ms() - begin;
    if (g->prefill_ms > 0) g->prefill_tok_per_sec = 1e3 * (g->prompt - g->reused) / g->prefill_ms;
    return status;
}

static int append(struct ids *ids, int32_t id) {
    if (mem_grow(&ids->id, &ids->cap, ids->n + 1, sizeof *ids->id) < 0)
        return fail(AG_ENOMEM, "out of memory after %zu tokens", ids->n);
    ids->id[ids->n++] = id;
    return 0;
}

/* Bytes of a token; reasoning marks are shown even where the vocabulary calls them control tokens. */
static size_t bytes_of(const struct loaded *l, int32_t id, const char **p) {
    const struct ag_chat *c = l->chat;
    bool mark = c && c->think_begin && c->think_end &&
                (id == tokenizer_find(l->tokenizer, c->think_begin, strlen(c->think_begin)) ||
                 id == tokenizer_find(l->tokenizer, c->think_end, strlen(c->think_end)));
    return tokenizer_bytes(l->tokenizer, id, mark, p);
}

/* One token: drawn, shown, computed. 1 = the answer goes on, 0 = it ended. */
static int one(const struct loaded *l, struct session *s, struct sampler *sampler, struct ids *ids,
               struct answer *a, struct generation *g) {
    int32_t id;
    const char *bytes;
    int status = sampler_sample(sampler, session_logits(s), &id);
    if (status < 0) return status;
    if (l->debug) log_line(AG_LOG_DEBUG, "token %d", id);
    g->finish = FINISH_STOP;
    if (tokenizer_is_eog(l->tokenizer, id)) return 0;
    if ((status = sampler_accept(sampler, id, true)) < 0 || (status = append(ids, id)) < 0)
        return status;
    g->tokens++;
    size_t n = bytes_of(l, id, &bytes);
    if (answer_push(a, bytes, n)) {
        g->finish = a->failed ? FINISH_CLOSED : FINISH_STOP_TEXT;
        return 0;
    }
    g->finish = FINISH_LENGTH;
    if (g->tokens >= l->max_tokens) return 0;
    g->context_full = (int32_t)ids->n > engine_ctx(l->engine);
    if (g->context_full) return 0;
    if (interrupted()) return AG_ECANCELED;
    status = session_sync(s, ids->id, (int32_t)ids->n, NULL, NULL);
    return status < 0 ? status : 1;
}

static int run(const struct loaded *l, struct session *s, struct sampler *sampler, struct ids *ids,
               struct answer *a, struct generation *g) {
    int status = prefill(l, s, ids, g);
    if (status < 0) return status;
    sampler_reset(sampler);
    for (size_t i = 0; i < ids->n; i++)
        if ((status = sampler_accept(sampler, ids->id[i], false)) < 0) return status;
    double begin = now_ms(), first = 0, last = begin;
    do {
        int32_t before = g->tokens;
        status = one(l, s, sampler, ids, a, g);
        if (g->tokens > before) last = now_ms();
        if (before == 0) first = last;
    } while (status > 0);
    g->gen_ms = now_ms() - begin;
    if (g->tokens > 1 && last > first) g->tok_per_sec = 1e3 * (g->tokens - 1) / (last - first);
    return status;
}

int generate(const struct loaded *l, struct session *s, struct sampler *sampler, struct ids *ids,
             struct answer *a, struct generation *g) {
    *g = (struct generation){ 0 };
    if (ids->n > (size_t)engine_ctx(l->engine))
        return fail(AG_ENOSPC, "the prompt has %zu tokens, the context holds %d: shorten it or give "
                    "--ctx-size N", ids->n, engine_ctx(l->engine));
    if (!ids->n) return fail(AG_EINVAL, "the prompt has no tokens: want at least one");
    struct interrupt i;
    interrupt_begin(&i, l->engine);
    int status = run(l, s, sampler, ids, a, g);
    if (status == AG_ECANCELED && interrupted()) {
        g->finish = FINISH_INTERRUPTED;
        status = 0;
    }
    interrupt_end(&i);
    return status;
}
