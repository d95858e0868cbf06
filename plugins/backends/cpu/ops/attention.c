/* SPDX-License-Identifier: MIT */
/* attention.c - ATTENTION over pages: softmax with a running maximum (Dao et al., FlashAttention).
 *
 * Work is cut into tiles of up to 8 query rows that share a KV head (heads of one token first), so
 * that each key and value is loaded once for all of them. Where a step has few rows, the context of a
 * tile is cut too; the parts are merged in order by whichever thread finishes last. */
#include "attention.h"

#include "../plan.h"

#include <math.h>

VEC_DECLARE(score_kernel, score4_f32);
VEC_DECLARE(score_kernel, score4_f16);
VEC_DECLARE(score_kernel, score4_bf16);
VEC_DECLARE(score_kernel, score4_q8_0);
VEC_DECLARE(score_kernel, score8_f32);
VEC_DECLARE(score_kernel, score8_f16);
VEC_DECLARE(score_kernel, score8_bf16);
VEC_DECLARE(score_kernel, score8_q8_0);
VEC_DECLARE(value_kernel, value4_f32);
VEC_DECLARE(value_kernel, value4_f16);
VEC_DECLARE(value_kernel, value4_bf16);
VEC_DECLARE(value_kernel, value4_q8_0);
VEC_DECLARE(value_kernel, value8_f32);
VEC_DECLARE(value_kernel, value8_f16);
VEC_DECLARE(value_kernel, value8_bf16);
VEC_DECLARE(value_kernel, value8_q8_0);
VEC_DECLARE(softmax_kernel, softmax_f32);

struct score_rung { uint32_t need; score_kernel *fn; };
struct value_rung { uint32_t need; value_kernel *fn; };
static const struct score_rung s4_f32[] = { VEC_RUNGS(score4_f32) };
static const struct score_rung s4_f16[] = { VEC_RUNGS(score4_f16) };
static const struct score_rung s4_bf16[] = { VEC_RUNGS(score4_bf16) };
static const struct score_rung s4_q8_0[] = { VEC_RUNGS(score4_q8_0) };
static const struct score_rung s8_f32[] = { VEC_RUNGS(score8_f32) };
static const struct score_rung s8_f16[] = { VEC_RUNGS(score8_f16) };
static const struct score_rung s8_bf16[] = { VEC_RUNGS(score8_bf16) };
static const struct score_rung s8_q8_0[] = { VEC_RUNGS(score8_q8_0) };
static const struct value_rung v4_f32[] = { VEC_RUNGS(value4_f32) };
static const struct value_rung v4_f16[] = { VEC_RUNGS(value4_f16) };
static const struct value_rung v4_bf16[] = { VEC_RUNGS(value4_bf16) };
static const struct value_rung v4_q8_0[] = { VEC_RUNGS(value4_q8_0) };
static const struct value_rung v8_f32[] = { VEC_RUNGS(value8_f32) };
static const struct value_rung v8_f16[] = { VEC_RUNGS(value8_f16) };
static const struct value_rung v8_bf16[] = { VEC_RUNGS(value8_bf16) };
static const struct value_rung v8_q8_0[] = { VEC_RUNGS(value8_q8_0) };
static const struct { uint32_t need; softmax_kernel *fn; } softmax_ladder[] = {
    VEC_RUNGS(softmax_f32)
};

/* By type of the cache: tiles of 4 and of 8 rows. */
static const struct {
    uint32_t dtype;
    const struct score_rung *s[2];
    const struct value_rung *v[2];
} types[] = {
    { AG_F32, { s4_f32, s8_f32 }, { v4_f32, v8_f32 } },
    { AG_F16, { s4_f16, s8_f16 }, { v4_f16, v8_f16 } },
    { AG_BF16, { s4_bf16, s8_bf16 }, { v4_bf16, v8_bf16 } },
    { AG_Q8_0, { s4_q8_0, s8_q8_0 }, { v4_q8_0, v8_q8_0 } },
};
enum { N_TYPES = sizeof types / sizeof types[0] };

/* Splitting of contexts; follows shapes alone. */
enum { SPLIT_ROWS = 4, SPLIT_TILES = 64, SPLIT_MIN = 128, SPLIT_MAX = 32 };

struct attention {
    struct kv kv;
    int64_t n_head, group; /* query heads, of one KV head */
    float scale, cap;
    int64_t window;
    bool noncausal;
    const float *sinks;
    score_kernel *score[2]; /* tiles of 4 and of 8 rows */
    value_kernel *value[2];
    softmax_kernel *softmax;
    float *partial;     /* [SPLIT_TILES][SPLIT_MAX][ATTN_M][v_dim + 2]: o, most, sum */
    atomic_int *parts;  /* [SPLIT_TILES]: parts done */
    int64_t max_split;
};

/* The step as one sequence of it looks. */
struct seq_view {
    int32_t seq, first_row, n_row;
    int64_t base, n, first;               /* entries before the step, in all, first one held */
    const int32_t *order, *parent, *span; /* the latter two NULL unless the step has them */
    const int32_t *table;
    int64_t max_page;
};

/* Entries [lo, hi) that a row sees; unless `exact`, some of them not (sees()). */
struct range { int64_t lo, hi, place; bool exact; };

static struct seq_view view_of(const struct attention *a, const struct pass *p, int32_t seq) {
    const struct ag_step *s = p->step;
    const struct ag_step_group *g = &s->group[a->kv.group];
    struct seq_view v = {
        .seq = seq,
        .first_row = ag_step_array(s, AG_STEP_Q_BEGIN)[seq],
        .n_row = ag_step_array(s, AG_STEP_Q_LEN)[seq],
        .n = ag_step_array(s, AG_STEP_KV_LEN)[seq],
        .first = ag_step_at(s, g->first_off)[seq],
        .order = ag_step_array(s, AG_STEP_ORDER),
        .parent = s->flags & AG_STEP_TREE ? ag_step_array(s, AG_STEP_PARENT) : NULL,
        .span = s->flags & AG_STEP_SPANS ? ag_step_array(s, AG_STEP_SPAN) : NULL,
        .table = ag_step_at(s, g->table_off) + (int64_t)seq * g->max_page,
        .max_page = g->max_page,
    };
    v.base = v.n - v.n_row;
    return v;
}

/* ---- what a row sees ---- */

static int64_t depth(const struct seq_view *v, int32_t row) {
    int64_t d = 0;
    for (; v->parent[row] >= v->first_row && v->parent[row] < row; row = v->parent[row]) d++;
    return d;
}

static struct range range_of(const struct attention *a, const struct seq_view *v, int32_t row) {
    bool spans = v->span && v->span[row];
    struct range r = { v->first, v->order[row] + 1, v->order[row], !v->parent && !spans };
    if (v->parent) r.place = v->base + depth(v, row);
    if (a->noncausal || !r.exact) r.hi = v->n;
    if (a->window && r.place - a->window + 1 > r.lo) r.lo = r.place - a->window + 1;
    return r;
}

static int32_t row_of(const struct seq_view *v, int64_t e) {
    for (int32_t r = v->first_row; r < v->first_row + v->n_row; r++)
        if (v->order[r] == e) return r;
    return -1;
}

/* Does `row` see entry e, which is in its range and of this step? */
static bool sees(const struct attention *a, const struct seq_view *v, const struct range *r,
                 int32_t row, int64_t e) {
    int32_t other = row_of(v, e);
    int64_t place = e;
    bool seen = a->noncausal || e <= v->order[row];
    if (other < 0) return false;
    if (v->parent) {
        int32_t up = row;
        while (up > other && v->parent[up] >= v->first_row && v->parent[up] < up) up = v->parent[up];
        seen = a->noncausal || up == other;
        place = v->base + depth(v, other);
    }
    if (v->span && v->span[row] && v->span[other] == v->span[row]) seen = true;
    return seen && (!a->window || place > r->place - a->window);
}

static uint64_t bits_below(int64_t n) {
    return n <= 0 ? 0 : n >= 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
}

/* Bits of the entries e0 .. e0 + 63 that the row sees. */
static uint64_t seen_bits(const struct attention *a, const struct seq_view *v, const struct range *r,
                          int32_t row, int64_t e0) {
    uint64_t bits = bits_below(r->hi - e0) & ~bits_below(r->lo - e0);
    if (r->exact || e0 + ATTN_CHUNK <= v->base) return bits;
    for (int64_t i = v->base > e0 ? v->base - e0 : 0; i < ATTN_CHUNK; i++)
        if (bits >> i & 1 && !sees(a, v, r, row, e0 + i)) bits &= ~((uint64_t)1 << i);
    return bits;
}

/* ---- a tile ---- */

/* Query rows [first, first + m) of the n_row * group that share a KV head; row i is head
 * kv_head * group + i % group of token i / group. */
struct query_tile {
    int64_t kv_head, first;
    int m, width; /* width: 4 or 8, of the kernels */
    int64_t lo, hi;
    struct range range[ATTN_M];
    int32_t row[ATTN_M];
};

static struct query_tile tile_make(const struct attention *a, const struct seq_view *v, int64_t kv_head,
                                   int64_t first) {
    int64_t left = (int64_t)v->n_row * a->group - first;
    struct query_tile t = { .kv_head = kv_head, .first = first, .m = left < ATTN_M ? (int)left : ATTN_M,
                            .lo = INT64_MAX };
    t.width = t.m <= 4 ? 4 : 8;
    for (int i = 0; i < t.m; i++) {
        t.row[i] = v->first_row + (int32_t)((first + i) / a->group);
        t.range[i] = range_of(a, v, t.row[i]);
        if (t.range[i].lo < t.lo) t.lo = t.range[i].lo;
        if (t.range[i].hi > t.hi) t.hi = t.range[i].hi;
    }
    return t;
}

static int64_t tile_head(const struct attention *a, const struct query_tile *t, int i) {
    return t->kv_head * a->group + (t->first + i) % a->group;
}

/* Per thread: q [k_dim][M], s [M][CHUNK], o [M][v_dim], most [M], sum [M]. */
struct tile_memory { float *q, *s, *o, *most, *sum; };

static struct tile_memory tile_memory(const struct attention *a, float *scratch) {
    struct tile_memory m;
    m.s = scratch;
    m.most = m.s + ATTN_M * ATTN_CHUNK;
    m.sum = m.most + 16;
    m.q = m.sum + 16;
    m.o = m.q + ATTN_M * a->kv.k_dim;
    return m;
}
static uint64_t tile_floats(const struct attention *a) {
    return ATTN_M * (ATTN_CHUNK + (uint64_t)a->kv.k_dim + (uint64_t)a->kv.v_dim) + 32;
}

static void load_queries(const struct attention *a, const struct item *it, const struct query_tile *t,
                         float *q) {
    for (int i = 0; i < t->width; i++) {
        const float *x = i < t->m ? row_at(&it->src[0], (int64_t[AG_MAX_DIM]){ 0, tile_head(a, t, i),
                                                                               t->row[i] }) : NULL;
        for (int64_t d = 0; d < a->kv.k_dim; d++) q[t->width * d + i] = x ? x[d] * a->scale : 0;
    }
}

/* The memory of the block at entry e; NULL: not held. */
static unsigned char *block_at(const struct attention *a, const struct seq_view *v, int64_t e) {
    int64_t page = e / a->kv.page_tokens;
    if (page >= v->max_page || v->table[page] < 0) return NULL;
    return kv_block(&a->kv, v->table[page], e % a->kv.page_tokens);
}

/* Scores and values of entries [lo, hi), lo a multiple of CHUNK or the tile's own. */
static void tile_compute(const struct attention *a, const struct seq_view *v,
                         const struct query_tile *t, int64_t lo, int64_t hi,
                         const struct tile_memory *mem) {
    int wide = t->width == 8;
    memset(mem->o, 0, (size_t)t->width * (size_t)a->kv.v_dim * sizeof *mem->o);
    for (int i = 0; i < ATTN_M; i++) mem->most[i] = -INFINITY, mem->sum[i] = 0;
    memset(mem->s, 0, ATTN_M * ATTN_CHUNK * sizeof *mem->s);
    for (int64_t e0 = lo & ~(int64_t)(ATTN_CHUNK - 1); e0 < hi; e0 += ATTN_CHUNK) {
        struct v_block values[ATTN_BLOCKS] = { { NULL, 0, 0 } };
        uint64_t seen[ATTN_M] = { 0 }, held = 0;
        for (int b = 0; b < ATTN_BLOCKS; b++) {
            int64_t e = e0 + b * KV_BLOCK;
            if (e + KV_BLOCK <= lo || e >= hi) continue;
            unsigned char *block = block_at(a, v, e);
            if (!block) continue;
            a->score[wide](kv_k(&a->kv, block, t->kv_head), a->kv.k_dim, mem->q, mem->s + b * KV_BLOCK);
            values[b].v = kv_v(&a->kv, block, t->kv_head);
            values[b].first = lo > e ? (int)(lo - e) : 0;
            values[b].end = hi < e + KV_BLOCK ? (int)(hi - e) : KV_BLOCK;
            held |= (uint64_t)0xffff << b * KV_BLOCK;
        }
        held &= bits_below(hi - e0) & ~bits_below(lo - e0);
        for (int i = 0; i < t->m; i++)
            seen[i] = seen_bits(a, v, &t->range[i], t->row[i], e0) & held;
        a->softmax(mem->s, seen, t->width, a->cap, mem->most, mem->sum, mem->o, a->kv.v_dim);
        a->value[wide](values, a->kv.v_dim, mem->s, mem->o);
    }
}

/* o / sum into the result; a sink joins the sum. */
static void tile_store(const struct attention *a, const struct item *it, const struct query_tile *t,
                       const struct tile_memory *mem) {
    for (int i = 0; i < t->m; i++) {
        int64_t head = tile_head(a, t, i);
        const float *o = mem->o + i * (int64_t)a->kv.v_dim;
        float *to = row_at(&it->out, (int64_t[AG_MAX_DIM]){ 0, head, t->row[i] });
        float sum = mem->sum[i], factor = 1;
        if (a->sinks && sum > 0) {
            float most = a->sinks[head] > mem->most[i] ? a->sinks[head] : mem->most[i];
            factor = expf(mem->most[i] - most);
            sum = sum * factor + expf(a->sinks[head] - most);
        }
        factor = mem->sum[i] != 0 ? factor / sum : 0;
        for (int64_t d = 0; d < a->kv.v_dim; d++) to[d] = o[d] * factor;
    }
}

/* ---- pieces ---- */

/* How one sequence is cut: n_tile tiles a KV head, the context of each into n_split parts. */
struct cutting { int64_t n_tile, n_split, n_piece; };

static bool few_rows(const struct attention *a, const struct pass *p) {
    const int32_t *q_len = ag_step_array(p->step, AG_STEP_Q_LEN);
    int64_t tiles = 0;
    for (int32_t s = 0; s < p->step->n_seq; s++) {
        if (q_len[s] > SPLIT_ROWS) return false;
        tiles += (q_len[s] * a->group + ATTN_M - 1) / ATTN_M * a->kv.n_head;
    }
    return tiles <= SPLIT_TILES;
}

static struct cutting cutting_of(const struct attention *a, const struct seq_view *v, bool few) {
    struct cutting c = { (v->n_row * a->group + ATTN_M - 1) / ATTN_M, 1, 0 };
    int64_t span = v->n - v->first;
    if (a->window && span > a->window + v->n_row) span = a->window + v->n_row;
    if (few) c.n_split = span / SPLIT_MIN;
    if (c.n_split > a->max_split) c.n_split = a->max_split;
    if (c.n_split < 1) c.n_split = 1;
    c.n_piece = c.n_tile * a->kv.n_head * c.n_split;
    return c;
}

static float *partial_at(const struct attention *a, int64_t tile, int64_t split) {
    return a->partial + (tile * a->max_split + split) * ATTN_M * (a->kv.v_dim + 2);
}

/* All parts of a tile, in order, into mem. */
static void merge(const struct attention *a, int64_t tile, int64_t n_split,
                  const struct tile_memory *mem) {
    int64_t v_dim = a->kv.v_dim;
    for (int i = 0; i < ATTN_M; i++) {
        float most = -INFINITY, *o = mem->o + i * v_dim;
        mem->sum[i] = 0;
        memset(o, 0, (size_t)v_dim * sizeof *o);
        for (int64_t s = 0; s < n_split; s++) {
            const float *part = partial_at(a, tile, s) + i * (v_dim + 2);
            if (part[v_dim] > most) most = part[v_dim];
        }
        mem->most[i] = most;
        for (int64_t s = 0; s < n_split && most > -INFINITY; s++) {
            const float *part = partial_at(a, tile, s) + i * (v_dim + 2);
            float factor = expf(part[v_dim] - most);
            mem->sum[i] += part[v_dim + 1] * factor;
            for (int64_t d = 0; d < v_dim; d++) o[d] += part[d] * factor;
        }
    }
}

static void run_split(const struct item *it, const struct seq_view *v, const struct query_tile *t,
                      int64_t tile, int64_t split, int64_t n_split, const struct tile_memory *mem) {
    const struct attention *a = it->u.attention;
    int64_t lo = t->lo & ~(int64_t)(ATTN_CHUNK - 1), v_dim = a->kv.v_dim;
    int64_t step = ((t->hi - lo + n_split - 1) / n_split + ATTN_CHUNK - 1) & ~(int64_t)(ATTN_CHUNK - 1);
    int64_t from = lo + split * step, to = from + step < t->hi ? from + step : t->hi;
    tile_compute(a, v, t, from > t->lo ? from : t->lo, to, mem);
    float *part = partial_at(a, tile, split);
    for (int i = 0; i < ATTN_M; i++, part += v_dim + 2) {
        bool real = i < t->m;
        if (real) memcpy(part, mem->o + i * v_dim, (size_t)v_dim * sizeof *part);
        else memset(part, 0, (size_t)v_dim * sizeof *part);
        part[v_dim] = real ? mem->most[i] : -INFINITY;
        part[v_dim + 1] = real ? mem->sum[i] : 0;
    }
    if (atomic_fetch_add_explicit(&a->parts[tile], 1, memory_order_acq_rel) + 1 < n_split) return;
    atomic_store_explicit(&a->parts[tile], 0, memory_order_relaxed); /* for the next run */
    merge(a, tile, n_split, mem);
    tile_store(a, it, t, mem);
}

/* Rows that belong to no sequence give zeros. */
static void zero_padding(const struct item *it, const struct pass *p) {
    const int32_t *seq = ag_step_array(p->step, AG_STEP_SEQ);
    for (int64_t t = 0; t < p->step->n_token; t++)
        for (int64_t h = 0; h < it->out.dim[1] && seq[t] < 0; h++)
            memset(row_at(&it->out, (int64_t[AG_MAX_DIM]){ 0, h, t }), 0,
                   (size_t)it->out.dim[0] * sizeof(float));
}

static int attention_run(const struct item *it, const struct pass *p, int ith, int nth) {
    const struct attention *a = it->u.attention;
    struct tile_memory mem = tile_memory(a, thread_scratch(p, ith));
    bool few = few_rows(a, p);
    int64_t before = 0, tiles_before = 0; /* pieces and tiles of earlier sequences */
    int32_t seq = 0;
    struct seq_view v = { 0 };
    struct cutting c = { 0, 1, 0 };
    (void)nth;
    if (ith == 0) zero_padding(it, p);
    for (int64_t i; seq < p->step->n_seq; ) {
        i = take_piece(p, it);
        for (;;) { /* on to the sequence that has piece i */
            if (c.n_piece == 0) {
                v = view_of(a, p, seq);
                c = cutting_of(a, &v, few);
            }
            if (i < before + c.n_piece) break;
            before += c.n_piece;
            tiles_before += c.n_tile * a->kv.n_head;
            c.n_piece = 0;
            if (++seq == p->step->n_seq) return AG_OK;
        }
        int64_t piece = i - before, split = piece % c.n_split, tile = piece / c.n_split;
        int64_t back = c.n_tile - 1 - tile / a->kv.n_head; /* the longest contexts first */
        struct query_tile t = tile_make(a, &v, tile % a->kv.n_head, back * ATTN_M);
        load_queries(a, it, &t, mem.q);
        if (c.n_split > 1) {
            run_split(it, &v, &t, tiles_before + tile, split, c.n_split, &mem);
            continue;
        }
        tile_compute(a, &v, &t, t.lo, t.hi, &mem);
        tile_store(a, it, &t, &mem);
    }
    return AG_OK;
}

/* ---- planning ---- */

static int pick_kernels(struct attention *a, uint32_t features) {
    for (int i = 0; i < N_TYPES; i++)
        for (int wide = 0; wide < 2; wide++) {
            const struct score_rung *s = types[i].s[wide];
            const struct value_rung *v = types[i].v[wide];
            if (types[i].dtype == a->kv.k_dtype) a->score[wide] = s[RUNG_PICK(s, features)].fn;
            if (types[i].dtype == a->kv.v_dtype) a->value[wide] = v[RUNG_PICK(v, features)].fn;
        }
    a->softmax = softmax_ladder[RUNG_PICK(softmax_ladder, features)].fn;
    return a->score[0] && a->value[0] ? AG_OK : AG_ENOTSUP;
}

static int64_t max_tiles(const struct attention *a, const struct ag_class *c) {
    int64_t tiles = ((int64_t)SPLIT_ROWS * a->group + ATTN_M - 1) / ATTN_M * a->kv.n_head;
    tiles *= c->max_seq < SPLIT_TILES ? c->max_seq : SPLIT_TILES;
    return tiles < SPLIT_TILES ? tiles : SPLIT_TILES;
}

int plan_attention(struct planner *pl, const struct ag_node *n, struct item *it) {
    struct attention *a = planner_alloc(pl, sizeof *a);
    struct access access[2];
    if (!a) return pl->err;
    it->part = PART_ANY;
    it->counter = planner_counter(pl);
    int err = kv_bind(pl, n->src[1], &a->kv, &access[0], it, false);
    if (err < 0) return err;
    a->n_head = it->out.dim[1];
    a->group = a->n_head / a->kv.n_head;
    a->scale = (float)n->param[AG_P_ATTN_SCALE].f;
    a->cap = (float)n->param[AG_P_ATTN_SOFTCAP].f;
    a->window = n->param[AG_P_ATTN_WINDOW].i;
    a->noncausal = n->param[AG_P_ATTN_FLAGS].i & AG_ATTN_NONCAUSAL;
    a->sinks = it->n_src > 2 ? (const float *)(const void *)it->src[2].data : NULL;
    if (a->n_head % a->kv.n_head || it->src[0].dim[0] != a->kv.k_dim || it->out.dim[0] != a->kv.v_dim ||
        it->src[0].dim[1] != a->n_head || it->src[0].dim[3] != 1)
        return cpu_host->fail(AG_EINVAL, "cpu: ATTENTION of %lld heads of %lld dims over a state of %d "
                              "heads of %d and %d", (long long)a->n_head, (long long)it->src[0].dim[0],
                              a->kv.n_head, a->kv.k_dim, a->kv.v_dim);
    if (pick_kernels(a, pl->device->features) < 0) return AG_ENOTSUP;
    a->max_split = pl->plan->cls.max_ctx / SPLIT_MIN;
    a->max_split = a->max_split < 1 ? 1 : a->max_split > SPLIT_MAX ? SPLIT_MAX : a->max_split;
    uint64_t bytes = (uint64_t)(max_tiles(a, &pl->plan->cls) * a->max_split * ATTN_M *
                                (a->kv.v_dim + 2)) * sizeof(float);
    a->partial = planner_shared(pl, bytes);
    a->parts = planner_alloc(pl, SPLIT_TILES * sizeof *a->parts);
    if (!a->partial || !a->parts) return pl->err;
    access[1] = access_of(it, a->partial, bytes, 0, true);
    planner_scratch(pl, tile_floats(a));
    it->run = attention_run;
    it->u.attention = a;
    return planner_add(pl, it, 0, access, 2);
}
