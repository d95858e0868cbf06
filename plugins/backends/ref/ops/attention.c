/* SPDX-License-Identifier: MIT */
/* ATTENTION: q f32 [Dk, H, T], state (, sinks f32 [H]) -> f32 [Dv, H, T].
 * For each row and head: s_e = cap(scale q . k_e) over the entries e of the row's sequence that it
 * sees, p = softmax(s), o = sum of p_e v_e. Head h reads KV head h / (H / Hkv). A sink adds
 * exp(sinks[h]) to the denominator and no value. Rows of sequence -1, and rows that see nothing,
 * give zeros.
 *
 * What a row sees: let base be the entries the sequence had before this step.
 * - causal: entries up to its own; NONCAUSAL: all of the sequence.
 * - TREE: entries before base, itself, and its ancestors by parent. Its place is then
 *   base + depth, not its entry.
 * - SPANS: also the rows of this step of its own, not zero, span - later ones too.
 * - window W: of these, the entries whose place is above its own minus W. */
#include "ops/ops.h"

#include <math.h>

int ref_attention_check(const struct ag_plan *p, ag_ref node) {
    const struct ag_node *n = &p->node[node].n;
    const struct ref_node *state = ref_source(p, node, 1);
    if (state->state < 0) return ref_fault(p, node, "source 1 is no state");
    const struct ag_state *s = &p->state[state->state].state;
    int64_t H = n->dim[1], T = n->dim[2];
    if (H < 1 || H % s->n_head) return ref_fault(p, node, "KV heads do not divide the heads");
    if (n->param[AG_P_ATTN_WINDOW].i < 0) return ref_fault(p, node, "negative window");
    if (n->param[AG_P_ATTN_V_DIM].i != s->v_dim)
        return ref_fault(p, node, "the value dim is not that of the state");
    int err = ref_check_activation(p, node, 0);
    if (err >= 0) err = ref_check_dims(p, node, 0, s->k_dim, H, T, 1);
    if (err >= 0) err = ref_check_result(p, node, s->v_dim, H, T, 1);
    if (err < 0 || !n->src[2]) return err;
    err = ref_check_f32(p, node, 2);
    return err < 0 ? err : ref_check_dims(p, node, 2, H, 1, 1, 1);
}

/* The step as one row looks at it. */
struct view {
    const int32_t *order, *parent, *span; /* the latter two NULL unless the step has them */
    int32_t row, first_row, n_row;        /* rows of its sequence in this step */
    int64_t base, n, first;               /* entries before the step, in all, first one held */
    int64_t place;                        /* its own, for the window */
    int64_t window;                       /* 0 = all */
    bool noncausal;
};

static int64_t depth(const struct view *v, int32_t row) {
    int64_t d = 0;
    while ((row = v->parent[row]) >= 0) d++;
    return d;
}

/* Row of this step that holds entry e, or -1. */
static int32_t row_of(const struct view *v, int64_t e) {
    for (int32_t r = v->first_row; r < v->first_row + v->n_row; r++)
        if (v->order[r] == e) return r;
    return -1;
}

static bool is_ancestor(const struct view *v, int32_t row) {
    for (int32_t r = v->row; r >= 0; r = v->parent[r])
        if (r == row) return true;
    return false;
}

static bool sees(const struct view *v, int64_t e) {
    int64_t place = e;
    bool seen = v->noncausal || e <= v->order[v->row];
    if (e >= v->base && (v->parent || (v->span && v->span[v->row]))) {
        int32_t row = row_of(v, e);
        if (row < 0) return false;
        if (v->parent) {
            seen = v->noncausal || is_ancestor(v, row);
            place = v->base + depth(v, row);
        }
        if (v->span && v->span[v->row]) seen |= v->span[row] == v->span[v->row];
    }
    return seen && (!v->window || place > v->place - v->window);
}

static int check_tree(const struct view *v) {
    for (int32_t r = v->first_row; r < v->first_row + v->n_row; r++)
        if (v->parent[r] < -1 || v->parent[r] >= r ||
            (v->parent[r] >= 0 && v->parent[r] < v->first_row))
            return ref_host->fail(AG_EINVAL, "ref: ATTENTION: parent %d of row %d is no earlier row "
                                  "of its sequence", v->parent[r], r);
    return AG_OK;
}

static int look(const struct ref_call *c, int32_t row, int32_t seq, struct view *v) {
    const struct ag_step *s = c->step;
    const struct ag_step_group *g = &s->group[c->plan->state[c->node->state].group];
    const union ag_param *param = c->node->n.param;
    *v = (struct view){
        .order = ag_step_array(s, AG_STEP_ORDER),
        .parent = s->flags & AG_STEP_TREE ? ag_step_array(s, AG_STEP_PARENT) : NULL,
        .span = s->flags & AG_STEP_SPANS ? ag_step_array(s, AG_STEP_SPAN) : NULL,
        .row = row,
        .first_row = ag_step_array(s, AG_STEP_Q_BEGIN)[seq],
        .n_row = ag_step_array(s, AG_STEP_Q_LEN)[seq],
        .n = ag_step_array(s, AG_STEP_KV_LEN)[seq],
        .first = ag_step_at(s, g->first_off)[seq],
        .window = param[AG_P_ATTN_WINDOW].i,
        .noncausal = param[AG_P_ATTN_FLAGS].i & AG_ATTN_NONCAUSAL,
    };
    v->base = v->n - v->n_row;
    if (v->first_row < 0 || v->n_row < 1 || v->first_row > s->n_token - v->n_row || v->base < 0 ||
        row < v->first_row || row >= v->first_row + v->n_row || v->order[row] < v->base ||
        v->order[row] >= v->n)
        return ref_host->fail(AG_EINVAL, "ref: ATTENTION: row %d, entry %d does not belong to "
                              "sequence %d of rows %d + %d and %lld entries", row, v->order[row],
                              seq, v->first_row, v->n_row, (long long)v->n);
    if (v->n > c->plan->cls.max_ctx)
        return ref_host->fail(AG_EINVAL, "ref: ATTENTION: %lld entries, planned for %d",
                              (long long)v->n, c->plan->cls.max_ctx);
    int err = v->parent ? check_tree(v) : AG_OK;
    if (err >= 0) v->place = v->parent ? v->base + depth(v, row) : v->order[row];
    return err;
}

/* Where entry e of the sequence lies: page * page_tokens + place, or -1 with an error kept. */
static int64_t slot_of(const struct ref_call *c, int32_t seq, int64_t e) {
    const struct ag_state_binding *b = &c->plan->state[c->node->state];
    const struct ag_step_group *g = &c->step->group[b->group];
    int64_t index = e / b->kv.page_tokens, page = -1;
    if (index < g->max_page) page = ag_step_at(c->step, g->table_off)[seq * (int64_t)g->max_page + index];
    if (page >= 0 && page < b->n_page) return page * b->kv.page_tokens + e % b->kv.page_tokens;
    ref_host->fail(AG_EINVAL, "ref: ATTENTION: entry %lld of sequence %d has no page", (long long)e,
                   seq);
    return -1;
}

/* One row, one head. work: entry numbers and scores [max_ctx] each, sums [Dv], a K or V row. */
static int attend(const struct ref_call *c, const struct view *v, int32_t seq, int64_t head,
                  int64_t kv_head, const float *q, const struct ref_tensor *sinks,
                  unsigned char *to) {
    const struct ag_state_binding *b = &c->plan->state[c->node->state];
    const union ag_param *param = c->node->n.param;
    double scale = param[AG_P_ATTN_SCALE].f, cap = param[AG_P_ATTN_SOFTCAP].f;
    int64_t max_ctx = c->plan->cls.max_ctx, n = 0;
    int64_t *slot = (int64_t *)(void *)c->work;
    double *score = (double *)(void *)(slot + max_ctx), *sum = score + max_ctx;
    float *row = (float *)(void *)(sum + b->state.v_dim);
    double most = sinks ? ref_f32(sinks->data, head) : -INFINITY;

    for (int64_t e = v->first; e < v->n; e++) {
        if (!sees(v, e)) continue;
        if ((slot[n] = slot_of(c, seq, e)) < 0) return AG_EINVAL;
        ref_kv_load(b, REF_K, slot[n], kv_head, row);
        double s = 0;
        for (int64_t i = 0; i < b->state.k_dim; i++) s += (double)q[i] * row[i];
        s *= scale;
        score[n] = cap > 0 ? cap * tanh(s / cap) : s;
        if (!(score[n] <= most)) most = score[n];
        n++;
    }
    double total = sinks ? exp(ref_f32(sinks->data, head) - most) : 0;
    for (int64_t i = 0; i < b->state.v_dim; i++) sum[i] = 0;
    for (int64_t j = 0; j < n; j++) {
        double p = exp(score[j] - most);
        total += p;
        ref_kv_load(b, REF_V, slot[j], kv_head, row);
        for (int64_t i = 0; i < b->state.v_dim; i++) sum[i] += p * row[i];
    }
    for (int64_t i = 0; i < b->state.v_dim; i++) ref_put(to, i, n ? sum[i] / total : 0);
    return AG_OK;
}

int ref_attention(const struct ref_call *c) {
    struct ref_tensor q = ref_src(c, 0), y = ref_result(c);
    struct ref_tensor sinks = c->node->n.src[2] ? ref_src(c, 2) : q;
    int64_t H = q.dim[1], group = H / c->plan->state[c->node->state].state.n_head;
    const int32_t *seq = ag_step_array(c->step, AG_STEP_SEQ);
    struct ref_range rows = ref_split(c, H * q.dim[2]);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        int32_t t = (int32_t)(r / H), s = seq[t];
        unsigned char *to = ref_row(&y, r);
        struct view v;
        if (s < 0) {
            for (int64_t i = 0; i < y.dim[0]; i++) ref_put(to, i, 0);
            continue;
        }
        if (s >= c->step->n_seq)
            return ref_host->fail(AG_EINVAL, "ref: ATTENTION: row %d of sequence %d of %d", t, s,
                                  c->step->n_seq);
        int err = look(c, t, s, &v);
        if (err >= 0)
            err = attend(c, &v, s, r % H, r % H / group, (const float *)(void *)ref_row(&q, r),
                         c->node->n.src[2] ? &sinks : NULL, to);
        if (err < 0) return err;
    }
    return AG_OK;
}
