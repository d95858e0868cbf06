/* SPDX-License-Identifier: MIT */
/* Search order, shadowing, permissions and refusals, in folders made for the purpose. The argument is
 * the folder with the plugins of plugins.c. */
#define _XOPEN_SOURCE 700

#include "registry.h"
#include "util/error.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *built;  /* folder of the test plugins */
static char root[64];      /* of the test folders */

static char *in_root(const char *name) {
    static char text[4][256];
    static int turn;
    char *t = text[turn++ & 3];
    snprintf(t, sizeof text[0], "%s/%s", root, name);
    return t;
}

/* Copies a test plugin to root/<to>. */
static void put(const char *plugin, const char *to) {
    char from[4096], bytes[65536];
    snprintf(from, sizeof from, "%s/%s.so", built, plugin);
    FILE *in = fopen(from, "rb"), *out = fopen(in_root(to), "wb");
    if (!in || !out) {
        fprintf(stderr, "cannot copy %s to %s\n", from, in_root(to));
        exit(1);
    }
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, in))) fwrite(bytes, 1, n, out);
    fclose(in);
    fclose(out);
    chmod(in_root(to), 0644);
}

static void put_text(const char *to, const char *text) {
    FILE *f = fopen(in_root(to), "wb");
    fputs(text, f);
    fclose(f);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st; (void)type; (void)ftw;
    return remove(path);
}

static void fresh(void) {
    if (root[0]) nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    strcpy(root, "/tmp/agave-registry-XXXXXX");
    if (!mkdtemp(root)) exit(1);
    mkdir(in_root("a"), 0755);
    mkdir(in_root("b"), 0755);
}

static struct registry *open_dirs(const char *a, const char *b) {
    const char *dir[2] = { a ? in_root(a) : NULL, b ? in_root(b) : NULL };
    struct registry_options o = { .dir = dir, .n_dir = b ? 2 : 1 };
    struct registry *r;
    int rc = registry_open(&o, &r);
    if (rc < 0) fprintf(stderr, "registry_open: %s\n", fail_text());
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    return r;
}

static bool says(const char *text, const char *part) {
    if (text && strstr(text, part)) return true;
    fprintf(stderr, "want \"%s\" in \"%s\"\n", part, text ? text : "(null)");
    return false;
}

static void finds_and_loads(void) {
    fresh();
    put("transport_good", "a/transport_good.so");
    struct registry *r = open_dirs("a", NULL);
    CU_ASSERT_EQUAL(registry_count(r), 1);
    struct plugin *p = registry_find(r, AG_KIND_TRANSPORT, "good");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->version, "1");
    CU_ASSERT_STRING_EQUAL(p->license, "MIT");
    CU_ASSERT_STRING_EQUAL(p->provides, "transport=good");
    CU_ASSERT_STRING_EQUAL(p->path, in_root("a/transport_good.so"));
    CU_ASSERT_FALSE(p->loaded);
    CU_ASSERT_EQUAL(registry_load(r, p), 0);
    CU_ASSERT_TRUE(p->loaded);
    CU_ASSERT_EQUAL(p->u.transport.size, sizeof(struct ag_transport));
    CU_ASSERT_EQUAL(p->u.transport.send(NULL, NULL, 0, 0), AG_EIO);
    CU_ASSERT_EQUAL(registry_load(r, p), 0);
    CU_ASSERT_PTR_NULL(registry_find(r, AG_KIND_MODEL, "good"));
    CU_ASSERT_PTR_EQUAL(registry_provider(r, AG_KIND_TRANSPORT, "transport=good", NULL), p);
    CU_ASSERT_PTR_NULL(registry_provider(r, AG_KIND_TRANSPORT, "transport=goo", NULL));
    CU_ASSERT_TRUE(says(registry_searched(r), in_root("a")));
    registry_close(r);
    registry_close(NULL);
}

static void first_of_a_name_wins(void) {
    fresh();
    put("transport_good", "a/transport_good.so");
    put("transport_good", "b/transport_good.so");
    struct registry *r = open_dirs("b", "a");
    CU_ASSERT_EQUAL(registry_count(r), 2);
    struct plugin *p = registry_find(r, AG_KIND_TRANSPORT, "good");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->path, in_root("b/transport_good.so"));
    CU_ASSERT_PTR_NULL(p->shadowed);
    CU_ASSERT_STRING_EQUAL(registry_at(r, 1)->shadowed, in_root("b/transport_good.so"));
    CU_ASSERT_PTR_NULL(registry_at(r, 2));
    registry_close(r);
    /* The same folder twice is searched once. */
    r = open_dirs("a", "a");
    CU_ASSERT_EQUAL(registry_count(r), 1);
    registry_close(r);
    /* A refused file does not stand in the way. */
    chmod(in_root("b/transport_good.so"), 0666);
    r = open_dirs("b", "a");
    p = registry_find(r, AG_KIND_TRANSPORT, "good");
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->path, in_root("a/transport_good.so"));
    CU_ASSERT_TRUE(says(registry_at(r, 0)->refused, "writable by others"));
    registry_close(r);
}

/* --plugin, --plugin-dir, path, data home, installed: each beats those behind it. */
static void order_of_places(void) {
    fresh();
    const char *place[] = { "file", "dir", "path", "home/agave/abi-1", "lib" };
    mkdir(in_root("home"), 0755);
    mkdir(in_root("home/agave"), 0755);
    char file[128];
    for (int i = 0; i < 5; i++) {
        mkdir(in_root(place[i]), 0755);
        snprintf(file, sizeof file, "%s/transport_good.so", place[i]);
        put("transport_good", file);
    }
    char f[256], d[256], p[512], h[256], l[256];
    snprintf(f, sizeof f, "%s/file/transport_good.so", root);
    snprintf(d, sizeof d, "%s/dir", root);
    snprintf(p, sizeof p, ":relative:%s/absent:%s/path", root, root);
    snprintf(h, sizeof h, "%s/home", root);
    snprintf(l, sizeof l, "%s/lib", root);
    const char *fl[] = { f }, *dl[] = { d };
    struct registry_options o = { .file = fl, .n_file = 1, .dir = dl, .n_dir = 1, .path = p,
                                  .data_home = h, .install_dir = l };
    for (int i = 0; i < 5; i++) {
        struct registry *r;
        CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
        CU_ASSERT_EQUAL(registry_count(r), (size_t)(5 - i));
        snprintf(file, sizeof file, "%s/transport_good.so", place[i]);
        CU_ASSERT_STRING_EQUAL(registry_find(r, AG_KIND_TRANSPORT, "good")->path, in_root(file));
        registry_close(r);
        if (i == 0) o.n_file = 0;
        if (i == 1) o.n_dir = 0;
        if (i == 2) o.path = NULL;
        if (i == 3) o.data_home = NULL;
    }
    /* Raised rights: what the environment says does not count. */
    o.path = p;
    o.data_home = h;
    o.secure = true;
    struct registry *r;
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    CU_ASSERT_EQUAL(registry_count(r), 1);
    CU_ASSERT_STRING_EQUAL(registry_find(r, AG_KIND_TRANSPORT, "good")->path, in_root("lib/transport_good.so"));
    registry_close(r);
}

static void sorted_by_name(void) {
    fresh();
    put("transport_noinit", "a/transport_noinit.so");
    put("model_second", "a/model_second.so");
    put("transport_good", "a/transport_good.so");
    put_text("a/.transport_hidden.so", "x");
    put_text("a/readme.txt", "x");
    struct registry *r = open_dirs("a", NULL);
    CU_ASSERT_EQUAL_FATAL(registry_count(r), 3);
    CU_ASSERT_STRING_EQUAL(registry_at(r, 0)->name, "second");
    CU_ASSERT_STRING_EQUAL(registry_at(r, 1)->name, "good");
    CU_ASSERT_STRING_EQUAL(registry_at(r, 2)->name, "noinit");
    registry_close(r);
}

static void list_file(void) {
    fresh();
    put("transport_good", "b/transport_good.so");
    char list[256];
    snprintf(list, sizeof list, "%s/agave.plugins", root);
    put_text("agave.plugins", "a\nb\n\n");
    struct registry_options o = { .list_file = list, .install_dir = "/nowhere" };
    struct registry *r;
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    CU_ASSERT_PTR_NOT_NULL(registry_find(r, AG_KIND_TRANSPORT, "good"));
    registry_close(r);
    o.list_file = in_root("absent.plugins");
    CU_ASSERT_EQUAL(registry_open(&o, &r), AG_EIO);
    CU_ASSERT_PTR_NULL(r);
}

static void two_providers(void) {
    fresh();
    put("model_first", "a/model_first.so");
    put("model_second", "a/model_second.so");
    const char *dir[1] = { in_root("a") };
    struct registry_options o = { .dir = dir, .n_dir = 1 };
    struct registry *r;
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    struct plugin *p = registry_provider(r, AG_KIND_MODEL, "arch=alpha", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->name, "first");
    CU_ASSERT_PTR_NULL(p->outranked);
    p = registry_provider(r, AG_KIND_MODEL, "arch=alpha", p);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->name, "second");
    CU_ASSERT_TRUE(says(p->outranked, "arch=alpha: first comes first"));
    CU_ASSERT_PTR_NULL(registry_provider(r, AG_KIND_MODEL, "arch=alpha", p));
    CU_ASSERT_PTR_NULL(registry_provider(r, AG_KIND_MODEL, "arch=alphabe", NULL));
    registry_close(r);

    o.model_plugin = "second";
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    p = registry_provider(r, AG_KIND_MODEL, "arch=alpha", NULL);
    CU_ASSERT_STRING_EQUAL(p->name, "second");
    p = registry_provider(r, AG_KIND_MODEL, "arch=alpha", p);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_STRING_EQUAL(p->name, "first");
    CU_ASSERT_TRUE(says(p->outranked, "arch=alpha: second comes first"));
    CU_ASSERT_STRING_EQUAL(registry_provider(r, AG_KIND_MODEL, "arch=beta", NULL)->name, "first");
    registry_close(r);

    o.model_plugin = "third";
    CU_ASSERT_EQUAL(registry_open(&o, &r), AG_ENOENT);
    CU_ASSERT_TRUE(says(fail_text(), "model_third.so"));
    CU_ASSERT_TRUE(says(fail_text(), "first, second"));
}

/* Refused at the first look, without loading. */
static void refused_unread(void) {
    static const struct { const char *plugin, *file, *reason; } row[] = {
        { "transport_good", "a/transport_fine.so", "must be called transport_good.so" },
        { "transport_plain", "a/transport_plain.so", "no note of owner" },
        { "transport_major", "a/transport_major.so", "built for ABI 2.3, this host has 1." },
        { "transport_tls", "a/tls_tls.so", "its kind, TLS, is unknown" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fresh();
        put(row[i].plugin, row[i].file);
        put("transport_good", "a/transport_good.so");
        struct registry *r = open_dirs("a", NULL);
        struct plugin *bad = NULL;
        for (size_t k = 0; k < registry_count(r); k++)
            if (!strcmp(registry_at(r, k)->path, in_root(row[i].file))) bad = registry_at(r, k);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bad);
        CU_ASSERT_TRUE(says(bad->refused, row[i].reason));
        CU_ASSERT_TRUE(registry_load(r, bad) < 0);
        CU_ASSERT_TRUE(says(fail_text(), row[i].reason));
        CU_ASSERT_FALSE(bad->loaded);
        CU_ASSERT_PTR_NOT_NULL(registry_find(r, AG_KIND_TRANSPORT, "good"));
        registry_close(r);

        const char *file[] = { in_root(row[i].file) };
        struct registry_options o = { .file = file, .n_file = 1 };
        CU_ASSERT_TRUE(registry_open(&o, &r) < 0);
        CU_ASSERT_TRUE(says(fail_text(), row[i].reason));
    }
    fresh();
    put_text("a/transport_text.so", "hello, I am a plugin. Honestly. There is really nothing wrong with me at all.");
    put_text("a/transport_empty.so", "");
    mkdir(in_root("a/transport_folder.so"), 0755);
    CU_ASSERT_EQUAL(mkfifo(in_root("a/transport_fifo.so"), 0644), 0); /* must not wait for a writer */
    CU_ASSERT_EQUAL(symlink("transport_loop.so", in_root("a/transport_loop.so")), 0);
    struct registry *r = open_dirs("a", NULL);
    CU_ASSERT_EQUAL_FATAL(registry_count(r), 5);
    CU_ASSERT_TRUE(says(registry_at(r, 0)->refused, "not an ELF file"));
    CU_ASSERT_TRUE(says(registry_at(r, 1)->refused, "not a regular file"));
    CU_ASSERT_TRUE(says(registry_at(r, 2)->refused, "not a regular file"));
    CU_ASSERT_TRUE(says(registry_at(r, 3)->refused, "symbolic links"));
    CU_ASSERT_TRUE(says(registry_at(r, 4)->refused, "not an ELF file"));
    registry_close(r);
}

/* Looks right from outside, refused when loaded. */
static void refused_loaded(void) {
    static const struct { const char *name, *reason; } row[] = {
        { "noprobe", "device failure" },
        { "noinit", "no luck today" },
        { "nosymbol", "no symbol ag_plugin" },
        { "liar", "its note says name liar, its descriptor saint" },
        { "hole", "struct ag_transport has no send" },
        { "future", "needs a host of ABI 1.99" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fresh();
        char file[80], from[64];
        snprintf(from, sizeof from, "transport_%s", row[i].name);
        snprintf(file, sizeof file, "a/%s.so", from);
        put(from, file);
        struct registry *r = open_dirs("a", NULL);
        struct plugin *p = registry_find(r, AG_KIND_TRANSPORT, row[i].name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        for (int again = 0; again < 2; again++) {
            CU_ASSERT_TRUE(registry_load(r, p) < 0);
            CU_ASSERT_TRUE(says(fail_text(), row[i].reason));
            CU_ASSERT_TRUE(says(fail_text(), in_root(file)));
            CU_ASSERT_TRUE(says(p->refused, row[i].reason));
            CU_ASSERT_FALSE(p->loaded);
        }
        CU_ASSERT_PTR_NULL(registry_find(r, AG_KIND_TRANSPORT, row[i].name));
        registry_close(r);
    }
}

static void initialised_once(void) {
    fresh();
    put("transport_count", "a/transport_count.so");
    for (int i = 0; i < 2; i++) {
        struct registry *r = open_dirs("a", NULL);
        struct plugin *p = registry_find(r, AG_KIND_TRANSPORT, "count");
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(registry_load(r, p), 0);
        registry_close(r);
    }
}

static void nested_tables(void) {
    fresh();
    put("model_first", "a/model_first.so");
    put("backend_rows", "a/backend_rows.so");
    struct registry *r = open_dirs("a", NULL);
    struct plugin *m = registry_find(r, AG_KIND_MODEL, "first");
    CU_ASSERT_EQUAL_FATAL(registry_load(r, m), 0);
    const struct ag_chat *c = m->u.model.chat[0];
    CU_ASSERT_STRING_EQUAL(c->answer, "<a|");
    CU_ASSERT_PTR_NULL(c->eog); /* behind the end of the plugin's own struct: not read */
    CU_ASSERT_PTR_NULL(c->think_begin);
    CU_ASSERT_PTR_NULL(m->u.model.chat[1]);
    CU_ASSERT_STRING_EQUAL(m->u.model.recipe[0]->name, "calm");
    CU_ASSERT_PTR_NULL(m->u.model.private_op);
    struct plugin *b = registry_find(r, AG_KIND_BACKEND, "rows");
    CU_ASSERT_EQUAL_FATAL(registry_load(r, b), 0);
    CU_ASSERT_EQUAL(b->u.backend.support_stride, sizeof(struct ag_support));
    CU_ASSERT_EQUAL(b->u.backend.support[1].op, AG_OP_MATMUL);
    CU_ASSERT_PTR_NULL(b->u.backend.claim);
    registry_close(r);
}

static const char *refusal(void) {
    static char text[1024];
    struct registry *r = open_dirs("a", NULL);
    const char *why = registry_count(r) ? registry_at(r, 0)->refused : "no file";
    snprintf(text, sizeof text, "%s", why ? why : "");
    registry_close(r);
    return text;
}

static void permissions(void) {
    fresh();
    put("transport_good", "a/transport_good.so");
    CU_ASSERT_STRING_EQUAL(refusal(), "");
    chmod(in_root("a/transport_good.so"), 0646);
    CU_ASSERT_TRUE(says(refusal(), "transport_good.so is writable by others (mode 0646)"));
    chmod(in_root("a/transport_good.so"), 0644);
    chmod(in_root("a"), 0757);
    CU_ASSERT_TRUE(says(refusal(), "/a is writable by others"));
    chmod(in_root("a"), 01777); /* sticky: nobody else can replace the file */
    CU_ASSERT_STRING_EQUAL(refusal(), "");
    chmod(in_root("a"), 0755);
    chmod(root, 0707);
    CU_ASSERT_TRUE(says(refusal(), "is writable by others (mode 0707)"));
    chmod(root, 0700);
    CU_ASSERT_STRING_EQUAL(refusal(), "");

    /* The file behind a link, and the folders above that. */
    rename(in_root("a/transport_good.so"), in_root("b/transport_good.so"));
    symlink(in_root("b/transport_good.so"), in_root("a/transport_good.so"));
    CU_ASSERT_STRING_EQUAL(refusal(), "");
    chmod(in_root("b"), 0757);
    CU_ASSERT_TRUE(says(refusal(), "/b is writable by others"));
    chmod(in_root("b"), 0755);
    unlink(in_root("a/transport_good.so"));
    symlink(in_root("absent"), in_root("a/transport_good.so"));
    CU_ASSERT_TRUE(says(refusal(), "No such file"));
}

static void permissions_of_owners(void) {
    fresh();
    put("transport_good", "a/transport_good.so");
    if (chown(in_root("a/transport_good.so"), 12345, 0)) {
        puts("no right to give files away: owners are not tried");
        return;
    }
    CU_ASSERT_TRUE(says(refusal(), "belongs to user 12345, want root or user 0"));
    chown(in_root("a/transport_good.so"), 0, 12345);
    CU_ASSERT_STRING_EQUAL(refusal(), "");
    chmod(in_root("a/transport_good.so"), 0664); /* members of group 12345 may write */
    CU_ASSERT_TRUE(says(refusal(), "is writable by others"));
    const struct group *own = getgrgid(0);
    if (own && !strcmp(own->gr_name, "root") && !own->gr_mem[0]) { /* a group of nobody else */
        chown(in_root("a/transport_good.so"), 0, 0);
        CU_ASSERT_STRING_EQUAL(refusal(), "");
    }
    chmod(in_root("a/transport_good.so"), 0644);
    chown(in_root("a"), 12345, 0);
    CU_ASSERT_TRUE(says(refusal(), "/a belongs to user 12345"));
    chmod(in_root("a"), 01755); /* sticky, but its owner may still replace what lies in it */
    CU_ASSERT_TRUE(says(refusal(), "/a belongs to user 12345"));
}

static void missing_folders(void) {
    fresh();
    const char *dir[] = { in_root("absent") };
    struct registry_options o = { .dir = dir, .n_dir = 1 };
    struct registry *r;
    CU_ASSERT_EQUAL(registry_open(&o, &r), AG_ENOENT);
    CU_ASSERT_TRUE(says(fail_text(), "absent"));
    o = (struct registry_options){ .install_dir = in_root("absent") };
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    CU_ASSERT_EQUAL(registry_count(r), 0);
    CU_ASSERT_TRUE(says(registry_searched(r), "absent"));
    registry_close(r);
    const char *file[] = { in_root("absent.so") };
    o = (struct registry_options){ .file = file, .n_file = 1 };
    CU_ASSERT_TRUE(registry_open(&o, &r) < 0);
    CU_ASSERT_TRUE(says(fail_text(), "absent.so"));
    o = (struct registry_options){ 0 };
    CU_ASSERT_EQUAL_FATAL(registry_open(&o, &r), 0);
    CU_ASSERT_STRING_EQUAL(registry_searched(r), "no folder");
    registry_close(r);
}

int main(int argc, char **argv) {
    if (argc != 2 || CU_initialize_registry() != CUE_SUCCESS) return 1;
    built = argv[1];
    CU_pSuite s = CU_add_suite("registry", NULL, NULL);
    CU_ADD_TEST(s, finds_and_loads);
    CU_ADD_TEST(s, first_of_a_name_wins);
    CU_ADD_TEST(s, order_of_places);
    CU_ADD_TEST(s, sorted_by_name);
    CU_ADD_TEST(s, list_file);
    CU_ADD_TEST(s, two_providers);
    CU_ADD_TEST(s, refused_unread);
    CU_ADD_TEST(s, refused_loaded);
    CU_ADD_TEST(s, initialised_once);
    CU_ADD_TEST(s, nested_tables);
    CU_ADD_TEST(s, permissions);
    CU_ADD_TEST(s, permissions_of_owners);
    CU_ADD_TEST(s, missing_folders);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    if (root[0]) nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return failures != 0;
}
