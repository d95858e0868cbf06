/* SPDX-License-Identifier: MIT */
#include "show.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/team.h"

enum { BOX_LINES = 5 };

void show_backend(const struct loaded *l, char *to, size_t n) {
    snprintf(to, n, "%s", l->backend->name);
    for (char *c = to; *c; c++) *c = (char)toupper((unsigned char)*c);
}

/* Name of the model, safe to print. */
static void name(const struct loaded *l, struct str *out) {
    char raw[256];
    modelfile_name(l->file, raw, sizeof raw);
    text_clean(raw, strlen(raw), out);
}

static void clean(const char *text, struct str *out) { text_clean(text, strlen(text), out); }

static void shape(const struct ag_model_info *m, struct str *out) {
    str_printf(out, " \xc2\xb7 %dL/%dE/%dFFN/%dH/%dKV/hd%d", m->n_layer, m->n_embd, m->n_ff, m->n_head,
               m->n_head_kv, m->head_dim);
}

static void plain_banner(const struct loaded *l, bool times) {
    struct str s = { 0 };
    char size[32], backend[32];
    text_bytes((double)l->file->bytes, size, sizeof size);
    show_backend(l, backend, sizeof backend);
    str_puts(&s, "agave ");
    name(l, &s);
    str_puts(&s, " \xc2\xb7 ");
    clean(l->file->arch, &s);
    str_printf(&s, " \xc2\xb7 %s \xc2\xb7 %s \xc2\xb7 %s", modelfile_quant(l->file), size, backend);
    if (times) {
        shape(&l->info, &s);
        str_printf(&s, " (%.0f ms)", l->load_ms);
    }
    fprintf(stderr, "%s\n", str_text(&s));
    str_free(&s);
}

/* Bytes of s that take `columns` cells, every character counted as one. */
static size_t cut(const struct str *s, int columns, int *used) {
    size_t at = 0;
    *used = 0;
    while (at < s->n && *used < columns) {
        at++;
        while (at < s->n && (s->p[at] & 0xc0) == 0x80) at++;
        ++*used;
    }
    return at;
}

static void rule(const char *left, const char *right, const char *title, int width) {
    int used = (int)strlen(title);
    fprintf(stderr, "%s\xe2\x94\x80%s", left, title);
    for (int i = used + 1; i < width; i++) fputs("\xe2\x94\x80", stderr);
    fprintf(stderr, "%s\n", right);
}

static void box_lines(const struct loaded *l, struct str line[BOX_LINES]) {
    const struct ag_model_info *m = &l->info;
    char size[32], params[32], vocab[32], cache[32], backend[32];
    uint64_t n = modelfile_params(l->file);
    uint32_t k, v;
    engine_kv_types(l->engine, &k, &v);
    text_bytes((double)l->file->bytes, size, sizeof size);
    text_count((double)n, params, sizeof params);
    text_count(m->n_vocab, vocab, sizeof vocab);
    text_bytes((double)engine_memory(l->engine).kv, cache, sizeof cache);
    show_backend(l, backend, sizeof backend);
    name(l, &line[0]);
    clean(l->file->arch, &line[1]);
    str_printf(&line[1], " \xc2\xb7 %s \xc2\xb7 %s params \xc2\xb7 %s \xc2\xb7 %.2f bits/weight",
               modelfile_quant(l->file), params, size, n ? 8.0 * (double)l->file->bytes / (double)n : 0);
    str_printf(&line[2], "%d layers \xc2\xb7 %d embed \xc2\xb7 %d FFN \xc2\xb7 %d heads (%d KV) \xc2\xb7 "
               "%d head dim", m->n_layer, m->n_embd, m->n_ff, m->n_head, m->n_head_kv, m->head_dim);
    if (m->n_expert > 0)
        str_printf(&line[2], " \xc2\xb7 %d/%d experts", m->n_expert_used, m->n_expert);
    str_printf(&line[3], "%s vocab \xc2\xb7 %d context \xc2\xb7 KV %s/%s (%s) \xc2\xb7 RoPE theta %g", vocab,
               engine_ctx(l->engine), ag_dtype_info(k).name, ag_dtype_info(v).name, cache,
               (double)m->rope_theta);
    str_printf(&line[4], "%s \xc2\xb7 load %.0f ms", backend, l->load_ms);
}

static void box(const struct loaded *l) {
    struct str line[BOX_LINES] = { { 0 } };
    int width = 0, most = env_width(STDERR_FILENO) - 4, used;
    box_lines(l, line);
    for (int i = 0; i < BOX_LINES; i++) {
        cut(&line[i], most, &used);
        if (used > width) width = used;
    }
    rule("\xe2\x95\xad", "\xe2\x95\xae", " agave v" AG_VERSION " ", width + 2);
    for (int i = 0; i < BOX_LINES; i++) {
        size_t n = cut(&line[i], most, &used);
        bool bold = i == 0 && l->color_err;
        fprintf(stderr, "\xe2\x94\x82 %s%.*s%s%*s \xe2\x94\x82\n", bold ? "\033[1m" : "", (int)n,
                str_text(&line[i]), bold ? "\033[0m" : "", width - used, "");
        str_free(&line[i]);
    }
    rule("\xe2\x95\xb0", "\xe2\x95\xaf", "", width + 2);
}

/* A terminal gets a box with the times, which are known later. */
static bool boxed(void) { return isatty(STDERR_FILENO) && env_width(STDERR_FILENO) >= 40; }

void show_opened(const struct loaded *l) {
    if (!l->quiet && !boxed() && !l->verbose) plain_banner(l, false);
}

static void system_line(const struct loaded *l) {
    struct utsname u;
    const struct ag_device_info *d = engine_device(l->engine);
    char backend[32], free_text[32], total[32];
    if (uname(&u) != 0) return;
    show_backend(l, backend, sizeof backend);
    fprintf(stderr, "system: %s %s \xc2\xb7 %s \xc2\xb7 %s", u.sysname, u.machine, backend, d->name);
    if (*d->arch) fprintf(stderr, " \xc2\xb7 %s", d->arch);
    if (d->memory_total) {
        text_bytes((double)d->memory_free, free_text, sizeof free_text);
        text_bytes((double)d->memory_total, total, sizeof total);
        if (d->memory_free) fprintf(stderr, " \xc2\xb7 %s free of %s", free_text, total);
        else fprintf(stderr, " \xc2\xb7 %s", total);
        if (d->flags & AG_DEVICE_UNIFIED) fputs(" unified", stderr);
    }
    if (*d->driver) fprintf(stderr, " \xc2\xb7 driver %s", d->driver);
    fprintf(stderr, " \xc2\xb7 %d threads\n", team_size());
}

static void loaded_line(const struct loaded *l) {
    const struct ag_format *f = l->file->format;
    const struct tokenizer *t = l->tokenizer;
    const int32_t *eog;
    size_t n_eog = tokenizer_eog(t, &eog);
    char vocab[32];
    text_count(tokenizer_size(t), vocab, sizeof vocab);
    fprintf(stderr, "loaded: %s \xc2\xb7 %u tensors \xc2\xb7 %s tokenizer \xc2\xb7 %s vocab \xc2\xb7 eos=%d bos=%d",
            f->label(l->file->file), f->tensor_count(l->file->file), tokenizer_kind(t), vocab,
            tokenizer_eos(t), tokenizer_bos(t));
    if (n_eog > 1) fprintf(stderr, " (+%zu eog)", n_eog - 1);
    fprintf(stderr, " \xc2\xb7 %s template \xc2\xb7 init %.0f ms\n", l->chat ? l->chat->name : "no", l->load_ms);
}

static void memory_line(const struct loaded *l) {
    struct engine_memory m = engine_memory(l->engine);
    const struct { const char *what; uint64_t bytes; } rows[] = {
        { "mapped weights", m.weights_mapped }, { "packed weights", m.weights_packed },
        { "KV", m.kv }, { "scratch", m.scratch }, { "workspace", m.workspace },
    };
    fputs("memory:", stderr);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char size[32];
        text_bytes((double)rows[i].bytes, size, sizeof size);
        fprintf(stderr, "%s %s %s", i ? " \xc2\xb7" : "", size, rows[i].what);
    }
    fputc('\n', stderr);
}

void show_started(const struct loaded *l) {
    if (l->quiet) return;
    if (boxed()) box(l);
    else if (l->verbose) plain_banner(l, true);
    system_line(l);
    loaded_line(l);
    if (l->verbose) memory_line(l);
    fprintf(stderr, "context: %s\n", l->ctx_text);
    if (l->recipe) fprintf(stderr, "recipe: %s\n", l->recipe);
}

void show_stats(const struct loaded *l, const struct generation *g) {
    const char *on = l->color_err ? "\033[2m" : "", *off = l->color_err ? "\033[0m" : "";
    fprintf(stderr, "%s%d tok \xc2\xb7 %.1f tok/s \xc2\xb7 ", on, g->tokens, g->tok_per_sec);
    if (l->verbose)
        fprintf(stderr, "prefill %d tok in %.0fms (%.1f tok/s)", g->prompt - g->reused, g->prefill_ms,
                g->prefill_tok_per_sec);
    else
        fprintf(stderr, "%.0fms prefill", g->prefill_ms);
    fprintf(stderr, "%s\n", off);
    if (g->context_full)
        fprintf(stderr, "context full (%d tokens): the answer was cut; --ctx-size N makes it larger\n",
                engine_ctx(l->engine));
}
