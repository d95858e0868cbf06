/* SPDX-License-Identifier: MIT */
/* cmd_bench.c - agave bench: the engine it measures, and the result as a table or as JSON. */
#include "bandwidth.h"
#include "bench.h"
#include "cmd.h"
#include "interrupt.h"
#include "text.h"
#include "tool.h"

#include "util/error.h"
#include "util/team.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct report {
    const struct tool *tool;
    struct engine *engine;
    struct bench_row row[BENCH_MAX_ROW];
    int n_row;
    double read_gb_s;
};

static const char *build_text(void) {
#if defined(__clang__)
    return AG_VERSION ", clang " __clang_version__;
#else
    return AG_VERSION ", gcc " __VERSION__;
#endif
}

static int print_json(const struct report *r, const char *name) {
    json_t *rows = json_array();
    for (int i = 0; i < r->n_row; i++) {
        const struct bench_row *b = &r->row[i];
        json_t *row = json_pack("{s:s, s:i, s:{s:f, s:f, s:f}, s:I, s:f}", "test", b->test, "depth",
                                b->depth, "tok_per_sec", "median", b->median, "min", b->min, "max",
                                b->max, "bytes_per_token", (json_int_t)b->bytes_per_token,
                                "gb_per_s", b->bytes_per_token * b->median * 1e-9);
        if (!row || json_array_append_new(rows, row)) goto nomem;
    }
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:O, s:f}", "model", name, "arch",
                          r->tool->file->arch, "quant", modelfile_quant(r->tool->file), "backend",
                          engine_backend(r->engine), "device", engine_device(r->engine)->name,
                          "threads", team_size(), "build", build_text(), "rows", rows,
                          "read_bandwidth_gb_s", r->read_gb_s);
    if (!o) goto nomem;
    json_dumpf(o, stdout, JSON_REAL_PRECISION(7));
    putchar('\n');
    json_decref(o);
    json_decref(rows);
    return AG_OK;
nomem:
    json_decref(rows);
    return fail(AG_ENOMEM, "cannot make the result");
}

static int print_table(const struct report *r, const char *name) {
    printf("%s · %s · %s · %s (%s) · %d threads\n", name, r->tool->file->arch,
           modelfile_quant(r->tool->file), engine_backend(r->engine), engine_device(r->engine)->name,
           team_size());
    printf("%-10s %7s %10s %21s %12s %8s %7s\n", "test", "depth", "tok/s", "min .. max", "MB/token",
           "GB/s", "of read");
    for (int i = 0; i < r->n_row; i++) {
        const struct bench_row *b = &r->row[i];
        double gb_s = b->bytes_per_token * b->median * 1e-9;
        printf("%-10s %7d %10.2f %9.2f .. %8.2f %12.3f %8.2f %6.0f%%\n", b->test, b->depth,
               b->median, b->min, b->max, b->bytes_per_token * 1e-6, gb_s,
               100 * gb_s / r->read_gb_s);
    }
    printf("read bandwidth %.2f GB/s\n", r->read_gb_s);
    return AG_OK;
}

int cmd_bench(const struct env *env, const struct options *o) {
    struct bench_args a = { .pp = (int32_t)o->pp, .tg = (int32_t)o->tg, .reps = (int32_t)o->reps };
    struct tool t = { 0 };
    struct report r = { .tool = &t };
    struct str name = { 0 };
    char raw[256];
    int err = bench_parse_depths(o->depth, &a);
    if (!err && !a.pp && !a.tg) err = fail(AG_EINVAL, "want --pp or --tg above 0");
    if (!err) err = tool_open(env, o, o->arg[0], &t);
    if (err) goto done;
    if (t.engine.ctx_size > 0 && t.engine.ctx_size < bench_ctx(&a)) {
        err = fail(AG_ENOSPC, "the tests want a context of %d, --ctx-size is %d", bench_ctx(&a),
                   t.engine.ctx_size);
        goto done;
    }
    t.engine.ctx_size = bench_ctx(&a);
    t.engine.max_batch = bench_batch(&a);
    err = engine_create(t.registry, t.file, &t.engine, &r.engine);
    if (!err) err = bandwidth_measure(&r.read_gb_s);
    if (err) goto done;
    struct interrupt interrupt;
    interrupt_begin(&interrupt, r.engine);
    err = bench_run(r.engine, &a, r.row, &r.n_row);
    interrupt_end(&interrupt);
    if (err) goto done;
    modelfile_name(t.file, raw, sizeof raw);
    text_clean(raw, strlen(raw), &name);
    err = o->json ? print_json(&r, str_text(&name)) : print_table(&r, str_text(&name));
done:
    str_free(&name);
    engine_free(r.engine);
    tool_close(&t);
    return err;
}
