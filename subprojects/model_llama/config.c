/* SPDX-License-Identifier: MIT */
/* config.c - Llama's hyper-parameters from GGUF keys and from both styles of config.json
 * (rope_theta and rope_scaling, or rope_parameters), and its table of rope frequencies. */
#include "llama.h"

#include <math.h>
#include <string.h>

#define FIELD(f) offsetof(struct llama, f)
#define MANY (1 << 24)

static const struct ag_param_row row[] = {
    { "block_count", "num_hidden_layers", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_layer), 1,
      LLAMA_MAX_LAYER },
    { "embedding_length", "hidden_size", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_embd), 1, 1 << 20 },
    { "attention.head_count", "num_attention_heads", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_head), 1,
      4096 },
    { "attention.head_count_kv", "num_key_value_heads", AG_PARAM_I32, 0, FIELD(n_head_kv), 1, 4096 },
    { "attention.key_length", "head_dim", AG_PARAM_I32, 0, FIELD(head_dim), 2, LLAMA_MAX_HEAD_DIM },
    { "attention.value_length", "head_dim", AG_PARAM_I32, 0, FIELD(v_dim), 2, LLAMA_MAX_HEAD_DIM },
    { "rope.dimension_count", NULL, AG_PARAM_I32, 0, FIELD(n_rot), 2, LLAMA_MAX_HEAD_DIM },
    { "feed_forward_length", "intermediate_size", AG_PARAM_I32, AG_PARAM_REQUIRED, FIELD(n_ff), 1, MANY },
    { "context_length", "max_position_embeddings", AG_PARAM_I32, 0, FIELD(ctx_train), 1, 1 << 30 },
    { "expert_count", "num_local_experts", AG_PARAM_I32, 0, FIELD(n_expert), 0, 65536 },
    { "attention.sliding_window", "sliding_window", AG_PARAM_I32, 0, FIELD(window), 0, 1 << 30 },
    { "attention.layer_norm_rms_epsilon", "rms_norm_eps", AG_PARAM_F32, AG_PARAM_REQUIRED, FIELD(eps), 0,
      1 },
    { "rope.freq_base", "rope_theta", AG_PARAM_F32, 0, FIELD(theta), 1, 1e15 },
    { NULL, "rope_parameters/rope_theta", AG_PARAM_F32, 0, FIELD(theta), 1, 1e15 },
    { NULL, "partial_rotary_factor", AG_PARAM_F32, 0, FIELD(partial), 0, 1 },
    { NULL, "rope_parameters/partial_rotary_factor", AG_PARAM_F32, 0, FIELD(partial), 0, 1 },
    { "rope.scaling.factor", "rope_scaling/factor", AG_PARAM_F32, 0, FIELD(rope_factor), 0, 1e6 },
    { NULL, "rope_parameters/factor", AG_PARAM_F32, 0, FIELD(rope_factor), 0, 1e6 },
};

static const struct ag_param_row llama3_old[] = {
    { NULL, "rope_scaling/low_freq_factor", AG_PARAM_F32, AG_PARAM_REQUIRED, FIELD(low_factor), 1e-3, 1e6 },
    { NULL, "rope_scaling/high_freq_factor", AG_PARAM_F32, AG_PARAM_REQUIRED, FIELD(high_factor), 1e-3, 1e6 },
    { NULL, "rope_scaling/original_max_position_embeddings", AG_PARAM_F32, AG_PARAM_REQUIRED,
      FIELD(ctx_before), 1, 1e9 },
};
static const struct ag_param_row llama3_new[] = {
    { NULL, "rope_parameters/low_freq_factor", AG_PARAM_F32, AG_PARAM_REQUIRED, FIELD(low_factor), 1e-3, 1e6 },
    { NULL, "rope_parameters/high_freq_factor", AG_PARAM_F32, AG_PARAM_REQUIRED, FIELD(high_factor), 1e-3,
      1e6 },
    { NULL, "rope_parameters/original_max_position_embeddings", AG_PARAM_F32, AG_PARAM_REQUIRED,
      FIELD(ctx_before), 1, 1e9 },
};

static bool is_gguf(const struct ag_meta *m) { return strcmp(m->scheme, "gguf") == 0; }

static bool text(const struct ag_meta *m, const char *gguf, const char *hf, struct ag_value *v) {
    *v = (struct ag_value){ .size = sizeof *v };
    return m->value(m, gguf, hf, v) && v->type == AG_VALUE_STR;
}

static bool equals(const struct ag_value *v, const char *s) {
    return v->bytes == strlen(s) && memcmp(v->data, s, v->bytes) == 0;
}

static int refuse(const char *key, const struct ag_value *v, const char *want) {
    return llama_host->fail(AG_ENOTSUP, "%s is \"%.*s\": want %s", key,
                            v->bytes < 64 ? (int)v->bytes : 64, (const char *)v->data, want);
}

static int want_false(const struct ag_meta *m, const char *key) {
    struct ag_value v = { .size = sizeof v };
    if (!m->value(m, NULL, key, &v) || v.type != AG_VALUE_BOOL || !v.i) return AG_OK;
    return llama_host->fail(AG_ENOTSUP, "%s is true: biases of q and k are read from GGUF files "
                            "only", key);
}

static int check_variant(const struct ag_meta *m, const struct llama *g) {
    struct ag_value v;
    if (g->n_expert)
        return llama_host->fail(AG_ENOTSUP, "the file has %d experts (Mixtral): want none",
                                g->n_expert);
    if (g->window)
        return llama_host->fail(AG_ENOTSUP, "sliding_window is %d (Mistral): want none", g->window);
    if (g->partial != 1)
        return llama_host->fail(AG_ENOTSUP, "partial_rotary_factor is %g: want 1", (double)g->partial);
    if (text(m, NULL, "hidden_act", &v) && !equals(&v, "silu")) return refuse("hidden_act", &v, "\"silu\"");
    return want_false(m, "attention_bias");
}

/* The kind of rope scaling; "none" and "default" void a factor that stands beside them. */
static int read_scaling(const struct ag_meta *m, struct llama *g) {
    static const char *const key[] = { "rope_parameters/rope_type", "rope_scaling/rope_type",
                                       "rope_scaling/type" };
    struct ag_value v;
    if (g->rope_factor == 0) g->rope_factor = 1;
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        if (!text(m, "rope.scaling.type", key[i], &v)) continue;
        if (equals(&v, "none") || equals(&v, "default")) g->rope_factor = 1;
        else if (!is_gguf(m) && equals(&v, "llama3"))
            return m->params(m, i == 0 ? llama3_new : llama3_old, 3, g);
        else if (!equals(&v, "linear"))
            return refuse(is_gguf(m) ? "rope.scaling.type" : key[i], &v,
                          is_gguf(m) ? "\"none\" or \"linear\"" : "\"default\", \"linear\" or \"llama3\"");
        return AG_OK;
    }
    return AG_OK;
}

static int derive(struct llama *g) {
    if (!g->n_head_kv) g->n_head_kv = g->n_head;
    if (!g->head_dim) {
        if (g->n_embd % g->n_head)
            return llama_host->fail(AG_EFORMAT, "width %d is no multiple of %d heads, and no head "
                                    "dim is given", g->n_embd, g->n_head);
        g->head_dim = g->n_embd / g->n_head;
    }
    if (!g->v_dim) g->v_dim = g->head_dim;
    if (!g->n_rot) g->n_rot = g->head_dim;
    if (g->n_head % g->n_head_kv)
        return llama_host->fail(AG_EFORMAT, "%d heads are no multiple of %d KV heads", g->n_head,
                                g->n_head_kv);
    if (g->head_dim < 2 || g->head_dim % 2 || g->head_dim > LLAMA_MAX_HEAD_DIM || g->v_dim != g->head_dim)
        return llama_host->fail(AG_EFORMAT, "head dims %d and %d: want one even number up to %d",
                                g->head_dim, g->v_dim, LLAMA_MAX_HEAD_DIM);
    if (g->n_rot % 2 || g->n_rot > g->head_dim)
        return llama_host->fail(AG_EFORMAT, "rope of %d dims in heads of %d: want an even number, at "
                                "most as many", g->n_rot, g->head_dim);
    return AG_OK;
}

/* Llama 3.1 (arXiv 2407.21783): long waves are slowed down by the factor, short ones are left, those
 * between are blended. */
static double llama3_freq(const struct llama *g, double f) {
    double turns = g->ctx_before * f / 6.28318530717958647692; /* in the context before */
    if (turns > g->high_factor) return f;
    if (turns < g->low_factor || g->high_factor <= g->low_factor) return f / g->rope_factor;
    double keep = (turns - g->low_factor) / (g->high_factor - g->low_factor);
    return (1 - keep) * f / g->rope_factor + keep * f;
}

/* theta^(-2i/n), scaled; a file may bring divisors of its own. */
static int read_freq(const struct ag_meta *m, struct llama *g) {
    float divisor[LLAMA_MAX_HEAD_DIM / 2];
    struct ag_tensor t = { .size = sizeof t };
    int32_t half = g->n_rot / 2;
    bool has = m->tensor(m, "rope_freqs.weight", &t);
    if (has) {
        int err = m->read(m, "rope_freqs.weight", divisor, (uint64_t)half);
        if (err < 0) return err;
    }
    for (int32_t i = 0; i < half; i++) {
        double f = pow(g->theta, -2.0 * i / g->n_rot);
        f = g->ctx_before > 0 ? llama3_freq(g, f) : f / g->rope_factor;
        if (has && !(divisor[i] > 0))
            return llama_host->fail(AG_EFORMAT, "rope_freqs.weight holds %g: want divisors above 0",
                                    (double)divisor[i]);
        g->freq[i] = (float)(has ? f / divisor[i] : f);
    }
    return AG_OK;
}

/* The embedding's rows are the vocabulary: files may hold more rows than the tokenizer has pieces. */
static int read_vocab(const struct ag_meta *m, struct llama *g) {
    const char *name = is_gguf(m) ? "token_embd.weight" : "model.embed_tokens.weight";
    struct ag_tensor t = { .size = sizeof t };
    if (!m->tensor(m, name, &t))
        return llama_host->fail(AG_EFORMAT, "no tensor %s: the file holds no embedding", name);
    if (t.dim[1] < 1 || t.dim[1] > MANY)
        return llama_host->fail(AG_EFORMAT, "tensor %s has %lld rows: want 1 to %d", name,
                                (long long)t.dim[1], MANY);
    g->n_vocab = (int32_t)t.dim[1];
    return AG_OK;
}

int llama_config(const struct ag_meta *m, struct llama *g) {
    g->theta = 10000;
    g->rope_factor = g->partial = 1;
    int err = m->params(m, row, sizeof row / sizeof *row, g);
    if (err >= 0) err = check_variant(m, g);
    if (err >= 0) err = derive(g);
    if (err >= 0) err = read_scaling(m, g);
    if (err >= 0) err = read_freq(m, g);
    if (err >= 0) err = read_vocab(m, g);
    if (err < 0) return err;
    for (int32_t il = 0; il < g->n_layer; il++)
        g->state[il] = (struct ag_state){
            .size = sizeof(struct ag_state), .kind = AG_STATE_FULL, .layer = il,
            .n_head = g->n_head_kv, .k_dim = g->head_dim, .v_dim = g->head_dim,
        };
    return AG_OK;
}
