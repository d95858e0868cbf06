/* SPDX-License-Identifier: MIT */
/* SafeTensors of the tools: round trip, shortened last tensor, nothing left behind, hostile headers. */
#include "stio.h"
#include "util/error.h"

#include <CUnit/Basic.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/agave-stio-XXXXXX";
static char path[64];

static int count_files(void) {
    char cmd[96];
    snprintf(cmd, sizeof cmd, "ls %s | wc -l", dir);
    FILE *p = popen(cmd, "r");
    int n = -1;
    if (!p || fscanf(p, "%d", &n) != 1) n = -1;
    if (p) pclose(p);
    return n;
}

static void test_round_trip(void) {
    struct st_writer *w;
    CU_ASSERT_EQUAL_FATAL(st_create(path, &w), AG_OK);
    int a = st_add(w, "a \"quoted\".logits", ST_F32, 2, 3, 2);
    int b = st_add(w, "steps", ST_I32, 1, 1000, 1);
    CU_ASSERT_EQUAL(a, 0);
    CU_ASSERT_EQUAL(b, 1);
    CU_ASSERT(st_add(w, "steps", ST_I32, 1, 1, 1) < 0);
    CU_ASSERT_EQUAL_FATAL(st_begin(w), AG_OK);
    static const float rows[] = { 1, 2, 3, 4, 5, 6 };
    static const int32_t steps[] = { 7, -8, 9 };
    CU_ASSERT_EQUAL(st_write(w, a, 4, rows + 4, 2), AG_OK);
    CU_ASSERT_EQUAL(st_write(w, a, 0, rows, 4), AG_OK);
    CU_ASSERT_EQUAL(st_write(w, a, 5, rows, 2), AG_EINVAL);
    CU_ASSERT_EQUAL(st_write(w, b, 0, steps, 3), AG_OK);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    st_shorten(w, 3);
    CU_ASSERT_EQUAL(st_commit(w), AG_OK);
    st_free(w);
    CU_ASSERT_EQUAL(count_files(), 1);

    struct st_file *f;
    CU_ASSERT_EQUAL_FATAL(st_open(path, &f), AG_OK);
    CU_ASSERT_EQUAL_FATAL(st_count(f), 2);
    float got[6];
    int32_t got_steps[3];
    const struct st_tensor *t = st_at(f, 0);
    CU_ASSERT_STRING_EQUAL(t->name, "a \"quoted\".logits");
    CU_ASSERT_STRING_EQUAL(t->dtype, "F32");
    CU_ASSERT(t->n_dim == 2 && t->dim[0] == 3 && t->dim[1] == 2 && t->bytes == sizeof got);
    CU_ASSERT_EQUAL(st_read(f, t, got), AG_OK);
    CU_ASSERT(!memcmp(got, rows, sizeof got));
    t = st_at(f, 1);
    CU_ASSERT(t->n_dim == 1 && t->dim[0] == 3 && t->bytes == sizeof got_steps);
    CU_ASSERT_EQUAL(st_read(f, t, got_steps), AG_OK);
    CU_ASSERT(!memcmp(got_steps, steps, sizeof steps));
    st_close(f);
    unlink(path);
}

static void test_abandoned(void) {
    struct st_writer *w;
    CU_ASSERT_EQUAL_FATAL(st_create(path, &w), AG_OK);
    st_add(w, "x", ST_F32, 1, 4, 1);
    CU_ASSERT_EQUAL(st_begin(w), AG_OK);
    CU_ASSERT_EQUAL(access(path, F_OK), -1);
    st_free(w);
    CU_ASSERT_EQUAL(count_files(), 0);
    CU_ASSERT_EQUAL_FATAL(st_create("/nowhere/at/all", &w), AG_OK);
    CU_ASSERT_EQUAL(st_begin(w), AG_ENOENT);
    st_free(w);
    CU_ASSERT_EQUAL_FATAL(st_create(path, &w), AG_OK);
    CU_ASSERT_EQUAL(st_add(w, "x", ST_F32, 2, UINT64_MAX / 2, 3), AG_EINVAL);
    st_free(w);
    st_free(NULL);
    st_close(NULL);
}

static int open_header(const char *json, uint64_t n, size_t data) {
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < 8; i++) fputc((int)(n >> 8 * i & 255), f);
    fputs(json, f);
    for (size_t i = 0; i < data; i++) fputc(0, f);
    fclose(f);
    struct st_file *st;
    int err = st_open(path, &st);
    st_close(err ? NULL : st);
    unlink(path);
    return err;
}

static void test_hostile(void) {
    static const char *const good = "{\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    CU_ASSERT_EQUAL(open_header(good, strlen(good), 8), AG_OK);
    CU_ASSERT_EQUAL(open_header(good, strlen(good), 7), AG_EFORMAT);
    CU_ASSERT_EQUAL(open_header(good, strlen(good) - 1, 8), AG_EFORMAT);
    CU_ASSERT_EQUAL(open_header(good, UINT64_MAX, 8), AG_EFORMAT);
    CU_ASSERT_EQUAL(open_header("", 0, 0), AG_EFORMAT);
    static const char *const bad[] = {
        "[]", "3", "{\"a\":3}", "{\"a\":{}}", "{\"a\":[]}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"X9\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[-8,0]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[4611686018427387904,"
        "4611686018427387912]}}",
        "{\"a\":{\"dtype\":\"I64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"I32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(open_header(bad[i], strlen(bad[i]), 8), AG_EFORMAT);
    struct st_file *f;
    CU_ASSERT_EQUAL(st_open("/nowhere", &f), AG_ENOENT);
    CU_ASSERT_EQUAL(st_open("/tmp", &f), AG_EFORMAT);
}

int main(void) {
    if (!mkdtemp(dir)) return 2;
    snprintf(path, sizeof path, "%s/out.safetensors", dir);
    if (CU_initialize_registry() != CUE_SUCCESS) return 2;
    CU_pSuite s = CU_add_suite("stio", NULL, NULL);
    CU_add_test(s, "round trip", test_round_trip);
    CU_add_test(s, "abandoned", test_abandoned);
    CU_add_test(s, "hostile", test_hostile);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    rmdir(dir);
    return failed != 0;
}
