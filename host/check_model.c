/* SPDX-License-Identifier: MIT */
/* check_model.c - a model plugin on made-up metadata: matches what it provides, refuses what is missing,
 * and draws graphs that hold together. */
#include "plugin_check.h"

#include "graph/build.h"
#include "util/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 64, VOCAB = 96 };
/* What some architectures have and others refuse. */
enum { WINDOW = 1, EXPERTS = 2 };

/* Values of a tiny transformer, by the last part of the key in GGUF files or in config.json. */
static const struct { const char *gguf, *hf; double value; unsigned trait; } known[] = {
    { "block_count", "num_hidden_layers", 4, 0 },
    { "embedding_length", "hidden_size", WIDTH, 0 },
    { "feed_forward_length", "intermediate_size", 128, 0 },
    { "attention.head_count", "num_attention_heads", 4, 0 },
    { "attention.head_count_kv", "num_key_value_heads", 2, 0 },
    { "attention.key_length", "head_dim", 16, 0 },
    { "attention.value_length", "v_head_dim", 16, 0 },
    { "context_length", "max_position_embeddings", 256, 0 },
    { "vocab_size", "vocab_size", VOCAB, 0 },
    { "attention.sliding_window", "sliding_window", 32, WINDOW },
    { "attention.layer_norm_rms_epsilon", "rms_norm_eps", 1e-5, 0 },
    { "attention.layer_norm_epsilon", "layer_norm_eps", 1e-5, 0 },
    { "rope.freq_base", "rope_theta", 10000, 0 },
    { "rope.dimension_count", "rotary_dim", 16, 0 },
    { "expert_count", "num_experts", 4, EXPERTS },
    { "expert_count", "num_local_experts", 4, EXPERTS },
    { "expert_used_count", "num_experts_per_tok", 2, EXPERTS },
    { "expert_feed_forward_length", "moe_intermediate_size", 32, EXPERTS },
};

struct fake {
    bool empty;
    unsigned traits;
};

static bool same_tail(const char *key, const char *tail) {
    size_t n = strlen(key), t = strlen(tail);
    return n >= t && !strcmp(key + n - t, tail) && (n == t || key[n - t - 1] == '.' || key[n - t - 1] == '/');
}

static bool lookup(const struct ag_meta *m, const char *gguf, const char *hf, double *out) {
    const struct fake *f = m->ctx;
    bool is_gguf = !strcmp(m->scheme, "gguf");
    const char *key = is_gguf ? gguf : hf;
    for (size_t i = 0; key && !f->empty && i < sizeof known / sizeof *known; i++) {
        if (known[i].trait & ~f->traits) continue;
        if (!same_tail(key, is_gguf ? known[i].gguf : known[i].hf)) continue;
        *out = known[i].value;
        return true;
    }
    return false;
}

static void put(const struct ag_param_row *row, void *fill, double v) {
    unsigned char *at = (unsigned char *)fill + row->offset;
    int32_t i = (int32_t)v;
    float f = (float)v;
    bool b = v != 0;
    if (row->type == AG_PARAM_I32) memcpy(at, &i, sizeof i);
    if (row->type == AG_PARAM_F32) memcpy(at, &f, sizeof f);
    if (row->type == AG_PARAM_BOOL) memcpy(at, &b, sizeof b);
}

static int fake_params(const struct ag_meta *m, const struct ag_param_row *rows, uint32_t n, void *fill) {
    const struct fake *f = m->ctx;
    for (uint32_t i = 0; i < n; i++) {
        const char *key = !strcmp(m->scheme, "gguf") ? rows[i].gguf : rows[i].hf;
        double v;
        bool found = lookup(m, rows[i].gguf, rows[i].hf, &v), must = rows[i].flags & AG_PARAM_REQUIRED;
        if (!found && must && key && !f->empty) found = true, v = rows[i].min;
        if (!found && must)
            return fail(AG_EFORMAT, "no key %s", key ? key : rows[i].gguf ? rows[i].gguf : "?");
        if (!found) continue;
        if (rows[i].min < rows[i].max && (v < rows[i].min || v > rows[i].max))
            return fail(AG_EFORMAT, "%s is %g, want %g to %g", key, v, rows[i].min, rows[i].max);
        put(&rows[i], fill, v);
    }
    return 0;
}

static bool fake_value(const struct ag_meta *m, const char *gguf, const char *hf, struct ag_value *out) {
    double v;
    if (!lookup(m, gguf, hf, &v)) return false;
    bool whole = v == (double)(int64_t)v;
    struct ag_value value = { .size = out->size, .type = whole ? AG_VALUE_INT : AG_VALUE_FLOAT,
                              .i = whole ? (int64_t)v : 0, .f = v };
    memcpy(out, &value, out->size < sizeof value ? out->size : sizeof value);
    return true;
}

/* The embedding and the head are there, whatever they are called. */
static bool fake_tensor(const struct ag_meta *m, const char *name, struct ag_tensor *out) {
    const struct fake *f = m->ctx;
    if (f->empty || (!strstr(name, "embd") && !strstr(name, "embed") && !strstr(name, "lm_head") &&
                     strcmp(name, "output.weight")))
        return false;
    struct ag_tensor t = { .size = out->size, .dtype = AG_F32, .name = name, .dim = { WIDTH, VOCAB, 1, 1 },
                           .n_dim = 2, .n_plane = 1 };
    memcpy(out, &t, out->size < sizeof t ? out->size : sizeof t);
    return true;
}

static int fake_read(const struct ag_meta *m, const char *name, float *to, uint64_t n) {
    (void)m;
    (void)to;
    return fail(AG_ENOENT, "no tensor %s of %llu elements", name, (unsigned long long)n);
}

static struct ag_meta fake_meta(struct fake *f, const char *arch, const char *scheme) {
    return (struct ag_meta){ .size = sizeof(struct ag_meta), .ctx = f, .arch = arch, .scheme = scheme,
                             .params = fake_params, .value = fake_value, .tensor = fake_tensor,
                             .read = fake_read };
}

/* ---- drawing ---- */

struct drawing {
    const struct ag_model *model;
    void *self;
    struct ag_weight_table weights;
    struct ag_state_table states;
    uint32_t asked; /* weights that were asked for */
};

static const struct ag_weight_row *row_of(const struct drawing *d, const char *name, uint32_t *index) {
    for (uint32_t i = 0; i < d->weights.n; i++) {
        const struct ag_weight_row *r = (const void *)((const char *)d->weights.row + (size_t)i * d->weights.stride);
        *index = i;
        if (!strcmp(r->name, name)) return r;
    }
    return NULL;
}

static int64_t source_weight(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM],
                             uint32_t *dtype) {
    struct drawing *d = ctx;
    uint32_t i;
    for (int k = 0; k < AG_MAX_DIM; k++)
        if (want[k] < 1) return fail(AG_EINVAL, "weight %s: dim %d is %lld", name, k, (long long)want[k]);
    if (!row_of(d, name, &i)) return fail(AG_ENOENT, "weight %s is not in the plugin's own table", name);
    if (layer < -1 || layer > 4096) return fail(AG_EINVAL, "weight %s of layer %d", name, layer);
    *dtype = AG_F32;
    d->asked++;
    return (int64_t)i * 4098 + layer + 1;
}

static bool source_has(void *ctx, const char *name, int layer) {
    uint32_t i;
    (void)layer;
    return row_of(ctx, name, &i) != NULL;
}

/* Draws layers first .. end, lowers, places; the text of the graph. */
static int draw(struct drawing *d, int32_t first, int32_t end, bool head, char **text) {
    const struct graph_source source = { .who = "the plugin", .ctx = d, .weight = source_weight,
                                         .has = source_has, .state = d->states,
                                         .private_op = d->model->private_op };
    const struct ag_pass pass = { .size = sizeof pass, .role = AG_ROLE_TEXT, .layer_first = first,
                                  .layer_end = end };
    const struct ag_class cls = { .max_token = 8, .max_out = 2, .max_seq = 2, .max_ctx = 64 };
    struct ag_graph *g = NULL, *low = NULL;
    uint64_t *place = NULL, total = 0;
    *text = NULL;
    int rc = graph_create(&source, &g);
    if (rc >= 0) rc = d->model->build(d->self, g, graph_builder(), &pass);
    if (rc >= 0) rc = graph_finish(g, head);
    if (rc >= 0) rc = graph_lower(g, NULL, NULL, &low);
    if (rc >= 0 && !(place = calloc(low->n, sizeof *place))) rc = fail(AG_ENOMEM, "out of memory");
    if (rc >= 0) rc = graph_arena(low, &cls, 0, place, &total);
    if (rc >= 0) rc = graph_text(g, NULL, NULL, text);
    free(place);
    graph_free(low);
    graph_free(g);
    return rc;
}

static void draw_all(struct check *c, struct drawing *d, const char *what, int32_t n_layer) {
    char *once = NULL, *again = NULL;
    d->asked = 0;
    if (draw(d, 0, n_layer, true, &once) < 0) {
        check_failed(c, what, "graph of all %d layers: %s", n_layer, fail_text());
    } else if (draw(d, 0, n_layer, true, &again) < 0 || strcmp(once, again)) {
        check_failed(c, what, "drawn twice, the graph is not the same");
    } else {
        size_t nodes = 0;
        for (const char *p = once; *p; p++) nodes += *p == '\n';
        check_ok(c, what, "graph of %d layers: %zu nodes, %u uses of weights, %u states", n_layer, nodes,
                 d->asked / 2, d->states.n);
    }
    free(once);
    free(again);
    if (n_layer < 2) return;
    if (draw(d, 0, n_layer / 2, false, &once) < 0) check_failed(c, what, "first half of the layers: %s", fail_text());
    else check_ok(c, what, "first half of the layers");
    free(once);
    int rc = draw(d, n_layer / 2, n_layer, true, &once);
    if (rc == AG_ENOTSUP) check_skip(c, what, "second half of the layers: %s", fail_text());
    else if (rc < 0) check_failed(c, what, "second half of the layers: %s", fail_text());
    else check_ok(c, what, "second half of the layers");
    free(once);
}

static void with_self(struct check *c, struct drawing *d, const char *what, const char *scheme) {
    struct ag_model_info info = { .size = sizeof info };
    d->weights = (struct ag_weight_table){ .size = sizeof d->weights };
    d->states = (struct ag_state_table){ .size = sizeof d->states };
    int rc = d->model->info(d->self, &info);
    if (rc < 0 || info.n_layer < 1 || info.n_embd < 1 || info.n_vocab < 1) {
        check_failed(c, what, "info: %s", rc < 0 ? fail_text() : "layers, width or vocabulary below 1");
        return;
    }
    rc = d->model->weights(d->self, scheme, &d->weights);
    const size_t least = offsetof(struct ag_weight_row, place) + sizeof d->weights.row->place;
    if (rc >= 0 && (!d->weights.n || !d->weights.row || d->weights.stride < least))
        rc = fail(AG_EABI, "%u rows of %u bytes", d->weights.n, d->weights.stride);
    if (rc < 0) {
        check_failed(c, what, "weights: %s", fail_text());
        return;
    }
    rc = d->model->states(d->self, &d->states);
    if (rc >= 0 && d->states.n && (!d->states.state || d->states.stride < sizeof *d->states.state))
        rc = fail(AG_EABI, "%u states of %u bytes", d->states.n, d->states.stride);
    if (rc < 0) check_failed(c, what, "states: %s", fail_text());
    else draw_all(c, d, what, info.n_layer);
}

/* The first set of traits that the model takes; the text of a failure is that of the plainest. */
static int create_any(const struct ag_model *model, struct ag_meta *meta, struct fake *f, void **self) {
    static const unsigned traits[] = { WINDOW, 0, WINDOW | EXPERTS, EXPERTS };
    char why[1024] = "";
    int rc = AG_EINVAL;
    for (size_t i = 0; i < sizeof traits / sizeof *traits; i++) {
        *self = NULL;
        f->traits = traits[i];
        int err = model->create(meta, self);
        if (err >= 0) return 0;
        if (traits[i]) continue;
        rc = err;
        snprintf(why, sizeof why, "%s", fail_text());
    }
    return fail(rc, "%s", why);
}

static void one(struct check *c, const struct ag_model *model, const char *arch, const char *scheme) {
    struct fake full = { false, 0 }, none = { true, 0 };
    struct ag_meta meta = fake_meta(&full, arch, scheme), empty = fake_meta(&none, arch, scheme);
    struct drawing d = { .model = model };
    char what[160];
    snprintf(what, sizeof what, "%s (%s)", arch, scheme);
    if (model->match(&meta) <= 0) {
        check_failed(c, what, "the note provides it, match() says no");
        return;
    }
    fail_clear();
    if (model->create(&empty, &d.self) >= 0) {
        check_failed(c, what, "create() takes a file without any key");
        model->destroy(d.self);
    } else if (!*fail_text()) {
        check_failed(c, what, "create() refuses a file without keys and does not say why");
    } else {
        check_ok(c, what, "refuses a file without keys: %s", fail_text());
    }
    if (create_any(model, &meta, &full, &d.self) < 0) {
        check_failed(c, what, "create() from the made-up configuration: %s", fail_text());
        return;
    }
    with_self(c, &d, what, scheme);
    model->destroy(d.self);
}

/* Does it have names for files of this scheme? A model may know one scheme only. */
static bool has_scheme(const struct ag_model *model, const char *arch, const char *scheme) {
    struct fake full = { false, 0 };
    struct ag_meta meta = fake_meta(&full, arch, scheme);
    struct ag_weight_table t = { .size = sizeof t };
    void *self = NULL;
    if (create_any(model, &meta, &full, &self) < 0) return true; /* one() says why */
    int rc = model->weights(self, scheme, &t);
    model->destroy(self);
    return rc != AG_ENOTSUP;
}

void check_model(struct check *c, const struct plugin *p) {
    static const char *const scheme[] = { "gguf", "hf" };
    const struct ag_model *model = &p->u.model;
    struct fake full = { false, 0 };
    struct ag_meta alien = fake_meta(&full, "no-such-architecture", "gguf");
    if (model->match(&alien) > 0) check_failed(c, "match", "takes an architecture that nobody has");
    else check_ok(c, "match", "leaves an unknown architecture to others");
    int archs = 0;
    for (const char *word = p->provides; *word; word += strcspn(word, " "), word += strspn(word, " ")) {
        char arch[128];
        if (strncmp(word, "arch=", 5)) continue;
        snprintf(arch, sizeof arch, "%.*s", (int)strcspn(word + 5, " "), word + 5);
        archs++;
        for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++) {
            if (has_scheme(model, arch, scheme[i])) one(c, model, arch, scheme[i]);
            else check_skip(c, arch, "no names for files of scheme %s", scheme[i]);
        }
    }
    if (!archs) check_failed(c, "provides", "no arch=NAME: no file would ever find this plugin");
    model->destroy(NULL);
}
