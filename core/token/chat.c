/* SPDX-License-Identifier: MIT */
#include "token/chat.h"

#include "token/unicode.h"
#include "util/error.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static const char *const chatml_eog[] = { "<|im_end|>", "<|endoftext|>", NULL };

const struct ag_chat chat_chatml = {
    .size = sizeof(struct ag_chat),
    .name = "chatml",
    .marker = "<|im_start|>",
    .begin = "<|im_start|>",
    .middle = "\n",
    .end = "<|im_end|>\n",
    .system = "system",
    .user = "user",
    .assistant = "assistant",
    .answer = "<|im_start|>assistant\n",
    .eog = chatml_eog,
};

void chat_prompt_free(struct chat_prompt *p) {
    str_free(&p->text);
    free(p->piece);
    *p = (struct chat_prompt){ 0 };
}

/* Appends to the last piece when it is of the same kind. */
static int add(struct chat_prompt *p, const char *s, size_t n, bool literal) {
    if (!s || !n) return AG_OK;
    size_t begin = p->text.n;
    str_add(&p->text, s, n);
    if (p->text.failed) return fail(AG_ENOMEM, "chat: out of memory");
    if (p->n_piece && p->piece[p->n_piece - 1].literal == literal) {
        p->piece[p->n_piece - 1].n += n;
        return AG_OK;
    }
    int rc = mem_grow(&p->piece, &p->cap_piece, p->n_piece + 1, sizeof *p->piece);
    if (rc == AG_OK) p->piece[p->n_piece++] = (struct chat_piece){ begin, n, literal };
    return rc;
}

static int add_literal(struct chat_prompt *p, const char *s) {
    return add(p, s, s ? strlen(s) : 0, true);
}

static int add_content(const struct ag_chat *c, struct chat_prompt *p, const struct chat_message *m) {
    const char *s = m->content;
    size_t i = 0, end = m->n, len;
    if (c->flags & AG_CHAT_TRIM) {
        while (i < end && utf8_class(s + i, end - i, &len) & CLASS_SPACE) i += len;
        while (end > i) {
            size_t at = end - 1;
            while (at > i && end - at < 4 && ((unsigned char)s[at] & 0xc0) == 0x80) at--;
            if (!(utf8_class(s + at, end - at, &len) & CLASS_SPACE) || len != end - at) break;
            end = at;
        }
    }
    return add(p, s + i, end - i, false);
}

/* The name a role has in prompts. */
static int role_name(const struct ag_chat *c, const char *role, const char **name) {
    *name = !strcmp(role, "system")      ? c->system
            : !strcmp(role, "user")      ? c->user
            : !strcmp(role, "assistant") ? c->assistant
                                         : "";
    if (*name && !**name)
        return fail(AG_EINVAL, "chat: role \"%.40s\": want system, user or assistant", role);
    if (!*name && !(c->flags & AG_CHAT_SYSTEM_IN_USER))
        return fail(AG_EINVAL, "chat: template %s has no %.40s turn", c->name, role);
    return AG_OK;
}

static bool in_user(const struct ag_chat *c, const char *role) {
    return c->flags & AG_CHAT_SYSTEM_IN_USER && !strcmp(role, "system");
}

/* Is message i of the turn that message i - 1 began? */
static bool same_turn(const struct ag_chat *c, const struct chat_message *m, size_t i) {
    if (i == 0) return false;
    if (in_user(c, m[i - 1].role)) return true;
    return c->flags & AG_CHAT_MERGE_TURNS && !strcmp(m[i - 1].role, m[i].role);
}

static int check(const struct ag_chat *c, const struct chat_message *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *name;
        int rc = role_name(c, m[i].role, &name);
        if (rc < 0) return rc;
        if (!in_user(c, m[i].role)) continue;
        bool after_system = i == 0 || in_user(c, m[i - 1].role);
        bool before_user = i + 1 < n && (in_user(c, m[i + 1].role) || !strcmp(m[i + 1].role, "user"));
        if (!after_system || !before_user)
            return fail(AG_EINVAL, "chat: template %s takes a system message only at the start, before "
                        "a user message", c->name);
    }
    return AG_OK;
}

static int render(const struct ag_chat *c, const struct chat_message *m, size_t n, bool open_answer,
                  struct chat_prompt *out) {
    int rc = add_literal(out, c->start);
    for (size_t i = 0; i < n && rc == AG_OK; i++) {
        const char *name;
        if (same_turn(c, m, i)) {
            rc = add(out, "\n\n", 2, false);
        } else {
            rc = role_name(c, in_user(c, m[i].role) ? "user" : m[i].role, &name);
            if (rc == AG_OK) rc = add_literal(out, c->begin);
            if (rc == AG_OK) rc = add_literal(out, name);
            if (rc == AG_OK) rc = add_literal(out, c->middle);
        }
        if (rc == AG_OK) rc = add_content(c, out, &m[i]);
        if (rc == AG_OK && (i + 1 == n || !same_turn(c, m, i + 1))) rc = add_literal(out, c->end);
    }
    return rc == AG_OK && open_answer ? add_literal(out, c->answer) : rc;
}

int chat_render(const struct ag_chat *c, const struct chat_message *m, size_t n, bool open_answer,
                struct chat_prompt *out) {
    *out = (struct chat_prompt){ 0 };
    if (!n) return fail(AG_EINVAL, "chat: want at least one message");
    int rc = check(c, m, n);
    if (rc == AG_OK) rc = render(c, m, n, open_answer, out);
    if (rc < 0) chat_prompt_free(out);
    return rc;
}

int chat_encode(const struct tokenizer *t, const struct chat_prompt *p, struct ids *out) {
    size_t before = out->n;
    int32_t bos = tokenizer_bos(t);
    int rc = p->n_piece ? tokenizer_encode_pieces(t, p->text.p, p->text.n, p->piece, p->n_piece, out) : AG_OK;
    if (rc == AG_OK && tokenizer_adds_bos(t) && (out->n == before || out->id[before] != bos)) {
        rc = ids_add(out, bos);
        if (rc == AG_OK) {
            memmove(out->id + before + 1, out->id + before, (out->n - before - 1) * sizeof *out->id);
            out->id[before] = bos;
        }
    }
    if (rc < 0) out->n = before;
    return rc;
}
