/* SPDX-License-Identifier: MIT */
/* cmd_text.c - agave tokenize and agave template: what they open; token_cmds.h does the work. */
#include "cmd.h"

#include "own_template.h"
#include "token_cmds.h"
#include "util/error.h"
#include "util/log.h"

#include <stdio.h>
#include <string.h>

/* Options that are taken because every command takes them, but have nothing to act on. */
static void no_effect(const struct options *o) {
    for (size_t i = 0; i < option_table_n; i++) {
        const struct option_row *row = &option_table[i];
        if (row->section || row->alias || row->commands != ON_MODEL || !o->given[row->id]) continue;
        log_line(AG_LOG_WARN, "--%s has no effect: no weights are loaded", row->name);
    }
}

static int open_file(const struct env *env, const struct options *o, struct loaded *l) {
    *l = (struct loaded){ .env = env, .o = o };
    int status = env_registry(env, o, &l->registry);
    if (status == 0 && o->n_arg) status = modelfile_open(l->registry, o->arg[0], &l->file);
    if (status == 0 && o->n_arg)
        status = tokenizer_open(l->file->format, l->file->file, &l->tokenizer);
    return status;
}

int cmd_tokenize(const struct env *env, const struct options *o) {
    struct loaded l;
    no_effect(o);
    int status = open_file(env, o, &l);
    if (status == 0) status = run_tokenize(l.tokenizer, o->special, o->decode, stdin, stdout);
    loaded_close(&l);
    return status;
}

/* The template of a name among those of all model plugins, else the generic one; *names tells what
 * there is. */
static const struct ag_chat *builtin(struct registry *r, const char *name, struct str *names) {
    for (size_t i = 0; i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->kind != AG_KIND_MODEL || p->refused || p->shadowed || registry_load(r, p) < 0) continue;
        for (const struct ag_chat *const *c = p->u.model.chat; c && *c; c++) {
            if (!strcmp((*c)->name, name)) return *c;
            str_printf(names, "%s, ", (*c)->name);
        }
    }
    str_puts(names, chat_chatml.name);
    return strcmp(chat_chatml.name, name) ? NULL : &chat_chatml;
}

int cmd_template(const struct env *env, const struct options *o) {
    struct loaded l;
    struct str names = { 0 };
    no_effect(o);
    if (!o->n_arg && !o->builtin && !o->template_file)
        return fail(AG_EINVAL, "want --builtin NAME, --template FILE or a model; try 'agave template --help'");
    if (o->builtin && o->template_file) return fail(AG_EINVAL, "want --builtin or --template, not both");
    int status = open_file(env, o, &l);
    if (status == 0 && o->template_file) {
        status = own_template_read(o->template_file, &l.jinja);
    } else if (status == 0 && o->builtin) {
        l.chat = builtin(l.registry, o->builtin, &names);
        if (!l.chat)
            status = fail(AG_EINVAL, "--builtin %.100s: want one of %s", o->builtin, str_text(&names));
    } else if (status == 0) {
        /* The file's own template needs no plugin of its model. */
        own_template_of(l.tokenizer, &l.jinja);
        if (!l.jinja) status = engine_pick_model(l.registry, l.file, &l.model);
        if (status == 0 && !l.jinja) status = chat_pick(&l);
        if (status == 0 && !l.jinja && !l.chat)
            status = fail(AG_ENOTSUP, "%s: the model has no chat template; choose one with --builtin NAME",
                          o->arg[0]);
    }
    if (status == 0)
        status = l.jinja ? run_template_jinja(l.jinja, l.tokenizer, stdin, stdout)
                         : run_template(l.chat, stdin, stdout);
    str_free(&names);
    loaded_close(&l);
    return status;
}
