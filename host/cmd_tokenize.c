/* SPDX-License-Identifier: MIT */
#include "token_cmds.h"

#include "token/stream.h"
#include "util/error.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PARSE = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES };

/* What all lines share; nothing is allocated anew for each. */
struct lines {
    const struct tokenizer *t;
    unsigned flags;
    bool special;
    FILE *out;
    struct ids ids;
    struct str text;
};

static int encode(struct lines *l, const json_t *v) {
    if (!json_is_string(v)) return fail(AG_EINVAL, "want a JSON string");
    l->ids.n = 0;
    int rc = tokenizer_encode(l->t, json_string_value(v), json_string_length(v), l->flags, &l->ids);
    if (rc < 0) return rc;
    fputc('[', l->out);
    for (size_t i = 0; i < l->ids.n; i++) fprintf(l->out, i ? ", %d" : "%d", l->ids.id[i]);
    fputs("]\n", l->out);
    return AG_OK;
}

/* JSON strings hold only valid UTF-8. */
static int write_text(struct lines *l) {
    struct stream s;
    struct str valid = { 0 };
    stream_init(&s, NULL, 0);
    stream_push(&s, str_text(&l->text), l->text.n, &valid);
    stream_flush(&s, &valid);
    stream_finish(&s);
    json_t *v = valid.failed ? NULL : json_stringn(str_text(&valid), valid.n);
    bool ok = v && json_dumpf(v, l->out, JSON_ENCODE_ANY) == 0;
    json_decref(v);
    str_free(&valid);
    if (!ok && !ferror(l->out)) return fail(AG_ENOMEM, "out of memory for a text");
    fputc('\n', l->out);
    return AG_OK;
}

static int decode(struct lines *l, const json_t *v) {
    if (!json_is_array(v)) return fail(AG_EINVAL, "want a JSON array of token ids");
    l->ids.n = 0;
    str_clear(&l->text);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        json_int_t id = json_is_integer(item) ? json_integer_value(item) : -1;
        if (id < 0 || id >= tokenizer_size(l->t))
            return fail(AG_EINVAL, "item %zu: want a token id from 0 to %d", i + 1,
                        tokenizer_size(l->t) - 1);
        int rc = ids_add(&l->ids, (int32_t)id);
        if (rc < 0) return rc;
    }
    int rc = tokenizer_decode(l->t, l->ids.id, l->ids.n, l->special, &l->text);
    return rc < 0 ? rc : write_text(l);
}

int run_tokenize(const struct tokenizer *t, bool special, bool do_decode, FILE *in, FILE *out) {
    struct lines l = { .t = t, .special = special, .out = out };
    l.flags = special ? TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL : 0;
    char *line = NULL;
    size_t cap = 0, number = 1;
    ssize_t n;
    int rc = AG_OK;
    for (; rc == AG_OK && (n = getline(&line, &cap, in)) >= 0; number++) {
        json_error_t e;
        json_t *v = json_loadb(line, (size_t)n, PARSE, &e);
        rc = !v ? fail(AG_EINVAL, "%s (column %d)", e.text, e.column)
                : do_decode ? decode(&l, v) : encode(&l, v);
        json_decref(v);
        if (rc < 0) fail_prefix(rc, "line %zu", number);
    }
    if (rc == AG_OK && ferror(in)) rc = fail(AG_EIO, "standard input: %s", strerror(errno));
    if (rc == AG_OK && (fflush(out) || ferror(out)))
        rc = fail(AG_EIO, "standard output: %s", strerror(errno));
    free(line);
    ids_free(&l.ids);
    str_free(&l.text);
    return rc;
}
