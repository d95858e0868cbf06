/* SPDX-License-Identifier: MIT */
/* chat_pick.c - which chat template forms the prompt. */
#include "own_template.h"

#include "util/error.h"
#include "util/log.h"

#include <string.h>
#include <unistd.h>

enum { CHAT_MAX = 32 };

/* The model's own, best first, then the generic one unless the model has one of its name. */
static size_t candidates(const struct loaded *l, const struct ag_chat *list[CHAT_MAX]) {
    size_t n = 0;
    bool generic = true;
    for (const struct ag_chat *const *c = l->model->u.model.chat; c && *c && n < CHAT_MAX - 1; c++) {
        generic = generic && strcmp((*c)->name, chat_chatml.name);
        list[n++] = *c;
    }
    if (generic) list[n++] = &chat_chatml;
    return n;
}

static void names(const struct ag_chat *const *list, size_t n, struct str *out) {
    for (size_t i = 0; i < n; i++) str_printf(out, "%s%s", i ? ", " : "", list[i]->name);
}

static bool holds(const char *text, size_t n, const char *marker) {
    size_t m = strlen(marker);
    for (size_t i = 0; m && i + m <= n; i++)
        if (!memcmp(text + i, marker, m)) return true;
    return false;
}

static int by_name(struct loaded *l, const struct ag_chat *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i]->name, l->o->chat_template)) return l->chat = list[i], 0;
    if (!access(l->o->chat_template, F_OK)) {
        l->chat = &chat_own;
        return own_template_read(l->o->chat_template, &l->jinja);
    }
    struct str have = { 0 };
    names(list, n, &have);
    fail(AG_EINVAL, "--chat-template %.100s: want a Jinja file, one of %s, or --raw for none", l->o->chat_template,
         str_text(&have));
    str_free(&have);
    return AG_EINVAL;
}

/* The file's own template; the built-in one of its form for its marks, and in its place when it needs
 * what the engine does not have. */
static int own_or_form(struct loaded *l, const struct ag_chat *const *list, size_t n, const char *text, size_t len) {
    for (size_t i = 0; i < n && !l->chat; i++)
        if (list[i]->marker && holds(text, len, list[i]->marker)) l->chat = list[i];
    int status = own_template_of(l->tokenizer, &l->jinja);
    if (status < 0 && l->chat) {
        log_line(AG_LOG_WARN, "the model's own %s; the built-in template %s is used", fail_text(), l->chat->name);
        return 0;
    }
    if (status < 0)
        return fail(status, "the model's own %s; choose another with --chat-template NAME, or --raw for none",
                    fail_text());
    if (!l->chat) l->chat = &chat_own;
    return 0;
}

int chat_pick(struct loaded *l) {
    const struct ag_chat *list[CHAT_MAX];
    size_t n = candidates(l, list), len = 0;
    bool own = l->model->u.model.chat && *l->model->u.model.chat;
    if (l->o->raw) return 0;
    int status = 0;
    const char *text = tokenizer_template(l->tokenizer, &len);
    if (l->o->chat_template) {
        status = by_name(l, list, n);
    } else if (text) {
        status = own_or_form(l, list, n, text, len);
    } else if (own) {
        l->chat = list[0];
    } else {
        log_line(AG_LOG_WARN, "neither the file nor its model plugin has a chat template: the prompt "
                              "goes in as it is (--raw says so, --chat-template chatml makes a dialogue)");
    }
    /* A template of no known form may end its turns as any of them does. */
    for (size_t i = 0; l->chat && i < n; i++)
        for (const char *const *e = l->chat == &chat_own || l->chat == list[i] ? list[i]->eog : NULL; e && *e; e++)
            tokenizer_add_eog(l->tokenizer, *e);
    return status;
}
