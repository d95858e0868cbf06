/* SPDX-License-Identifier: MIT */
#include "token/chat_jinja.h"

#include "util/error.h"
#include "util/mem.h"

/* Templates take arguments apart, so a JSON text of an object becomes the object. */
static void open_arguments(json_t *message) {
    size_t i;
    json_t *call;
    json_array_foreach(json_object_get(message, "tool_calls"), i, call) {
        json_t *fn = json_object_get(call, "function"), *a;
        if (!fn) fn = call;
        a = json_object_get(fn, "arguments");
        if (!json_is_string(a)) continue;
        json_t *object = json_loadb(json_string_value(a), json_string_length(a), JSON_ALLOW_NUL, NULL);
        if (json_is_object(object)) json_object_set(fn, "arguments", object);
        json_decref(object);
    }
}

/* A copy with what every template may ask for. */
static json_t *complete(const json_t *vars) {
    json_t *all = json_deep_copy(vars), *message;
    size_t i;
    json_array_foreach(json_object_get(all, "messages"), i, message) open_arguments(message);
    if (!json_object_get(all, "tools")) json_object_set_new(all, "tools", json_null());
    if (!json_object_get(all, "documents")) json_object_set_new(all, "documents", json_null());
    return all;
}

static json_t *token_texts(const struct tokenizer *t) {
    json_t *texts = json_object();
    if (!t) return texts;
    const struct { const char *name; int32_t id; } token[] = {
        { "bos_token", tokenizer_bos(t) }, { "eos_token", tokenizer_eos(t) },
    };
    for (size_t i = 0; i < sizeof token / sizeof *token; i++) {
        const char *text;
        if (token[i].id < 0) continue;
        size_t n = tokenizer_bytes(t, token[i].id, true, &text);
        json_object_set_new(texts, token[i].name, json_stringn(text, n));
    }
    return texts;
}

static int take(struct jinja_output *from, struct chat_prompt *to) {
    *to = (struct chat_prompt){ .text = from->text };
    from->text = (struct str){ 0 };
    int rc = mem_grow(&to->piece, &to->cap_piece, from->n_piece + 1, sizeof *to->piece);
    for (size_t i = 0; rc == AG_OK && i < from->n_piece; i++)
        to->piece[to->n_piece++] =
            (struct chat_piece){ from->piece[i].begin, from->piece[i].n, from->piece[i].literal };
    return rc;
}

int chat_jinja_render(const struct jinja *j, const struct tokenizer *t, const json_t *vars, const char *now,
                      struct chat_prompt *out) {
    json_t *all = complete(vars), *texts = token_texts(t);
    struct jinja_output o = { 0 };
    const struct jinja_input in = { .vars = all, .literal = texts, .now = now };
    *out = (struct chat_prompt){ 0 };
    int rc = all && texts ? jinja_render(j, &in, NULL, &o) : fail(AG_ENOMEM, "chat template: out of memory");
    if (rc == AG_OK) rc = take(&o, out);
    if (rc < 0) chat_prompt_free(out);
    jinja_output_free(&o);
    json_decref(all);
    json_decref(texts);
    return rc;
}
