/* SPDX-License-Identifier: MIT */
#include "graph/build.h"
#include "util/error.h"
#include "util/host_services.h"

#include <CUnit/Basic.h>
#include <string.h>

extern const struct ag_plugin AG_PLUGIN_SYMBOL;
static const struct ag_backend *b;

/* A tagged value becomes zeros in each run; nothing else is touched. */
static void answers_zeros(void) {
    ag_device *dev;
    ag_buffer *scratch;
    CU_ASSERT_EQUAL_FATAL(b->open(0, NULL, &dev), AG_OK);
    CU_ASSERT_EQUAL_FATAL(b->alloc(dev, 256, AG_BUFFER_DEVICE, 0, &scratch), AG_OK);
    struct ag_node node[3] = { { 0 }, { .op = AG_OP_SCALE, .dtype = AG_F32, .dim = { 5, AG_DIM_R, 1, 1 },
                                        .stride = { 1, 5, 5, 5 } } };
    node[2] = node[1];
    struct ag_tagged tagged = { .ref = 2, .tag = AG_TAG_LOGITS };
    struct ag_graph g = { .size = sizeof g, .node_size = sizeof *node, .n = 3, .node = node, .n_tagged = 1,
                          .tagged = &tagged };
    uint64_t place[3] = { UINT64_MAX, 0, 64 };
    struct ag_plan_desc d = { .size = sizeof d, .graph = &g, .cls = { 4, 2, 1, 8 },
                              .scratch = { scratch, 0, 256 }, .place = place };
    ag_plan *plan;
    CU_ASSERT_EQUAL_FATAL(b->plan(dev, &d, &plan), AG_OK);
    unsigned char *p = b->map(dev, scratch);
    int32_t cancel = 0;
    struct ag_run run = { .size = sizeof run, .cancel = &cancel };
    for (int round = 0; round < 2; round++) {
        memset(p, 7, 256);
        CU_ASSERT_EQUAL(b->run(plan, &run), AG_OK);
        for (int i = 0; i < 256; i++) CU_ASSERT_EQUAL_FATAL(p[i], i >= 64 && i < 64 + 40 ? 0 : 7);
    }
    cancel = 1;
    CU_ASSERT_EQUAL(b->run(plan, &run), AG_ECANCELED);
    b->plan_free(plan);
    place[2] = 224; /* 40 bytes from there are not inside */
    CU_ASSERT_EQUAL(b->plan(dev, &d, &plan), AG_EINVAL);
    CU_ASSERT_EQUAL(b->write(dev, scratch, 250, p, 7), AG_EINVAL);
    CU_ASSERT_EQUAL(b->read(dev, scratch, UINT64_MAX, p, 1), AG_EINVAL);
    b->release(dev, scratch);
    b->close(dev);
}

int main(void) {
    b = AG_PLUGIN_SYMBOL.iface;
    AG_PLUGIN_SYMBOL.init(host_services());
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("backend_null", NULL, NULL);
    CU_add_test(s, "answers zeros", answers_zeros);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
