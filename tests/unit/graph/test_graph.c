/* SPDX-License-Identifier: MIT */
/* Builder, lowering, arena and split, on graphs drawn here. */
#include "graph/build.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

static int64_t any_weight(void *ctx, const char *name, int layer, const int64_t want[AG_MAX_DIM], uint32_t *dtype) {
    (void)ctx, (void)layer, (void)want;
    if (!strcmp(name, "absent")) return fail(AG_EFORMAT, "tensor absent is missing");
    *dtype = !strcmp(name, "q4") ? AG_Q4_0 : AG_F32;
    return 7;
}
static bool any_has(void *ctx, const char *name, int layer) {
    (void)ctx, (void)layer;
    return strcmp(name, "absent") != 0;
}
static int64_t twice(const int64_t *d, uint32_t n) { (void)n; return 2 * d[0]; }
static void no_run(const float *const *s, const int64_t *d, float *o, int64_t od, int64_t r) {
    (void)s, (void)d, (void)o, (void)od, (void)r;
}
static const struct ag_private_op op_twice = { sizeof op_twice, 1, "twice", twice, no_run };
static const struct ag_private_op *const private_ops[] = { &op_twice, NULL };

static const struct ag_state states[] = {
    { .size = sizeof states[0], .kind = AG_STATE_FULL, .layer = 0, .n_head = 2, .k_dim = 8, .v_dim = 8 },
    { .size = sizeof states[0], .kind = AG_STATE_WINDOW, .layer = 1, .window = 16, .n_head = 2, .k_dim = 8,
      .v_dim = 8 },
};
static const struct graph_source source = {
    "model test", NULL, any_weight, any_has,
    { sizeof(struct ag_state_table), sizeof states[0], 2, 0, states }, private_ops,
};
static const struct ag_class cls = { 32, 4, 2, 128 };
static const struct ag_build *b;

static struct ag_graph *fresh(void) {
    struct ag_graph *g = NULL;
    CU_ASSERT_EQUAL_FATAL(graph_create(&source, &g), AG_OK);
    return g;
}

/* A small pass with every op, 16 wide. */
static struct ag_graph *draw(void) {
    struct ag_graph *g = fresh();
    const float freq[4] = { 1, 0.5f, 0.25f, 0.125f };
    ag_ref emb = b->weight(g, "q4", -1, 32, 64, 1), norm = b->weight(g, "norm", 0, 32, 1, 1);
    ag_ref pos = b->input(g, AG_INPUT_POS), f = b->constant(g, freq, 4);
    ag_ref x = b->get_rows(g, emb, b->input(g, AG_INPUT_TOKEN), 2);
    for (int il = 0; il < 2; il++) {
        ag_ref h = b->rmsnorm(g, x, norm, 1e-6);
        ag_ref qkv = b->matmul(g, b->weight(g, "qkv", il, 32, 64, 1), h, 0);
        ag_ref q = b->rope(g, b->reshape(g, b->scale(g, b->slice(g, qkv, 0, 32), 1, 0), 8, 4, AG_DIM_T), pos, f, 0, 0, 1);
        ag_ref k = b->reshape(g, b->scale(g, b->slice(g, qkv, 32, 16), 1, 0), 8, 2, AG_DIM_T);
        ag_ref v = b->reshape(g, b->scale(g, b->slice(g, qkv, 48, 16), 1, 0), 8, 2, AG_DIM_T);
        ag_ref s = b->kv_write(g, b->state(g, (uint32_t)il), k, v);
        ag_ref a = b->attention(g, q, s, 0, 0.3, il ? 16 : 0, 0, 0);
        x = b->add_rmsnorm(g, x, b->reshape(g, a, 32, AG_DIM_T, 1), norm, 1e-6);
        ag_ref u = b->unary(g, x, AG_UNARY_SILU);
        x = b->tag(g, b->add(g, x, b->glu(g, u, b->mul(g, x, u), AG_UNARY_GELU_TANH)), AG_TAG_LAYER_OUT, il);
    }
    ag_ref two = b->private_op(g, 0, &x, 1);
    x = b->get_rows(g, b->slice(g, two, 0, 32), b->input(g, AG_INPUT_OUT_ROW), 1);
    b->tag(g, b->softcap(g, b->matmul(g, emb, x, 0), 30), AG_TAG_LOGITS, -1);
    CU_ASSERT_EQUAL_FATAL(graph_finish(g, true), AG_OK);
    return g;
}

/* Each fault, and a part of its text. */
static void test_faults(void) {
    struct ag_graph *g;
#define FAULT(draw_, text_)                                                                     \
    g = fresh();                                                                                \
    {                                                                                           \
        ag_ref w = b->weight(g, "w", 0, 32, 16, 1), n = b->weight(g, "n", 0, 16, 1, 1);          \
        ag_ref x = b->get_rows(g, w, b->input(g, AG_INPUT_TOKEN), 1);                            \
        (void)n, (void)x;                                                                        \
        ag_ref r = draw_;                                                                        \
        CU_ASSERT_EQUAL(r, 0);                                                                   \
        CU_ASSERT_EQUAL(b->unary(g, r, AG_UNARY_SILU), 0);                                       \
    }                                                                                           \
    CU_ASSERT(graph_finish(g, true) < 0);                                                       \
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), text_));                                         \
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "model test: "));                                \
    graph_free(g)
    FAULT(b->matmul(g, n, x, 0), "16 and 32xT do not fit");
    FAULT(b->rmsnorm(g, x, n, 1e-6), "do not fit");
    FAULT(b->add(g, n, x), "do not fit");
    FAULT(b->weight(g, "absent", 0, 1, 1, 1), "tensor absent is missing");
    FAULT(b->weight(g, "w", 0, 0, 1, 1), "want 1 to 2^31");
    FAULT(b->reshape(g, x, 31, AG_DIM_T, 1), "cannot become");
    FAULT(b->reshape(g, x, 32, AG_DIM_R, 1), "cannot become");
    FAULT(b->slice(g, x, 30, 3), "slice 30 + 3");
    FAULT(b->state(g, 2), "state 2 of 2");
    FAULT(b->input(g, 99), "input 99");
    FAULT(b->unary(g, x, 77), "unary kind 77");
    FAULT(b->private_op(g, 1, &x, 1), "private op 1");
    FAULT(b->attention(g, b->reshape(g, x, 8, 4, AG_DIM_T), b->state(g, 1), 0, 1, 17, 0, 0), "window 17");
    FAULT(b->kv_write(g, b->state(g, 0), x, x), "kv_write");
    FAULT(b->tag(g, x, 64, 0), "tag 64");
    FAULT(b->glu(g, x, n, AG_UNARY_SILU), "do not fit");
#undef FAULT
    g = fresh();
    CU_ASSERT(graph_finish(g, true) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "no node tagged as logits"));
    graph_free(g);
}

static uint32_t count(const struct ag_graph *g, uint32_t op) {
    uint32_t n = 0;
    for (ag_ref r = 1; r < g->n; r++) n += g->node[r].op == op;
    return n;
}

static bool takes_glu(void *ctx, const struct ag_graph *g, ag_ref r) {
    (void)ctx;
    return g->node[r].op == AG_OP_GLU;
}

static void test_lower(void) {
    struct ag_graph *g = draw(), *low = NULL, *part = NULL;
    CU_ASSERT_EQUAL(graph_lower(g, NULL, NULL, &low), AG_OK);
    for (ag_ref r = 1; r < low->n; r++) CU_ASSERT(low->node[r].op < AG_OP_FIRST_COMPOSITE);
    CU_ASSERT_EQUAL(count(low, AG_OP_UNARY), 4);
    CU_ASSERT_EQUAL(count(low, AG_OP_RMS_NORM), 4);
    CU_ASSERT_EQUAL(low->n_tagged, g->n_tagged);
    for (ag_ref r = 1; r < low->n; r++)
        for (int i = 0; i < AG_MAX_SRC; i++) CU_ASSERT(low->node[r].src[i] < r);
    CU_ASSERT_EQUAL(graph_lower(g, takes_glu, NULL, &part), AG_OK);
    CU_ASSERT_EQUAL(count(part, AG_OP_GLU), 2);
    CU_ASSERT_EQUAL(count(part, AG_OP_ADD_RMS_NORM), 0);
    graph_free(g);
    graph_free(low);
    graph_free(part);
}

/* While a value is still to be read, nobody else may be given its bytes. */
static void test_arena(void) {
    struct ag_graph *g = draw();
    uint64_t *place = malloc(g->n * sizeof *place), total = 0, sum = 0;
    CU_ASSERT_EQUAL_FATAL(graph_arena(g, &cls, (uint64_t)1 << AG_TAG_LAYER_OUT | (uint64_t)1 << AG_TAG_LOGITS, place, &total), AG_OK);
    for (ag_ref r = 1; r < g->n; r++) {
        if (place[r] == UINT64_MAX || g->node[r].op == AG_OP_VIEW) continue;
        uint64_t bytes = graph_elems(&g->node[r], &cls) * 4, end = place[r] + bytes;
        sum += bytes;
        CU_ASSERT(place[r] % 64 == 0 && end + 64 <= total + 64);
        ag_ref last = r;
        for (ag_ref u = r + 1; u < g->n; u++)
            for (int i = 0; i < AG_MAX_SRC; i++)
                if (g->node[u].src[i] && graph_root(g, g->node[u].src[i]) == r) last = u;
        for (uint32_t t = 0; t < g->n_tagged; t++)
            if (graph_root(g, g->tagged[t].ref) == r) last = g->n - 1;
        for (ag_ref u = r + 1; u <= last; u++) {
            if (place[u] == UINT64_MAX || g->node[u].op == AG_OP_VIEW) continue;
            uint64_t other = graph_elems(&g->node[u], &cls) * 4;
            CU_ASSERT(place[u] >= end || place[u] + other <= place[r]);
        }
    }
    CU_ASSERT(total < sum); /* something is shared */
    free(place);
    graph_free(g);
}

static void test_split(void) {
    struct ag_graph *g = draw();
    uint64_t *place = malloc(g->n * sizeof *place), total;
    uint8_t *device = calloc(g->n, 1);
    CU_ASSERT_EQUAL_FATAL(graph_arena(g, &cls, 0, place, &total), AG_OK);
    for (ag_ref r = 1; r < g->n; r++) device[r] = g->node[r].op == AG_OP_ROPE || g->node[r].op == AG_OP_GLU;
    struct graph_part *part;
    uint32_t n, work = 0, given = 0, whole = 0;
    CU_ASSERT_EQUAL_FATAL(graph_split(g, device, place, &part, &n), AG_OK);
    CU_ASSERT_EQUAL(n, 9); /* 0 rope 0 glu 0 rope 0 glu 0 */
    for (uint32_t i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(part[i].device, (int)(i % 2));
        given += part[i].n_given;
        for (ag_ref r = 1; r < part[i].graph->n; r++) {
            const struct ag_node *nd = &part[i].graph->node[r];
            for (int k = 0; k < AG_MAX_SRC; k++) CU_ASSERT(nd->src[k] < r);
            work += !graph_is_leaf(nd->op) && nd->op != AG_OP_VIEW;
            if (nd->op == AG_OP_GIVEN) CU_ASSERT(part[i].place[r] != UINT64_MAX);
        }
    }
    for (ag_ref r = 1; r < g->n; r++) whole += !graph_is_leaf(g->node[r].op) && g->node[r].op != AG_OP_VIEW;
    CU_ASSERT_EQUAL(work, whole);
    CU_ASSERT(given >= 8);
    graph_parts_free(part, n);
    free(place);
    free(device);
    graph_free(g);
}

static void test_text(void) {
    struct ag_graph *g = draw();
    char *text = NULL;
    CU_ASSERT_EQUAL(graph_text(g, NULL, NULL, &text), AG_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "ATTENTION"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Q4_0 [32, 64]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "tag 3.1"));
    free(text);
    graph_free(g);
}

int main(void) {
    b = graph_builder();
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("graph", NULL, NULL);
    CU_add_test(s, "faults", test_faults);
    CU_add_test(s, "lower", test_lower);
    CU_add_test(s, "arena", test_arena);
    CU_add_test(s, "split", test_split);
    CU_add_test(s, "text", test_text);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
