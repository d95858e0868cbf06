/* SPDX-License-Identifier: MIT */
/* config.c - Gemma 3's hyper-parameters from GGUF keys and from both styles of config.json:
 * rope_theta, rope_local_base_freq, rope_scaling, and rope_parameters by layer type. */
#include "gemma3.h"

#include <math.h>
#include <string.h>

#define FIELD(f) offsetof(struct gemma3, f)

static const struct ag_param_row row[] = {
    { "block_count", "num_hidden_layers", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_layer), 1,
      GEMMA3_MAX_LAYER },
    { "embedding_length", "hidden_size", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_embd), 1, 1 << 20 },
    { "attention.head_count", "num_attention_heads", AG_PARAM_I32, 0, FIELD(n_head), 1, 4096 },
    { "attention.head_count_kv", "num_key_value_heads", AG_PARAM_I32, 0, FIELD(n_head_kv), 1, 4096 },
    { "attention.key_length", "head_dim", AG_PARAM_I32, 0, FIELD(head_dim), 2, GEMMA3_MAX_HEAD_DIM },
    { "attention.value_length", "head_dim", AG_PARAM_I32, 0, FIELD(v_dim), 2, GEMMA3_MAX_HEAD_DIM },
    { "feed_forward_length", "intermediate_size", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_ff), 1,
      1 << 24 },
    { "context_length", "max_position_embeddings", AG_PARAM_I32, 0, FIELD(ctx_train), 1, 1 << 30 },
    { "attention.sliding_window", "sliding_window", AG_PARAM_I32, 0, FIELD(window), 0, 1 << 30 },
    { "attention.layer_norm_rms_epsilon", "rms_norm_eps", AG_PARAM_F32, 0, FIELD(eps), 0, 1 },
    { "rope.freq_base", "rope_theta", AG_PARAM_F32, 0, FIELD(theta_full), 1, 1e15 },
    { NULL, "rope_parameters/full_attention/rope_theta", AG_PARAM_F32, 0, FIELD(theta_full), 1, 1e15 },
    { "rope.freq_base_swa", "rope_local_base_freq", AG_PARAM_F32, 0, FIELD(theta_sliding), 1, 1e15 },
    { NULL, "rope_parameters/sliding_attention/rope_theta", AG_PARAM_F32, 0, FIELD(theta_sliding), 1,
      1e15 },
    { "rope.scaling.factor", "rope_scaling/factor", AG_PARAM_F32, 0, FIELD(rope_factor), 0, 1e6 },
    { NULL, "rope_parameters/full_attention/factor", AG_PARAM_F32, 0, FIELD(rope_factor), 0, 1e6 },
    { "attention.scale", NULL, AG_PARAM_F32, 0, FIELD(score_scale), 0, 1e3 },
    { NULL, "query_pre_attn_scalar", AG_PARAM_F32, 0, FIELD(query_scalar), 1e-6, 1e9 },
    { NULL, "attn_logit_softcapping", AG_PARAM_F32, 0, FIELD(score_cap), 0, 1e9 },
    { "final_logit_softcapping", "final_logit_softcapping", AG_PARAM_F32, 0, FIELD(logit_cap), 0, 1e9 },
};

static bool is_gguf(const struct ag_meta *m) { return strcmp(m->scheme, "gguf") == 0; }

/* What config.json may leave out: the values of transformers' Gemma3TextConfig. GGUF files carry
 * all sizes; what they may lack follows from others. */
static void set_defaults(const struct ag_meta *m, struct gemma3 *g) {
    g->eps = 1e-6f;
    g->theta_full = 1e6f;
    g->theta_sliding = 1e4f;
    g->rope_factor = 1;
    if (is_gguf(m)) return;
    g->n_head = 8;
    g->n_head_kv = 4;
    g->head_dim = g->v_dim = 256;
    g->ctx_train = 131072;
    g->query_scalar = 256;
}

static bool text(const struct ag_meta *m, const char *gguf, const char *hf, struct ag_value *v) {
    *v = (struct ag_value){ .size = sizeof *v };
    return m->value(m, gguf, hf, v) && v->type == AG_VALUE_STR;
}

static bool equals(const struct ag_value *v, const char *s) {
    return v->bytes == strlen(s) && memcmp(v->data, s, v->bytes) == 0;
}

/* A text that, if there, must be one of two. */
static int want_text(const struct ag_meta *m, const char *gguf, const char *hf, const char *a,
                     const char *b) {
    struct ag_value v;
    if (!text(m, gguf, hf, &v) || equals(&v, a) || equals(&v, b)) return AG_OK;
    return gemma3_host->fail(AG_ENOTSUP, "%s is \"%.*s\": want \"%s\" or \"%s\"",
                             is_gguf(m) ? gguf : hf, v.bytes < 64 ? (int)v.bytes : 64,
                             (const char *)v.data, a, b);
}

static int want_false(const struct ag_meta *m, const char *key) {
    struct ag_value v = { .size = sizeof v };
    if (!m->value(m, NULL, key, &v) || v.type != AG_VALUE_BOOL || !v.i) return AG_OK;
    return gemma3_host->fail(AG_ENOTSUP, "%s is true: only causal text models without "
                             "biases are supported", key);
}

static int check_variant(const struct ag_meta *m) {
    int err = want_text(m, "rope.scaling.type", "rope_scaling/rope_type",
                        is_gguf(m) ? "none" : "default", "linear");
    if (err >= 0) err = want_text(m, NULL, "rope_scaling/type", "default", "linear");
    if (err >= 0) err = want_text(m, NULL, "rope_parameters/full_attention/rope_type", "default", "linear");
    if (err >= 0) err = want_text(m, NULL, "rope_parameters/sliding_attention/rope_type", "default",
                                  "default");
    if (err >= 0) err = want_text(m, NULL, "hidden_activation", "gelu_pytorch_tanh", "gelu_tanh");
    if (err >= 0) err = want_false(m, "attention_bias");
    return err < 0 ? err : want_false(m, "use_bidirectional_attention");
}

/* A scaling type of "none" or "default" voids a factor that may stand beside it. */
static void check_factor(const struct ag_meta *m, struct gemma3 *g) {
    static const char *const key[] = { "rope_scaling/rope_type", "rope_scaling/type",
                                       "rope_parameters/full_attention/rope_type" };
    struct ag_value v;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        if (text(m, "rope.scaling.type", key[i], &v) && (equals(&v, "none") || equals(&v, "default")))
            g->rope_factor = 1;
    if (g->rope_factor == 0) g->rope_factor = 1;
}

static bool elem_bool(const struct ag_value *v, uint64_t i) {
    return ((const unsigned char *)v->data)[i] != 0;
}

static int pattern_from_bools(const struct ag_value *v, struct gemma3 *g) {
    if (v->elem != AG_ELEM_BOOL && v->elem != AG_ELEM_U8 && v->elem != AG_ELEM_I8)
        return gemma3_host->fail(AG_EFORMAT, "attention.sliding_window_pattern: want an "
                                 "integer or an array of booleans");
    for (int32_t il = 0; il < g->n_layer; il++) g->sliding[il] = elem_bool(v, (uint64_t)il);
    return AG_OK;
}

static int pattern_from_names(const struct ag_value *v, struct gemma3 *g) {
    const unsigned char *p = v->data, *end = p + v->bytes;
    for (int32_t il = 0; il < g->n_layer; il++) {
        uint64_t n = 0;
        if ((size_t)(end - p) >= sizeof n) memcpy(&n, p, sizeof n), p += sizeof n;
        if (n > (uint64_t)(end - p)) n = 0;
        g->sliding[il] = n == 17 && memcmp(p, "sliding_attention", 17) == 0;
        if (!g->sliding[il] && !(n == 14 && memcmp(p, "full_attention", 14) == 0))
            return gemma3_host->fail(AG_ENOTSUP, "layer_types: layer %d is neither "
                                     "\"sliding_attention\" nor \"full_attention\"", il);
        p += n;
    }
    return AG_OK;
}

/* Which layers slide: a list, or every pattern-th layer is full, the others slide. */
static int read_pattern(const struct ag_meta *m, struct gemma3 *g) {
    static const char *const key[] = { "layer_types", "sliding_window_pattern",
                                       "_sliding_window_pattern" };
    struct ag_value v = { .size = sizeof v };
    int64_t period = 6;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        if (!m->value(m, "attention.sliding_window_pattern", key[i], &v)) continue;
        if (v.type == AG_VALUE_ARRAY) {
            if (v.count != (uint64_t)g->n_layer || !v.data)
                return gemma3_host->fail(AG_EFORMAT, "%s has %llu entries for %d layers",
                                         is_gguf(m) ? "attention.sliding_window_pattern" : key[i],
                                         (unsigned long long)v.count, g->n_layer);
            return v.elem == AG_ELEM_STR ? pattern_from_names(&v, g) : pattern_from_bools(&v, g);
        }
        if (v.type == AG_VALUE_INT) {
            period = v.i;
            break;
        }
    }
    if (period < 1 || period > GEMMA3_MAX_LAYER)
        return gemma3_host->fail(AG_EFORMAT, "sliding_window_pattern is %lld: want 1 to %d",
                                 (long long)period, GEMMA3_MAX_LAYER);
    for (int32_t il = 0; il < g->n_layer; il++) g->sliding[il] = il % period < period - 1;
    return AG_OK;
}

/* The embedding's rows are the vocabulary: files may hold more rows than the tokenizer has pieces. */
static int read_vocab(const struct ag_meta *m, struct gemma3 *g) {
    static const char *const name[] = {
        "token_embd.weight", "model.embed_tokens.weight", "model.language_model.embed_tokens.weight",
        "language_model.model.embed_tokens.weight",
    };
    struct ag_tensor t = { .size = sizeof t };
    size_t i = 0, n = sizeof name / sizeof *name;
    while (i < n && !m->tensor(m, name[i], &t)) i++;
    if (i == n)
        return gemma3_host->fail(AG_EFORMAT, "no tensor %s: the file holds no embedding",
                                 name[is_gguf(m) ? 0 : 1]);
    if (t.dim[1] < 1 || t.dim[1] > 1 << 24)
        return gemma3_host->fail(AG_EFORMAT, "tensor %s has %lld rows: want 1 to %d", name[i],
                                 (long long)t.dim[1], 1 << 24);
    g->n_vocab = (int32_t)t.dim[1];
    return AG_OK;
}

static int derive(const struct ag_meta *m, struct gemma3 *g) {
    if (!g->n_head)
        return gemma3_host->fail(AG_EFORMAT, "no key attention.head_count");
    if (!g->n_head_kv) g->n_head_kv = g->n_head;
    if (!g->head_dim) g->head_dim = g->n_embd / g->n_head;
    if (!g->v_dim) g->v_dim = g->head_dim;
    if (g->n_head % g->n_head_kv)
        return gemma3_host->fail(AG_EFORMAT, "%d heads are no multiple of %d KV heads",
                                 g->n_head, g->n_head_kv);
    if (g->head_dim < 2 || g->head_dim % 2 || g->v_dim != g->head_dim)
        return gemma3_host->fail(AG_EFORMAT, "head dims %d and %d: want one even number",
                                 g->head_dim, g->v_dim);
    if (g->score_scale == 0) {
        float scalar = g->query_scalar;
        if (is_gguf(m)) /* no key: the 27B model, alone with 62 layers, divides the width */
            scalar = g->n_layer == 62 ? (float)g->n_embd / (float)g->n_head : (float)g->head_dim;
        g->score_scale = (float)(1 / sqrt(scalar));
    }
    return AG_OK;
}

int gemma3_config(const struct ag_meta *m, struct gemma3 *g) {
    set_defaults(m, g);
    int err = m->params(m, row, sizeof row / sizeof *row, g);
    if (err >= 0) err = check_variant(m);
    if (err >= 0) err = derive(m, g);
    if (err >= 0) err = read_pattern(m, g);
    if (err >= 0) err = read_vocab(m, g);
    if (err < 0) return err;
    check_factor(m, g);
    for (int32_t il = 0; il < g->n_layer; il++) {
        bool windowed = g->sliding[il] && g->window > 0;
        g->state[il] = (struct ag_state){
            .size = sizeof(struct ag_state),
            .kind = windowed ? AG_STATE_WINDOW : AG_STATE_FULL,
            .layer = il,
            .window = windowed ? g->window : 0,
            .n_head = g->n_head_kv,
            .k_dim = g->head_dim,
            .v_dim = g->head_dim,
        };
    }
    return AG_OK;
}
