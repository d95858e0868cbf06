/* SPDX-License-Identifier: MIT */
/* cmd_info.c - agave info: metadata of a loaded model, the tensors of a file, or the drawn graph. */
#include "cmd.h"
#include "info.h"

#include "session.h"
#include "text.h"
#include "util/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_json(json_t *o) {
    if (!o) return fail(AG_ENOMEM, "result: it cannot be formed as JSON");
    int bad = json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(o);
    putchar('\n');
    return bad ? fail(AG_EIO, "standard output: the result cannot be written") : AG_OK;
}

static json_t *tensor_json(const struct ag_tensor *t) {
    json_t *shape = json_array(), *planes = json_array();
    for (uint32_t d = 0; d < t->n_dim; d++)
        json_array_append_new(shape, json_integer((json_int_t)t->dim[d]));
    for (uint32_t i = 0; i < t->n_plane; i++)
        json_array_append_new(planes, json_pack("{s:s, s:I, s:I, s:I}", "dtype",
                                                ag_dtype_name(t->plane[i].dtype), "part",
                                                (json_int_t)t->plane[i].part, "offset",
                                                (json_int_t)t->plane[i].offset, "bytes",
                                                (json_int_t)t->plane[i].bytes));
    struct str name = { 0 };
    text_clean(t->name, strlen(t->name), &name);
    json_t *o = json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:o}", "name", str_text(&name), "dtype",
                          ag_dtype_name(t->dtype), "shape", shape, "part",
                          (json_int_t)t->plane[0].part, "offset", (json_int_t)t->plane[0].offset,
                          "bytes", (json_int_t)t->plane[0].bytes, "planes", planes);
    str_free(&name);
    return o;
}

static void tensor_line(const struct ag_tensor *t) {
    struct str s = { 0 };
    char shape[100] = "";
    for (uint32_t d = 0; d < t->n_dim && d < AG_MAX_DIM; d++) {
        size_t n = strlen(shape);
        snprintf(shape + n, sizeof shape - n, "%s%lld", d ? ", " : "", (long long)t->dim[d]);
    }
    text_clean(t->name, strlen(t->name), &s);
    printf("%-40s %-7s [%s]", str_text(&s), ag_dtype_name(t->dtype), shape);
    for (uint32_t i = 0; i < t->n_plane; i++)
        printf("%s part %u offset %llu bytes %llu", i ? "," : "", t->plane[i].part,
               (unsigned long long)t->plane[i].offset, (unsigned long long)t->plane[i].bytes);
    putchar('\n');
    str_free(&s);
}

/* Needs no plugin but the file's format. */
static int tensors(const struct modelfile *file, json_t *result) {
    json_t *list = result ? json_array() : NULL;
    for (uint32_t i = 0; i < file->format->tensor_count(file->file); i++) {
        struct ag_tensor t = { .size = sizeof t };
        int err = file->format->tensor(file->file, i, &t);
        if (err < 0) {
            json_decref(list);
            return err;
        }
        if (list) json_array_append_new(list, tensor_json(&t));
        else tensor_line(&t);
    }
    return list && json_object_set_new(result, "tensors", list) ? fail(AG_ENOMEM, "out of memory")
                                                                : AG_OK;
}

/* One node; a dim that is T becomes the number when one is given. */
static void node_text(const char *line, size_t n, int64_t tokens, struct str *out) {
    for (size_t i = 0; i < n; i++) {
        bool dim = i > 0 && i + 1 < n && line[i] == 'T' && strchr("[ ", line[i - 1]) &&
                   strchr(",]", line[i + 1]);
        if (dim && tokens > 0) str_printf(out, "%lld", (long long)tokens);
        else str_putc(out, line[i]);
    }
}

static int one_graph(const struct loaded *l, bool lowered, const char *title, json_t *result) {
    char *text;
    int err = engine_graph_text(l->engine, lowered, &text);
    if (err < 0) return err;
    json_t *list = result ? json_array() : NULL;
    if (!list && lowered) printf("# %s by backend %s\n", title, engine_backend(l->engine));
    for (const char *p = text, *end; *p; p = end + (*end == '\n')) {
        struct str line = { 0 };
        end = p + strcspn(p, "\n");
        node_text(p, (size_t)(end - p), l->o->graph_tokens, &line);
        if (list) json_array_append_new(list, json_string(str_text(&line)));
        else puts(str_text(&line));
        str_free(&line);
    }
    free(text);
    return list && json_object_set_new(result, title, list) ? fail(AG_ENOMEM, "out of memory") : AG_OK;
}

static int graphs(const struct loaded *l, json_t *result) {
    int err = one_graph(l, false, "graph", result);
    if (err < 0 || !l->o->given[OPT_backend]) return err;
    return one_graph(l, true, "lowered", result);
}

/* The first step touches what the others find ready. */
static int warm_up(const struct loaded *l, double *ms) {
    struct session *s;
    int32_t bos = tokenizer_bos(l->tokenizer), id = bos >= 0 && bos < l->info.n_vocab ? bos : 0;
    int err = session_create(l->engine, &s);
    if (err < 0) return err;
    double begin = now_ms();
    err = session_sync(s, &id, 1, NULL, NULL);
    *ms = now_ms() - begin;
    session_free(s);
    return err;
}

static int metadata(const struct loaded *l) {
    double ms = 0;
    int err = warm_up(l, &ms);
    if (err < 0) return err;
    if (l->o->json) return print_json(info_json(l, ms));
    struct str text = { 0 };
    info_text(l, ms, &text);
    fputs(str_text(&text), stdout);
    bool failed = text.failed;
    str_free(&text);
    return failed ? fail(AG_ENOMEM, "out of memory") : AG_OK;
}

static int with_engine(const struct env *env, const struct options *o, json_t *result) {
    struct options chosen = *o;
    struct loaded l = { 0 };
    if (o->graph) chosen.mmap = true; /* a graph needs no weight in memory */
    int err = loaded_open(env, &chosen, &l);
    if (!err) err = loaded_start(&l);
    if (!err) err = o->graph ? graphs(&l, result) : metadata(&l);
    loaded_close(&l);
    return err;
}

static int list_tensors(const struct env *env, const struct options *o, json_t *result) {
    struct registry *registry = NULL;
    struct modelfile *file = NULL;
    int err = env_registry(env, o, &registry);
    if (!err) err = modelfile_open(registry, o->arg[0], &file);
    if (!err) err = tensors(file, result);
    modelfile_close(file);
    registry_close(registry);
    return err;
}

int cmd_info(const struct env *env, const struct options *o) {
    if (o->given[OPT_graph_tokens] && !o->graph)
        return fail(AG_EINVAL, "--tokens: want --graph; try 'agave info --help'");
    if (!o->tensors && !o->graph) return with_engine(env, o, NULL);
    json_t *result = o->json ? json_object() : NULL;
    if (o->json && !result) return fail(AG_ENOMEM, "out of memory");
    int err = o->tensors ? list_tensors(env, o, result) : AG_OK;
    if (!err && o->graph) err = with_engine(env, o, result);
    if (!err && result) return print_json(result);
    json_decref(result);
    return err;
}
