/* SPDX-License-Identifier: MIT */
/* plan.c - checks a graph against its memory once, then runs it node by node on the host's team.
 * After it: ops/<op>.c. */
#include "ref.h"

#include <stdatomic.h>

enum { ALIGN = 64 };

int64_t ref_dim_max(const struct ag_class *cls, int64_t dim) {
    return dim == AG_DIM_T ? cls->max_token : dim == AG_DIM_R ? cls->max_out
         : dim == AG_DIM_S ? cls->max_seq : dim;
}

/* Elements a node spans at the class's maxima; false when it overflows or a dim is none. */
static bool span_of(const struct ag_class *cls, const struct ag_node *n, uint64_t *out) {
    uint64_t last = 0, step;
    for (int i = 0; i < AG_MAX_DIM; i++) {
        int64_t d = ref_dim_max(cls, n->dim[i]);
        if (d < 1 || (d > 1 && n->stride[i] < 1)) return false;
        if (d == 1) continue;
        if (__builtin_mul_overflow((uint64_t)d - 1, (uint64_t)n->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    *out = last + 1;
    return last < UINT64_MAX / 64;
}

static void *zeroed(uint64_t n, size_t size) {
    uint64_t bytes;
    if (__builtin_mul_overflow(n ? n : 1, (uint64_t)size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    void *p = ref_host->alloc((size_t)bytes, ALIGN);
    if (p) memset(p, 0, (size_t)bytes);
    return p;
}

static bool binding_ok(const struct ag_binding *b) {
    return b->buffer && b->offset <= b->buffer->bytes && b->bytes <= b->buffer->bytes - b->offset;
}

static const void *strided(const void *first, uint32_t stride, uint32_t i) {
    return (const unsigned char *)first + (size_t)stride * i;
}

static int bind_weight(struct ag_plan *p, const struct ag_plan_desc *d, ag_ref i) {
    struct ref_node *n = &p->node[i];
    if (n->n.slot >= d->n_weight) return ref_fault(p, i, "no such weight was bound");
    const struct ag_weight_binding *w = strided(d->weight, d->weight_stride, n->n.slot);
    uint64_t rows, bytes = ag_row_bytes(n->n.dtype, n->n.dim[0] > 0 ? (uint64_t)n->n.dim[0] : 0);
    if (__builtin_mul_overflow((uint64_t)n->n.dim[1], (uint64_t)n->n.dim[2], &rows) ||
        __builtin_mul_overflow(rows, (uint64_t)n->n.dim[3], &rows) ||
        __builtin_mul_overflow(rows, bytes, &bytes) || !bytes || n->n.dim[1] < 1 ||
        n->n.dim[2] < 1 || n->n.dim[3] < 1)
        return ref_fault(p, i, "the weight's dims make no sense");
    if (w->layout.id != 0) return ref_fault(p, i, "the weight was repacked; this backend never asks");
    if (!binding_ok(&w->at) || w->at.bytes < bytes)
        return ref_fault(p, i, "the weight's memory is shorter than its dims");
    n->base = w->at.buffer->at + w->at.offset;
    n->weight = true;
    return AG_OK;
}

static int bind_input(struct ag_plan *p, ag_ref i) {
    struct ref_node *n = &p->node[i];
    if (n->n.slot < AG_INPUT_TOKEN || n->n.slot > AG_INPUT_POS4 || n->n.dtype != AG_I32)
        return ref_fault(p, i, "unknown input");
    n->input = n->n.slot;
    return AG_OK;
}

static int bind_const(struct ag_plan *p, const struct ag_graph *g, ag_ref i) {
    struct ref_node *n = &p->node[i];
    if (n->n.slot >= g->n_const) return ref_fault(p, i, "no such constant");
    struct ag_const c = g->constant[n->n.slot];
    if (c.offset > g->pool_bytes || c.bytes > g->pool_bytes - c.offset || n->extent * 4 > c.bytes)
        return ref_fault(p, i, "the constant is shorter than its dims");
    n->base = p->pool + c.offset;
    return AG_OK;
}

static int bind_view(struct ag_plan *p, ag_ref i) {
    struct ref_node *n = &p->node[i];
    const struct ref_node *s = ref_source(p, i, 0);
    int64_t first = n->n.param[AG_P_VIEW_OFFSET].i;
    if (n->n.dtype != s->n.dtype || (n->n.dtype != AG_F32 && n->n.dtype != AG_I32))
        return ref_fault(p, i, "a view of a type that has no single elements");
    if (n->n.stride[0] != 1) return ref_fault(p, i, "elements of dim 0 are not adjacent");
    if (first < 0 || (uint64_t)first > s->extent || n->extent > s->extent - (uint64_t)first)
        return ref_fault(p, i, "the view reaches beyond its source");
    n->base = s->base ? s->base + 4 * first : NULL;
    n->input = s->input;
    n->input_first = s->input_first + (uint64_t)first;
    n->weight = s->weight;
    return AG_OK;
}

static int bind_value(struct ag_plan *p, const struct ag_plan_desc *d, ag_ref i) {
    struct ref_node *n = &p->node[i];
    uint64_t at = d->place[i], bytes = n->extent * 4;
    if (n->n.dtype != AG_F32) return ref_fault(p, i, "result: want F32");
    if (n->n.stride[0] != 1) return ref_fault(p, i, "elements of dim 0 are not adjacent");
    if (!binding_ok(&d->scratch) || at % 4 || at > d->scratch.bytes ||
        bytes > d->scratch.bytes - at)
        return ref_fault(p, i, "its place is not inside the scratch memory");
    n->base = d->scratch.buffer->at + d->scratch.offset + at;
    return AG_OK;
}

static int bind_node(struct ag_plan *p, const struct ag_plan_desc *d, ag_ref i) {
    struct ref_node *n = &p->node[i];
    n->state = -1;
    for (int k = 0; k < AG_MAX_SRC; k++)
        if (n->n.src[k] >= i) return ref_fault(p, i, "a source does not stand before its user");
    if (n->n.op == AG_OP_STATE) {
        if (n->n.slot >= p->n_state) return ref_fault(p, i, "no such state was bound");
        n->state = (int32_t)n->n.slot;
        return AG_OK;
    }
    if (n->n.op == AG_OP_KV_WRITE) {
        n->state = ref_source(p, i, 0)->state;
        return AG_OK;
    }
    if (!span_of(&p->cls, &n->n, &n->extent)) return ref_fault(p, i, "its dims make no sense");
    switch (n->n.op) {
    case AG_OP_INPUT: return bind_input(p, i);
    case AG_OP_WEIGHT: return bind_weight(p, d, i);
    case AG_OP_CONST: return bind_const(p, d->graph, i);
    case AG_OP_VIEW: return bind_view(p, i);
    default: return bind_value(p, d, i);
    }
}

static bool is_leaf(uint32_t op) { return op <= AG_OP_VIEW || op == AG_OP_GIVEN; }

/* Work area of one thread: a row of a weight, or what ATTENTION keeps for a head. */
static uint64_t work_of(const struct ag_plan *p, ag_ref i) {
    const struct ag_node *n = &p->node[i].n;
    if (n->op == AG_OP_GET_ROWS || n->op == AG_OP_MATMUL)
        return 4 * (uint64_t)ref_source(p, i, 0)->n.dim[0];
    if (n->op != AG_OP_ATTENTION) return 0;
    const struct ag_state *s = &p->state[ref_source(p, i, 1)->state].state;
    uint64_t widest = (uint64_t)(s->k_dim > s->v_dim ? s->k_dim : s->v_dim);
    return 16 * (uint64_t)p->cls.max_ctx + 8 * (uint64_t)s->v_dim + 4 * widest;
}

static int plan_node(struct ag_plan *p, const struct ag_plan_desc *d, ag_ref i) {
    struct ref_node *n = &p->node[i];
    int err = bind_node(p, d, i);
    if (err < 0 || is_leaf(n->n.op)) return err;
    n->op = ref_op_find(n->n.op);
    if (!n->op)
        return ref_host->fail(AG_ENOTSUP, "ref: node %u: no op %s (%u) here", i,
                              ag_op_name(n->n.op), n->n.op);
    err = n->op->check(p, i);
    if (err < 0) return err;
    if (n->n.op == AG_OP_ATTENTION) n->state = ref_source(p, i, 1)->state;
    uint64_t work = (work_of(p, i) + ALIGN - 1) / ALIGN * ALIGN;
    if (work > p->work_bytes) p->work_bytes = work;
    return AG_OK;
}

static int copy_state(struct ag_plan *p, const struct ag_plan_desc *d, uint32_t i) {
    const struct ag_state_binding *b = strided(d->state, d->state_stride, i);
    struct ag_kv_layout want = b->kv;
    int err = ref_kv_layout(NULL, &b->state, &want);
    uint64_t bytes;
    if (err < 0) return err;
    if (b->group >= AG_MAX_GROUP || want.page_bytes != b->kv.page_bytes || !binding_ok(&b->at) ||
        __builtin_mul_overflow((uint64_t)b->n_page, want.page_bytes, &bytes) || bytes > b->at.bytes)
        return ref_host->fail(AG_EINVAL, "ref: state %u: %u pages of %llu bytes in group %u do not "
                              "fit its memory of %llu", i, b->n_page,
                              (unsigned long long)want.page_bytes, b->group,
                              (unsigned long long)b->at.bytes);
    p->state[i] = *b;
    return AG_OK;
}

static int plan_memory(struct ag_plan *p, const struct ag_plan_desc *d) {
    const struct ag_graph *g = d->graph;
    p->node = zeroed(g->n, sizeof *p->node);
    p->pool = zeroed(g->pool_bytes, 1);
    p->state = zeroed(d->n_state, sizeof *p->state);
    if (!p->node || !p->pool || !p->state)
        return ref_host->fail(AG_ENOMEM, "ref: no memory for a plan of %u nodes", g->n);
    if (g->pool_bytes) memcpy(p->pool, g->pool, (size_t)g->pool_bytes);
    p->n = g->n;
    p->n_state = d->n_state;
    p->n_thread = ref_host->team_size();
    return AG_OK;
}

int ref_plan(ag_device *dev, const struct ag_plan_desc *d, ag_plan **out) {
    (void)dev;
    const struct ag_class *c = &d->cls;
    if (c->max_token < 1 || c->max_out < 1 || c->max_seq < 1 || c->max_ctx < 1)
        return ref_host->fail(AG_EINVAL, "ref: a plan for %d rows, %d results, %d sequences, %d "
                              "entries", c->max_token, c->max_out, c->max_seq, c->max_ctx);
    struct ag_plan *p = zeroed(1, sizeof *p);
    if (!p) return ref_host->fail(AG_ENOMEM, "ref: no memory for a plan");
    p->cls = *c;
    p->private_op = d->private_op;
    int err = plan_memory(p, d);
    for (uint32_t i = 0; i < d->n_state && err >= 0; i++) err = copy_state(p, d, i);
    for (ag_ref i = 1; i < d->graph->n && err >= 0; i++) {
        p->node[i].n = *(const struct ag_node *)strided(d->graph->node, d->graph->node_size, i);
        err = plan_node(p, d, i);
    }
    if (err >= 0 && !(p->work = zeroed((uint64_t)p->n_thread, p->work_bytes)))
        err = ref_host->fail(AG_ENOMEM, "ref: no memory for %d work areas of %llu bytes",
                             p->n_thread, (unsigned long long)p->work_bytes);
    if (err < 0) {
        ref_plan_free(p);
        return err;
    }
    *out = p;
    return AG_OK;
}

int ref_plan_info(ag_plan *p, struct ag_plan_info *out) {
    struct ag_plan_info info = { .size = out->size,
                                 .workspace_bytes = p->work_bytes * (uint64_t)p->n_thread };
    memcpy(out, &info, out->size < sizeof info ? out->size : sizeof info);
    return AG_OK;
}

void ref_plan_free(ag_plan *p) {
    if (!p) return;
    ref_host->free(p->node);
    ref_host->free(p->pool);
    ref_host->free(p->state);
    ref_host->free(p->work);
    ref_host->free(p);
}

static unsigned char *input_at(const struct ag_step *s, const struct ref_node *n) {
    static const enum ag_step_field field[] = {
        [AG_INPUT_TOKEN] = AG_STEP_TOKEN, [AG_INPUT_POS] = AG_STEP_POS,
        [AG_INPUT_OUT_ROW] = AG_STEP_OUT_ROW, [AG_INPUT_POS4] = AG_STEP_POS,
    };
    return (unsigned char *)(ag_step_array(s, field[n->input]) + n->input_first);
}

struct ref_tensor ref_tensor(const struct ref_call *c, ag_ref ref) {
    const struct ref_node *n = &c->plan->node[ref];
    struct ref_tensor t = { .data = n->base, .dtype = n->n.dtype };
    for (int i = 0; i < AG_MAX_DIM; i++) {
        int64_t d = n->n.dim[i];
        t.dim[i] = d == AG_DIM_T ? c->step->n_token : d == AG_DIM_R ? c->step->n_out
                 : d == AG_DIM_S ? c->step->n_seq : d;
        t.stride[i] = n->n.stride[i];
    }
    if (!t.data && n->input) t.data = input_at(c->step, n);
    if (n->input == AG_INPUT_POS4) t.stride[1] = c->step->max_token;
    return t;
}

struct ref_tensor ref_result(const struct ref_call *c) {
    return ref_tensor(c, (ag_ref)(c->node - c->plan->node));
}

struct job {
    const struct ag_plan *plan;
    const struct ag_run *run;
    /* Set while node i runs, read after the barrier behind it: by parity of the barrier, so that a
     * late reader never sees what a fast thread says about the next node. */
    atomic_int stop[2];
};

static int cancelled(const struct ag_run *run) {
    return run->cancel && __atomic_load_n(run->cancel, __ATOMIC_RELAXED)
        ? ref_host->fail(AG_ECANCELED, "cancelled") : AG_OK;
}

static int work(void *arg, int ith, int nth) {
    struct job *job = arg;
    const struct ag_plan *p = job->plan;
    struct ref_call call = {
        .plan = p,
        .step = job->run->step,
        .ith = ith,
        .nth = nth < p->n_thread ? nth : p->n_thread,
    };
    if (ith < call.nth) call.work = p->work + p->work_bytes * (uint64_t)ith;
    unsigned barrier = 0;
    for (ag_ref i = 1; i < p->n; i++) {
        call.node = &p->node[i];
        if (!call.node->op) continue;
        int err = ith < call.nth ? call.node->op->run(&call) : AG_OK;
        if (err >= 0 && ith == 0) err = cancelled(job->run);
        if (err < 0) atomic_store(&job->stop[barrier % 2], 1);
        ref_host->team_barrier();
        if (err < 0 || atomic_load(&job->stop[barrier % 2])) return err;
        barrier++;
    }
    return AG_OK;
}

static int check_step(const struct ag_plan *p, const struct ag_step *s) {
    if (s->n_token < 1 || s->n_token > p->cls.max_token || s->n_out < 0 ||
        s->n_out > p->cls.max_out || s->n_seq < 0 || s->n_seq > p->cls.max_seq)
        return ref_host->fail(AG_EINVAL, "ref: a step of %d rows, %d results, %d sequences; planned "
                              "for %d, %d, %d", s->n_token, s->n_out, s->n_seq, p->cls.max_token,
                              p->cls.max_out, p->cls.max_seq);
    for (uint32_t i = 0; i < p->n_state; i++) {
        uint32_t group = p->state[i].group;
        if (group >= (uint32_t)s->n_group ||
            s->group[group].page_tokens != p->state[i].kv.page_tokens)
            return ref_host->fail(AG_EINVAL, "ref: the step's page group %u is not that of state %u",
                                  group, i);
    }
    return AG_OK;
}

int ref_run(ag_plan *p, const struct ag_run *run) {
    int err = check_step(p, run->step);
    if (err >= 0) err = cancelled(run);
    struct job job = { .plan = p, .run = run };
    return err < 0 ? err : ref_host->team_run(work, &job);
}
