/* SPDX-License-Identifier: MIT */
/* The Llama plugin lives outside of this build: its files are compiled as part of this one. */
#include "config.c"
#include "model.c"
#include "names.c"

#include "fake.h"
#include "util/error.h"
#include "util/host_services.h"

#include <CUnit/Basic.h>
#include <stdio.h>

static const struct fake_entry keys[] = {
    INT("block_count", 2), INT("embedding_length", 96), INT("attention.head_count", 6),
    INT("attention.head_count_kv", 2), INT("feed_forward_length", 256), INT("context_length", 2048),
    FLT("attention.layer_norm_rms_epsilon", 1e-5), FLT("rope.freq_base", 1e5), END,
};
static const struct fake_entry config[] = {
    INT("num_hidden_layers", 2), INT("hidden_size", 96), INT("num_attention_heads", 6),
    INT("num_key_value_heads", 2), INT("intermediate_size", 256), INT("max_position_embeddings", 2048),
    FLT("rms_norm_eps", 1e-5), STR("hidden_act", "silu"), BOO("attention_bias", 0), END,
};
static const struct fake_tensor key_tensor[] = { { "token_embd.weight", 96, 512, NULL }, { NULL, 0, 0, NULL } };
static const struct fake_tensor config_tensor[] = { { "model.embed_tokens.weight", 96, 512, NULL },
                                                    { NULL, 0, 0, NULL } };

/* The rope table of a file: the caller frees. */
static struct llama *read_config(const char *scheme, const struct fake_entry *own) {
    struct fake f;
    void *self = NULL;
    bool gguf_file = strcmp(scheme, "gguf") == 0;
    fake_init(&f, "llama", scheme, own, gguf_file ? keys : config, gguf_file ? key_tensor : config_tensor);
    CU_ASSERT_EQUAL_FATAL(model.create(&f.meta, &self), AG_OK);
    return self;
}

static void both_schemes(void) {
    static const struct fake_entry theta[] = { FLT("rope_theta", 1e5), END };
    static const struct fake_entry nested[] = { FLT("rope_parameters/rope_theta", 1e5),
                                                STR("rope_parameters/rope_type", "default"), END };
    struct llama *a = read_config("gguf", NULL), *b = read_config("hf", theta), *c = read_config("hf", nested);
    CU_ASSERT_EQUAL(memcmp(a->freq, b->freq, sizeof a->freq), 0);
    CU_ASSERT_EQUAL(memcmp(a->freq, c->freq, sizeof a->freq), 0);
    CU_ASSERT(a->head_dim == 16 && b->head_dim == 16 && a->n_rot == 16 && a->n_vocab == 512);
    CU_ASSERT_DOUBLE_EQUAL(a->freq[0], 1, 1e-7);
    CU_ASSERT_DOUBLE_EQUAL(a->freq[4], 1 / sqrt(1e5), 1e-9);
    destroy(a);
    destroy(b);
    destroy(c);
}

/* Worked out from the paper's three ranges: wave lengths below, between and above. */
static void llama3_rope(void) {
    static const struct fake_entry own[] = {
        FLT("rope_theta", 1e5), STR("rope_scaling/rope_type", "llama3"), FLT("rope_scaling/factor", 8),
        FLT("rope_scaling/low_freq_factor", 1), FLT("rope_scaling/high_freq_factor", 4),
        INT("rope_scaling/original_max_position_embeddings", 64), END,
    };
    static const struct fake_entry lacking[] = { STR("rope_scaling/rope_type", "llama3"), END };
    struct llama *m = read_config("hf", own);
    double f1 = pow(1e5, -1.0 / 8), turns = 64 * f1 / 6.283185307179586, keep = (turns - 1) / 3;
    CU_ASSERT_DOUBLE_EQUAL(m->freq[0], 1, 1e-7);
    CU_ASSERT(keep > 0 && keep < 1);
    CU_ASSERT_DOUBLE_EQUAL(m->freq[1], f1 * ((1 - keep) / 8 + keep), 1e-7);
    CU_ASSERT_DOUBLE_EQUAL(m->freq[7], pow(1e5, -7.0 / 8) / 8, 1e-11);
    destroy(m);
    struct fake f;
    void *self = NULL;
    fake_init(&f, "llama", "hf", lacking, config, config_tensor);
    CU_ASSERT_EQUAL(model.create(&f.meta, &self), AG_EFORMAT);
}

static void divisors(void) {
    static const float by[8] = { 1, 2, 4, 8, 16, 32, 64, 1e30f }, zero[8] = { 1, 0 };
    const struct fake_tensor with[] = { key_tensor[0], { "rope_freqs.weight", 8, 1, by }, { NULL, 0, 0, NULL } };
    const struct fake_tensor bad[] = { key_tensor[0], { "rope_freqs.weight", 8, 1, zero }, { NULL, 0, 0, NULL } };
    const struct fake_tensor odd[] = { key_tensor[0], { "rope_freqs.weight", 4, 1, by }, { NULL, 0, 0, NULL } };
    struct fake f;
    void *self = NULL;
    fake_init(&f, "llama", "gguf", NULL, keys, with);
    CU_ASSERT_EQUAL_FATAL(model.create(&f.meta, &self), AG_OK);
    const struct llama *m = self;
    CU_ASSERT_DOUBLE_EQUAL(m->freq[3], pow(1e5, -3.0 / 8) / 8, 1e-9);
    CU_ASSERT(m->freq[7] < 1e-30f);
    destroy(self);
    fake_init(&f, "llama", "gguf", NULL, keys, bad);
    CU_ASSERT_EQUAL(model.create(&f.meta, &self), AG_EFORMAT);
    fake_init(&f, "llama", "gguf", NULL, keys, odd);
    CU_ASSERT_EQUAL(model.create(&f.meta, &self), AG_EFORMAT);
}

static void graph(void) {
    static const char *const has[] = { "attn_q.bias", "output", NULL };
    struct fake f;
    void *self;
    struct ag_graph *g;
    fake_init(&f, "llama", "gguf", NULL, keys, key_tensor);
    f.has = has;
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, &model, &self, &g), AG_OK);
    CU_ASSERT(fake_asked(&f, "attn_q 96x96") && fake_asked(&f, "attn_q.bias 96x1"));
    CU_ASSERT(fake_asked(&f, "attn_k 96x32") && !fake_asked(&f, "attn_k.bias 32x1"));
    CU_ASSERT(fake_asked(&f, "output 96x512"));
    int ropes = 0;
    for (ag_ref i = 1; i < g->n; i++) {
        if (g->node[i].op != AG_OP_ROPE) continue;
        CU_ASSERT_EQUAL(g->node[i].param[AG_P_ROPE_PAIRS].i, AG_ROPE_ADJACENT);
        ropes++;
    }
    CU_ASSERT_EQUAL(ropes, 4);
    graph_free(g);
    destroy(self);
    /* the reordering of SafeTensors rows knows the head dim */
    fake_init(&f, "llama", "hf", NULL, config, config_tensor);
    CU_ASSERT_EQUAL_FATAL(fake_draw(&f, &model, &self, &g), AG_OK);
    int reordered = 0;
    for (uint32_t i = 0; i < f.weights.n; i++) {
        const struct ag_transform *t = f.weights.row[i].transform;
        reordered += t->op == AG_TRANSFORM_ROPE_PAIRS && t->a == 16;
    }
    CU_ASSERT_EQUAL(reordered, 2);
    graph_free(g);
    destroy(self);
}

static void bad_configs(void) {
    static const struct { const char *scheme; struct fake_entry own[2]; int code; const char *text; } bad[] = {
        { "gguf", { INT("block_count", 0), END }, AG_EFORMAT, "block_count" },
        { "gguf", { INT("attention.head_count", 5), END }, AG_EFORMAT, "width 96 is no multiple of 5 heads" },
        { "gguf", { INT("attention.head_count_kv", 4), END }, AG_EFORMAT, "no multiple of 4 KV heads" },
        { "gguf", { INT("attention.key_length", 17), END }, AG_EFORMAT, "head dims 17 and 17" },
        { "gguf", { INT("rope.dimension_count", 18), END }, AG_EFORMAT, "rope of 18 dims in heads of 16" },
        { "gguf", { INT("rope.dimension_count", 7), END }, AG_EFORMAT, "rope of 7 dims" },
        { "gguf", { INT("expert_count", 8), END }, AG_ENOTSUP, "8 experts" },
        { "gguf", { INT("attention.sliding_window", 4096), END }, AG_ENOTSUP, "sliding_window is 4096" },
        { "gguf", { STR("rope.scaling.type", "yarn"), END }, AG_ENOTSUP, "\"yarn\"" },
        { "gguf", { { .key = "attention.layer_norm_rms_epsilon" }, END }, AG_EFORMAT, "epsilon" },
        { "hf", { STR("rope_scaling/type", "dynamic"), END }, AG_ENOTSUP, "\"dynamic\"" },
        { "hf", { STR("rope_parameters/rope_type", "longrope"), END }, AG_ENOTSUP, "\"longrope\"" },
        { "hf", { STR("hidden_act", "gelu"), END }, AG_ENOTSUP, "hidden_act is \"gelu\"" },
        { "hf", { BOO("attention_bias", 1), END }, AG_ENOTSUP, "attention_bias" },
        { "hf", { FLT("partial_rotary_factor", 0.5), END }, AG_ENOTSUP, "partial_rotary_factor is 0.5" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fake f;
        bool is = strcmp(bad[i].scheme, "gguf") == 0;
        void *self = NULL;
        fake_init(&f, "llama", bad[i].scheme, bad[i].own, is ? keys : config, is ? key_tensor : config_tensor);
        CU_ASSERT_EQUAL(model.create(&f.meta, &self), bad[i].code);
        if (!strstr(fail_text(), bad[i].text)) {
            fprintf(stderr, "want \"%s\", got \"%s\"\n", bad[i].text, fail_text());
            CU_FAIL("other text");
        }
    }
    struct fake f;
    fake_init(&f, "mixtral", "hf", NULL, config, config_tensor);
    CU_ASSERT(match(&f.meta) < 0);
    f.meta.arch = "gemma3";
    CU_ASSERT_EQUAL(match(&f.meta), 0);
}

int main(void) {
    init(host_services());
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("model_llama", NULL, NULL);
    CU_add_test(s, "both schemes", both_schemes);
    CU_add_test(s, "llama3 rope", llama3_rope);
    CU_add_test(s, "divisors", divisors);
    CU_add_test(s, "graph", graph);
    CU_add_test(s, "bad configs", bad_configs);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
