/* SPDX-License-Identifier: MIT */
/* render.c - for compare.py: requests as JSON lines in, results as JSON lines out.
 *   {"template": T, "vars": {...}, "literal": {...}, "now": "2026-01-02"}
 *   {"text": ..., "pieces": [[bytes, literal], ...]} or {"error": ..., "code": ...} */
#include "token/jinja/jinja.h"

#include "util/error.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *pieces(const struct jinja_output *o) {
    json_t *list = json_array();
    for (size_t i = 0; i < o->n_piece; i++)
        json_array_append_new(list, json_pack("[I, b]", (json_int_t)o->piece[i].n, o->piece[i].literal));
    return list;
}

static json_t *answer(const json_t *request) {
    const json_t *text = json_object_get(request, "template");
    struct jinja *j = NULL;
    struct jinja_output o = { 0 };
    const struct jinja_input in = {
        .vars = json_object_get(request, "vars"), .literal = json_object_get(request, "literal"),
        .now = json_string_value(json_object_get(request, "now")),
    };
    if (!json_is_string(text)) return json_pack("{s:s}", "error", "want a template");
    fail_clear();
    int rc = jinja_parse(json_string_value(text), json_string_length(text), &j);
    if (rc == AG_OK) rc = jinja_render(j, &in, NULL, &o);
    jinja_free(j);
    json_t *a = rc == AG_OK ? json_pack("{s:s%, s:o}", "text", str_text(&o.text), o.text.n, "pieces", pieces(&o))
                            : json_pack("{s:s, s:s}", "error", fail_text(), "code", status_text(rc));
    jinja_output_free(&o);
    return a;
}

int main(void) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        json_t *request = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL), *a = answer(request);
        if (!a) a = json_pack("{s:s}", "error", "the result cannot be shown as JSON");
        json_dumpf(a, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(a);
        json_decref(request);
    }
    free(line);
    return 0;
}
