/* SPDX-License-Identifier: MIT */
/* Sessions over the tiny Gemma 3 on the reference backend: whatever road leads to a prefix, its
 * logits are the same. Arguments: folder of the plugins, model. */
#include "session.h"
#include "util/error.h"
#include "util/team.h"

#include <CUnit/Basic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 90, VOCAB = 512 };

static const char *plugin_dir, *model_path;
static struct registry *reg;
static struct modelfile *mf;
static int32_t ids[N];
static float want[VOCAB]; /* logits after all N tokens in one piece */

static struct engine *engine(const struct engine_options *extra) {
    struct engine_options o = extra ? *extra : (struct engine_options){ 0 };
    if (!o.backend) o.backend = "ref";
    o.exact = true;
    struct engine *e = NULL;
    int err = engine_create(reg, mf, &o, &e);
    if (err < 0) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_EQUAL_FATAL(err, AG_OK);
    return e;
}

static struct session *session(struct engine *e) {
    struct session *s = NULL;
    CU_ASSERT_EQUAL_FATAL(session_create(e, &s), AG_OK);
    return s;
}

static float distance(const float *a, const float *b) {
    float worst = 0;
    for (int i = 0; i < VOCAB; i++) worst = fmaxf(worst, fabsf(a[i] - b[i]));
    return worst;
}

static int setup(void) {
    struct registry_options o = { .dir = &plugin_dir, .n_dir = 1 };
    if (registry_open(&o, &reg) < 0 || modelfile_open(reg, model_path, &mf) < 0) {
        fprintf(stderr, "%s\n", fail_text());
        return 1;
    }
    for (int i = 0; i < N; i++) ids[i] = i ? 3 + i * 37 % 500 : 2;
    return 0;
}

/* First: what the other tests compare with. */
static void test_whole(void) {
    struct engine *e = engine(NULL);
    struct session *s = session(e);
    CU_ASSERT_EQUAL_FATAL(session_sync(s, ids, N, NULL, NULL), AG_OK);
    memcpy(want, session_logits(s), sizeof want);
    CU_ASSERT(isfinite(want[0]) && want[0] != want[1]);
    session_free(s);
    engine_free(e);
}

static int cleanup(void) {
    modelfile_close(mf);
    registry_close(reg);
    team_stop();
    return 0;
}

static void test_chunks(void) {
    struct engine_options o = { .max_batch = 7 };
    struct engine *e = engine(&o);
    struct session *s = session(e);
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, NULL), AG_OK);
    CU_ASSERT(distance(session_logits(s), want) < 1e-4f);
    session_free(s);
    engine_free(e);
}

static void test_prefix(void) {
    struct engine *e = engine(NULL);
    struct session *s = session(e);
    int32_t reused = -1, other[N];
    CU_ASSERT_EQUAL(session_sync(s, ids, 50, NULL, &reused), AG_OK);
    CU_ASSERT_EQUAL(reused, 0);
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, &reused), AG_OK);
    CU_ASSERT_EQUAL(reused, 50);
    CU_ASSERT(distance(session_logits(s), want) < 1e-4f);
    /* another continuation, and back: the window of 10 still holds what is needed */
    memcpy(other, ids, sizeof other);
    for (int i = 80; i < N; i++) other[i] = 7;
    CU_ASSERT_EQUAL(session_sync(s, other, N, NULL, &reused), AG_OK);
    CU_ASSERT_EQUAL(reused, 80);
    CU_ASSERT(distance(session_logits(s), want) > 1e-2f);
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, &reused), AG_OK);
    CU_ASSERT_EQUAL(reused, 80);
    CU_ASSERT(distance(session_logits(s), want) < 1e-4f);
    /* the same prefix again: the last token is computed for its logits */
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, &reused), AG_OK);
    CU_ASSERT_EQUAL(reused, N - 1);
    CU_ASSERT(distance(session_logits(s), want) < 1e-4f);
    /* cut behind what the windows hold: all is computed again */
    CU_ASSERT_EQUAL(session_rewind(s, 89), 89);
    other[1] = 9;
    CU_ASSERT_EQUAL(session_sync(s, other, N, NULL, &reused), AG_OK);
    CU_ASSERT(reused <= 1);
    session_free(s);
    engine_free(e);
}

static void test_old_window_is_gone(void) {
    struct engine_options o = { .ctx_size = 600 };
    struct engine *e = engine(&o);
    struct session *s = session(e);
    int32_t many[600], reused;
    for (int i = 0; i < 600; i++) many[i] = ids[i % N];
    CU_ASSERT_EQUAL(session_sync(s, many, 300, NULL, NULL), AG_OK);
    for (int n = 301; n <= 600; n++) CU_ASSERT_EQUAL(session_sync(s, many, n, NULL, NULL), AG_OK);
    CU_ASSERT_EQUAL(session_rewind(s, 590), 590);
    CU_ASSERT_EQUAL(session_rewind(s, 100), 0); /* those pages aged out */
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, &reused), AG_OK);
    CU_ASSERT(distance(session_logits(s), want) < 1e-4f);
    session_free(s);
    engine_free(e);
}

static void test_parallel(void) {
    struct engine_options o = { .max_seq = 3, .max_out = 3, .max_batch = 300 };
    struct engine *e = engine(&o);
    struct session *s[3] = { session(e), session(e), session(e) };
    struct session *none;
    CU_ASSERT_EQUAL(session_create(e, &none), AG_ENOSPC);
    CU_ASSERT_EQUAL(session_sync(s[1], ids, 30, NULL, NULL), AG_OK);
    struct step_item items[3] = { { s[2], ids, N, 1 }, { s[1], ids + 30, N - 30, 1 }, { s[0], ids + 1, 5, 1 } };
    CU_ASSERT_EQUAL(engine_step(e, items, 3), AG_OK);
    CU_ASSERT(distance(engine_logits(e, 0), want) < 1e-4f);
    CU_ASSERT(distance(engine_logits(e, 1), want) < 1e-4f);
    CU_ASSERT(distance(engine_logits(e, 2), want) > 1e-2f);
    CU_ASSERT_EQUAL(session_length(s[1]), N);
    for (int i = 0; i < 3; i++) session_free(s[i]);
    engine_free(e);
}

static void test_bounds(void) {
    struct engine_options o = { .ctx_size = 64, .max_batch = 32 };
    struct engine *e = engine(&o);
    struct session *s = session(e);
    int32_t bad[2] = { 2, VOCAB };
    CU_ASSERT_EQUAL(session_sync(s, ids, 65, NULL, NULL), AG_ENOSPC);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "65 tokens do not fit the context of 64"));
    CU_ASSERT_EQUAL(session_sync(s, ids, 0, NULL, NULL), AG_EINVAL);
    CU_ASSERT_EQUAL(session_sync(s, bad, 2, NULL, NULL), AG_EINVAL);
    CU_ASSERT_EQUAL(session_length(s), 0);
    CU_ASSERT_EQUAL(session_sync(s, ids, 64, NULL, NULL), AG_OK);
    struct step_item more = { s, ids, 1, 1 };
    CU_ASSERT_EQUAL(engine_step(e, &more, 1), AG_ENOSPC);
    struct step_item too_many = { s, ids, 33, 1 };
    CU_ASSERT(engine_step(e, &too_many, 1) < 0);
    session_free(s);
    engine_free(e);
}

static void test_cancel(void) {
    struct engine *e = engine(NULL);
    struct session *s = session(e);
    CU_ASSERT_EQUAL(session_sync(s, ids, 40, NULL, NULL), AG_OK);
    engine_cancel(e, true);
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, NULL), AG_ECANCELED);
    CU_ASSERT_EQUAL(session_length(s), 40);
    engine_cancel(e, false);
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, NULL), AG_OK);
    CU_ASSERT(distance(session_logits(s), want) < 1e-4f);
    session_free(s);
    engine_free(e);
}

static void test_trace(void) {
    struct engine_options o = { .trace = true };
    struct engine *e = engine(&o);
    struct session *s = session(e);
    CU_ASSERT_EQUAL(session_sync(s, ids, 20, NULL, NULL), AG_OK);
    CU_ASSERT_PTR_NOT_NULL(engine_trace(e, AG_TAG_EMBED, -1, 19));
    const float *a = engine_trace(e, AG_TAG_LAYER_OUT, 0, 0), *z = engine_trace(e, AG_TAG_LAYER_OUT, 7, 19);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(z);
    CU_ASSERT(isfinite(a[0]) && isfinite(z[63]) && a[0] != z[0]);
    CU_ASSERT_PTR_NULL(engine_trace(e, AG_TAG_LAYER_OUT, 8, 0));
    CU_ASSERT_PTR_NULL(engine_trace(e, AG_TAG_LAYER_OUT, 0, 20));
    session_free(s);
    engine_free(e);
}

/* ---- placement: the reference backend with ops taken away, and memory the host cannot see ---- */

static void *no_map(ag_device *d, ag_buffer *b) { (void)d, (void)b; return NULL; }
static int no_import(ag_device *d, void *m, uint64_t n, ag_buffer **b) {
    (void)d, (void)m, (void)n, (void)b;
    return AG_ENOTSUP;
}

static void with_fallback(bool apart) {
    struct plugin *p = registry_find(reg, AG_KIND_BACKEND, "ref");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL_FATAL(registry_load(reg, p), AG_OK);
    struct ag_backend whole = p->u.backend;
    struct ag_support rows[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < whole.n_support; i++) {
        const struct ag_support *row = (const void *)((const char *)whole.support + (size_t)i * whole.support_stride);
        if (row->op != AG_OP_ROPE && row->op != AG_OP_UNARY && row->op != AG_OP_RMS_NORM) rows[n++] = *row;
    }
    p->u.backend.support = rows;
    p->u.backend.n_support = n;
    p->u.backend.support_stride = sizeof rows[0];
    if (apart) p->u.backend.map = no_map, p->u.backend.import = no_import;
    struct engine_options o = { .backend = "ref", .exact = true };
    struct engine *e = NULL;
    CU_ASSERT_EQUAL(engine_create(reg, mf, &o, &e), AG_ENOTSUP);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "backend ref has no RMS_NORM of F32"));
    o.allow_cpu_fallback = true;
    e = engine(&o);
    struct session *s = session(e);
    CU_ASSERT_EQUAL(session_sync(s, ids, N, NULL, NULL), AG_OK);
    CU_ASSERT(distance(session_logits(s), want) < 1e-3f);
    CU_ASSERT(apart == (engine_seam_bytes(e) > 0));
    session_free(s);
    engine_free(e);
    p->u.backend = whole;
}

static void test_fallback_shared(void) { with_fallback(false); }
static void test_fallback_apart(void) { with_fallback(true); }

static void test_choice(void) {
    struct plugin *p;
    int index;
    CU_ASSERT(engine_pick_device(reg, "nosuch", NULL, &p, &index) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "backend_nosuch.so"));
    CU_ASSERT(engine_pick_device(reg, "ref", "99", &p, &index) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "no device 99"));
    CU_ASSERT_EQUAL(engine_pick_device(reg, "auto", NULL, &p, &index), AG_OK);
    CU_ASSERT_STRING_EQUAL(p->name, "cpu");
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    plugin_dir = argv[1];
    model_path = argv[2];
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("session", setup, cleanup);
    CU_add_test(s, "whole", test_whole);
    CU_add_test(s, "chunks", test_chunks);
    CU_add_test(s, "prefix", test_prefix);
    CU_add_test(s, "old window", test_old_window_is_gone);
    CU_add_test(s, "parallel", test_parallel);
    CU_add_test(s, "bounds", test_bounds);
    CU_add_test(s, "cancel", test_cancel);
    CU_add_test(s, "trace", test_trace);
    CU_add_test(s, "fallback, shared memory", test_fallback_shared);
    CU_add_test(s, "fallback, memory apart", test_fallback_apart);
    CU_add_test(s, "choice", test_choice);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return bad != 0;
}
