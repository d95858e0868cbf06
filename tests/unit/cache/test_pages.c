/* SPDX-License-Identifier: MIT */
/* Page pools and tables under random growing and cutting: no page is lost, none is shared, what a
 * query may see is held. */
#include "cache/pages.h"

#include <CUnit/Basic.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 16, CTX = 1000, BATCH = 40, SEQS = 3, MAX_PAGE = (CTX + TOKENS - 1) / TOKENS };

static uint64_t seed = 12345;
static int32_t below(int32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((seed >> 33) % (uint64_t)n);
}

static void check(const struct page_table *t, const struct page_pool *p, const int32_t *length) {
    int32_t held = 0;
    bool *seen = calloc((size_t)p->n_page, sizeof *seen);
    for (int s = 0; s < SEQS; s++) {
        int32_t first = p->kind == AG_STATE_WINDOW && length[s] >= p->window ? length[s] - p->window + 1 : 0;
        for (int32_t i = 0; i < MAX_PAGE; i++) {
            bool here = i >= t[s].first && i < t[s].end;
            CU_ASSERT_EQUAL(here, t[s].page[i] >= 0);
            if (i * TOKENS < length[s] && (i + 1) * TOKENS > first) CU_ASSERT(here);
            if (!here) continue;
            CU_ASSERT(t[s].page[i] < p->n_page && !seen[t[s].page[i]]);
            seen[t[s].page[i]] = true;
            held++;
        }
    }
    CU_ASSERT_EQUAL(held + p->n_free, p->n_page);
    free(seen);
}

static void churn(uint32_t kind, int32_t window) {
    struct page_pool p;
    struct page_table t[SEQS];
    int32_t length[SEQS] = { 0 };
    CU_ASSERT_EQUAL_FATAL(page_pool_init(&p, kind, window, TOKENS, CTX, BATCH, SEQS), AG_OK);
    for (int s = 0; s < SEQS; s++) CU_ASSERT_EQUAL_FATAL(page_table_init(&t[s], MAX_PAGE), AG_OK);
    for (int step = 0; step < 3000; step++) {
        int s = below(SEQS);
        if (below(10) < 8) {
            int32_t more = 1 + below(BATCH);
            if (length[s] + more > CTX) continue;
            CU_ASSERT_EQUAL(page_table_extend(&t[s], &p, length[s], more), AG_OK);
            length[s] += more;
        } else {
            int32_t n = below(20) ? length[s] - below(length[s] < 60 ? length[s] + 1 : 60) : 0;
            if (!page_table_can_cut(&t[s], &p, n)) n = 0;
            page_table_cut(&t[s], &p, n);
            length[s] = n;
        }
        check(t, &p, length);
    }
    for (int s = 0; s < SEQS; s++) page_table_finish(&t[s], &p);
    CU_ASSERT_EQUAL(p.n_free, p.n_page);
    page_pool_finish(&p);
}

static void test_full(void) { churn(AG_STATE_FULL, 0); }
static void test_window(void) { churn(AG_STATE_WINDOW, 100); }

static void test_bounded(void) {
    struct page_pool full, ring;
    CU_ASSERT_EQUAL(page_pool_init(&full, AG_STATE_FULL, 0, TOKENS, 4096, 512, 1), AG_OK);
    CU_ASSERT_EQUAL(page_pool_init(&ring, AG_STATE_WINDOW, 512, TOKENS, 32768, 512, 1), AG_OK);
    CU_ASSERT_EQUAL(full.n_page, 256);
    CU_ASSERT(ring.n_page < 80); /* follows the window, not the context */
    page_pool_finish(&full);
    page_pool_finish(&ring);
    CU_ASSERT(page_pool_init(&full, AG_STATE_FULL, 0, TOKENS, INT32_MAX, 1, 64) < 0);
}

static void test_out_of_pages(void) {
    struct page_pool p;
    struct page_table a, c;
    CU_ASSERT_EQUAL_FATAL(page_pool_init(&p, AG_STATE_FULL, 0, TOKENS, 64, 64, 1), AG_OK);
    page_table_init(&a, 8);
    page_table_init(&c, 8);
    CU_ASSERT_EQUAL(page_table_extend(&a, &p, 0, 33), AG_OK);
    CU_ASSERT_EQUAL(page_table_extend(&c, &p, 0, 17), AG_ENOSPC);
    CU_ASSERT_EQUAL(c.end, 0);
    CU_ASSERT_EQUAL(p.n_free, 1);
    page_table_finish(&a, &p);
    page_table_finish(&c, &p);
    page_pool_finish(&p);
}

int main(void) {
    CU_initialize_registry();
    CU_pSuite s = CU_add_suite("pages", NULL, NULL);
    CU_add_test(s, "full", test_full);
    CU_add_test(s, "window", test_window);
    CU_add_test(s, "bounded", test_bounded);
    CU_add_test(s, "out of pages", test_out_of_pages);
    CU_basic_run_tests();
    unsigned bad = CU_get_number_of_failures();
    CU_cleanup_registry();
    return bad != 0;
}
