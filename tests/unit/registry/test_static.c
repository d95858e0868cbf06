/* SPDX-License-Identifier: MIT */
/* A program with plugins inside: they come first, load without a file, and files are refused. Arguments:
 * folder with the plugins of plugins.c. */
#include "registry.h"
#include "registry/static.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

extern const struct ag_plugin ag_plugin_transport_good, ag_plugin_transport_noinit;
extern const char ag_plugin_note_transport_good[], ag_plugin_note_transport_noinit[];

const struct static_plugin static_plugins[] = {
    { &ag_plugin_transport_good, ag_plugin_note_transport_good },
    { &ag_plugin_transport_noinit, ag_plugin_note_transport_noinit },
    { &ag_plugin_transport_good, "kind=TRANSPORT\nname=broken\n" },
    { NULL, NULL },
};

static const char *folder;

static void inside(void) {
    const struct registry_options o = { 0 };
    struct registry *r;
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    CU_ASSERT_EQUAL(registry_count(r), 3);
    struct plugin *p = registry_find(r, AG_KIND_TRANSPORT, "good");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->path, "(built in)");
    CU_ASSERT_STRING_EQUAL(p->provides, "transport=good");
    CU_ASSERT_EQUAL(registry_load(r, p), 0);
    CU_ASSERT_EQUAL(p->u.transport.send(NULL, NULL, 0, 0), AG_EIO);
    p = registry_find(r, AG_KIND_TRANSPORT, "noinit");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_TRUE(registry_load(r, p) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "no luck today"));
    CU_ASSERT_PTR_NOT_NULL(strstr(registry_at(r, 2)->refused, "lacks abi"));
    registry_close(r);
}

static void files(void) {
    char path[4096];
    const char *file[] = { path };
    snprintf(path, sizeof path, "%s/transport_count.so", folder);
    const struct registry_options o = { .file = file, .n_file = 1 };
    struct registry *r;
    CU_ASSERT_EQUAL(registry_open(&o, &r), AG_ENOTSUP);
    CU_ASSERT_PTR_NOT_NULL(strstr(fail_text(), "static build"));
}

int main(int argc, char **argv) {
    if (argc != 2 || CU_initialize_registry() != CUE_SUCCESS) return 1;
    folder = argv[1];
    CU_pSuite s = CU_add_suite("static", NULL, NULL);
    CU_ADD_TEST(s, inside);
    CU_ADD_TEST(s, files);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
