/* SPDX-License-Identifier: MIT */
#include "recipe.h"

#include <CUnit/Basic.h>
#include <math.h>

static const struct ag_recipe metal = { .name = "Q4 Metal", .backend = "metal", .quant = "Q4",
                                        .temperature = 0.7, .top_p = NAN, .repeat_penalty = NAN };
static const struct ag_recipe generic = { .name = "generic", .temperature = 0.7, .top_p = NAN,
                                          .repeat_penalty = 1.1, .max_tokens = 1024 };

static const char *name(const struct ag_recipe *const *rows, const char *backend, const char *quant) {
    const struct ag_recipe *r = recipe_match(rows, backend, quant);
    return r ? r->name : "none";
}

static void of_a_model(void) {
    const struct ag_recipe *const rows[] = { &metal, NULL }, *const any[] = { &generic, NULL };
    CU_ASSERT_STRING_EQUAL(name(rows, "metal", "Q4_K_M"), "Q4 Metal");
    CU_ASSERT_STRING_EQUAL(name(rows, "Metal", "q4_0"), "Q4 Metal");
    CU_ASSERT_STRING_EQUAL(name(rows, "metal", "Q8_0"), "none");
    CU_ASSERT_STRING_EQUAL(name(rows, "cpu", "Q4_0"), "CPU generic");
    CU_ASSERT_STRING_EQUAL(name(any, "cpu", "Q4_0"), "generic");
    CU_ASSERT_STRING_EQUAL(name(any, "vulkan", ""), "generic");
}

static void of_any_model(void) {
    CU_ASSERT_STRING_EQUAL(name(NULL, "cpu", "F16"), "CPU generic");
    CU_ASSERT_STRING_EQUAL(name(NULL, "ref", "F16"), "none");
    CU_ASSERT_STRING_EQUAL(name(NULL, "cuda", "Q4_K_M"), "none");
}

int main(void) {
    CU_TestInfo tests[] = { { "of a model", of_a_model }, { "of any model", of_any_model },
                            CU_TEST_INFO_NULL };
    CU_SuiteInfo suites[] = { { "recipe", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };
    if (CU_initialize_registry() || CU_register_suites(suites)) return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}
