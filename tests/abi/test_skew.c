/* SPDX-License-Identifier: MIT */
/* Plugins of other days in this host. Built twice: with today's headers, and with HOST_GROWN against
 * those of a later minor. The argument is the folder with the plugins of skew.c. */
#include "registry.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

static const char *folder;

static struct registry *load(uint32_t kind, const char *name, struct plugin **out, int *rc) {
    char path[4096];
    const char *file[1] = { path };
    snprintf(path, sizeof path, "%s/%s_%s.so", folder, plugin_kind_name(kind), name);
    struct registry_options o = { .file = file, .n_file = 1 };
    struct registry *r;
    *out = NULL;
    *rc = registry_open(&o, &r);
    if (*rc < 0) return NULL;
    *out = registry_at(r, 0);
    *rc = registry_load(r, *out);
    return r;
}

static bool loads(uint32_t kind, const char *name, struct registry **r, struct plugin **p) {
    int rc;
    *r = load(kind, name, p, &rc);
    if (rc < 0) fprintf(stderr, "%s\n", fail_text());
    CU_ASSERT_EQUAL(rc, 0);
    return rc == 0;
}

static void refused(uint32_t kind, const char *name, const char *reason) {
    struct plugin *p;
    int rc;
    struct registry *r = load(kind, name, &p, &rc);
    CU_ASSERT_TRUE(rc < 0);
    bool said = strstr(fail_text(), reason) != NULL;
    if (!said) fprintf(stderr, "%s: want \"%s\" in \"%s\"\n", name, reason, fail_text());
    CU_ASSERT_TRUE(said);
    registry_close(r);
}

#ifdef HOST_GROWN
#define LATER_MINOR AG_ABI_MINOR
#define NOTHING_LATER(table) \
    CU_ASSERT_EQUAL((table).later_a, 0); \
    CU_ASSERT_TRUE((table).later_b == NULL)
#else
#define LATER_MINOR (AG_ABI_MINOR + 1)
#define NOTHING_LATER(table) (void)(table)
#endif

static void old_backend(void) {
    struct registry *r;
    struct plugin *p;
    if (!loads(AG_KIND_BACKEND, "old", &r, &p)) return;
    const struct ag_backend *b = &p->u.backend;
    CU_ASSERT_EQUAL(b->size, sizeof *b);
    CU_ASSERT_EQUAL(b->device_count(), 3);
    CU_ASSERT_EQUAL(b->support[1].op, AG_OP_MATMUL);
    CU_ASSERT_EQUAL(b->support[1].dtypes, 1u << AG_F32 | 1u << AG_F16);
    CU_ASSERT_EQUAL(b->support_stride, sizeof *b->support);
    CU_ASSERT_TRUE(!b->supports && !b->layout && !b->pack && !b->memory_free && !b->claim);
    NOTHING_LATER(*b);
    NOTHING_LATER(b->support[0]);
    NOTHING_LATER(b->support[1]);
    registry_close(r);
}

/* The optional entries lie behind the end of this one, and are rubbish. */
static void shortest_backend(void) {
    struct registry *r;
    struct plugin *p;
    if (!loads(AG_KIND_BACKEND, "shortest", &r, &p)) return;
    CU_ASSERT_TRUE(!p->u.backend.memory_free && !p->u.backend.wait && p->u.backend.plan_free);
    NOTHING_LATER(p->u.backend);
    registry_close(r);
}

static void old_model(void) {
    struct registry *r;
    struct plugin *p;
    if (!loads(AG_KIND_MODEL, "old", &r, &p)) return;
    const struct ag_model *m = &p->u.model;
    CU_ASSERT_EQUAL(m->match(NULL), 42);
    CU_ASSERT_STRING_EQUAL(m->chat[1]->answer, "<a|");
    CU_ASSERT_PTR_NULL(m->chat[1]->eog);
    CU_ASSERT_PTR_NULL(m->chat[2]);
    CU_ASSERT_EQUAL(m->recipe[0]->temperature, 0.25);
    CU_ASSERT_PTR_NULL(m->recipe[1]);
    int64_t dim = 9;
    CU_ASSERT_EQUAL(m->private_op[0]->shape(&dim, 1), 9);
    NOTHING_LATER(*m);
    NOTHING_LATER(*m->chat[0]);
    NOTHING_LATER(*m->chat[1]);
    NOTHING_LATER(*m->recipe[0]);
    NOTHING_LATER(*m->private_op[0]);
    registry_close(r);
}

static void old_format_and_transport(void) {
    struct registry *r;
    struct plugin *p;
    if (loads(AG_KIND_FORMAT, "old", &r, &p)) {
        CU_ASSERT_EQUAL(p->u.format.probe(NULL, 0, "", false), 5);
        CU_ASSERT_STRING_EQUAL(p->u.format.scheme(NULL), "old");
        NOTHING_LATER(p->u.format);
        registry_close(r);
    }
    if (loads(AG_KIND_TRANSPORT, "old", &r, &p)) {
        CU_ASSERT_EQUAL(p->u.transport.listen("", 0, NULL), (int)sizeof(struct ag_host));
        NOTHING_LATER(p->u.transport);
        registry_close(r);
    }
}

/* Made for a later host: what this one does not know is not taken over, what it knows works. */
static void longer(void) {
    struct registry *r;
    struct plugin *p;
    if (loads(AG_KIND_BACKEND, "longer", &r, &p)) {
        const struct ag_backend *b = &p->u.backend;
        CU_ASSERT_EQUAL(p->abi_minor, LATER_MINOR);
        CU_ASSERT_EQUAL(b->size, sizeof *b);
        CU_ASSERT_EQUAL(b->device_count(), 3);
        CU_ASSERT_EQUAL(b->support[1].op, AG_OP_MATMUL);
        CU_ASSERT_EQUAL(b->support[1].dtypes, 1u << AG_F32 | 1u << AG_F16);
#ifdef HOST_GROWN
        CU_ASSERT_EQUAL(b->later_a, 7);
        CU_ASSERT_TRUE(b->later_b != NULL);
#endif
        registry_close(r);
    }
    if (loads(AG_KIND_MODEL, "longer", &r, &p)) {
        CU_ASSERT_STRING_EQUAL(p->u.model.chat[1]->answer, "<a|");
        CU_ASSERT_PTR_NULL(p->u.model.chat[2]);
        CU_ASSERT_EQUAL(p->u.model.recipe[0]->temperature, 0.25);
        registry_close(r);
    }
    if (loads(AG_KIND_TRANSPORT, "longer", &r, &p)) {
#ifdef HOST_GROWN
        CU_ASSERT_EQUAL(p->u.transport.connect("", 0, NULL), 1);
#else
        CU_ASSERT_EQUAL(p->u.transport.connect("", 0, NULL), 0);
#endif
        registry_close(r);
    }
}

static void others(void) {
    refused(AG_KIND_BACKEND, "short", "its struct ag_backend has");
    refused(AG_KIND_BACKEND, "short", "want at least");
    refused(AG_KIND_TRANSPORT, "major", "built for ABI 2.0, this host has 1.");
    refused(AG_KIND_TRANSPORT, "hidden", "built for ABI 2.0, this host has 1.");
    refused(AG_KIND_TRANSPORT, "stub", "its descriptor has 16 bytes");
    refused(AG_KIND_TRANSPORT, "kind", "its note says kind transport, its descriptor format");
    refused(AG_KIND_TRANSPORT, "unusable", "not usable here: device failure");
}

int main(int argc, char **argv) {
    if (argc != 2 || CU_initialize_registry() != CUE_SUCCESS) return 1;
    folder = argv[1];
    CU_pSuite s = CU_add_suite("skew", NULL, NULL);
    CU_ADD_TEST(s, old_backend);
    CU_ADD_TEST(s, shortest_backend);
    CU_ADD_TEST(s, old_model);
    CU_ADD_TEST(s, old_format_and_transport);
    CU_ADD_TEST(s, longer);
    CU_ADD_TEST(s, others);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures != 0;
}
