/* SPDX-License-Identifier: MIT */
/* names.c - Llama's weights in GGUF files and in SafeTensors directories. The model's own order of
 * rope pairs is adjacent, as in GGUF files; SafeTensors rows of q and k are reordered at load. */
#include "llama.h"

#include <string.h>

static const struct ag_weight_row gguf[] = {
    { .name = "token_embd", .file = { "token_embd.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "output_norm", .file = { "output_norm.weight" } },
    { .name = "output", .file = { "output.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_norm", .file = { "blk.%d.attn_norm.weight" } },
    { .name = "attn_q", .file = { "blk.%d.attn_q.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_k", .file = { "blk.%d.attn_k.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_v", .file = { "blk.%d.attn_v.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_output", .file = { "blk.%d.attn_output.weight" }, .split = AG_SPLIT_COLS },
    { .name = "attn_q.bias", .file = { "blk.%d.attn_q.bias" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_k.bias", .file = { "blk.%d.attn_k.bias" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_v.bias", .file = { "blk.%d.attn_v.bias" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_output.bias", .file = { "blk.%d.attn_output.bias" } },
    { .name = "ffn_norm", .file = { "blk.%d.ffn_norm.weight" } },
    { .name = "ffn_gate", .file = { "blk.%d.ffn_gate.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_up", .file = { "blk.%d.ffn_up.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_down", .file = { "blk.%d.ffn_down.weight" }, .split = AG_SPLIT_COLS },
    { .name = "ffn_gate.bias", .file = { "blk.%d.ffn_gate.bias" }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_up.bias", .file = { "blk.%d.ffn_up.bias" }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_down.bias", .file = { "blk.%d.ffn_down.bias" } },
};

#define LAYER(part) "model.layers.%d." part
static const struct ag_weight_row hf[] = {
    { .name = "token_embd", .file = { "model.embed_tokens.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "output_norm", .file = { "model.norm.weight" } },
    { .name = "output", .file = { "lm_head.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_norm", .file = { LAYER("input_layernorm.weight") } },
    { .name = "attn_q", .file = { LAYER("self_attn.q_proj.weight") }, .split = AG_SPLIT_ROWS,
      .transform = { { .op = AG_TRANSFORM_ROPE_PAIRS } } },
    { .name = "attn_k", .file = { LAYER("self_attn.k_proj.weight") }, .split = AG_SPLIT_ROWS,
      .transform = { { .op = AG_TRANSFORM_ROPE_PAIRS } } },
    { .name = "attn_v", .file = { LAYER("self_attn.v_proj.weight") }, .split = AG_SPLIT_ROWS },
    { .name = "attn_output", .file = { LAYER("self_attn.o_proj.weight") }, .split = AG_SPLIT_COLS },
    { .name = "attn_v.bias", .file = { LAYER("self_attn.v_proj.bias") }, .split = AG_SPLIT_ROWS },
    { .name = "attn_output.bias", .file = { LAYER("self_attn.o_proj.bias") } },
    { .name = "ffn_norm", .file = { LAYER("post_attention_layernorm.weight") } },
    { .name = "ffn_gate", .file = { LAYER("mlp.gate_proj.weight") }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_up", .file = { LAYER("mlp.up_proj.weight") }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_down", .file = { LAYER("mlp.down_proj.weight") }, .split = AG_SPLIT_COLS },
    { .name = "ffn_gate.bias", .file = { LAYER("mlp.gate_proj.bias") }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_up.bias", .file = { LAYER("mlp.up_proj.bias") }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_down.bias", .file = { LAYER("mlp.down_proj.bias") } },
};

_Static_assert(sizeof gguf / sizeof *gguf <= LLAMA_MAX_NAME, "llama.name holds the table");
_Static_assert(sizeof hf / sizeof *hf <= LLAMA_MAX_NAME, "llama.name holds the table");

int llama_weights(void *self, const char *scheme, struct ag_weight_table *out) {
    struct llama *m = self;
    bool is_gguf = strcmp(scheme, "gguf") == 0;
    if (!is_gguf && strcmp(scheme, "hf") != 0 && strcmp(scheme, "mlx") != 0)
        return llama_host->fail(AG_ENOTSUP, "no weight names for files of scheme %s", scheme);
    uint32_t n = is_gguf ? sizeof gguf / sizeof *gguf : sizeof hf / sizeof *hf;
    memcpy(m->name, is_gguf ? gguf : hf, n * sizeof *m->name);
    for (uint32_t i = 0; i < n; i++) /* the transform's reach is a head of this model */
        if (m->name[i].transform[0].op == AG_TRANSFORM_ROPE_PAIRS)
            m->name[i].transform[0].a = m->head_dim;
    out->stride = sizeof *m->name;
    out->n = n;
    out->row = m->name;
    return AG_OK;
}
