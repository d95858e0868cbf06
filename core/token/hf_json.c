/* SPDX-License-Identifier: MIT */
#include "token/hf_json.h"

#include "util/error.h"

#include <string.h>

/* The value that comes next in j. */
static int next_span(struct jsonpull *j, int ev, const char *from, struct span *out) {
    int rc = pull_skip(j, ev);
    if (rc == AG_OK && out) *out = (struct span){ from, (size_t)(j->p - from) };
    return rc;
}

int span_members(const struct span *object, const struct member *m, size_t n) {
    struct jsonpull j;
    pull_start(&j, object->p, object->n);
    int ev = 0, rc = pull_expect(&j, PULL_OBJECT, "a part of the file");
    while (rc == AG_OK && (ev = pull_next(&j)) == PULL_KEY) {
        struct span *to = NULL;
        for (size_t k = 0; k < n; k++)
            if (pull_is(&j, m[k].name)) to = m[k].to;
        const char *from = j.p;
        ev = pull_next(&j);
        if (ev < 0) break;
        rc = next_span(&j, ev, from, to);
    }
    if (rc == AG_OK && ev == PULL_OBJECT_END) ev = pull_next(&j); /* the end, or what is wrong */
    pull_finish(&j);
    return rc < 0 ? rc : ev < 0 ? ev : AG_OK;
}

static int first_event(const struct span *s, struct jsonpull *j) {
    pull_start(j, s->p, s->n);
    return s->n ? pull_next(j) : AG_EFORMAT;
}

bool span_is(const struct span *s, int event) {
    struct jsonpull j;
    bool is = first_event(s, &j) == event;
    pull_finish(&j);
    return is;
}

int span_text(const struct span *s, struct str *out) {
    struct jsonpull j;
    out->n = 0;
    int is = first_event(s, &j) == PULL_STRING;
    if (is) str_add(out, j.text, j.n);
    out->failed |= j.unescaped.failed;
    pull_finish(&j);
    return is && !out->failed;
}

int span_check(int rc, const struct str *text) {
    return text->failed ? fail(AG_ENOMEM, "tokenizer: out of memory") : rc;
}

bool span_bool(const struct span *s, bool otherwise) {
    struct jsonpull j;
    int ev = first_event(s, &j);
    pull_finish(&j);
    return ev == PULL_TRUE || (ev != PULL_FALSE && otherwise);
}

bool span_int(const struct span *s, int64_t *out) {
    struct jsonpull j;
    bool is = first_event(s, &j) == PULL_NUMBER && pull_int(&j, out);
    pull_finish(&j);
    return is;
}

uint64_t span_count(const struct span *array) {
    uint64_t count = 1;
    bool quoted = false;
    int level = 0;
    for (size_t i = 0; i < array->n; i++) {
        char c = array->p[i];
        if (c == '"') quoted = !quoted;
        else if (quoted && c == '\\') i++;
        else if (!quoted && c == '[') level++;
        else if (!quoted && c == ']') level--;
        else if (!quoted && c == ',' && level == 1) count++;
    }
    return count;
}

int span_walk_start(struct span_walk *w, const struct span *array) {
    pull_start(&w->j, array->p, array->n);
    if (!array->n) return fail(AG_EFORMAT, "JSON: a list is missing");
    return pull_expect(&w->j, PULL_ARRAY, "a list");
}

int span_walk_next(struct span_walk *w, struct span *item) {
    const char *from = w->j.p;
    int ev = pull_next(&w->j);
    if (ev < 0 || ev == PULL_ARRAY_END) return ev < 0 ? ev : 0;
    while (from < w->j.p && (*from == ',' || *from == ' ' || *from == '\n' || *from == '\t' ||
                             *from == '\r'))
        from++;
    int rc = next_span(&w->j, ev, from, item);
    return rc < 0 ? rc : 1;
}

void span_walk_finish(struct span_walk *w) { pull_finish(&w->j); }
