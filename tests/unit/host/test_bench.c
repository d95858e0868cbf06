/* SPDX-License-Identifier: MIT */
#include "bandwidth.h"
#include "bench.h"
#include "util/team.h"

#include <CUnit/Basic.h>
#include <stdio.h>

static void test_depths(void) {
    struct bench_args a = { .pp = 512, .tg = 128 };
    CU_ASSERT_EQUAL(bench_parse_depths("0,512,4096", &a), AG_OK);
    CU_ASSERT(a.n_depth == 3 && a.depth[0] == 0 && a.depth[1] == 512 && a.depth[2] == 4096);
    CU_ASSERT_EQUAL(bench_ctx(&a), 4096 + 512);
    CU_ASSERT_EQUAL(bench_batch(&a), 512);
    CU_ASSERT_EQUAL(bench_parse_depths("7", &a), AG_OK);
    CU_ASSERT(a.n_depth == 1 && a.depth[0] == 7);
    a.pp = 0;
    CU_ASSERT_EQUAL(bench_ctx(&a), 7 + 128);
    CU_ASSERT_EQUAL(bench_batch(&a), 7 + 128);
    static const char *const bad[] = { "", ",", "1,", ",1", "-1", "1 ", " 1", "x", "1,,2", "1;2",
                                       "99999999999999999999", "16777217",
                                       ("0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
                                        "0,0,0,0,0") };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(bench_parse_depths(bad[i], &a), AG_EINVAL);
}

static void test_bandwidth(void) {
#ifdef __SANITIZE_THREAD__
    puts("gigabytes are summed up: too slow with every access watched");
    return;
#endif
    double gb_s = 0;
    CU_ASSERT_EQUAL(bandwidth_measure(&gb_s), AG_OK);
    CU_ASSERT(gb_s > 0.01 && gb_s < 1e5);
}

int main(void) {
    if (CU_initialize_registry() != CUE_SUCCESS) return 2;
    CU_pSuite s = CU_add_suite("bench", NULL, NULL);
    CU_add_test(s, "depths", test_depths);
    CU_add_test(s, "bandwidth", test_bandwidth);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    team_stop();
    return failed != 0;
}
