/* SPDX-License-Identifier: MIT */
#include "eval.h"

#include "util/error.h"
#include "util/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 28 };

static char *prompt_name(const char *tensor) {
    static const char tail[] = ".tokens";
    size_t n = strlen(tensor), cut = sizeof tail - 1;
    char *name = strdup(tensor);
    if (name && n > cut && !strcmp(name + n - cut, tail)) name[n - cut] = 0;
    return name;
}

static int read_prompt(struct st_file *f, const struct st_tensor *t, struct eval_prompt *p) {
    *p = (struct eval_prompt){ .name = prompt_name(t->name) };
    if (!p->name) return fail(AG_ENOMEM, "out of memory");
    if (t->dim[0] == 0) return fail(AG_EINVAL, "prompt %s is empty", p->name);
    if (t->dim[0] > INT32_MAX / 4)
        return fail(AG_EINVAL, "prompt %s has %llu tokens, too many", p->name,
                    (unsigned long long)t->dim[0]);
    p->n = (int32_t)t->dim[0];
    p->id = malloc(t->bytes);
    return p->id ? st_read(f, t, p->id) : fail(AG_ENOMEM, "out of memory (prompt %s)", p->name);
}

int eval_read_tokens(const char *path, struct eval_prompt **out, int32_t *n) {
    struct st_file *f;
    *out = NULL;
    *n = 0;
    int err = st_open(path, &f);
    if (err) return err;
    struct eval_prompt *list = calloc(st_count(f) + 1, sizeof *list);
    if (!list) err = fail(AG_ENOMEM, "out of memory");
    for (size_t i = 0; i < st_count(f) && !err; i++) {
        const struct st_tensor *t = st_at(f, i);
        if (t->n_dim != 1 || strcmp(t->dtype, "I32")) {
            log_line(AG_LOG_WARN, "%s: tensor %s is no prompt (want I32 of one dimension)", path,
                     t->name);
            continue;
        }
        if (*n == INT32_MAX) err = fail(AG_EINVAL, "%s: too many prompts", path);
        else err = read_prompt(f, t, &list[(*n)++]);
    }
    if (!err && !*n)
        err = fail(AG_EINVAL, "%s holds no prompt: want I32 tensors of one dimension", path);
    st_close(f);
    if (err) {
        eval_free_prompts(list, *n);
        *n = 0;
        return err;
    }
    *out = list;
    return AG_OK;
}

static int read_all(const char *path, char **text, size_t *n) {
    *text = NULL;
    *n = 0;
    FILE *f = fopen(path, "rb");
    if (!f) return fail(errno == ENOENT ? AG_ENOENT : AG_EIO, "cannot open %s: %s", path,
                        strerror(errno));
    size_t cap = 1 << 16, got;
    int err = AG_OK;
    *text = malloc(cap);
    while (*text && (got = fread(*text + *n, 1, cap - *n, f)) > 0) {
        *n += got;
        if (*n < cap) continue;
        if (cap >= MAX_TEXT) {
            err = fail(AG_EINVAL, "%s: want at most %d bytes of text", path, MAX_TEXT);
            break;
        }
        char *more = realloc(*text, cap *= 2);
        if (!more) free(*text);
        *text = more;
    }
    if (!*text) err = fail(AG_ENOMEM, "out of memory (text of %s)", path);
    else if (!err && ferror(f)) err = fail(AG_EIO, "cannot read %s: %s", path, strerror(errno));
    fclose(f);
    if (!err) return AG_OK;
    free(*text);
    *text = NULL;
    return err;
}

int eval_read_text(const char *path, const struct tokenizer *tok, struct eval_prompt **out,
                   int32_t *n) {
    char *text;
    size_t bytes;
    *out = NULL;
    *n = 0;
    int err = read_all(path, &text, &bytes);
    if (err) return err;
    struct ids ids = { 0 };
    unsigned flags = tokenizer_adds_bos(tok) ? TOKENIZE_ADD_SPECIAL : 0;
    err = tokenizer_encode(tok, text, bytes, flags, &ids);
    free(text);
    if (!err && ids.n < 2)
        err = fail(AG_EINVAL, "text %s: want at least 2 tokens, got %zu", path, ids.n);
    if (!err && ids.n > INT32_MAX / 4)
        err = fail(AG_EINVAL, "text %s has %zu tokens, too many", path, ids.n);
    struct eval_prompt *p = err ? NULL : calloc(1, sizeof *p);
    char *name = p ? strdup("text") : NULL;
    if (!err && !name) err = fail(AG_ENOMEM, "out of memory");
    if (err) {
        free(p);
        ids_free(&ids);
        return err;
    }
    *p = (struct eval_prompt){ .name = name, .id = ids.id, .n = (int32_t)ids.n };
    *out = p;
    *n = 1;
    return AG_OK;
}

void eval_free_prompts(struct eval_prompt *list, int32_t n) {
    for (int32_t i = 0; list && i < n; i++) {
        session_free(list[i].session);
        free(list[i].name);
        free(list[i].id);
        free(list[i].last);
        free(list[i].greedy);
        free(list[i].nll);
    }
    free(list);
}
