/* SPDX-License-Identifier: MIT */
/* cmd_plugin.c - agave plugin: which of its words is meant, and whether the arguments fit it. */
#include "cmd.h"
#include "plugin_cmds.h"

#include "util/error.h"

#include <string.h>

static const char advice[] = "try 'agave plugin --help'";

/* Options of one word mean nothing to the others. */
static int reject(const struct options *o, enum option_id id, const char *name, const char *word) {
    return o->given[id] ? fail(AG_EINVAL, "%s is not for 'plugin %s'; %s", name, word, advice) : 0;
}

static int list(const struct env *env, const struct options *o) {
    const struct plugin_list_options list = { .all = o->all, .support = o->verbose, .json = o->json };
    struct registry *r;
    int rc = reject(o, OPT_in_tree, "--in-tree", "list");
    if (rc >= 0) rc = env_registry(env, o, &r);
    if (rc < 0) return rc;
    rc = plugin_list(r, &list);
    registry_close(r);
    return rc;
}

static int new(const struct env *env, const struct options *o) {
    (void)env;
    const struct plugin_new_options new = { .kind = o->arg[1], .name = o->arg[2], .dir = o->arg[3],
                                            .in_tree = o->in_tree };
    int rc = reject(o, OPT_all, "--all", "new");
    return rc < 0 ? rc : plugin_new(&new);
}

static int check(const struct env *env, const struct options *o) {
    int rc = reject(o, OPT_in_tree, "--in-tree", "check");
    if (rc >= 0) rc = reject(o, OPT_all, "--all", "check");
    if (rc >= 0 && o->json) rc = fail(AG_EINVAL, "--json is not for 'plugin check'; %s", advice);
    if (rc >= 0 && !o->model != !o->reference)
        rc = fail(AG_EINVAL, "--model and --reference go together; %s", advice);
    if (rc >= 0 && (o->tokens || o->given[OPT_backend]) && !o->reference)
        rc = fail(AG_EINVAL, "--tokens and --backend want --model and --reference; %s", advice);
    return rc < 0 ? rc : plugin_check(env, o, o->arg[1], o->arg[2]);
}

int cmd_plugin(const struct env *env, const struct options *o) {
    static const struct {
        const char *word, *args;
        int least, most;
        int (*run)(const struct env *, const struct options *);
    } row[] = {
        { "list", "", 0, 0, list },
        { "check", " FILE [SAMPLE]", 1, 2, check },
        { "new", " model|backend|format NAME [DIR]", 2, 3, new },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (strcmp(o->arg[0], row[i].word)) continue;
        if (o->n_arg - 1 < row[i].least || o->n_arg - 1 > row[i].most)
            return fail(AG_EINVAL, "want 'agave plugin %s%s'; %s", row[i].word, row[i].args, advice);
        if (row[i].run != check && (o->given[OPT_model] || o->given[OPT_reference] || o->given[OPT_tokens] ||
                                    o->given[OPT_backend]))
            return fail(AG_EINVAL, "--model, --reference, --tokens and --backend are for 'plugin check'; %s", advice);
        return row[i].run(env, o);
    }
    return fail(AG_EINVAL, "no 'plugin %.100s': want list, check or new; %s", o->arg[0], advice);
}
