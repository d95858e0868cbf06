/* SPDX-License-Identifier: MIT */
/* names.c - Gemma 3's weights in GGUF files and in SafeTensors directories, whose prefix is that of
 * the text model alone, of newer and of older files with a vision tower. SafeTensors norms hold w
 * where the model multiplies by 1 + w; GGUF files hold 1 + w. */
#include "gemma3.h"

#include <string.h>

#define HF(name) { "model." name, "model.language_model." name, "language_model.model." name }
#define PLUS_ONE { { .op = AG_TRANSFORM_ADD, .f = 1 } }

static const struct ag_weight_row gguf[] = {
    { .name = "token_embd", .file = { "token_embd.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "output_norm", .file = { "output_norm.weight" } },
    { .name = "attn_norm", .file = { "blk.%d.attn_norm.weight" } },
    { .name = "attn_q", .file = { "blk.%d.attn_q.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_k", .file = { "blk.%d.attn_k.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_v", .file = { "blk.%d.attn_v.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "attn_q_norm", .file = { "blk.%d.attn_q_norm.weight" } },
    { .name = "attn_k_norm", .file = { "blk.%d.attn_k_norm.weight" } },
    { .name = "attn_output", .file = { "blk.%d.attn_output.weight" }, .split = AG_SPLIT_COLS },
    { .name = "post_attention_norm", .file = { "blk.%d.post_attention_norm.weight" } },
    { .name = "ffn_norm", .file = { "blk.%d.ffn_norm.weight" } },
    { .name = "ffn_gate", .file = { "blk.%d.ffn_gate.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_up", .file = { "blk.%d.ffn_up.weight" }, .split = AG_SPLIT_ROWS },
    { .name = "ffn_down", .file = { "blk.%d.ffn_down.weight" }, .split = AG_SPLIT_COLS },
    { .name = "post_ffw_norm", .file = { "blk.%d.post_ffw_norm.weight" } },
    { .name = "output", .file = { "output.weight" }, .split = AG_SPLIT_ROWS },
};

static const struct ag_weight_row hf[] = {
    { .name = "token_embd", .file = HF("embed_tokens.weight"), .split = AG_SPLIT_ROWS },
    { .name = "output_norm", .file = HF("norm.weight"),
      .transform = PLUS_ONE },
    { .name = "attn_norm", .file = HF("layers.%d.input_layernorm.weight"),
      .transform = PLUS_ONE },
    { .name = "attn_q", .file = HF("layers.%d.self_attn.q_proj.weight"), .split = AG_SPLIT_ROWS },
    { .name = "attn_k", .file = HF("layers.%d.self_attn.k_proj.weight"), .split = AG_SPLIT_ROWS },
    { .name = "attn_v", .file = HF("layers.%d.self_attn.v_proj.weight"), .split = AG_SPLIT_ROWS },
    { .name = "attn_q_norm", .file = HF("layers.%d.self_attn.q_norm.weight"),
      .transform = PLUS_ONE },
    { .name = "attn_k_norm", .file = HF("layers.%d.self_attn.k_norm.weight"),
      .transform = PLUS_ONE },
    { .name = "attn_output", .file = HF("layers.%d.self_attn.o_proj.weight"),
      .split = AG_SPLIT_COLS },
    { .name = "post_attention_norm", .file = HF("layers.%d.post_attention_layernorm.weight"),
      .transform = PLUS_ONE },
    { .name = "ffn_norm", .file = HF("layers.%d.pre_feedforward_layernorm.weight"),
      .transform = PLUS_ONE },
    { .name = "ffn_gate", .file = HF("layers.%d.mlp.gate_proj.weight"), .split = AG_SPLIT_ROWS },
    { .name = "ffn_up", .file = HF("layers.%d.mlp.up_proj.weight"), .split = AG_SPLIT_ROWS },
    { .name = "ffn_down", .file = HF("layers.%d.mlp.down_proj.weight"), .split = AG_SPLIT_COLS },
    { .name = "post_ffw_norm", .file = HF("layers.%d.post_feedforward_layernorm.weight"),
      .transform = PLUS_ONE },
    { .name = "output", .file = { "lm_head.weight", "language_model.lm_head.weight" },
      .split = AG_SPLIT_ROWS },
};

int gemma3_weights(void *self, const char *scheme, struct ag_weight_table *out) {
    (void)self;
    bool is_gguf = strcmp(scheme, "gguf") == 0;
    if (!is_gguf && strcmp(scheme, "hf") != 0 && strcmp(scheme, "mlx") != 0)
        return gemma3_host->fail(AG_ENOTSUP, "no weight names for files of scheme %s", scheme);
    out->stride = sizeof(struct ag_weight_row);
    out->row = is_gguf ? gguf : hf;
    out->n = is_gguf ? sizeof gguf / sizeof *gguf : sizeof hf / sizeof *hf;
    return AG_OK;
}
