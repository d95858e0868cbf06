/* SPDX-License-Identifier: MIT */
/* scratch.h - for tests: a folder that goes away, files written into it, bytes put one after another,
 * and a host whose n-th allocation fails. */
#ifndef TEST_SCRATCH_H
#define TEST_SCRATCH_H

#include "util/error.h"
#include "util/host_services.h"
#include "util/mem.h"
#include "util/str.h"

#include <CUnit/Basic.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_dir[64];

static inline void scratch_make(void) {
    strcpy(scratch_dir, "/tmp/agave-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(scratch_dir));
}

/* Path of a name in the folder; of four the last ones stay valid. */
static inline const char *scratch_path(const char *name) {
    static char path[4][512];
    static int turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", scratch_dir, name);
    return to;
}

static inline void scratch_empty(const char *dir) {
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct str path = { 0 };
        if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.')) continue;
        str_printf(&path, "%s/%s", dir, e->d_name);
        if (unlink(str_text(&path)) < 0) scratch_empty(str_text(&path)), rmdir(str_text(&path));
        str_free(&path);
    }
    if (d) closedir(d);
}

static inline void scratch_remove(void) {
    scratch_empty(scratch_dir);
    rmdir(scratch_dir);
}

struct bytes { unsigned char *p; size_t n, cap; };

static inline void put(struct bytes *b, const void *p, size_t n) {
    CU_ASSERT_EQUAL_FATAL(mem_grow(&b->p, &b->cap, b->n + n, 1), AG_OK);
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
}
static inline void put_u32(struct bytes *b, uint32_t v) { put(b, &v, 4); }
static inline void put_u64(struct bytes *b, uint64_t v) { put(b, &v, 8); }
static inline void put_str(struct bytes *b, const char *s) {
    put_u64(b, strlen(s));
    put(b, s, strlen(s));
}

static inline const char *scratch_write(const char *name, const void *p, size_t n) {
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(p, 1, n, f), n);
    fclose(f);
    return path;
}

static inline const char *scratch_text(const char *name, const char *text) {
    return scratch_write(name, text, strlen(text));
}

/* Whole file in memory, free() it. */
static inline unsigned char *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *p = malloc(*n + 1);
    CU_ASSERT_EQUAL_FATAL(fread(p, 1, *n, f), *n);
    fclose(f);
    return p;
}

/* Allocations until failure, and those not given back. */
static long alloc_countdown = -1, alloc_live;

static inline void *counted_alloc(size_t bytes, size_t align) {
    if (alloc_countdown == 0) return NULL;
    if (alloc_countdown > 0) alloc_countdown--;
    void *p = mem_aligned(bytes, align);
    alloc_live += p != NULL;
    return p;
}
static inline void counted_free(void *p) {
    alloc_live -= p != NULL;
    free(p);
}
static inline const struct ag_host *counting_host(void) {
    static struct ag_host host;
    host = *host_services();
    host.alloc = counted_alloc;
    host.free = counted_free;
    return &host;
}

static inline int run_suite(const char *name, const CU_TestInfo *tests) {
    if (CU_initialize_registry() != CUE_SUCCESS) return 2;
    CU_pSuite s = CU_add_suite(name, NULL, NULL);
    for (; tests->pName; tests++) CU_add_test(s, tests->pName, tests->pTestFunc);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failed != 0;
}

#endif
