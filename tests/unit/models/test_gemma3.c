/* SPDX-License-Identifier: MIT */
/* Gemma 3's graph from metadata alone, in all the forms metadata comes in. */
#include "fake.h"
#include "util/error.h"
#include "util/host_services.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const struct ag_plugin AG_PLUGIN_SYMBOL;
static const struct ag_model *model;

static const struct fake_entry gguf[] = {
    INT("block_count", 8), INT("embedding_length", 64), INT("attention.head_count", 4),
    INT("attention.head_count_kv", 2), INT("attention.key_length", 32), INT("attention.value_length", 32),
    INT("feed_forward_length", 128), INT("context_length", 2048), INT("attention.sliding_window", 10),
    FLT("attention.layer_norm_rms_epsilon", 1e-6), FLT("rope.freq_base", 1e6),
    STR("rope.scaling.type", "linear"), FLT("rope.scaling.factor", 8), END,
};
static const struct fake_tensor gguf_tensor[] = { { "token_embd.weight", 64, 512, NULL }, { NULL, 0, 0, NULL } };

/* layer_types as a packed array of strings: S sliding, F full. */
#define S "\21\0\0\0\0\0\0\0sliding_attention"
#define F "\16\0\0\0\0\0\0\0full_attention"
static const char types[] = S S S S S F S S;

static const struct fake_entry hf[] = {
    INT("num_hidden_layers", 8), INT("hidden_size", 64), INT("num_attention_heads", 4),
    INT("num_key_value_heads", 2), INT("head_dim", 32), INT("intermediate_size", 128),
    INT("max_position_embeddings", 2048), INT("sliding_window", 10), FLT("rms_norm_eps", 1e-6),
    STR("hidden_activation", "gelu_pytorch_tanh"), BOO("attention_bias", 0), INT("query_pre_attn_scalar", 32),
    END,
};
static const struct fake_entry old_style[] = {
    FLT("rope_theta", 1e6), FLT("rope_local_base_freq", 1e4), STR("rope_scaling/rope_type", "linear"),
    FLT("rope_scaling/factor", 8), INT("sliding_window_pattern", 6), END,
};
static const struct fake_entry new_style[] = {
    FLT("rope_parameters/full_attention/rope_theta", 1e6),
    STR("rope_parameters/full_attention/rope_type", "linear"), FLT("rope_parameters/full_attention/factor", 8),
    FLT("rope_parameters/sliding_attention/rope_theta", 1e4),
    STR("rope_parameters/sliding_attention/rope_type", "default"), ARR("layer_types", AG_ELEM_STR, 8, types), END,
};
static const struct fake_tensor hf_tensor[] = { { "model.language_model.embed_tokens.weight", 64, 512, NULL },
                                                { NULL, 0, 0, NULL } };

static char *text_of(const char *scheme, const struct fake_entry *own, const struct fake_entry *base) {
    struct fake f;
    void *self;
    struct ag_graph *g;
    char *text = NULL;
    fake_init(&f, "gemma3", scheme, own, base, strcmp(scheme, "gguf") ? hf_tensor : gguf_tensor);
    int err = fake_draw(&f, model, &self, &g);
    if (err < 0) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_EQUAL_FATAL(err, AG_OK);
    CU_ASSERT_EQUAL(graph_text(g, NULL, NULL, &text), AG_OK);
    graph_free(g);
    model->destroy(self);
    return text;
}

/* All three forms of the same numbers draw the same graph. */
static void same_graph(void) {
    char *a = text_of("gguf", NULL, gguf), *b = text_of("hf", old_style, hf), *c = text_of("hf", new_style, hf);
    CU_ASSERT_STRING_EQUAL(a, b);
    CU_ASSERT_STRING_EQUAL(a, c);
    free(a);
    free(b);
    free(c);
}

static void check_rope(const struct ag_graph *g, uint32_t slot, double theta, double factor) {
    const float *freq = (const void *)(g->pool + g->constant[slot].offset);
    CU_ASSERT_EQUAL_FATAL(g->constant[slot].bytes, 16 * sizeof *freq);
    for (int i = 0; i < 16; i++) {
        double want = pow(theta, -i / 16.0) / factor;
        CU_ASSERT_DOUBLE_EQUAL(freq[i], want, 1e-6 * want);
    }
}

static void numbers(void) {
    struct fake f;
    void *self;
    struct ag_graph *g;
    fake_init(&f, "gemma3", "gguf", NULL, gguf, gguf_tensor);
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, model, &self, &g), AG_OK);
    CU_ASSERT(fake_asked(&f, "token_embd 64x512"));
    CU_ASSERT(fake_asked(&f, "attn_q 64x128"));
    CU_ASSERT(fake_asked(&f, "attn_k 64x64"));
    CU_ASSERT(fake_asked(&f, "attn_q_norm 32x1"));
    CU_ASSERT(fake_asked(&f, "attn_output 128x64"));
    CU_ASSERT(fake_asked(&f, "ffn_down 128x64"));
    CU_ASSERT(fake_asked(&f, "output_norm 64x1"));
    check_rope(g, 0, 1e6, 8); /* full layers alone are scaled */
    check_rope(g, 1, 1e4, 1);
    int layer = 0, embeds = 0;
    for (ag_ref i = 1; i < g->n; i++) {
        const struct ag_node *n = &g->node[i];
        if (n->op == AG_OP_GET_ROWS && n->dim[1] == AG_DIM_T && ++embeds)
            CU_ASSERT_DOUBLE_EQUAL(n->param[AG_P_GET_ROWS_SCALE].f, 8, 1e-12);
        if (n->op != AG_OP_ATTENTION) continue;
        bool full = layer == 5;
        const struct ag_state *s = &f.source.state.state[layer];
        CU_ASSERT_EQUAL(n->param[AG_P_ATTN_WINDOW].i, full ? 0 : 10);
        CU_ASSERT_DOUBLE_EQUAL(n->param[AG_P_ATTN_SCALE].f, 1 / sqrt(32), 1e-7);
        CU_ASSERT_EQUAL(s->kind, full ? AG_STATE_FULL : AG_STATE_WINDOW);
        CU_ASSERT_EQUAL(s->window, full ? 0 : 10);
        CU_ASSERT_EQUAL(s->n_head, 2);
        CU_ASSERT_EQUAL(s->k_dim, 32);
        layer++;
    }
    CU_ASSERT_EQUAL(layer, 8);
    CU_ASSERT_EQUAL(embeds, 1);
    int tags[8] = { 0 };
    for (uint32_t i = 0; i < g->n_tagged; i++) tags[g->tagged[i].tag]++;
    CU_ASSERT(tags[AG_TAG_EMBED] == 1 && tags[AG_TAG_LOGITS] == 1 && tags[AG_TAG_HIDDEN] == 1);
    CU_ASSERT(tags[AG_TAG_LAYER_OUT] == 8 && tags[AG_TAG_Q_PRE_ROPE] == 8);
    graph_free(g);
    model->destroy(self);
}

static double scale_of(const char *scheme, const struct fake_entry *own, const struct fake_entry *base,
                       int64_t *sliding) {
    struct fake f;
    void *self;
    struct ag_graph *g;
    double scale = 0;
    *sliding = 0;
    fake_init(&f, "gemma3", scheme, own, base, strcmp(scheme, "gguf") ? hf_tensor : gguf_tensor);
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, model, &self, &g), AG_OK);
    for (ag_ref i = 1; i < g->n; i++)
        if (g->node[i].op == AG_OP_ATTENTION) {
            scale = g->node[i].param[AG_P_ATTN_SCALE].f;
            *sliding += g->node[i].param[AG_P_ATTN_WINDOW].i > 0;
        }
    graph_free(g);
    model->destroy(self);
    return scale;
}

static void variants(void) {
    int64_t sliding;
    /* the 27B model: the width divided by the heads, 16, not the head dim, 32 */
    const struct fake_entry many[] = { INT("block_count", 62), END };
    CU_ASSERT_DOUBLE_EQUAL(scale_of("gguf", many, gguf, &sliding), 0.25, 1e-7);
    CU_ASSERT_EQUAL(sliding, 52); /* 10 times 5, and 2 */
    const struct fake_entry given[] = { FLT("attention.scale", 0.5), INT("attention.sliding_window_pattern", 2), END };
    CU_ASSERT_DOUBLE_EQUAL(scale_of("gguf", given, gguf, &sliding), 0.5, 1e-7);
    CU_ASSERT_EQUAL(sliding, 4);
    static const unsigned char which[8] = { 1, 0, 0, 1, 1, 0, 0, 0 };
    const struct fake_entry listed[] = { ARR("attention.sliding_window_pattern", AG_ELEM_BOOL, 8, which), END };
    scale_of("gguf", listed, gguf, &sliding);
    CU_ASSERT_EQUAL(sliding, 3);
    const struct fake_entry unwindowed[] = { INT("attention.sliding_window", 0), END };
    scale_of("gguf", unwindowed, gguf, &sliding);
    CU_ASSERT_EQUAL(sliding, 0);
    const struct fake_entry hidden[] = { INT("_sliding_window_pattern", 4), END };
    scale_of("hf", hidden, hf, &sliding);
    CU_ASSERT_EQUAL(sliding, 6);
}

/* An old config.json of a model with a vision tower says only what differs from the defaults. */
static void bare_config(void) {
    static const struct fake_entry bare[] = {
        INT("num_hidden_layers", 34), INT("hidden_size", 2560), INT("intermediate_size", 10240),
        INT("sliding_window", 1024), FLT("rope_scaling/factor", 8), STR("rope_scaling/rope_type", "linear"), END,
    };
    struct fake f;
    void *self;
    struct ag_graph *g;
    fake_init(&f, "gemma3_text", "hf", NULL, bare, hf_tensor);
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, model, &self, &g), AG_OK);
    CU_ASSERT(fake_asked(&f, "attn_q 2560x2048")); /* 8 heads of 256 */
    CU_ASSERT(fake_asked(&f, "attn_k 2560x1024"));
    struct ag_model_info info = { .size = sizeof info };
    model->info(self, &info);
    CU_ASSERT(info.n_layer == 34 && info.head_dim == 256 && info.n_vocab == 512 && info.ctx_train == 131072);
    graph_free(g);
    model->destroy(self);
}

static void heads_and_caps(void) {
    static const char *const has[] = { "output", NULL };
    const struct fake_entry capped[] = { FLT("final_logit_softcapping", 30), END };
    struct fake f;
    void *self;
    struct ag_graph *g;
    fake_init(&f, "gemma3", "gguf", capped, gguf, gguf_tensor);
    f.has = has;
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, model, &self, &g), AG_OK);
    CU_ASSERT(fake_asked(&f, "output 64x512"));
    int caps = 0;
    for (ag_ref i = 1; i < g->n; i++) caps += g->node[i].op == AG_OP_SOFTCAP;
    CU_ASSERT_EQUAL(caps, 1);
    graph_free(g);
    model->destroy(self);
}

static void bad_configs(void) {
    static const unsigned char short_list[3] = { 1, 1, 0 };
    static const char odd_types[] = S S S S S F S "\6\0\0\0\0\0\0\0chunky", cut_types[] = S S "\377\0\0\0\0\0\0\0";
    static const struct { const char *scheme; struct fake_entry own[2]; int code; const char *text; } bad[] = {
        { "gguf", { INT("block_count", 0), END }, AG_EFORMAT, "block_count" },
        { "gguf", { INT("block_count", 5000), END }, AG_EFORMAT, "block_count" },
        { "gguf", { { .key = "block_count" }, END }, AG_EFORMAT, "block_count" },
        { "gguf", { { .key = "attention.head_count" }, END }, AG_EFORMAT, "attention.head_count" },
        { "gguf", { INT("embedding_length", -64), END }, AG_EFORMAT, "embedding_length" },
        { "gguf", { INT("attention.head_count_kv", 3), END }, AG_EFORMAT, "4 heads are no multiple of 3 KV heads" },
        { "gguf", { INT("attention.head_count_kv", 8), END }, AG_EFORMAT, "no multiple" },
        { "gguf", { INT("attention.key_length", 33), END }, AG_EFORMAT, "head dims 33 and 32" },
        { "gguf", { INT("attention.value_length", 16), END }, AG_EFORMAT, "head dims 32 and 16" },
        { "gguf", { INT("attention.key_length", 1 << 20), END }, AG_EFORMAT, "key_length" },
        { "gguf", { FLT("attention.layer_norm_rms_epsilon", 2), END }, AG_EFORMAT, "epsilon" },
        { "gguf", { FLT("rope.freq_base", 0), END }, AG_EFORMAT, "freq_base" },
        { "gguf", { FLT("rope.freq_base", NAN), END }, AG_EFORMAT, "freq_base" },
        { "gguf", { STR("rope.scaling.type", "yarn"), END }, AG_ENOTSUP, "\"yarn\": want \"none\" or \"linear\"" },
        { "gguf", { INT("attention.sliding_window_pattern", 0), END }, AG_EFORMAT, "want 1 to" },
        { "gguf", { ARR("attention.sliding_window_pattern", AG_ELEM_BOOL, 3, short_list), END }, AG_EFORMAT,
          "3 entries for 8 layers" },
        { "gguf", { ARR("attention.sliding_window_pattern", AG_ELEM_F32, 8, short_list), END }, AG_EFORMAT,
          "array of booleans" },
        { "hf", { ARR("layer_types", AG_ELEM_STR, 8, odd_types), END }, AG_ENOTSUP, "layer 7 is neither" },
        { "hf", { ARR("layer_types", AG_ELEM_STR, 8, cut_types), END }, AG_ENOTSUP, "layer 2 is neither" },
        { "hf", { STR("hidden_activation", "silu"), END }, AG_ENOTSUP, "hidden_activation is \"silu\"" },
        { "hf", { BOO("attention_bias", 1), END }, AG_ENOTSUP, "attention_bias" },
        { "hf", { BOO("use_bidirectional_attention", 1), END }, AG_ENOTSUP, "use_bidirectional_attention" },
        { "hf", { STR("rope_parameters/full_attention/rope_type", "yarn"), END }, AG_ENOTSUP, "yarn" },
        { "hf", { INT("query_pre_attn_scalar", 0), END }, AG_EFORMAT, "query_pre_attn_scalar" },
        { "hf", { INT("num_key_value_heads", 0), END }, AG_EFORMAT, "num_key_value_heads" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fake f;
        bool is_gguf = strcmp(bad[i].scheme, "gguf") == 0;
        void *self = NULL;
        fake_init(&f, "gemma3", bad[i].scheme, bad[i].own, is_gguf ? gguf : hf, is_gguf ? gguf_tensor : hf_tensor);
        CU_ASSERT_EQUAL(model->create(&f.meta, &self), bad[i].code);
        if (!strstr(fail_text(), bad[i].text) || strchr(fail_text(), '\n')) {
            fprintf(stderr, "want \"%s\", got \"%s\"\n", bad[i].text, fail_text());
            CU_FAIL("other text");
        }
        CU_ASSERT_PTR_NULL(self);
    }
    static const struct fake_tensor none[] = { { NULL, 0, 0, NULL } };
    static const struct fake_tensor huge[] = { { "token_embd.weight", 64, INT64_C(1) << 40, NULL }, { NULL, 0, 0, NULL } };
    struct fake f;
    void *self = NULL;
    fake_init(&f, "gemma3", "gguf", NULL, gguf, none);
    CU_ASSERT_EQUAL(model->create(&f.meta, &self), AG_EFORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "no tensor token_embd.weight"));
    fake_init(&f, "gemma3", "gguf", NULL, gguf, huge);
    CU_ASSERT_EQUAL(model->create(&f.meta, &self), AG_EFORMAT);
}

static void relatives(void) {
    struct fake f;
    fake_init(&f, "gemma3", "gguf", NULL, gguf, gguf_tensor);
    CU_ASSERT(model->match(&f.meta) > 0);
    f.meta.arch = "gemma3_text";
    CU_ASSERT(model->match(&f.meta) > 0);
    f.meta.arch = "gemma2";
    CU_ASSERT(model->match(&f.meta) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "gemma2"));
    f.meta.arch = "llama";
    CU_ASSERT_EQUAL(model->match(&f.meta), 0);
}

static void bad_passes(void) {
    struct fake f;
    void *self;
    struct ag_graph *g;
    fake_init(&f, "gemma3", "gguf", NULL, gguf, gguf_tensor);
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, model, &self, &g), AG_OK);
    struct ag_pass pass = { .size = sizeof pass, .role = AG_ROLE_VISION, .layer_end = 8 };
    CU_ASSERT_EQUAL(model->build(self, g, graph_builder(), &pass), AG_ENOTSUP);
    pass = (struct ag_pass){ sizeof pass, AG_ROLE_TEXT, 2, 8 };
    CU_ASSERT_EQUAL(model->build(self, g, graph_builder(), &pass), AG_ENOTSUP);
    pass = (struct ag_pass){ sizeof pass, AG_ROLE_TEXT, 0, 9 };
    CU_ASSERT_EQUAL(model->build(self, g, graph_builder(), &pass), AG_ENOTSUP);
    CU_ASSERT_EQUAL(model->weights(self, "onnx", &f.weights), AG_ENOTSUP);
    graph_free(g);
    model->destroy(self);
    model->destroy(NULL);
}

static void *no_memory(size_t bytes, size_t align) {
    (void)bytes, (void)align;
    return NULL;
}

static void out_of_memory(void) {
    struct ag_host poor = *host_services();
    struct fake f;
    void *self = NULL;
    poor.alloc = no_memory;
    AG_PLUGIN_SYMBOL.init(&poor);
    fake_init(&f, "gemma3", "gguf", NULL, gguf, gguf_tensor);
    CU_ASSERT_EQUAL(model->create(&f.meta, &self), AG_ENOMEM);
    AG_PLUGIN_SYMBOL.init(host_services());
}

int main(void) {
    model = AG_PLUGIN_SYMBOL.iface;
    AG_PLUGIN_SYMBOL.init(host_services());
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("model_gemma3", NULL, NULL);
    CU_add_test(s, "same graph", same_graph);
    CU_add_test(s, "numbers", numbers);
    CU_add_test(s, "variants", variants);
    CU_add_test(s, "bare config", bare_config);
    CU_add_test(s, "heads and caps", heads_and_caps);
    CU_add_test(s, "bad configs", bad_configs);
    CU_add_test(s, "relatives", relatives);
    CU_add_test(s, "bad passes", bad_passes);
    CU_add_test(s, "out of memory", out_of_memory);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
