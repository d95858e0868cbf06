/* SPDX-License-Identifier: MIT */
#include "info.h"

#include "show.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void model_name(const struct loaded *l, struct str *out) {
    char raw[256];
    modelfile_name(l->file, raw, sizeof raw);
    text_clean(raw, strlen(raw), out);
}

static double bits_per_weight(const struct loaded *l) {
    uint64_t n = modelfile_params(l->file);
    return n ? 8.0 * (double)l->file->bytes / (double)n : 0;
}

static void type_name(uint32_t dtype, char *to, size_t n) {
    snprintf(to, n, "%s", ag_dtype_name(dtype));
    for (char *c = to; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static void put_sizes(const struct loaded *l, struct str *out) {
    const struct ag_model_info *m = &l->info;
    str_printf(out, "Layers: %d\nEmbed: %d\nFFN: %d\nHeads: %d / %d", m->n_layer, m->n_embd, m->n_ff,
               m->n_head, m->n_head_kv);
    if (m->n_head_kv > 0 && m->n_head > m->n_head_kv)
        str_printf(out, " (GQA %g:1)", (double)m->n_head / m->n_head_kv);
    str_printf(out, "\nHead dim: %d\n", m->head_dim);
    if (m->n_expert > 0)
        str_printf(out, "Experts: %d total, %d used\n", m->n_expert, m->n_expert_used);
    str_printf(out, "Vocab: %d\n", m->n_vocab);
}

void info_text(const struct loaded *l, double warmup_ms, struct str *out) {
    char count[32], size[32], backend[32], k_name[16], v_name[16];
    uint32_t k, v;
    uint64_t params = modelfile_params(l->file);
    show_backend(l, backend, sizeof backend);
    text_count((double)params, count, sizeof count);
    text_bytes((double)l->file->bytes, size, sizeof size);
    engine_kv_types(l->engine, &k, &v);
    type_name(k, k_name, sizeof k_name);
    type_name(v, v_name, sizeof v_name);
    str_puts(out, "Model: ");
    model_name(l, out);
    str_puts(out, "\nArch: ");
    text_clean(l->file->arch, strlen(l->file->arch), out);
    str_printf(out, "\nQuant: %s\n", modelfile_quant(l->file));
    str_printf(out, "Params: %llu (%s, %.2f bits/weight)\n", (unsigned long long)params, count,
               bits_per_weight(l));
    str_printf(out, "Backend: %s\nFormat: %s\n", backend,
               l->file->format->label(l->file->file));
    put_sizes(l, out);
    str_printf(out, "Context: %d", engine_ctx(l->engine));
    if (l->info.ctx_train > 0) str_printf(out, " (trained %d)", l->info.ctx_train);
    str_printf(out, "\nKV type: %s / %s (%llu bytes per token)\n", k_name, v_name,
               (unsigned long long)engine_kv_bytes_per_token(l->engine));
    str_printf(out, "RoPE theta: %g\nSize: %s\nLoaded: %.0f ms\n", (double)l->info.rope_theta, size,
               l->load_ms);
    if (warmup_ms >= 0) str_printf(out, "Warmup: %.1f ms\n", warmup_ms);
}

static json_t *tensor_types(const struct loaded *l) {
    json_t *o = json_object();
    const struct ag_format *f = l->file->format;
    for (uint32_t i = 0; o && i < f->tensor_count(l->file->file); i++) {
        struct ag_tensor t = { .size = sizeof t };
        if (f->tensor(l->file->file, i, &t) < 0) continue;
        const char *name = ag_dtype_name(t.dtype);
        json_int_t n = json_integer_value(json_object_get(o, name));
        json_object_set_new(o, name, json_integer(n + 1));
    }
    return o;
}

/* Takes the value; false when either is missing. */
static bool put(json_t *o, const char *key, json_t *value) {
    return value && json_object_set_new(o, key, value) == 0;
}

static bool put_files(const struct loaded *l, json_t *o) {
    struct str name = { 0 }, arch = { 0 };
    char backend[32], size[32];
    uint64_t params = modelfile_params(l->file);
    model_name(l, &name);
    text_clean(l->file->arch, strlen(l->file->arch), &arch);
    show_backend(l, backend, sizeof backend);
    text_bytes((double)l->file->bytes, size, sizeof size);
    bool ok = put(o, "version", json_string(AG_VERSION)) &&
              put(o, "name", json_string(str_text(&name))) &&
              put(o, "arch", json_string(str_text(&arch))) &&
              put(o, "quant", json_string(modelfile_quant(l->file))) &&
              put(o, "backend", json_string(backend)) &&
              put(o, "format", json_string(l->file->format->label(l->file->file))) &&
              put(o, "n_params", json_integer((json_int_t)params)) &&
              (!params || put(o, "bpw", json_real(bits_per_weight(l)))) &&
              put(o, "file_size", json_integer((json_int_t)l->file->bytes)) &&
              put(o, "file_size_human", json_string(size)) &&
              put(o, "tensor_types", tensor_types(l)) &&
              put(o, "vision", json_false()) &&
              put(o, "chat_template", l->chat ? json_string(l->chat->name) : json_null());
    str_free(&name);
    str_free(&arch);
    return ok;
}

static bool put_numbers(const struct loaded *l, json_t *o) {
    const struct ag_model_info *m = &l->info;
    const struct { const char *key; int64_t value; bool shown; } rows[] = {
        { "layers", m->n_layer, true }, { "embed", m->n_embd, true }, { "heads", m->n_head, true },
        { "kv_heads", m->n_head_kv, true }, { "head_dim", m->head_dim, true },
        { "ff_dim", m->n_ff, true }, { "vocab_size", m->n_vocab, true },
        { "ctx_size", engine_ctx(l->engine), true }, { "ctx_train", m->ctx_train, m->ctx_train > 0 },
        { "n_experts", m->n_expert, m->n_expert > 0 },
        { "n_experts_used", m->n_expert_used, m->n_expert > 0 },
        { "kv_bytes_per_token", (int64_t)engine_kv_bytes_per_token(l->engine), true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].shown && !put(o, rows[i].key, json_integer(rows[i].value))) return false;
    return true;
}

json_t *info_json(const struct loaded *l, double warmup_ms) {
    char k_name[16], v_name[16];
    uint32_t k, v;
    engine_kv_types(l->engine, &k, &v);
    type_name(k, k_name, sizeof k_name);
    type_name(v, v_name, sizeof v_name);
    json_t *o = json_object();
    bool ok = o && put_files(l, o) && put_numbers(l, o) &&
              put(o, "rope_theta", json_real((double)l->info.rope_theta)) &&
              put(o, "kv_type_k", json_string(k_name)) && put(o, "kv_type_v", json_string(v_name)) &&
              put(o, "load_ms", json_real(l->load_ms)) &&
              (warmup_ms < 0 || put(o, "warmup_ms", json_real(warmup_ms)));
    if (ok) return o;
    json_decref(o);
    return NULL;
}
