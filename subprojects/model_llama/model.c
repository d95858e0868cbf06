/* SPDX-License-Identifier: MIT */
/* model.c - Llama (arXiv 2302.13971): RMS norms before attention and feed-forward, rope on adjacent
 * pairs, grouped queries, SiLU-gated feed-forward. */
#include "llama.h"

#include <math.h>
#include <string.h>

const struct ag_host *llama_host;

static int match(const struct ag_meta *m) {
    static const char *const relative[] = { "llama4", "llama4_text", "mllama", "mllama_text_model",
                                            "mistral", "mixtral", "llama-embed" };
    if (strcmp(m->arch, "llama") == 0) return 100;
    for (size_t i = 0; i < sizeof relative / sizeof *relative; i++)
        if (strcmp(m->arch, relative[i]) == 0)
            return llama_host->fail(AG_ENOTSUP, "this is a %s model, which computes differently; it "
                                    "wants a plugin of its own", m->arch);
    return 0;
}

static int create(const struct ag_meta *m, void **self) {
    struct llama *g = llama_host->alloc(sizeof *g, 64);
    if (!g) return llama_host->fail(AG_ENOMEM, "out of memory");
    memset(g, 0, sizeof *g);
    int err = llama_config(m, g);
    if (err < 0) {
        llama_host->free(g);
        return err;
    }
    *self = g;
    return AG_OK;
}

static void destroy(void *self) { llama_host->free(self); }

static int info(void *self, struct ag_model_info *out) {
    const struct llama *g = self;
    struct ag_model_info all = {
        .size = out->size, .n_layer = g->n_layer, .n_embd = g->n_embd, .n_head = g->n_head,
        .n_head_kv = g->n_head_kv, .head_dim = g->head_dim, .n_ff = g->n_ff,
        .n_vocab = g->n_vocab, .ctx_train = g->ctx_train, .rope_theta = g->theta,
    };
    memcpy(out, &all, out->size < sizeof all ? out->size : sizeof all);
    return AG_OK;
}

static int states(void *self, struct ag_state_table *out) {
    const struct llama *g = self;
    out->stride = sizeof *g->state;
    out->n = (uint32_t)g->n_layer;
    out->state = g->state;
    return AG_OK;
}

/* What the layers share while the pass is drawn. */
struct pass {
    const struct llama *m;
    struct ag_graph *g;
    const struct ag_build *b;
    ag_ref pos;  /* [T] */
    ag_ref freq; /* [n_rot/2] */
};

/* W x (+ bias): [K, T] -> [N, T] */
static ag_ref linear(const struct pass *p, ag_ref x, const char *name, const char *bias, int il, int64_t K,
                     int64_t N) {
    const struct ag_build *b = p->b;
    ag_ref w = b->weight(p->g, name, il, K, N, 1);
    ag_ref add = b->has(p->g, bias, il) ? b->weight(p->g, bias, il, N, 1, 1) : 0;
    return b->matmul(p->g, w, x, add);
}

static ag_ref norm(const struct pass *p, ag_ref x, const char *name, int il) {
    return p->b->rmsnorm(p->g, x, p->b->weight(p->g, name, il, p->m->n_embd, 1, 1), p->m->eps);
}

/* x [d, T] -> [d, T]: softmax(q k / sqrt(D)) v of the layer's own cache */
static ag_ref attention(const struct pass *p, ag_ref x, int il) {
    const struct ag_build *b = p->b;
    const struct llama *m = p->m;
    int64_t D = m->head_dim, d = m->n_embd, H = m->n_head, Hkv = m->n_head_kv;

    ag_ref q = linear(p, x, "attn_q", "attn_q.bias", il, d, D * H);
    ag_ref k = linear(p, x, "attn_k", "attn_k.bias", il, d, D * Hkv);
    ag_ref v = linear(p, x, "attn_v", "attn_v.bias", il, d, D * Hkv);
    q = b->tag(p->g, b->reshape(p->g, q, D, H, AG_DIM_T), AG_TAG_Q_PRE_ROPE, il);
    q = b->rope(p->g, q, p->pos, p->freq, AG_ROPE_ADJACENT, 0, 1);
    k = b->reshape(p->g, k, D, Hkv, AG_DIM_T);
    k = b->rope(p->g, k, p->pos, p->freq, AG_ROPE_ADJACENT, 0, 1);
    v = b->reshape(p->g, v, D, Hkv, AG_DIM_T);
    ag_ref cache = b->kv_write(p->g, b->state(p->g, (uint32_t)il), k, v);
    ag_ref a = b->attention(p->g, q, cache, 0, 1 / sqrt((double)D), 0, 0, 0);
    a = b->reshape(p->g, a, D * H, AG_DIM_T, 1);
    return linear(p, a, "attn_output", "attn_output.bias", il, D * H, d);
}

/* x [d, T] -> [d, T]: W_down(silu(W_gate x) * W_up x) */
static ag_ref feed_forward(const struct pass *p, ag_ref x, int il) {
    int64_t d = p->m->n_embd, F = p->m->n_ff;
    ag_ref gate = linear(p, x, "ffn_gate", "ffn_gate.bias", il, d, F);
    ag_ref up = linear(p, x, "ffn_up", "ffn_up.bias", il, d, F);
    ag_ref h = p->b->glu(p->g, gate, up, AG_UNARY_SILU);
    return linear(p, h, "ffn_down", "ffn_down.bias", il, F, d);
}

static ag_ref layer(const struct pass *p, ag_ref x, int il) {
    ag_ref h = p->b->add(p->g, x, attention(p, norm(p, x, "attn_norm", il), il));
    ag_ref y = p->b->add(p->g, h, feed_forward(p, norm(p, h, "ffn_norm", il), il));
    return p->b->tag(p->g, y, AG_TAG_LAYER_OUT, il);
}

/* The rows asked for, x [d, T] -> logits [V, R]; the embedding is the head unless there is one. */
static void head(const struct pass *p, ag_ref x, ag_ref embedding) {
    const struct ag_build *b = p->b;
    x = b->get_rows(p->g, x, b->input(p->g, AG_INPUT_OUT_ROW), 1);
    x = b->tag(p->g, norm(p, x, "output_norm", -1), AG_TAG_HIDDEN, -1);
    ag_ref w = b->has(p->g, "output", -1) ? b->weight(p->g, "output", -1, p->m->n_embd, p->m->n_vocab, 1)
                                          : embedding;
    b->tag(p->g, b->matmul(p->g, w, x, 0), AG_TAG_LOGITS, -1);
}

static int build(void *self, struct ag_graph *g, const struct ag_build *b, const struct ag_pass *pass) {
    const struct llama *m = self;
    if (pass->role != AG_ROLE_TEXT)
        return llama_host->fail(AG_ENOTSUP, "only the text model can be run");
    if (pass->layer_first != 0 || pass->layer_end < 0 || pass->layer_end > m->n_layer)
        return llama_host->fail(AG_ENOTSUP, "layers %d to %d of %d: want a range from 0",
                                pass->layer_first, pass->layer_end, m->n_layer);
    struct pass p = { .m = m, .g = g, .b = b, .pos = b->input(g, AG_INPUT_POS),
                      .freq = b->constant(g, m->freq, m->n_rot / 2) };
    ag_ref embedding = b->weight(g, "token_embd", -1, m->n_embd, m->n_vocab, 1);
    ag_ref x = b->get_rows(g, embedding, b->input(g, AG_INPUT_TOKEN), 1);
    x = b->tag(g, x, AG_TAG_EMBED, -1);
    for (int il = 0; il < pass->layer_end; il++) x = layer(&p, x, il);
    if (pass->layer_end == m->n_layer) head(&p, x, embedding);
    return AG_OK;
}

static const struct ag_chat chatml = {
    .size = sizeof chatml,
    .name = "chatml",
    .marker = "<|im_start|>",
    .begin = "<|im_start|>",
    .middle = "\n",
    .end = "<|im_end|>\n",
    .system = "system",
    .user = "user",
    .assistant = "assistant",
    .answer = "<|im_start|>assistant\n",
    .eog = (const char *const[]){ "<|im_end|>", "<|endoftext|>", NULL },
};
static const struct ag_chat llama3 = {
    .size = sizeof llama3,
    .flags = AG_CHAT_TRIM,
    .name = "llama3",
    .marker = "<|start_header_id|>",
    .start = "<|begin_of_text|>",
    .begin = "<|start_header_id|>",
    .middle = "<|end_header_id|>\n\n",
    .end = "<|eot_id|>",
    .system = "system",
    .user = "user",
    .assistant = "assistant",
    .answer = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .eog = (const char *const[]){ "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", NULL },
};

static const struct ag_model model = {
    .size = sizeof model,
    .match = match,
    .create = create,
    .destroy = destroy,
    .info = info,
    .weights = llama_weights,
    .states = states,
    .build = build,
    .chat = (const struct ag_chat *const[]){ &chatml, &llama3, NULL },
};

static int init(const struct ag_host *host) {
    llama_host = host;
    return AG_OK;
}

AG_PLUGIN(MODEL, "llama", "1.0", "MIT", "arch=llama", &model, .init = init);
