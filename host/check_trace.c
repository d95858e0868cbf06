/* SPDX-License-Identifier: MIT */
/* check_trace.c - a model run layer by layer beside a file that `agave eval --trace` wrote elsewhere: names
 * the first layer whose output differs. */
#include "eval.h"
#include "plugin_check.h"

#include "util/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double bound = 0.02; /* of the length of the layer's output */

static const struct st_tensor *find(const struct st_file *f, const char *name) {
    for (size_t i = 0; i < st_count(f); i++)
        if (!strcmp(st_at(f, i)->name, name)) return st_at(f, i);
    return NULL;
}

/* |a - b| / |b| over all elements. */
static int distance(struct st_file *a, const struct st_tensor *ta, struct st_file *b,
                    const struct st_tensor *tb, double *out) {
    if (ta->bytes != tb->bytes || strcmp(ta->dtype, "F32") || strcmp(tb->dtype, "F32"))
        return fail(AG_EFORMAT, "%s: %llu bytes of %s here, %llu of %s in the reference", tb->name,
                    (unsigned long long)ta->bytes, ta->dtype, (unsigned long long)tb->bytes, tb->dtype);
    float *x = malloc(ta->bytes + 1), *y = malloc(tb->bytes + 1);
    int rc = x && y ? st_read(a, ta, x) : fail(AG_ENOMEM, "out of memory");
    if (rc >= 0) rc = st_read(b, tb, y);
    double off = 0, all = 0;
    for (uint64_t i = 0; rc >= 0 && i < tb->bytes / 4; i++) {
        off += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        all += (double)y[i] * y[i];
    }
    *out = all > 0 ? sqrt(off / all) : off > 0 ? INFINITY : 0;
    free(x);
    free(y);
    return rc;
}

static bool is_trace(const char *name) {
    const char *t = strstr(name, "trace.");
    size_t n = strlen(name);
    if (!t || (t != name && t[-1] != '.')) return false;
    return !strcmp(t, "trace.embed") || (!strncmp(t, "trace.layer.", 12) && n > 4 && !strcmp(name + n - 4, ".out"));
}

static void compare(struct check *c, const char *mine, const char *reference) {
    struct st_file *a = NULL, *b = NULL;
    int compared = 0;
    double worst = 0, d = 0;
    int rc = st_open(mine, &a);
    if (rc >= 0) rc = st_open(reference, &b);
    for (size_t i = 0; rc >= 0 && i < st_count(b); i++) {
        const struct st_tensor *tb = st_at(b, i), *ta = is_trace(tb->name) ? find(a, tb->name) : NULL;
        if (!ta) continue;
        if ((rc = distance(a, ta, b, tb, &d)) < 0) break;
        compared++;
        if (d > worst) worst = d;
        if (!(d <= bound)) rc = fail(AG_EINVAL, "%s is the first that differs, by %.3g of its length", tb->name, d);
    }
    if (rc < 0) check_failed(c, "trace", "%s", fail_text());
    else if (!compared) check_failed(c, "trace", "%s holds no tensor that agave eval --trace writes", reference);
    else check_ok(c, "trace", "%d tensors, off by %.2g of their length at most", compared, worst);
    st_close(a);
    st_close(b);
}

void check_trace(struct check *c, const struct env *env, const struct options *o) {
    char path[] = "/tmp/agave-trace-XXXXXX";
    struct eval_prompt *prompt = NULL;
    struct eval_result result;
    struct tool t = { 0 };
    int32_t n = 0;
    int fd = mkstemp(path);
    int rc = fd < 0 ? fail(AG_EIO, "no file in /tmp") : 0;
    const struct eval_args args = { .logits = path, .trace = true };
    if (rc >= 0) rc = eval_read_tokens(o->tokens ? o->tokens : o->reference, &prompt, &n);
    if (rc >= 0) rc = tool_open(env, o, o->model, &t);
    t.engine.exact = true;
    if (rc >= 0) rc = eval_run(&t, &args, prompt, n, &result);
    if (rc < 0) check_failed(c, "trace", "%s", fail_text());
    else compare(c, path, o->reference);
    eval_free_prompts(prompt, n);
    tool_close(&t);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
}
