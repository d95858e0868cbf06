/* SPDX-License-Identifier: MIT */
/* attention.c - KV_WRITE and ATTENTION together: two sequences whose pages are shuffled, a first step
 * with several rows of each and padding, then steps of one row, or a tree, or an image's span.
 * The limit is relative to the largest value: 5e-5, 2e-2 when a Q8_0 codec may round differently. */
#include "cases.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN, WINDOW, SINKS, SOFTCAP, NONCAUSAL, TREE, SPANS, TREE_WINDOW };
const char *const katt_variant[] = { "plain", "window", "sinks", "softcap", "noncausal", "tree", "spans",
                                     "tree_window", NULL };

enum { N_STEP = 4, N_SEQ = 2, MAX_TOKEN = 160 };

struct att {
    const struct katt_case *c;
    struct rng rng;
    struct rig rig;
    int64_t D, Dv, H, Hkv, window;
    int32_t page_tokens;
    int32_t page[N_SEQ][RIG_MAX_PAGE / N_SEQ]; /* page of a sequence */
    int32_t len[N_SEQ];                        /* entries so far */
    int32_t n_row;                             /* rows of q, k, v used so far */
};

static bool is_windowed(const struct att *a) {
    return a->c->variant == WINDOW || a->c->variant == TREE_WINDOW;
}

static void shuffle_pages(struct att *a) {
    int32_t all[RIG_MAX_PAGE];
    for (int i = 0; i < RIG_MAX_PAGE; i++) all[i] = i;
    for (int i = RIG_MAX_PAGE - 1; i > 0; i--) {
        int64_t j = rng_range(&a->rng, 0, i);
        int32_t t = all[i];
        all[i] = all[j], all[j] = t;
    }
    memcpy(a->page, all, sizeof a->page);
}

/* Weights and state of the dims chosen. */
static void setup(struct att *a) {
    struct rng *rng = &a->rng;
    rig_init(&a->rig, rng, MAX_TOKEN, N_SEQ, 512);
    a->rig.k_dtype = a->c->k_dtype, a->rig.v_dtype = a->c->v_dtype;
    a->rig.state = (struct ag_state){
        .size = sizeof a->rig.state, .kind = a->window ? AG_STATE_WINDOW : AG_STATE_FULL,
        .window = (int32_t)a->window, .n_head = (int32_t)a->Hkv, .k_dim = (int32_t)a->D,
        .v_dim = (int32_t)a->Dv,
    };
    a->rig.n_state = 1;
    a->rig.page_tokens = (uint32_t)a->page_tokens;
    rig_weight(&a->rig, "q", AG_F32, a->D * a->H, MAX_TOKEN * N_STEP);
    rig_weight(&a->rig, "k", AG_F32, a->D * a->Hkv, MAX_TOKEN * N_STEP);
    rig_weight(&a->rig, "v", AG_F32, a->Dv * a->Hkv, MAX_TOKEN * N_STEP);
    rig_weight(&a->rig, "sinks", AG_F32, a->H, 1);
    shuffle_pages(a);
}

static void choose(struct att *a) {
    struct rng *rng = &a->rng;
    bool q8 = a->c->k_dtype == AG_Q8_0 || a->c->v_dtype == AG_Q8_0;
    a->Hkv = rng_range(rng, 1, 3);
    a->H = a->Hkv * rng_range(rng, 1, 4);
    a->D = q8 ? 32 * rng_range(rng, 1, 4) : rng_range(rng, 1, 70);
    a->Dv = rng_range(rng, 0, 1) ? a->D : q8 ? 32 * rng_range(rng, 1, 3) : rng_range(rng, 1, 70);
    a->window = is_windowed(a) ? rng_range(rng, 1, rng_range(rng, 0, 1) ? 20 : 90) : 0;
    a->page_tokens = 16 << rng_range(rng, 0, 2);
}

static ag_ref rows(struct att *a, const char *name, int64_t d, int64_t h) {
    const struct ag_build *b = graph_builder();
    struct ag_graph *g = a->rig.graph;
    ag_ref w = b->weight(g, name, -1, d * h, MAX_TOKEN * N_STEP, 1);
    return b->reshape(g, b->get_rows(g, w, b->input(g, AG_INPUT_TOKEN), 1), d, h, AG_DIM_T);
}

static int draw(struct att *a) {
    const struct ag_build *b = graph_builder();
    int err = rig_draw(&a->rig), v = a->c->variant;
    struct ag_graph *g = a->rig.graph;
    if (err < 0) return err;
    ag_ref q = rows(a, "q", a->D, a->H), k = rows(a, "k", a->D, a->Hkv), x = rows(a, "v", a->Dv, a->Hkv);
    ag_ref sinks = v == SINKS ? b->weight(g, "sinks", -1, a->H, 1, 1) : 0;
    ag_ref y = b->attention(g, q, b->kv_write(g, b->state(g, 0), k, x), sinks, 1 / sqrt((double)a->D),
                            a->window, v == SOFTCAP ? 2.5 : 0, v == NONCAUSAL ? AG_ATTN_NONCAUSAL : 0);
    b->tag(g, y, AG_TAG_HIDDEN, -1);
    return rig_drawn(&a->rig);
}

/* Rows of sequence s from row t on: order, slots, table; returns the row behind. */
static int32_t put_sequence(struct att *a, struct ag_step *s, int32_t seq, int32_t t, int32_t n) {
    struct ag_step_group *g = &s->group[0];
    int32_t base = a->len[seq], first = a->window ? base - (int32_t)a->window + 1 : 0;
    ag_step_array(s, AG_STEP_Q_BEGIN)[seq] = t;
    ag_step_array(s, AG_STEP_Q_LEN)[seq] = n;
    ag_step_array(s, AG_STEP_KV_LEN)[seq] = base + n;
    ag_step_at(s, g->first_off)[seq] = first > 0 ? first : 0;
    for (int32_t i = 0; i < RIG_MAX_PAGE; i++) {
        int32_t page = i < RIG_MAX_PAGE / N_SEQ ? a->page[seq][i] : -1;
        bool freed = (i + 1) * a->page_tokens <= first; /* all of it is behind the window */
        ag_step_at(s, g->table_off)[seq * RIG_MAX_PAGE + i] = freed ? -1 : page;
    }
    for (int32_t i = 0; i < n; i++, t++) {
        int32_t e = base + i;
        ag_step_array(s, AG_STEP_TOKEN)[t] = a->n_row++ % (MAX_TOKEN * N_STEP);
        ag_step_array(s, AG_STEP_SEQ)[t] = seq;
        ag_step_array(s, AG_STEP_ORDER)[t] = e;
        ag_step_array(s, AG_STEP_POS)[t] = e;
        ag_step_array(s, AG_STEP_PARENT)[t] =
            i == 0 ? -1 : (int32_t)rng_range(&a->rng, t - i - 1, t - 1);
        if (i && ag_step_array(s, AG_STEP_PARENT)[t] < t - i) ag_step_array(s, AG_STEP_PARENT)[t] = -1;
        ag_step_array(s, AG_STEP_SPAN)[t] = i / 3 % 3; /* 0 0 0 1 1 1 2 2 2 0 ... */
        ag_step_at(s, g->write_off)[t] =
            a->page[seq][e / a->page_tokens] * a->page_tokens + e % a->page_tokens;
    }
    a->len[seq] += n;
    return t;
}

static struct ag_step *make_step(struct att *a, int index) {
    struct ag_step *s = rig_step(&a->rig, MAX_TOKEN, N_SEQ);
    int v = a->c->variant;
    bool wide = index == 0 || v >= NONCAUSAL;
    int32_t t = 0;
    for (int32_t seq = 0; seq < N_SEQ; seq++)
        t = put_sequence(a, s, seq, t, wide ? (int32_t)rng_range(&a->rng, 1, index % 2 ? 11 : 75) : 1);
    if (wide && rng_range(&a->rng, 0, 1)) { /* a row of padding */
        ag_step_array(s, AG_STEP_TOKEN)[t] = a->n_row;
        ag_step_array(s, AG_STEP_SEQ)[t] = -1;
        ag_step_at(s, s->group[0].write_off)[t] = -1;
        t++;
    }
    s->n_token = t;
    if (v == TREE || v == TREE_WINDOW) s->flags |= AG_STEP_TREE;
    if (v == SPANS) s->flags |= AG_STEP_SPANS;
    return s;
}

int katt_run(uint64_t seed, const struct katt_case *c, const struct ag_backend *b, ag_device *dev,
             float **out, int64_t *n, double *limit) {
    struct att a = { .c = c, .rng = { seed } };
    struct rig_run run = { 0 };
    choose(&a);
    setup(&a);
    *n = 0;
    *limit = c->k_dtype == AG_Q8_0 || c->v_dtype == AG_Q8_0 ? 0.1 : 2.5e-4; /* values reach about 5 */
    *out = calloc((size_t)(a.Dv * a.H * MAX_TOKEN * N_STEP), sizeof **out);
    if (!*out) abort();
    int err = draw(&a);
    if (err >= 0) err = rig_open(&run, &a.rig, b, dev, true);
    for (int i = 0; i < N_STEP && err >= 0; i++) {
        struct ag_step *s = make_step(&a, i);
        int64_t elems = a.Dv * a.H * s->n_token;
        err = rig_run_step(&run, s, *out + *n, elems);
        if (s->n_token > 0 && ag_step_array(s, AG_STEP_SEQ)[s->n_token - 1] < 0)
            elems -= a.Dv * a.H; /* what stands in a row of padding is nobody's business */
        *n += elems;
        free(s);
    }
    if (run.b) rig_close(&run);
    rig_finish(&a.rig);
    return err;
}

/* The case owns the rig of the runs; it lives until katt_finish. */
struct timed { struct katt_case c; struct att a; };

int katt_prepare(struct katt_time *t, const struct ag_backend *b, ag_device *dev) {
    enum { DEPTH = 480 };
    struct timed *x = calloc(1, sizeof *x);
    if (!x) abort();
    t->held = x;
    x->c = (struct katt_case){ PLAIN, t->dtype, t->dtype };
    x->a = (struct att){ .c = &x->c, .rng = { 1 }, .D = 128, .Dv = 128, .H = 16, .Hkv = 4, .page_tokens = 16 };
    setup(&x->a);
    x->a.rig.plan_flags = AG_PLAN_PROFILE;
    t->D = x->a.D, t->H = x->a.H, t->T = N_SEQ, t->depth = DEPTH;
    t->bytes = 2.0 * DEPTH * N_SEQ * (double)x->a.Hkv * (double)ag_row_bytes(t->dtype, (uint64_t)t->D);
    int err = draw(&x->a);
    if (err >= 0) err = rig_open(&t->run, &x->a.rig, b, dev, true);
    while (err >= 0 && x->a.len[0] < DEPTH - 1) {
        struct ag_step *s = rig_step(&x->a.rig, MAX_TOKEN, N_SEQ);
        int32_t n = DEPTH - 1 - x->a.len[0] < 10 ? DEPTH - 1 - x->a.len[0] : 10, row = 0;
        for (int32_t seq = 0; seq < N_SEQ; seq++) row = put_sequence(&x->a, s, seq, row, n);
        s->n_token = row;
        err = rig_run_step(&t->run, s, NULL, 0);
        free(s);
    }
    t->step = rig_step(&x->a.rig, N_SEQ, N_SEQ);
    for (int32_t seq = 0; seq < N_SEQ; seq++) put_sequence(&x->a, t->step, seq, seq, 1);
    return err;
}

void katt_finish(struct katt_time *t) {
    struct timed *x = t->held;
    if (t->run.b) rig_close(&t->run);
    rig_finish(&x->a.rig);
    free(t->step);
    free(x);
}
