/* SPDX-License-Identifier: MIT */
/* profile.c - the engine's times, summed per operation, as table and as JSON. */
#include "show.h"

#include "util/error.h"
#include "util/log.h"

#include <agave/graph.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct total { const char *name; uint64_t calls, ns; };

static const char *op_name(uint32_t op) {
    switch (op) {
#define X(num, name, least, most) case num: return #name;
#include <agave/op.def>
#undef X
    default: return "?";
    }
}

static int by_time(const void *a, const void *b) {
    const struct total *x = a, *y = b;
    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

/* All rows of the engine; caller frees. */
static struct ag_profile_row *all_rows(const struct loaded *l, uint32_t *n) {
    struct ag_profile_row *rows = NULL;
    for (uint32_t max = 1024; max <= 1u << 20; max *= 2) {
        struct ag_profile_row *larger = realloc(rows, max * sizeof *rows);
        if (!larger) break;
        rows = larger;
        *n = engine_profile(l->engine, rows, max);
        if (*n < max) return rows;
    }
    free(rows);
    *n = 0;
    return NULL;
}

/* Most time first; returns how many, *sum = all of it. Caller frees. */
static size_t totals(const struct loaded *l, struct total **out, uint64_t *sum) {
    uint32_t n;
    size_t n_total = 0;
    struct ag_profile_row *rows = all_rows(l, &n);
    struct total *t = calloc(n ? n : 1, sizeof *t);
    *sum = 0;
    *out = t;
    for (uint32_t i = 0; t && i < n; i++) {
        const char *name = op_name(rows[i].op);
        size_t k = 0;
        while (k < n_total && strcmp(t[k].name, name)) k++;
        if (k == n_total) t[n_total++].name = name;
        t[k].calls += rows[i].calls;
        t[k].ns += rows[i].ns;
        *sum += rows[i].ns;
    }
    free(rows);
    if (n_total) qsort(t, n_total, sizeof *t, by_time);
    return n_total;
}

void show_profile(const struct loaded *l, const struct generation *g) {
    struct total *t;
    uint64_t sum;
    size_t n = totals(l, &t, &sum);
    int32_t tokens = g->tokens + g->prompt - g->reused;
    fprintf(stderr, "profile: %d tokens \xc2\xb7 %.3f ms per token; timing each operation costs time itself\n",
            tokens, tokens ? (double)sum / 1e6 / tokens : 0);
    if (!n) log_line(AG_LOG_WARN, "--profile: backend %s does not measure", l->backend->name);
    else fprintf(stderr, "%-20s %10s %12s %10s %6s\n", "Operation", "Calls", "Total (ms)", "Avg (us)", "%");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%-20s %10llu %12.2f %10.2f %6.1f\n", t[i].name,
                (unsigned long long)t[i].calls, (double)t[i].ns / 1e6,
                t[i].calls ? (double)t[i].ns / 1e3 / (double)t[i].calls : 0,
                sum ? 100.0 * (double)t[i].ns / (double)sum : 0);
    free(t);
}

json_t *json_profile(const struct loaded *l) {
    struct total *t;
    uint64_t sum;
    size_t n = totals(l, &t, &sum);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:f}", "op", t[i].name, "calls",
                                              (json_int_t)t[i].calls, "ms", (double)t[i].ns / 1e6));
    free(t);
    return list;
}

json_t *json_result(const struct loaded *l, const struct generation *g, const char *prompt, size_t n,
                    const struct str *output) {
    char raw[256], backend[32];
    struct str name = { 0 };
    modelfile_name(l->file, raw, sizeof raw);
    text_clean(raw, strlen(raw), &name);
    show_backend(l, backend, sizeof backend);
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s%, s:i, s:f, s:i, s:f, s:f, s:f, s:s, s:s%}",
        "model", str_text(&name), "arch", l->file->arch, "quant", modelfile_quant(l->file), "backend",
        backend, "version", AG_VERSION, "output", str_text(output), output->n, "tokens", g->tokens,
        "tok_per_sec", g->tok_per_sec, "prefill_tokens", g->prompt, "prefill_ms", g->prefill_ms,
        "prefill_tok_per_sec", g->prefill_tok_per_sec, "gen_ms", g->gen_ms, "finish_reason",
        finish_name(g->finish), "prompt", prompt, n);
    str_free(&name);
    /* A seed is 64 bits without a sign; JSON's integers here have one: the upper half is told as text. */
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)l->sampling.seed);
    json_t *seed = l->sampling.seed <= INT64_MAX ? json_integer((json_int_t)l->sampling.seed)
                                                 : json_string(digits);
    if (o) json_object_set_new(o, "seed", seed);
    if (o && l->o->profile) json_object_set_new(o, "profile", json_profile(l));
    return o;
}
