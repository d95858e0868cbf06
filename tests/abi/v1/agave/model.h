/* SPDX-License-Identifier: MIT */
/* model.h - an architecture: names its weights, declares its state, draws its pass.
 *
 * No code of a model runs per token. Thread: one at a time per object. */
#ifndef AGAVE_MODEL_H
#define AGAVE_MODEL_H

#include <agave/backend.h>

/* Hyper-parameters, read by table. A key is looked up in GGUF files as "<architecture>.<gguf>" (or
 * as it stands when it begins with '/'), in SafeTensors directories as <hf> in config.json: in
 * text_config first when there is one, then at the top; "a/b" descends. Either may be NULL. */
enum ag_param_type {
    AG_PARAM_I32 = 1,  /* int32_t */
    AG_PARAM_F32 = 2,  /* float; integers are taken */
    AG_PARAM_BOOL = 3, /* bool */
};
enum ag_param_flags { AG_PARAM_REQUIRED = 1 }; /* else the field keeps what it holds */

struct ag_param_row {
    const char *gguf, *hf;
    uint32_t type, flags;
    size_t offset;   /* of the field in the struct that is filled */
    double min, max; /* a number outside is an error that names key and range; both 0 = any */
};

/* What is known of a model file. Pointers live as long as the model object. */
struct ag_meta {
    uint32_t size;
    uint32_t pad;
    void *ctx;
    const char *arch;   /* general.architecture or model_type (of text_config when there is one) */
    const char *scheme; /* "gguf", "hf", "mlx" */
    int (*params)(const struct ag_meta *, const struct ag_param_row *rows, uint32_t n, void *fill);
    /* One value; the key rules are those of ag_param_row. */
    bool (*value)(const struct ag_meta *, const char *gguf, const char *hf, struct ag_value *out);
    /* A tensor by its name in the file; false when absent. */
    bool (*tensor)(const struct ag_meta *, const char *name, struct ag_tensor *out);
    /* Copies a small tensor (at most 64 KiB as f32) out, dequantised; n = elements wanted. */
    int (*read)(const struct ag_meta *, const char *name, float *to, uint64_t n);
};

/* What the host does to a file's tensor before the model's graph sees it, once, at load. */
enum ag_transform_op {
    AG_TRANSFORM_NONE = 0,
    AG_TRANSFORM_ADD = 1,        /* f to each element; float types */
    AG_TRANSFORM_ROWS = 2,       /* rows a .. a + b of dim 1 (fused tensors) */
    AG_TRANSFORM_ROPE_PAIRS = 3, /* per head of a rows: row j of the result is row j/2 + (j odd ? a/2 : 0):
                                  * half pairs become adjacent ones */
    AG_TRANSFORM_NEG_EXP = 4,    /* -exp(x) per element; float types */
    AG_TRANSFORM_SQUEEZE = 5,    /* dims of 1 go */
};
struct ag_transform { uint32_t op, pad; int64_t a, b; double f; };

/* How a weight may be split across ranks, and where it may live. */
enum ag_split { AG_SPLIT_NONE = 0, AG_SPLIT_ROWS = 1, AG_SPLIT_COLS = 2, AG_SPLIT_EXPERTS = 3 };
enum ag_place { AG_PLACE_DEVICE = 0, AG_PLACE_HOST_ROWS = 1 /* gathered rows, table on the host */ };

enum { AG_MAX_ALT = 4, AG_MAX_TRANSFORM = 3 };

/* A weight: its logical name and the names it has in files of one scheme, tried in order. "%d" in a
 * file name is the layer. */
struct ag_weight_row {
    const char *name;
    const char *file[AG_MAX_ALT];
    struct ag_transform transform[AG_MAX_TRANSFORM];
    uint32_t split, place;
};
struct ag_weight_table {
    uint32_t size, stride, n, pad;
    const struct ag_weight_row *row;
};
struct ag_state_table {
    uint32_t size, stride, n, pad;
    const struct ag_state *state;
};

enum ag_role { AG_ROLE_TEXT = 1, AG_ROLE_VISION = 2, AG_ROLE_MTP = 3, AG_ROLE_DRAFT = 4 };

/* What build() draws: a role, and which layers of it. */
struct ag_pass {
    uint32_t size;
    uint32_t role;
    int32_t layer_first, layer_end; /* embedding iff first = 0, head iff end = n_layer */
};

/* Sizes everyone asks for. */
struct ag_model_info {
    uint32_t size;
    int32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab; /* n_vocab: rows of logits */
    int32_t ctx_train; /* 0 = unknown */
    int32_t n_expert, n_expert_used;
    float rope_theta;
};

/* How a conversation becomes a prompt, for files without a template of their own: turns of
 *   begin + role name + middle + content + end
 * in order. Content is trimmed and encoded as plain text; all else may hold control tokens. */
enum ag_chat_flags {
    AG_CHAT_SYSTEM_IN_USER = 1, /* no system turn: its text and a blank line open the first user turn */
    AG_CHAT_MERGE_TURNS = 2,    /* neighbours of one role become one turn */
    AG_CHAT_TRIM = 4,           /* white space around contents goes */
};
struct ag_chat {
    uint32_t size;
    uint32_t flags;
    const char *name;   /* "gemma3" */
    const char *marker; /* a file's own template that holds this text is of this form */
    const char *start;  /* before the first turn; NULL = none */
    const char *begin, *middle, *end;
    const char *system, *user, *assistant; /* role names; system NULL only with SYSTEM_IN_USER */
    const char *answer; /* opens the model's turn */
    const char *const *eog; /* texts of tokens that end an answer; NULL-terminated */
    const char *think_begin, *think_end; /* reasoning marks; NULL = none */
};

/* A preset of generation options; see the manual. Unset numbers are NAN or 0. */
struct ag_recipe {
    uint32_t size;
    uint32_t pad;
    const char *name, *backend, *quant; /* backend and prefix of the quantisation; NULL = any */
    double temperature, top_p, repeat_penalty;
    int32_t max_tokens, ctx_size;
};

struct ag_model {
    uint32_t size;
    uint32_t pad;
    /* > 0: mine, the greater the surer; 0: not mine; < 0 with a text: a relative that is refused. */
    int (*match)(const struct ag_meta *);
    int (*create)(const struct ag_meta *, void **self);
    void (*destroy)(void *self); /* NULL is fine */
    int (*info)(void *self, struct ag_model_info *out); /* out->size set by the caller */
    /* Table for the file's scheme; lives as long as self. */
    int (*weights)(void *self, const char *scheme, struct ag_weight_table *out);
    int (*states)(void *self, struct ag_state_table *out);
    int (*build)(void *self, struct ag_graph *, const struct ag_build *, const struct ag_pass *);
    const struct ag_chat *const *chat;     /* NULL-terminated, best first; may be NULL */
    const struct ag_recipe *const *recipe; /* NULL-terminated; may be NULL */
    const struct ag_private_op *const *private_op; /* NULL-terminated; may be NULL */
};

#endif
