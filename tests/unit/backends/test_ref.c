/* SPDX-License-Identifier: MIT */
/* The reference backend against numbers that come from elsewhere: golden blocks of another
 * implementation, values worked out by hand, and sets of entries a row must see. */
#include "ref.h"
#include "rig.h"
#include "util/error.h"
#include "util/host_services.h"
#include "util/team.h"

#include <CUnit/Basic.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

extern const struct ag_plugin AG_PLUGIN_SYMBOL;
static const struct ag_backend *b;
static ag_device *dev;
static const char *data_dir;

/* ---- golden blocks ---- */

struct file { unsigned char *p; size_t n; json_t *head; };

static struct file read_safetensors(const char *name) {
    char path[4096];
    struct file f = { 0 };
    snprintf(path, sizeof path, "%s/blocks/%s.safetensors", data_dir, name);
    FILE *in = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    fseek(in, 0, SEEK_END);
    f.n = (size_t)ftell(in);
    rewind(in);
    f.p = malloc(f.n);
    CU_ASSERT_EQUAL_FATAL(fread(f.p, 1, f.n, in), f.n);
    fclose(in);
    uint64_t head;
    memcpy(&head, f.p, 8);
    f.head = json_loadb((char *)f.p + 8, head, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f.head);
    return f;
}

static const unsigned char *tensor(const struct file *f, const char *name, size_t *bytes) {
    uint64_t head;
    memcpy(&head, f->p, 8);
    json_t *at = json_object_get(json_object_get(f->head, name), "data_offsets");
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    json_int_t begin = json_integer_value(json_array_get(at, 0)), end = json_integer_value(json_array_get(at, 1));
    *bytes = (size_t)(end - begin);
    return f->p + 8 + head + begin;
}

static void same_bits(const struct file *f, uint32_t dtype, const char *raw_name, const char *want_name) {
    size_t raw_bytes, want_bytes;
    const unsigned char *raw = tensor(f, raw_name, &raw_bytes), *want = tensor(f, want_name, &want_bytes);
    int64_t n = (int64_t)want_bytes / 4;
    CU_ASSERT_EQUAL_FATAL(ag_row_bytes(dtype, (uint64_t)n), raw_bytes);
    unsigned char *odd = malloc(raw_bytes + 1); /* blocks may start at any byte */
    float *got = malloc(want_bytes);
    memcpy(odd + 1, raw, raw_bytes);
    ref_dequant(dtype, odd + 1, got, n);
    CU_ASSERT_EQUAL(memcmp(got, want, want_bytes), 0);
    free(odd);
    free(got);
}

static void golden_blocks(void) {
    static const uint32_t type[] = { AG_BF16, AG_Q4_0, AG_Q4_1, AG_Q5_0, AG_Q5_1, AG_Q8_0, AG_Q4_K, AG_Q5_K,
                                     AG_Q6_K };
    for (size_t i = 0; i < sizeof type / sizeof *type; i++) {
        struct file f = read_safetensors(ag_dtype_name(type[i]));
        same_bits(&f, type[i], "raw", "dequant");
        same_bits(&f, type[i], "raw_random", "dequant_random");
        json_decref(f.head);
        free(f.p);
    }
}

static void halves(void) {
    for (uint32_t h = 0; h < 65536; h++) {
        if ((h & 0x7c00) == 0x7c00 && (h & 1023)) continue; /* NaN payloads are not kept */
        CU_ASSERT_EQUAL(ref_half_from_float(ref_half_to_float((ag_half)h)), h);
    }
    CU_ASSERT_EQUAL(ref_half_to_float(0x3c00), 1.0f);
    CU_ASSERT_EQUAL(ref_half_to_float(0x0001), 0x1p-24f);
    CU_ASSERT_EQUAL(ref_half_to_float(0xfbff), -65504.0f);
    CU_ASSERT_EQUAL(ref_half_from_float(1 + 0x1p-11f), 0x3c00);            /* ties to even */
    CU_ASSERT_EQUAL(ref_half_from_float(1 + 0x3p-11f), 0x3c02);
    CU_ASSERT_EQUAL(ref_half_from_float(1 + 0x1.002p-11f), 0x3c01);
    CU_ASSERT_EQUAL(ref_half_from_float(65519.0f), 0x7bff);
    CU_ASSERT_EQUAL(ref_half_from_float(65520.0f), 0x7c00);
    CU_ASSERT_EQUAL(ref_half_from_float(0x1p-25f), 0x0000);
    CU_ASSERT_EQUAL(ref_half_from_float(0x1.8p-25f), 0x0001);
    CU_ASSERT_EQUAL(ref_half_from_float(0x1.ffep-15f), 0x0400);            /* up to the normal ones */
    CU_ASSERT(isnan(ref_half_to_float(ref_half_from_float(NAN))));
}

/* ---- values ---- */

/* x is one row; draws, runs, returns the result's elements. */
typedef ag_ref (*draw_fn)(struct ag_graph *, const struct ag_build *, ag_ref x);

static void run_row(const float *x, int64_t K, draw_fn draw, float *out, int64_t n) {
    struct rng rng = { 1 };
    struct rig rig;
    struct rig_run run;
    const struct ag_build *build = graph_builder();
    rig_init(&rig, &rng, 1, 1, 1);
    rig_weight(&rig, "x", AG_F32, K, 1);
    memcpy(rig.weight[0].data, x, sizeof *x * (size_t)K);
    CU_ASSERT_EQUAL_FATAL(rig_draw(&rig), AG_OK);
    ag_ref row = build->get_rows(rig.graph, build->weight(rig.graph, "x", -1, K, 1, 1),
                                 build->input(rig.graph, AG_INPUT_TOKEN), 1);
    build->tag(rig.graph, draw(rig.graph, build, row), AG_TAG_HIDDEN, -1);
    CU_ASSERT_EQUAL_FATAL(rig_drawn(&rig), AG_OK);
    struct ag_step *s = rig_step(&rig, 1, 1);
    ag_step_array(s, AG_STEP_POS)[0] = 2;
    CU_ASSERT_EQUAL_FATAL(rig_open(&run, &rig, b, dev, true), AG_OK);
    CU_ASSERT_EQUAL(rig_run_step(&run, s, out, n), AG_OK);
    rig_close(&run);
    rig_finish(&rig);
    free(s);
}

static int unary_kind;
static ag_ref draw_unary(struct ag_graph *g, const struct ag_build *build, ag_ref x) {
    return build->unary(g, x, unary_kind);
}

/* Values of f(-1), f(0), f(2). */
static void unary_values(void) {
    static const struct { int kind; double want[3]; } row[] = {
        { AG_UNARY_SILU, { -0.26894142136999510, 0, 1.76159415595576490 } },
        { AG_UNARY_GELU_TANH, { -0.15880800939172324, 0, 1.95459769408777500 } },
        { AG_UNARY_GELU_ERF, { -0.15865525393145705, 0, 1.95449973610364160 } },
        { AG_UNARY_RELU2, { 0, 0, 4 } },
        { AG_UNARY_SIGMOID, { 0.26894142136999510, 0.5, 0.88079707797788240 } },
        { AG_UNARY_SOFTPLUS, { 0.31326168751822286, 0.69314718055994530, 2.12692801104297250 } },
        { AG_UNARY_TANH, { -0.76159415595576490, 0, 0.96402758007581690 } },
        { AG_UNARY_EXP, { 0.36787944117144233, 1, 7.38905609893065020 } },
        { AG_UNARY_NEG, { 1, 0, -2 } },
    };
    static const float x[3] = { -1, 0, 2 };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        float y[3];
        unary_kind = row[i].kind;
        run_row(x, 3, draw_unary, y, 3);
        for (int k = 0; k < 3; k++) CU_ASSERT_DOUBLE_EQUAL(y[k], row[i].want[k], 3e-7 * (1 + fabs(row[i].want[k])));
    }
}

static ag_ref draw_norm(struct ag_graph *g, const struct ag_build *build, ag_ref x) {
    return build->rmsnorm(g, x, 0, 0.5);
}
static ag_ref draw_scale(struct ag_graph *g, const struct ag_build *build, ag_ref x) {
    return build->scale(g, x, 3, -1);
}
static ag_ref draw_softcap(struct ag_graph *g, const struct ag_build *build, ag_ref x) {
    return build->softcap(g, x, 2);
}
static ag_ref rope_of(struct ag_graph *g, const struct ag_build *build, ag_ref x, int pairs, int64_t offset) {
    static const float quarter[2] = { 0.78539816339744831f, 0 }; /* at position 2: a right angle, none */
    ag_ref heads = build->reshape(g, x, 6, 1, AG_DIM_T);
    return build->rope(g, heads, build->input(g, AG_INPUT_POS), build->constant(g, quarter, 2), pairs, offset, 2);
}
static ag_ref draw_rope_half(struct ag_graph *g, const struct ag_build *build, ag_ref x) {
    return rope_of(g, build, x, AG_ROPE_HALF, 1);
}
static ag_ref draw_rope_adjacent(struct ag_graph *g, const struct ag_build *build, ag_ref x) {
    return rope_of(g, build, x, AG_ROPE_ADJACENT, 0);
}

static void expect(const float *x, int64_t n, draw_fn draw, const float *want) {
    float y[8];
    run_row(x, n, draw, y, n);
    for (int64_t i = 0; i < n; i++) CU_ASSERT_DOUBLE_EQUAL(y[i], want[i], 1e-6);
}

static void simple_values(void) {
    static const float a[2] = { 3, -1 }; /* mean square 5 */
    expect(a, 2, draw_norm, (const float[]){ 1.27920430f, -0.42640143f });
    expect(a, 2, draw_scale, (const float[]){ 8, -4 });
    expect(a, 2, draw_softcap, (const float[]){ 1.81029651f, -0.92423432f });
    static const float x[6] = { 1, 2, 3, 4, 5, 6 };
    /* pairs (1,3), (2,4) of dims 1 to 4; twice as long: mscale */
    expect(x, 6, draw_rope_half, (const float[]){ 1, -8, 6, 4, 10, 6 });
    expect(x, 6, draw_rope_adjacent, (const float[]){ -4, 2, 6, 8, 5, 6 });
}

/* ---- what a row sees ---- */

/* q = 0 makes all scores equal, value e is the unit vector e: the result is the set seen, each with
 * 1 / its size. Three entries lie in the cache, four rows follow. */
enum { BEFORE = 3, ROWS = 4, ENTRIES = BEFORE + ROWS };
struct scene {
    int64_t window;
    uint32_t step_flags;
    bool noncausal, sink;
    int32_t parent[ROWS], span[ROWS];
    const char *sees[ROWS]; /* a letter per entry */
};

static void fill(struct rig *r, const char *name, int64_t rows, bool unit) {
    float *row = calloc(ENTRIES, sizeof *row);
    const struct rig_weight *w = rig_find(r, name);
    for (int64_t i = 0; i < rows; i++) {
        if (unit) row[i] = 1;
        memcpy(w->data + 4 * w->dim[0] * i, row, 4 * (size_t)w->dim[0]);
        if (unit) row[i] = 0;
    }
    free(row);
}

static ag_ref heads(struct rig *r, const char *name, int64_t d) {
    const struct ag_build *build = graph_builder();
    ag_ref w = build->weight(r->graph, name, -1, d, ENTRIES, 1);
    ag_ref x = build->get_rows(r->graph, w, build->input(r->graph, AG_INPUT_TOKEN), 1);
    return build->reshape(r->graph, x, d, 1, AG_DIM_T);
}

static struct ag_step *scene_step(const struct rig *r, const struct scene *c, int32_t base, int32_t n) {
    struct ag_step *s = rig_step(r, n, 1);
    s->flags = base ? c->step_flags : 0;
    ag_step_array(s, AG_STEP_Q_LEN)[0] = n;
    ag_step_array(s, AG_STEP_KV_LEN)[0] = base + n;
    for (int32_t i = 0; i < n; i++) {
        ag_step_array(s, AG_STEP_TOKEN)[i] = ag_step_array(s, AG_STEP_ORDER)[i] = base + i;
        ag_step_at(s, s->group[0].write_off)[i] = base + i;
        ag_step_array(s, AG_STEP_PARENT)[i] = c->parent[i % ROWS];
        ag_step_array(s, AG_STEP_SPAN)[i] = c->span[i % ROWS];
    }
    return s;
}

static void check_scene(const struct scene *c) {
    struct rng rng = { 1 };
    struct rig rig;
    struct rig_run run;
    const struct ag_build *build = graph_builder();
    rig_init(&rig, &rng, ROWS, 1, 16);
    rig.state = (struct ag_state){ .size = sizeof rig.state, .kind = AG_STATE_FULL, .n_head = 1, .k_dim = 2,
                                   .v_dim = ENTRIES };
    rig.n_state = 1;
    rig_weight(&rig, "q", AG_F32, 2, ENTRIES);
    rig_weight(&rig, "v", AG_F32, ENTRIES, ENTRIES);
    rig_weight(&rig, "sinks", AG_F32, 1, 1);
    fill(&rig, "q", ENTRIES, false);
    fill(&rig, "v", ENTRIES, true);
    fill(&rig, "sinks", 1, false); /* exp(0): as much as one more entry */
    CU_ASSERT_EQUAL_FATAL(rig_draw(&rig), AG_OK);
    struct ag_graph *g = rig.graph;
    ag_ref q = heads(&rig, "q", 2), v = heads(&rig, "v", ENTRIES);
    ag_ref state = build->kv_write(g, build->state(g, 0), q, v);
    ag_ref y = build->attention(g, q, state, c->sink ? build->weight(g, "sinks", -1, 1, 1, 1) : 0, 1, c->window, 0,
                                c->noncausal ? AG_ATTN_NONCAUSAL : 0);
    build->tag(g, y, AG_TAG_HIDDEN, -1);
    CU_ASSERT_EQUAL_FATAL(rig_drawn(&rig), AG_OK);
    CU_ASSERT_EQUAL_FATAL(rig_open(&run, &rig, b, dev, true), AG_OK);
    float out[ROWS * ENTRIES];
    struct ag_step *first = scene_step(&rig, c, 0, BEFORE), *second = scene_step(&rig, c, BEFORE, ROWS);
    CU_ASSERT_EQUAL(rig_run_step(&run, first, out, BEFORE * ENTRIES), AG_OK);
    CU_ASSERT_EQUAL(rig_run_step(&run, second, out, ROWS * ENTRIES), AG_OK);
    for (int t = 0; t < ROWS; t++) {
        double n = (double)strlen(c->sees[t]) + c->sink;
        for (int e = 0; e < ENTRIES; e++) {
            double want = strchr(c->sees[t], 'a' + e) ? 1 / n : 0;
            CU_ASSERT_DOUBLE_EQUAL(out[t * ENTRIES + e], want, 1e-6);
        }
    }
    rig_close(&run);
    rig_finish(&rig);
    free(first);
    free(second);
}

static void sets_seen(void) {
    static const struct scene scene[] = {
        { .sees = { "abcd", "abcde", "abcdef", "abcdefg" } },
        { .sink = true, .sees = { "abcd", "abcde", "abcdef", "abcdefg" } },
        { .window = 3, .sees = { "bcd", "cde", "def", "efg" } },
        { .noncausal = true, .sees = { "abcdefg", "abcdefg", "abcdefg", "abcdefg" } },
        /* d - e and d - f - g: two branches */
        { .step_flags = AG_STEP_TREE, .parent = { -1, 0, 0, 2 }, .sees = { "abcd", "abcde", "abcdf", "abcdfg" } },
        /* f stands in place 4, as e does: its window reaches back to c */
        { .step_flags = AG_STEP_TREE, .window = 3, .parent = { -1, 0, 0, 2 },
          .sees = { "bcd", "cde", "cdf", "dfg" } },
        { .step_flags = AG_STEP_SPANS, .span = { 0, 1, 1, 2 }, .sees = { "abcd", "abcdef", "abcdef", "abcdefg" } },
        { .step_flags = AG_STEP_SPANS, .window = 2, .span = { 3, 3, 3, 0 }, .sees = { "cdef", "def", "ef", "fg" } },
    };
    for (size_t i = 0; i < sizeof scene / sizeof *scene; i++) check_scene(&scene[i]);
}

/* ---- what is refused ---- */

static struct ag_step *bad_step;
static void expect_run(struct rig_run *run, int code, const char *text) {
    float y[64];
    CU_ASSERT_EQUAL(rig_run_step(run, bad_step, y, 1), code);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), text));
}

static void bad_steps(void) {
    struct rng rng = { 1 };
    struct rig rig;
    struct rig_run run;
    const struct ag_build *build = graph_builder();
    rig_init(&rig, &rng, 4, 1, 16);
    rig_weight(&rig, "x", AG_F32, 2, 4);
    rig.state = (struct ag_state){ .size = sizeof rig.state, .kind = AG_STATE_FULL, .n_head = 1, .k_dim = 2,
                                   .v_dim = 2 };
    rig.n_state = 1;
    rig_draw(&rig);
    struct ag_graph *g = rig.graph;
    ag_ref x = build->get_rows(g, build->weight(g, "x", -1, 2, 4, 1), build->input(g, AG_INPUT_TOKEN), 1);
    x = build->reshape(g, x, 2, 1, AG_DIM_T);
    x = build->attention(g, x, build->kv_write(g, build->state(g, 0), x, x), 0, 1, 0, 0, 0);
    build->tag(g, x, AG_TAG_HIDDEN, -1);
    CU_ASSERT_EQUAL_FATAL(rig_drawn(&rig), AG_OK);
    CU_ASSERT_EQUAL_FATAL(rig_open(&run, &rig, b, dev, true), AG_OK);
    bad_step = rig_step(&rig, 1, 1);
    ag_step_array(bad_step, AG_STEP_Q_LEN)[0] = ag_step_array(bad_step, AG_STEP_KV_LEN)[0] = 1;
    float y[2];
    CU_ASSERT_EQUAL(rig_run_step(&run, bad_step, y, 2), AG_OK);

    int32_t *token = ag_step_array(bad_step, AG_STEP_TOKEN);
    token[0] = 4;
    expect_run(&run, AG_EINVAL, "row 4 of a table of 4 rows");
    token[0] = 0;
    bad_step->n_token = 5;
    expect_run(&run, AG_EINVAL, "a step of 5 rows");
    bad_step->n_token = 1;
    int32_t *slot = ag_step_at(bad_step, bad_step->group[0].write_off);
    slot[0] = RIG_MAX_PAGE * RIG_PAGE_TOKENS;
    expect_run(&run, AG_EINVAL, "slot 1024");
    slot[0] = 0;
    ag_step_at(bad_step, bad_step->group[0].table_off)[0] = -1;
    expect_run(&run, AG_EINVAL, "has no page");
    ag_step_at(bad_step, bad_step->group[0].table_off)[0] = 0;
    ag_step_array(bad_step, AG_STEP_KV_LEN)[0] = 17;
    expect_run(&run, AG_EINVAL, "does not belong");
    ag_step_array(bad_step, AG_STEP_ORDER)[0] = 16;
    expect_run(&run, AG_EINVAL, "planned for 16");
    ag_step_array(bad_step, AG_STEP_KV_LEN)[0] = 1;
    ag_step_array(bad_step, AG_STEP_ORDER)[0] = 0;
    bad_step->group[0].page_tokens = 8;
    expect_run(&run, AG_EINVAL, "page group");
    bad_step->group[0].page_tokens = RIG_PAGE_TOKENS;
    bad_step->flags = AG_STEP_TREE;
    ag_step_array(bad_step, AG_STEP_PARENT)[0] = 0; /* its own parent */
    expect_run(&run, AG_EINVAL, "no earlier row");
    bad_step->flags = 0;

    int32_t cancel = 1;
    struct ag_run r = { .size = sizeof r, .step = bad_step, .cancel = &cancel };
    CU_ASSERT_EQUAL(b->run(run.plan, &r), AG_ECANCELED);
    cancel = 0;
    CU_ASSERT_EQUAL(b->run(run.plan, &r), AG_OK);
    rig_close(&run);
    rig_finish(&rig);
    free(bad_step);
}

/* A graph of one node over x [4, 3]; plan() must say what is wrong. */
static void expect_plan(struct ag_node n, int code, const char *text) {
    struct ag_node node[4] = {
        { 0 },
        { .op = AG_OP_CONST, .dtype = AG_F32, .dim = { 4, 3, 1, 1 }, .stride = { 1, 4, 12, 12 } },
        { .op = AG_OP_SCALE, .dtype = AG_F32, .src = { 1 }, .dim = { 4, 3, 1, 1 }, .stride = { 1, 4, 12, 12 } },
        n,
    };
    struct ag_const constant = { 0, 48 };
    float pool[12] = { 0 };
    struct ag_graph g = { .size = sizeof g, .node_size = sizeof *node, .n = 4, .node = node, .n_const = 1,
                          .constant = &constant, .pool_bytes = 48, .pool = (unsigned char *)pool };
    ag_buffer *scratch;
    ag_plan *plan = NULL;
    uint64_t place[4] = { UINT64_MAX, UINT64_MAX, 0, 64 };
    CU_ASSERT_EQUAL_FATAL(b->alloc(dev, 128, AG_BUFFER_DEVICE, 0, &scratch), AG_OK);
    struct ag_plan_desc d = { .size = sizeof d, .graph = &g, .cls = { 4, 1, 1, 8 }, .scratch = { scratch, 0, 128 },
                              .place = place };
    int err = b->plan(dev, &d, &plan);
    CU_ASSERT_EQUAL(err, code);
    if (code < 0 && !strstr(fail_text(), text)) {
        fprintf(stderr, "want \"%s\", got \"%s\"\n", text, fail_text());
        CU_FAIL("other text");
    }
    if (err >= 0) b->plan_free(plan);
    b->release(dev, scratch);
}

static void bad_plans(void) {
    struct ag_node ok = { .op = AG_OP_ADD, .dtype = AG_F32, .src = { 2, 2 }, .dim = { 4, 3, 1, 1 },
                          .stride = { 1, 4, 12, 12 }, .layer = 7 };
    struct ag_node n = ok;
    expect_plan(n, AG_OK, "");
    n.op = AG_OP_GLU;
    expect_plan(n, AG_ENOTSUP, "no op GLU");
    n.op = 999;
    expect_plan(n, AG_ENOTSUP, "(999)");
    n = ok, n.src[1] = 3;
    expect_plan(n, AG_EINVAL, "does not stand before");
    n = ok, n.dim[0] = 5, n.stride[1] = 5;
    expect_plan(n, AG_EINVAL, "ADD of layer 7: source 0: want [5, 3, 1, 1], got [4, 3, 1, 1]");
    n = ok, n.dtype = AG_F16;
    expect_plan(n, AG_EINVAL, "want F32");
    n = ok, n.dim[1] = AG_DIM_T;
    expect_plan(n, AG_EINVAL, "want [4, T, 1, 1]");
    n = ok, n.dim[1] = 30;
    expect_plan(n, AG_EINVAL, "not inside the scratch");
    n = ok, n.dim[2] = INT64_MAX;
    expect_plan(n, AG_EINVAL, "make no sense");
    n = ok, n.dim[3] = 0;
    expect_plan(n, AG_EINVAL, "make no sense");
    n = ok, n.op = AG_OP_VIEW, n.src[1] = 0, n.param[0].i = 1;
    expect_plan(n, AG_EINVAL, "beyond its source");
    n.param[0].i = -1;
    expect_plan(n, AG_EINVAL, "beyond its source");
    n = ok, n.op = AG_OP_WEIGHT;
    expect_plan(n, AG_EINVAL, "no such weight");
    n = ok, n.op = AG_OP_STATE;
    expect_plan(n, AG_EINVAL, "no such state");
    n = ok, n.op = AG_OP_CONST, n.slot = 1;
    expect_plan(n, AG_EINVAL, "no such constant");
    n = ok, n.op = AG_OP_MATMUL;
    expect_plan(n, AG_EINVAL, "result: want [3, 3, 1, 1]");
    n = ok, n.op = AG_OP_UNARY, n.src[1] = 0, n.param[0].i = 10;
    expect_plan(n, AG_EINVAL, "unknown kind");
    n = ok, n.op = AG_OP_KV_WRITE, n.src[2] = 2;
    expect_plan(n, AG_EINVAL, "no state");
    n = ok, n.op = AG_OP_PRIVATE;
    expect_plan(n, AG_EINVAL, "no such op of its own");
}

/* ---- memory ---- */

static long alloc_countdown, alloc_live; /* < 0: no allocation fails */

static void *counting_alloc(size_t bytes, size_t align) {
    if (alloc_countdown >= 0 && alloc_countdown-- == 0) return NULL;
    void *p = host_services()->alloc(bytes, align);
    alloc_live += p != NULL;
    return p;
}

static void counting_free(void *p) {
    alloc_live -= p != NULL;
    host_services()->free(p);
}

/* Fails the n-th allocation, for every n, of a device with a plan. */
static void out_of_memory(void) {
    struct ag_host poor = *host_services();
    poor.alloc = counting_alloc, poor.free = counting_free;
    struct ag_node node[2] = { { 0 }, { .op = AG_OP_CONST, .dtype = AG_F32, .dim = { 4, 1, 1, 1 },
                                        .stride = { 1, 4, 4, 4 } } };
    struct ag_const constant = { 0, 16 };
    float pool[4] = { 0 };
    struct ag_graph g = { .size = sizeof g, .node_size = sizeof *node, .n = 2, .node = node, .n_const = 1,
                          .constant = &constant, .pool_bytes = 16, .pool = (unsigned char *)pool };
    uint64_t place[2] = { UINT64_MAX, UINT64_MAX };
    AG_PLUGIN_SYMBOL.init(&poor);
    bool done = false;
    for (long n = 0; !done && n < 100; n++) {
        ag_device *d = NULL;
        ag_buffer *scratch = NULL;
        ag_plan *plan = NULL;
        alloc_countdown = n, alloc_live = 0;
        int err = b->open(0, NULL, &d);
        if (err >= 0) err = b->alloc(d, 64, AG_BUFFER_DEVICE, 0, &scratch);
        struct ag_plan_desc desc = { .size = sizeof desc, .graph = &g, .cls = { 1, 1, 1, 1 },
                                     .scratch = { scratch, 0, 64 }, .place = place };
        if (err >= 0) err = b->plan(d, &desc, &plan);
        alloc_countdown = -1;
        done = err == AG_OK;
        CU_ASSERT(done || err == AG_ENOMEM);
        b->plan_free(plan);
        if (d) b->release(d, scratch);
        b->close(d);
        CU_ASSERT_EQUAL(alloc_live, 0);
    }
    CU_ASSERT(done);
    AG_PLUGIN_SYMBOL.init(host_services());
}

static void kv_layouts(void) {
    struct ag_state s = { .size = sizeof s, .kind = AG_STATE_FULL, .n_head = 2, .k_dim = 64, .v_dim = 32 };
    struct ag_kv_layout kv = { .size = sizeof kv, .page_tokens = 16, .k_dtype = AG_Q8_0, .v_dtype = AG_F16 };
    CU_ASSERT_EQUAL(b->kv_layout(dev, &s, &kv), AG_OK);
    CU_ASSERT_EQUAL(kv.page_bytes, 16 * 2 * (68 + 64));
    kv.k_dtype = AG_Q4_K;
    CU_ASSERT_EQUAL(b->kv_layout(dev, &s, &kv), AG_ENOTSUP);
    kv.k_dtype = AG_Q8_0, s.k_dim = 48;
    CU_ASSERT_EQUAL(b->kv_layout(dev, &s, &kv), AG_ENOTSUP);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "multiples of 32"));
    s.kind = AG_STATE_RECURRENT;
    CU_ASSERT_EQUAL(b->kv_layout(dev, &s, &kv), AG_ENOTSUP);
}

int main(int argc, char **argv) {
    data_dir = argc > 1 ? argv[1] : ".";
    b = AG_PLUGIN_SYMBOL.iface;
    AG_PLUGIN_SYMBOL.init(host_services());
    team_set_size(2);
    if (b->open(0, NULL, &dev) < 0) return 1;
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("backend_ref", NULL, NULL);
    CU_add_test(s, "golden blocks", golden_blocks);
    CU_add_test(s, "half floats", halves);
    CU_add_test(s, "unary values", unary_values);
    CU_add_test(s, "simple values", simple_values);
    CU_add_test(s, "sets seen", sets_seen);
    CU_add_test(s, "bad steps", bad_steps);
    CU_add_test(s, "bad plans", bad_plans);
    CU_add_test(s, "kv layouts", kv_layouts);
    CU_add_test(s, "out of memory", out_of_memory);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    b->close(dev);
    team_stop();
    return bad != 0;
}
