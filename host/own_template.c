/* SPDX-License-Identifier: MIT */
#include "own_template.h"

#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const struct ag_chat chat_own = { .size = sizeof(struct ag_chat), .name = "own" };

int own_template_read(const char *path, struct jinja **out) {
    struct str text = { 0 };
    char chunk[16384];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f) return fail(AG_EIO, "%s: %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0 && text.n < 4u << 20 && !text.failed) str_add(&text, chunk, n);
    int rc = ferror(f) ? fail(AG_EIO, "%s: %s", path, strerror(errno)) : AG_OK;
    fclose(f);
    if (rc == AG_OK && text.failed) rc = fail(AG_ENOMEM, "%s: out of memory", path);
    if (rc == AG_OK) {
        rc = jinja_parse(str_text(&text), text.n, out);
        if (rc < 0) rc = fail_prefix(rc, "%s", path);
    }
    str_free(&text);
    return rc;
}

void own_template_now(char to[32]) {
    time_t now = time(NULL);
    struct tm tm;
    if (!localtime_r(&now, &tm) || !strftime(to, 32, "%Y-%m-%dT%H:%M:%S", &tm)) strcpy(to, "1970-01-01");
}

int own_template_of(const struct tokenizer *t, struct jinja **out) {
    size_t n;
    const char *text = tokenizer_template(t, &n);
    char now[32];
    *out = NULL;
    if (!text) return AG_OK;
    int rc = jinja_parse(text, n, out);
    if (rc < 0) return rc;
    struct chat_prompt p = { 0 };
    json_t *vars = json_pack("{s:[{s:s, s:s}], s:b}", "messages", "role", "user", "content", "Hi",
                             "add_generation_prompt", 1);
    own_template_now(now);
    rc = vars ? chat_jinja_render(*out, t, vars, now, &p) : fail(AG_ENOMEM, "chat template: out of memory");
    json_decref(vars);
    chat_prompt_free(&p);
    if (rc != AG_ENOTSUP) return AG_OK; /* what it refuses of this conversation says nothing of others */
    jinja_free(*out);
    *out = NULL;
    return rc;
}

/* The last mark in text of the template at the prompt's end opens. */
static bool opens(const struct chat_prompt *p, const char *begin, const char *end) {
    if (!begin || !end || !p->n_piece || !p->piece[p->n_piece - 1].literal) return false;
    const struct chat_piece *last = &p->piece[p->n_piece - 1];
    size_t nb = strlen(begin), ne = strlen(end);
    for (size_t i = last->n; i-- > 0;) {
        const char *at = p->text.p + last->begin + i;
        if (last->n - i >= ne && !memcmp(at, end, ne)) return false;
        if (last->n - i >= nb && !memcmp(at, begin, nb)) return true;
    }
    return false;
}

int own_template_prompt(const struct loaded *l, const struct chat_message *m, size_t n, struct chat_prompt *out,
                        bool *thinking) {
    json_t *vars = json_object(), *list = json_array();
    bool bad = !vars || !list;
    char now[32];
    for (size_t i = 0; i < n && !bad; i++) {
        json_t *content = json_stringn(m[i].content, m[i].n);
        if (!content) {
            json_decref(vars);
            json_decref(list);
            return fail(AG_EINVAL, "message %zu: want UTF-8 text", i + 1);
        }
        bad = json_array_append_new(list, json_pack("{s:s, s:o}", "role", m[i].role, "content", content)) < 0;
    }
    bad = json_object_set_new(vars, "messages", list) < 0 || bad;
    bad = json_object_set_new(vars, "add_generation_prompt", json_true()) < 0 || bad;
    if (strcmp(l->o->think, "auto")) {
        bool on = !strcmp(l->o->think, "on");
        bad = json_object_set_new(vars, "enable_thinking", json_boolean(on)) < 0 || bad;
        bad = json_object_set_new(vars, "thinking", json_boolean(on)) < 0 || bad;
    }
    own_template_now(now);
    int rc = bad ? fail(AG_ENOMEM, "chat template: out of memory")
                 : chat_jinja_render(l->jinja, l->tokenizer, vars, now, out);
    json_decref(vars);
    *thinking = rc == AG_OK && opens(out, l->chat->think_begin, l->chat->think_end);
    return rc;
}
