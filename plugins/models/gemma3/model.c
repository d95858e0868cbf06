/* SPDX-License-Identifier: MIT */
/* model.c - Gemma 3 (arXiv 2503.19786): pre- and post-norms around attention and feed-forward,
 * normalised queries and keys, five sliding layers to one full layer, tied head.
 * Before it: core/session.c asks for a step. After it: core/graph/lower.c takes the graph apart. */
#include "gemma3.h"

#include <math.h>
#include <string.h>

const struct ag_host *gemma3_host;

static int match(const struct ag_meta *m) {
    static const char *const relative[] = { "gemma", "gemma2", "gemma3n", "gemma3n_text",
                                            "gemma-embedding" };
    if (strcmp(m->arch, "gemma3") == 0 || strcmp(m->arch, "gemma3_text") == 0) return 100;
    for (size_t i = 0; i < sizeof relative / sizeof *relative; i++)
        if (strcmp(m->arch, relative[i]) == 0)
            return gemma3_host->fail(AG_ENOTSUP, "this is a %s model, which computes "
                                     "differently; it wants a plugin of its own", m->arch);
    return 0;
}

static int create(const struct ag_meta *m, void **self) {
    struct gemma3 *g = gemma3_host->alloc(sizeof *g, 64);
    if (!g) return gemma3_host->fail(AG_ENOMEM, "out of memory");
    memset(g, 0, sizeof *g);
    int err = gemma3_config(m, g);
    if (err < 0) {
        gemma3_host->free(g);
        return err;
    }
    *self = g;
    return AG_OK;
}

static void destroy(void *self) { gemma3_host->free(self); }

static int info(void *self, struct ag_model_info *out) {
    const struct gemma3 *g = self;
    struct ag_model_info all = {
        .size = out->size, .n_layer = g->n_layer, .n_embd = g->n_embd, .n_head = g->n_head,
        .n_head_kv = g->n_head_kv, .head_dim = g->head_dim, .n_ff = g->n_ff,
        .n_vocab = g->n_vocab, .ctx_train = g->ctx_train, .rope_theta = g->theta_full,
    };
    memcpy(out, &all, out->size < sizeof all ? out->size : sizeof all);
    return AG_OK;
}

static int states(void *self, struct ag_state_table *out) {
    const struct gemma3 *g = self;
    out->stride = sizeof *g->state;
    out->n = (uint32_t)g->n_layer;
    out->state = g->state;
    return AG_OK;
}

/* What the layers share while the pass is drawn. */
struct pass {
    const struct gemma3 *m;
    struct ag_graph *g;
    const struct ag_build *b;
    ag_ref pos;                     /* [T] */
    ag_ref freq_full, freq_sliding; /* [D/2] */
};

static ag_ref layer_weight(const struct pass *p, const char *name, int il, int64_t d0, int64_t d1) {
    return p->b->weight(p->g, name, il, d0, d1, 1);
}

/* theta^(-2i/D) / factor */
static ag_ref rope_table(const struct pass *p, float theta, float factor) {
    float freq[GEMMA3_MAX_HEAD_DIM / 2];
    int32_t D = p->m->head_dim;
    for (int32_t i = 0; i < D / 2; i++)
        freq[i] = (float)(pow(theta, -2.0 * i / D) / factor);
    return p->b->constant(p->g, freq, D / 2);
}

/* W x as heads, normalised per head: [D, heads, T] */
static ag_ref heads(const struct pass *p, ag_ref x, const char *w, const char *norm, int il,
                    int32_t n_head) {
    const struct ag_build *b = p->b;
    int64_t D = p->m->head_dim, d = p->m->n_embd;
    ag_ref y = b->matmul(p->g, layer_weight(p, w, il, d, D * n_head), x, 0);
    y = b->reshape(p->g, y, D, n_head, AG_DIM_T);
    return norm ? b->rmsnorm(p->g, y, layer_weight(p, norm, il, D, 1), p->m->eps) : y;
}

/* x [d, T] -> [d, T]: softmax(scale q k) v of the layer's own cache */
static ag_ref attention(const struct pass *p, ag_ref x, int il) {
    const struct ag_build *b = p->b;
    const struct gemma3 *m = p->m;
    bool sliding = m->sliding[il];
    ag_ref freq = sliding ? p->freq_sliding : p->freq_full;
    int64_t D = m->head_dim;

    ag_ref q = heads(p, x, "attn_q", "attn_q_norm", il, m->n_head);
    ag_ref k = heads(p, x, "attn_k", "attn_k_norm", il, m->n_head_kv);
    ag_ref v = heads(p, x, "attn_v", NULL, il, m->n_head_kv);
    q = b->tag(p->g, q, AG_TAG_Q_PRE_ROPE, il);
    q = b->rope(p->g, q, p->pos, freq, AG_ROPE_HALF, 0, 1);
    k = b->rope(p->g, k, p->pos, freq, AG_ROPE_HALF, 0, 1);
    ag_ref cache = b->kv_write(p->g, b->state(p->g, (uint32_t)il), k, v);
    ag_ref a = b->attention(p->g, q, cache, 0, m->score_scale, sliding ? m->window : 0,
                            m->score_cap, 0);
    a = b->reshape(p->g, a, D * m->n_head, AG_DIM_T, 1);
    return b->matmul(p->g, layer_weight(p, "attn_output", il, D * m->n_head, m->n_embd), a, 0);
}

/* x [d, T] -> [d, T]: W_down(gelu(W_gate x) * W_up x) */
static ag_ref feed_forward(const struct pass *p, ag_ref x, int il) {
    const struct ag_build *b = p->b;
    int64_t d = p->m->n_embd, F = p->m->n_ff;
    ag_ref gate = b->matmul(p->g, layer_weight(p, "ffn_gate", il, d, F), x, 0);
    ag_ref up = b->matmul(p->g, layer_weight(p, "ffn_up", il, d, F), x, 0);
    ag_ref h = b->glu(p->g, gate, up, AG_UNARY_GELU_TANH);
    return b->matmul(p->g, layer_weight(p, "ffn_down", il, F, d), h, 0);
}

static ag_ref layer(const struct pass *p, ag_ref x, int il) {
    const struct ag_build *b = p->b;
    int64_t d = p->m->n_embd;
    double eps = p->m->eps;
    ag_ref n = b->rmsnorm(p->g, x, layer_weight(p, "attn_norm", il, d, 1), eps);
    ag_ref a = attention(p, n, il);
    ag_ref h = b->add_rmsnorm(p->g, x, a, layer_weight(p, "post_attention_norm", il, d, 1), eps);
    n = b->rmsnorm(p->g, h, layer_weight(p, "ffn_norm", il, d, 1), eps);
    ag_ref f = feed_forward(p, n, il);
    ag_ref y = b->add_rmsnorm(p->g, h, f, layer_weight(p, "post_ffw_norm", il, d, 1), eps);
    return b->tag(p->g, y, AG_TAG_LAYER_OUT, il);
}

/* The rows asked for, x [d, T] -> logits [V, R]; the embedding is the head unless there is one. */
static void head(const struct pass *p, ag_ref x, ag_ref embedding) {
    const struct ag_build *b = p->b;
    const struct gemma3 *m = p->m;
    x = b->get_rows(p->g, x, b->input(p->g, AG_INPUT_OUT_ROW), 1);
    x = b->rmsnorm(p->g, x, b->weight(p->g, "output_norm", -1, m->n_embd, 1, 1), m->eps);
    x = b->tag(p->g, x, AG_TAG_HIDDEN, -1);
    ag_ref w = b->has(p->g, "output", -1) ? b->weight(p->g, "output", -1, m->n_embd, m->n_vocab, 1)
                                          : embedding;
    x = b->softcap(p->g, b->matmul(p->g, w, x, 0), m->logit_cap);
    b->tag(p->g, x, AG_TAG_LOGITS, -1);
}

static int build(void *self, struct ag_graph *g, const struct ag_build *b, const struct ag_pass *pass) {
    const struct gemma3 *m = self;
    if (pass->role != AG_ROLE_TEXT)
        return gemma3_host->fail(AG_ENOTSUP, "only the text model can be run");
    if (pass->layer_first != 0 || pass->layer_end < 0 || pass->layer_end > m->n_layer)
        return gemma3_host->fail(AG_ENOTSUP, "layers %d to %d of %d: want a range from 0",
                                 pass->layer_first, pass->layer_end, m->n_layer);
    struct pass p = { .m = m, .g = g, .b = b, .pos = b->input(g, AG_INPUT_POS) };
    p.freq_full = rope_table(&p, m->theta_full, m->rope_factor);
    p.freq_sliding = rope_table(&p, m->theta_sliding, 1);

    ag_ref embedding = b->weight(g, "token_embd", -1, m->n_embd, m->n_vocab, 1);
    ag_ref x = b->get_rows(g, embedding, b->input(g, AG_INPUT_TOKEN), sqrt(m->n_embd));
    x = b->tag(g, x, AG_TAG_EMBED, -1);
    for (int il = 0; il < pass->layer_end; il++) x = layer(&p, x, il);
    if (pass->layer_end == m->n_layer) head(&p, x, embedding);
    return AG_OK;
}

static const struct ag_chat chat = {
    .size = sizeof chat,
    .flags = AG_CHAT_SYSTEM_IN_USER | AG_CHAT_TRIM,
    .name = "gemma3",
    .marker = "<start_of_turn>",
    .start = "<bos>",
    .begin = "<start_of_turn>",
    .middle = "\n",
    .end = "<end_of_turn>\n",
    .user = "user",
    .assistant = "model",
    .answer = "<start_of_turn>model\n",
    .eog = (const char *const[]){ "<end_of_turn>", "<eos>", NULL },
};
static const struct ag_recipe recipe = {
    .size = sizeof recipe,
    .name = "Gemma Q4 Metal",
    .backend = "metal",
    .quant = "Q4",
    .temperature = 0.7,
    .top_p = 0.95,
    .repeat_penalty = 1.05,
    .max_tokens = 1024,
};

static const struct ag_model model = {
    .size = sizeof model,
    .match = match,
    .create = create,
    .destroy = destroy,
    .info = info,
    .weights = gemma3_weights,
    .states = states,
    .build = build,
    .chat = (const struct ag_chat *const[]){ &chat, NULL },
    .recipe = (const struct ag_recipe *const[]){ &recipe, NULL },
};

static int init(const struct ag_host *host) {
    gemma3_host = host;
    return AG_OK;
}

AG_PLUGIN(MODEL, "gemma3", "1.0", "MIT", "arch=gemma3 arch=gemma3_text relative=gemma relative=gemma2 relative=gemma3n "
          "relative=gemma3n_text relative=gemma-embedding", &model, .init = init);
