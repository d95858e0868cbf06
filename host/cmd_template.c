/* SPDX-License-Identifier: MIT */
#include "own_template.h"
#include "token_cmds.h"
#include "util/error.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REQUEST = 64 << 20 };

struct request {
    json_t *json;
    struct chat_message *message;
    struct str *joined; /* contents that came in parts, one a message */
    size_t n;
};

static int read_all(FILE *in, struct str *out) {
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0) {
        str_add(out, chunk, n);
        if (out->failed) return fail(AG_ENOMEM, "request: out of memory");
        if (out->n > MAX_REQUEST)
            return fail(AG_EINVAL, "request: want at most %d bytes", MAX_REQUEST);
    }
    return ferror(in) ? fail(AG_EIO, "standard input: %s", strerror(errno)) : AG_OK;
}

/* A list of {"type": "text", "text": ...}; their texts follow each other. */
static int join_parts(const json_t *parts, size_t message, struct str *to) {
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i), *text = json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!type || strcmp(type, "text") || !json_is_string(text))
            return fail(AG_ENOTSUP, "message %zu: part %zu: want {\"type\": \"text\", \"text\": ...}; "
                        "a built-in template takes no other", message + 1, i + 1);
        str_add(to, json_string_value(text), json_string_length(text));
    }
    return to->failed ? fail(AG_ENOMEM, "request: out of memory") : AG_OK;
}

static int take_message(struct request *r, const json_t *m, size_t i) {
    const char *key;
    json_t *v;
    if (!json_is_object(m)) return fail(AG_EINVAL, "message %zu: want an object", i + 1);
    json_object_foreach((json_t *)m, key, v) {
        if (strcmp(key, "role") && strcmp(key, "content") && !json_is_null(v))
            return fail(AG_ENOTSUP, "message %zu: a built-in template cannot express \"%.60s\"", i + 1,
                        key);
    }
    const char *role = json_string_value(json_object_get(m, "role"));
    const json_t *content = json_object_get(m, "content");
    if (!role) return fail(AG_EINVAL, "message %zu: want a role", i + 1);
    struct chat_message *to = &r->message[i];
    to->role = role;
    if (json_is_string(content)) {
        to->content = json_string_value(content);
        to->n = json_string_length(content);
        return AG_OK;
    }
    if (!json_is_array(content))
        return fail(AG_EINVAL, "message %zu: want a content: a string or a list of text parts", i + 1);
    int rc = join_parts(content, i, &r->joined[i]);
    to->content = str_text(&r->joined[i]);
    to->n = r->joined[i].n;
    return rc;
}

/* What changes nothing in the prompts of a built-in template, and what it cannot express. */
static int check_keys(const struct ag_chat *c, const json_t *request) {
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)request, key, v) {
        if (!strcmp(key, "messages") || json_is_null(v)) continue;
        if (!strcmp(key, "now") && json_is_string(v)) continue;
        if (!strcmp(key, "add_generation_prompt") && json_is_boolean(v)) continue;
        if (!strcmp(key, "thinking") && json_is_false(v) && !c->think_begin) continue;
        if (!strcmp(key, "tools") && json_is_array(v) && !json_array_size(v)) continue;
        return fail(AG_ENOTSUP, "request: the built-in template %s cannot express \"%.60s\"", c->name,
                    key);
    }
    return AG_OK;
}

static int take_request(struct request *r, const struct ag_chat *c, const struct str *text) {
    json_error_t e;
    r->json = json_loadb(str_text(text), text->n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);
    if (!r->json)
        return fail(AG_EINVAL, "request: %s (line %d, column %d)", e.text, e.line, e.column);
    const json_t *messages = json_object_get(r->json, "messages");
    if (!json_is_array(messages)) return fail(AG_EINVAL, "request: want an object with messages");
    int rc = check_keys(c, r->json);
    if (rc < 0) return rc;
    r->n = json_array_size(messages);
    r->message = calloc(r->n + 1, sizeof *r->message);
    r->joined = calloc(r->n + 1, sizeof *r->joined);
    if (!r->message || !r->joined) return fail(AG_ENOMEM, "request: out of memory");
    for (size_t i = 0; i < r->n; i++)
        if ((rc = take_message(r, json_array_get(messages, i), i)) < 0) return rc;
    return AG_OK;
}

int run_template(const struct ag_chat *c, FILE *in, FILE *out) {
    struct str text = { 0 };
    struct request r = { 0 };
    struct chat_prompt prompt = { 0 };
    int rc = read_all(in, &text);
    if (rc == AG_OK) rc = take_request(&r, c, &text);
    if (rc == AG_OK) {
        const json_t *open = json_object_get(r.json, "add_generation_prompt");
        rc = chat_render(c, r.message, r.n, json_is_true(open), &prompt);
    }
    if (rc == AG_OK) {
        fwrite(str_text(&prompt.text), 1, prompt.text.n, out);
        if (fflush(out) || ferror(out)) rc = fail(AG_EIO, "standard output: %s", strerror(errno));
    }
    chat_prompt_free(&prompt);
    for (size_t i = 0; r.joined && i < r.n; i++) str_free(&r.joined[i]);
    free(r.joined);
    free(r.message);
    json_decref(r.json);
    str_free(&text);
    return rc;
}

/* The template's variables by the request; the caller gives them back. */
static json_t *request_vars(const json_t *request) {
    json_t *vars = json_deep_copy(request), *thinking = json_object_get(vars, "thinking"),
           *more = json_object_get(vars, "chat_template_kwargs");
    if (json_is_boolean(thinking) && !json_object_get(vars, "enable_thinking"))
        json_object_set(vars, "enable_thinking", thinking);
    if (json_is_object(more)) json_object_update(vars, more);
    json_object_del(vars, "chat_template_kwargs");
    json_object_del(vars, "now");
    return vars;
}

int run_template_jinja(const struct jinja *j, const struct tokenizer *t, FILE *in, FILE *out) {
    struct str text = { 0 };
    struct chat_prompt prompt = { 0 };
    json_error_t e = { 0 };
    char now[32];
    json_t *request = NULL, *vars = NULL;
    int rc = read_all(in, &text);
    if (rc == AG_OK) {
        request = json_loadb(str_text(&text), text.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);
        if (!request) rc = fail(AG_EINVAL, "request: %s (line %d, column %d)", e.text, e.line, e.column);
        else if (!json_is_array(json_object_get(request, "messages")))
            rc = fail(AG_EINVAL, "request: want an object with messages");
    }
    if (rc == AG_OK) {
        const char *given = json_string_value(json_object_get(request, "now"));
        own_template_now(now);
        vars = request_vars(request);
        rc = chat_jinja_render(j, t, vars, given ? given : now, &prompt);
    }
    if (rc == AG_OK) {
        fwrite(str_text(&prompt.text), 1, prompt.text.n, out);
        if (fflush(out) || ferror(out)) rc = fail(AG_EIO, "standard output: %s", strerror(errno));
    }
    chat_prompt_free(&prompt);
    json_decref(vars);
    json_decref(request);
    str_free(&text);
    return rc;
}
