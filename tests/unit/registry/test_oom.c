/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for every n until all goes well: opening a registry and loading what is in
 * it ends in an error with a text or in a plugin refused with a reason, and nothing is lost. The linker
 * sends the allocations of our own code through here (--wrap). The argument is the folder of plugins.c. */
#include "registry.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long left = -1; /* allocations that succeed; < 0: all */
static long alive;     /* blocks that our own code holds */

static bool fails(void) {
    if (left < 0) return false;
    if (left == 0) return true;
    left--;
    return false;
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
char *__real_strdup(const char *);
char *__real_strndup(const char *, size_t);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void __real_free(void *);
void __wrap_free(void *);
char *__wrap_strdup(const char *);
char *__wrap_strndup(const char *, size_t);

static void *counted(void *p) {
    alive += p != NULL;
    return p;
}
void *__wrap_malloc(size_t n) { return fails() ? NULL : counted(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : counted(__real_calloc(n, size)); }
void *__wrap_realloc(void *p, size_t n) {
    if (fails()) return NULL;
    alive += p == NULL;
    return __real_realloc(p, n);
}
void __wrap_free(void *p) {
    alive -= p != NULL;
    __real_free(p);
}
char *__wrap_strdup(const char *s) { return fails() ? NULL : counted(__real_strdup(s)); }
char *__wrap_strndup(const char *s, size_t n) { return fails() ? NULL : counted(__real_strndup(s, n)); }

static const char *folder;

/* true when nothing failed for lack of memory. */
static bool once(long n) {
    const struct registry_options o = { .dir = &folder, .n_dir = 1, .path = "/nowhere:/nowhere/else",
                                        .data_home = "/nowhere", .install_dir = "/nowhere/lib" };
    struct registry *r = NULL;
    left = n;
    fail_clear();
    int rc = registry_open(&o, &r);
    bool all = rc >= 0 && left != 0;
    if (rc < 0) {
        CU_ASSERT_EQUAL(rc, AG_ENOMEM);
        CU_ASSERT_TRUE(*fail_text() != 0);
        CU_ASSERT_PTR_NULL(r);
    }
    for (size_t i = 0; rc >= 0 && i < registry_count(r); i++) {
        struct plugin *p = registry_at(r, i);
        if (p->refused || (strcmp(p->name, "first") && strcmp(p->name, "rows") && strcmp(p->name, "good"))) continue;
        int loaded = registry_load(r, p);
        if (loaded < 0) CU_ASSERT_TRUE(p->refused != NULL && !p->loaded);
        all &= loaded >= 0 && left != 0;
    }
    left = -1;
    registry_close(r);
    return all;
}

static void every_allocation(void) {
    CU_ASSERT_TRUE(once(-1)); /* what is kept for the process is kept now */
    long before = alive, n = 0;
    for (; n < 5000 && !once(n); n++) CU_ASSERT_EQUAL(alive, before);
    printf("%ld allocations ", n);
    CU_ASSERT_TRUE(n > 20 && n < 5000);
}

int main(int argc, char **argv) {
    if (argc != 2 || CU_initialize_registry() != CUE_SUCCESS) return 1;
    folder = argv[1];
    CU_pSuite s = CU_add_suite("oom", NULL, NULL);
    CU_ADD_TEST(s, every_allocation);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
